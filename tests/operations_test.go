package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

//proves:runtime.md#query-state:1 runtime.md#create:1 runtime.md#start:1 runtime.md#kill:1 runtime.md#delete:1
func TestEveryOperationNeedsTheIDOfAContainer(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.create(h.newBundle([]string{"sleep"}))
	for _, operation := range []string{"state", "create", "start", "kill", "delete"} {
		h.refuses([]string{operation, "argument"}, operation)
		if r := h.try(operation, ""); r.status == 0 {
			t.Errorf("%s of an empty ID succeeded", operation)
		}
	}
	// Nothing was guessed from there being one container only.
	equal(t, "status", h.state(c.id).Status, specs.StateCreated)
}

//proves:runtime.md#lifecycle:1 runtime.md#lifecycle:3 runtime.md#create:3 runtime.md#create:4 runtime.md#create:5
func TestTheEnvironmentIsThereBeforeTheProgramIs(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	secret := "/tmp/secret"
	b := h.newBundle([]string{"write=/mnt/ran:yes", "sleep"}, func(s *specs.Spec) {
		s.Hostname, s.Domainname = "early", "early.example"
		s.Linux.Sysctl = map[string]string{"net.ipv4.ip_default_ttl": "17"}
		s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, secret)
		s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/early", Type: "p"}}
	}, addMounts(specs.Mount{Destination: "/mnt", Type: "tmpfs", Source: "early"}))
	writeFile(t, b.path("rootfs"+secret), "text")
	c := h.create(b)
	equal(t, "status", h.state(c.id).Status, specs.StateCreated)
	const ttl = "read=/proc/sys/net/ipv4/ip_default_ttl"
	s := c.exec("uname", ttl, "read="+secret, "mounts", "list=/mnt", "stat=/dev/early", "make=/new")
	equal(t, "nodename", get[map[string]string](t, s, "uname")["nodename"], "early")
	equal(t, "domainname", get[map[string]string](t, s, "uname")["domainname"], "early.example")
	equal(t, "parameter", strings.TrimSpace(get[string](t, s, ttl)), "17")
	equal(t, "masked file", get[string](t, s, "read="+secret), "")
	equal(t, "mount", mountsOf(t, s)["/mnt"].source, "early")
	equal(t, "device", get[fileStat](t, s, "stat=/dev/early").Mode[:2], "01")
	equal(t, "root is read-only", s.failure("make=/new"), "open /new: read-only file system")
	equal(t, "what the program made", get[[]string](t, s, "list=/mnt"), []string{})
	h.must("start", c.id)
	eventually(t, "the program runs", func() bool {
		return len(get[[]string](t, c.exec("list=/mnt"), "list=/mnt")) == 1
	})
}

//proves:runtime.md#errors:1 runtime.md#lifecycle:2 runtime.md#create:6
func TestACreateThatFailsHalfwayIsAsIfItNeverWas(t *testing.T) {
	h := newHost(t)
	h.leavesNothing()
	// What fails is the last of what create does for these.
	source := t.TempDir()
	for name, edit := range map[string]edit{
		"a mount":     addMounts(bind(source), specs.Mount{Destination: "/mnt2", Type: "cakefs", Source: "x"}),
		"a parameter": func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net.ipv4.cake": "1"} },
		"the program": func(s *specs.Spec) { s.Process.Args = []string{"/no/such/program"} },
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			b := h.newBundle([]string{"pid"}, writableRoot, edit)
			before := tree(t, b.path("rootfs"))
			id := newID()
			h.refuses(nil, "create", "--bundle", b.dir, id)
			h.nothingRemains(id, b)
			h.refuses([]string{"does not exist"}, "state", id)
			// A mount point may have been made; nothing else is another.
			for _, path := range tree(t, b.path("rootfs")) {
				if !strings.HasPrefix(path, "mnt") && !slices.Contains(before, path) {
					t.Errorf("%s was made", path)
				}
			}
			// The ID is free.
			good := h.newBundle([]string{"pid"})
			h.must("run", "--bundle", good.dir, id)
		})
	}
	if entries, err := os.ReadDir(source); err != nil || len(entries) > 0 {
		t.Errorf("in the source of the mount: %v, %v", entries, err)
	}
}

