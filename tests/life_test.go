package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// remains lists what there is on the host of a container: its state, cgroups,
// mounts of its bundle, and processes that are in its cgroup, were told its ID
// or have something of the state directory or the bundle open. A zombie that
// nobody has reaped yet is only its parent's.
func (h *host) remains(id string, b *bundle) []string {
	h.t.Helper()
	var found []string
	if _, err := os.Lstat(filepath.Join(h.root, id)); err == nil {
		found = append(found, "the state directory")
	}
	for _, depth := range []string{"", "*/", "*/*/", "*/*/*/"} {
		for _, name := range []string{id, "*-" + id + ".scope"} {
			cgroups, err := filepath.Glob("/sys/fs/cgroup/" + depth + name)
			if err != nil {
				h.t.Fatal(err)
			}
			found = append(found, cgroups...)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		h.t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, b.dir) {
			found = append(found, "mount "+line)
		}
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		h.t.Fatal(err)
	}
	for _, dir := range processes {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			h.t.Fatal(err)
		}
		if pid != os.Getpid() && alive(pid) && (mentions(dir, id) || holds(dir, h.root, b.dir)) {
			comm, _ := os.ReadFile(dir + "/comm")
			found = append(found, "process "+filepath.Base(dir)+" "+strings.TrimSpace(string(comm)))
		}
	}
	return found
}

// mentions reports whether a process is in the cgroup or has the arguments of
// the container.
func mentions(dir, id string) bool {
	for _, file := range []string{"/cgroup", "/cmdline"} {
		text, err := os.ReadFile(dir + file)
		if err == nil && containsWord(string(text), id) {
			return true
		}
	}
	return false
}

// containsWord is strings.Contains for IDs, which end in a number: the first
// one's is the beginning of the tenth's.
func containsWord(text, id string) bool {
	for {
		_, rest, found := strings.Cut(text, id)
		if !found {
			return false
		}
		if rest == "" || rest[0] < '0' || rest[0] > '9' {
			return true
		}
		text = rest
	}
}

// holds reports whether a process has something below one of roots.
func holds(dir string, roots ...string) bool {
	links, _ := filepath.Glob(dir + "/fd/*")
	for _, link := range append(links, dir+"/cwd", dir+"/root") {
		target, err := os.Readlink(link)
		if err != nil {
			continue
		}
		for _, root := range roots {
			if root != "" && (target == root || strings.HasPrefix(target, root+"/")) {
				return true
			}
		}
	}
	return false
}

// nothingRemains fails the test unless all of the container goes away: what was
// killed needs a moment.
func (h *host) nothingRemains(id string, b *bundle) {
	h.t.Helper()
	eventually(h.t, "nothing is left of "+id, func() bool {
		found := h.remains(id, b)
		if len(found) > 0 && !isPassing(found) {
			h.t.Fatalf("left of %s: %s", id, strings.Join(found, "\n"))
		}
		return len(found) == 0
	})
}

// isPassing reports whether all of what was found are processes.
func isPassing(found []string) bool {
	for _, f := range found {
		if !strings.HasPrefix(f, "process ") {
			return false
		}
	}
	return true
}

// childrenOf returns the children of all threads of a process.
func childrenOf(t *testing.T, pid int) []int {
	t.Helper()
	lists, err := filepath.Glob(procPath(pid, "task/*/children"))
	if err != nil {
		t.Fatal(err)
	}
	var children []int
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread is gone
		}
		for _, f := range strings.Fields(string(text)) {
			child, err := strconv.Atoi(f)
			if err != nil {
				t.Fatal(err)
			}
			children = append(children, child)
		}
	}
	return children
}

// alive reports whether a process is there and not a zombie.
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return rest != "" && rest[0] != 'Z' && rest[0] != 'X'
}

// occurrence is what a probe recorded as a hook.
type occurrence struct {
	Args, Env  []string
	Cwd, Comm  string
	Stdin      string
	Namespaces map[string]string
	FDs        map[string]string
	raw        sight
}

func (o occurrence) name() string { return o.Args[0] }

// state is what the hook read.
func (o occurrence) state(t *testing.T) (s specs.State) {
	t.Helper()
	if err := json.Unmarshal([]byte(o.Stdin), &s); err != nil {
		t.Fatalf("the state that %s read: %v: %q", o.name(), err, o.Stdin)
	}
	return s
}

// diary is a file in which hooks record that they ran, in order.
type diary struct {
	t    *testing.T
	path string
}

func newDiary(t *testing.T) diary {
	t.Helper()
	dir := t.TempDir()
	return diary{t: t, path: filepath.Join(dir, "diary")}
}

// inside is where containers that the edit visible was applied to see it.
const diaryInside = "/diary/diary"

func (d diary) visible(s *specs.Spec) {
	addMounts(specs.Mount{
		Destination: filepath.Dir(diaryInside), Type: "bind", Source: filepath.Dir(d.path), Options: []string{"bind", "rw"},
	})(s)
}

// hook returns a hook of that name, which does more besides recording.
func (d diary) hook(name string, more ...string) specs.Hook {
	return specs.Hook{Path: suite.probe, Args: append([]string{name, "record=" + d.path}, more...), Env: []string{"NAME=" + name}}
}

// insideHook is hook for one that runs in the container's root.
func (d diary) insideHook(name string, more ...string) specs.Hook {
	return specs.Hook{Path: "/probe", Args: append([]string{name, "record=" + diaryInside}, more...), Env: []string{"NAME=" + name}}
}

// read returns what was recorded.
func (d diary) read() []occurrence {
	d.t.Helper()
	text, err := os.ReadFile(d.path)
	if err != nil && !os.IsNotExist(err) {
		d.t.Fatal(err)
	}
	var all []occurrence
	for line := range strings.Lines(string(text)) {
		var o occurrence
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			d.t.Fatalf("%v: %s", err, line)
		}
		if err := json.Unmarshal([]byte(line), &o.raw); err != nil {
			d.t.Fatalf("%v: %s", err, line)
		}
		all = append(all, o)
	}
	return all
}

func (d diary) names() []string {
	d.t.Helper()
	names := []string{}
	for _, o := range d.read() {
		names = append(names, o.name())
	}
	return names
}

// namespacesOf returns what /proc says a process is in.
func namespacesOf(t *testing.T, pid int) map[string]string {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/ns", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]string)
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			out[e.Name()] = target
		}
	}
	return out
}

// startIn starts a command whose output goes to a file and returns both; it is
// killed at the end of the test.
func (h *host) startCommand(cmd *exec.Cmd) (output string) {
	h.t.Helper()
	f, err := os.CreateTemp(h.t.TempDir(), "output")
	if err != nil {
		h.t.Fatal(err)
	}
	defer f.Close()
	if cmd.Stdout == nil {
		cmd.Stdout = f
	}
	if cmd.Stderr == nil {
		cmd.Stderr = f
	}
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	h.t.Cleanup(func() {
		timer.Stop()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return f.Name()
}

// contains waits until the file has the text.
func awaitText(t *testing.T, file, text string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s says %q", filepath.Base(file), text), func() bool {
		content, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(content), text)
	})
}

func fileExists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// containsMount reports whether the text of a mountinfo has a mount on point.
func containsMount(mountinfo, point string) bool {
	for line := range strings.Lines(mountinfo) {
		if f := strings.Fields(line); len(f) > 4 && f[4] == point {
			return true
		}
	}
	return false
}

// procPath is a file of /proc about a process.
func procPath(pid int, name string) string { return fmt.Sprintf("/proc/%d/%s", pid, name) }