// tree lists the files below a directory.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		paths = append(paths, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

//proves:runtime.md#delete:3 runtime.md#delete:4
func TestDeleteSparesWhatTheContainerFoundThere(t *testing.T) {
	h := newHost(t)
	h.leavesNothing()
	pid := holder(t, "--net")
	source := t.TempDir()
	writeFile(t, filepath.Join(source, "file"), "text")
	needController(t, "pids")
	group := newID() + "-parent"
	dir := makeCgroup(t, "pids", group)
	b := h.newBundle([]string{"sleep"}, writableRoot, addMounts(bind(source)),
		addNamespace(specs.NetworkNamespace, nsPath(pid, specs.NetworkNamespace)),
		func(s *specs.Spec) { s.Linux.CgroupsPath = "/" + group + "/own" })
	c := h.create(b)
	h.must("start", c.id)
	if !fileExists(dir + "/own/cgroup.procs") {
		t.Fatal("the container is not in its cgroup")
	}
	h.must("kill", c.id, "KILL")
	h.awaitStatus(c.id, specs.StateStopped)
	h.must("delete", c.id)
	equal(t, "its own cgroup is there", fileExists(dir+"/own"), false)
	equal(t, "the cgroup above is there", fileExists(dir+"/cgroup.procs"), true)
	equal(t, "the source of a mount", readFile(t, filepath.Join(source, "file")), "text")
	if nsOf(t, pid, specs.NetworkNamespace) == "" || !alive(pid) {
		t.Error("the process of the joined namespace ended")
	}
	if !fileExists(b.path("config.json")) || !fileExists(b.path("rootfs/probe")) {
		t.Error("the bundle is not whole")
	}
	h.nothingRemains(c.id, b)
}

//proves:runtime.md#warnings:1
func TestAWarningChangesNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"status=CapEff", "exit=4"}, withCapabilities("CAP_KILL", "CAP_CAKE"))
	r := h.try("run", "--bundle", b.dir, newID())
	if r.status != 4 || !strings.Contains(r.stderr, "level=warning") {
		t.Errorf("status %d, %q", r.status, r.stderr)
	}
	equal(t, "capabilities", get[string](t, parseSight(t, r.stdout), "status=CapEff"), "0000000000000020")
}

//proves:annotations.* config.md#annotations:1 config.md#annotations:3 config.md#annotations:25
func TestAnnotationsAreWordsByName(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid"})
	good := []byte(readFile(t, b.path("config.json")))
	for name, tt := range map[string]struct {
		value any
		want  string
	}{
		"a list":       {[]any{"a", "b"}, "annotations"},
		"a number":     {object("a", 1), "annotations"},
		"an object":    {object("a", object("b", "c")), "annotations"},
		"an empty key": {object("", "x"), "annotations"},
	} {
		writeFile(t, b.path("config.json"), string(change(t, good, tt.value, "annotations")))
		id := newID()
		h.refuses([]string{tt.want}, "create", "--bundle", b.dir, id)
		if r := h.try("state", id); r.status == 0 {
			t.Errorf("%s: there is a container", name)
		}
	}
	// An empty value is one.
	writeFile(t, b.path("config.json"), string(change(t, good, object("org.example.empty", ""), "annotations")))
	id := newID()
	h.must("create", "--bundle", b.dir, id)
	value, ok := h.state(id).Annotations["org.example.empty"]
	equal(t, "annotation", []any{value, ok}, []any{"", true})
	h.must("delete", "--force", id)
}

//proves:hostname domainname
func TestTheNamesOfAContainerAreNotTheHosts(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	before, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	c := h.start(nil, func(s *specs.Spec) { s.Hostname, s.Domainname = "inside", "inside.example" })
	name := get[map[string]string](t, c.exec("uname"), "uname")
	equal(t, "names", []string{name["nodename"], name["domainname"]}, []string{"inside", "inside.example"})
	after, err := os.Hostname()
	equal(t, "the host's name", after, before)
	equal(t, "the host's domain", strings.TrimSpace(readFile(t, "/proc/sys/kernel/domainname")) == "inside.example", false)
	if err != nil {
		t.Error(err)
	}
}

//proves:config.md#process:2
func TestASizeWithoutATerminalIsIgnored(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	const tooHigh = 1 << 20
	size := func(s *specs.Spec) { s.Process.ConsoleSize = &specs.Box{Height: tooHigh, Width: 7} }
	h.run(h.newBundle([]string{"pid"}, size))
	h.refuses([]string{"process.consoleSize", fmt.Sprint(tooHigh)},
		"create", "--console-socket", newInbox(t, filepath.Join(t.TempDir(), "console.sock")).path,
		"--bundle", h.newBundle([]string{"pid"}, size, terminal).dir, newID())
	// The program may have a terminal nevertheless: the caller's.
	_, peer := ptyPair(t, 31, 62)
	cmd := h.command("run", "--bundle", h.newBundle([]string{"tty"}, func(s *specs.Spec) {
		s.Process.ConsoleSize = &specs.Box{Height: 13, Width: 7}
	}).dir, newID())
	cmd.Stdin = peer
	if r := h.finish(cmd); r.status != 0 {
		t.Errorf("status %d, %q", r.status, r.stderr)
	}
	after, err := unix.IoctlGetWinsize(int(peer.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "the caller's terminal", []uint16{after.Row, after.Col}, []uint16{31, 62})
}

//proves:config-linux.md#user-namespace-mappings:4
func TestAUserNamespaceChangesNoOwnerOnTheHost(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	source := t.TempDir()
	writeFile(t, filepath.Join(source, "file"), "text")
	b := h.newBundle([]string{"pid"}, inUserNamespace, addMounts(bind(source)))
	before := ownersBelow(t, b.path("rootfs"), source)
	h.run(b)
	after := ownersBelow(t, b.path("rootfs"), source)
	for path, owner := range before {
		equal(t, path, after[path], owner)
	}
}

// ownersBelow are those of all files below directories, by path.
func ownersBelow(t *testing.T, dirs ...string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, dir := range dirs {
		for _, name := range tree(t, dir) {
			var st unix.Stat_t
			if err := unix.Lstat(filepath.Join(dir, name), &st); err != nil {
				t.Fatal(err)
			}
			found[filepath.Join(dir, name)] = fmt.Sprint(st.Uid, st.Gid)
		}
	}
	return found
}

// What execve(2) makes of the permitted and the effective set is the kernel's
// choice (capabilities(7)); before it they are those of the configuration.
//
//proves:process.capabilities.permitted process.capabilities.effective
func TestTheSetsBeforeTheProgramAreThoseOfTheConfiguration(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	const c, f, k = "CAP_CHOWN", "CAP_FOWNER", "CAP_KILL"
	made := h.create(h.newBundle([]string{"pid"}, func(s *specs.Spec) {
		s.Process.Capabilities = &specs.LinuxCapabilities{
			Bounding: []string{c, f, k}, Permitted: []string{c, f}, Effective: []string{c},
		}
	}))
	for line := range strings.Lines(readFile(t, procPath(made.pid, "status"))) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), ":\t")
		want, ok := map[string]uint64{"CapBnd": chown | fowner | kill, "CapPrm": chown | fowner, "CapEff": chown}[name]
		if !ok {
			continue
		}
		mask, err := strconv.ParseUint(text, 16, 64)
		if err != nil || mask != want {
			t.Errorf("%s is %#x, want %#x", name, mask, want)
		}
	}
}
