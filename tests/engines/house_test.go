//go:build engines

package engines

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience is how long a command may take on a loaded machine.
func patience() time.Duration { return atMost(40) }

// house is a machine of its own for an engine: see house.sh. What is written in
// it, run in it or made by an engine in it goes with it.
type house struct {
	name string
	init string // its program
	pid  string // of its init
	pipe io.Closer
	keep *exec.Cmd
	said *bytes.Buffer // by the keeper, about what went wrong
}

// houses makes the names of cgroups unique.
var houses atomic.Int64

// newHouse makes a house with the runtimes in /usr/local/sbin. It is gone after
// the test, of which it is a failure if something of it is not.
func newHouse(t *testing.T, runtimes ...string) *house {
	t.Helper()
	return newHouseOf(t, "tini", runtimes...)
}

// newSystemdHouse makes a house where systemd runs, and has a bus.
func newSystemdHouse(t *testing.T, runtimes ...string) *house {
	t.Helper()
	h := newHouseOf(t, "systemd", runtimes...)
	err := attempt(func() {
		eventually("systemd answers", func() bool { return h.try("busctl", "status", "org.freedesktop.systemd1").status == 0 })
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func newHouseOf(t *testing.T, init string, runtimes ...string) *house {
	t.Helper()
	h := &house{name: fmt.Sprintf("hull-engines-%d-%d", os.Getpid(), houses.Add(1)), init: init, said: &bytes.Buffer{}}
	h.keep = exec.Command("sh", append([]string{"house.sh", "keep", init, h.name}, runtimes...)...)
	// Not what a terminal interrupts: the keeper ends by its pipe.
	h.keep.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	h.keep.Stderr = h.said
	h.keep.WaitDelay = patience()
	pipe, err := h.keep.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	h.pipe = pipe
	ready, err := h.keep.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.keep.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.close(t) })
	timer := time.AfterFunc(patience(), func() { _ = pipe.Close() })
	defer timer.Stop()
	line, err := bufio.NewReader(ready).ReadString('\n')
	h.pid = strings.TrimSpace(line)
	if err != nil || h.pid == "" {
		h.close(t)
		t.Fatalf("no house: %v\n%s", err, h.said)
	}
	return h
}

// close ends the house, and looks for what may be left of it on the machine.
func (h *house) close(t *testing.T) {
	t.Helper()
	if h.keep.ProcessState != nil {
		return // closed before
	}
	h.pipe.Close()
	timer := time.AfterFunc(patience(), func() { _ = h.keep.Process.Kill() })
	defer timer.Stop()
	if err := h.keep.Wait(); err != nil {
		t.Errorf("the end of the house: %v\n%s", err, h.said)
	}
	if left := h.cgroups(t); len(left) > 0 {
		t.Errorf("cgroups are left: %v", left)
	}
}

// cgroups lists the cgroups of the house on the machine.
func (h *house) cgroups(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"/sys/fs/cgroup/", "/sys/fs/cgroup/*/"} {
		names, err := filepath.Glob(pattern + h.name)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, names...)
	}
	return found
}

// cgroupDriver is who makes cgroups in the house.
func (h *house) cgroupDriver() string {
	if h.init == "systemd" {
		return "systemd"
	}
	return "cgroupfs"
}

// path is where a file of the house is for the tests.
func (h *house) path(name string) string { return "/proc/" + h.pid + "/root" + name }

// write writes a file in the house, with the directories it is in.
func (h *house) write(name, text string) {
	err := os.MkdirAll(filepath.Dir(h.path(name)), 0o755)
	if err == nil {
		err = os.WriteFile(h.path(name), []byte(text), 0o644)
	}
	if err != nil {
		fail("%v", err)
	}
}

// read reads a file of the house.
func (h *house) read(name string) string {
	text, err := os.ReadFile(h.path(name))
	if err != nil {
		fail("%v", err)
	}
	return string(text)
}

// command runs args in the house, in its cgroups, with Debian's programs and an
// environment that nobody else has written.
func (h *house) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", append([]string{"house.sh", "enter", h.name, h.pid}, args...)...)
	cmd.Env = []string{
		"PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TERM=dumb", "LANG=C.UTF-8",
	}
	// nsenter(1) forks: the whole group ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}

// result is how a command ended.
type result struct {
	line           []string
	status         int
	stdout, stderr string
}

func (r result) String() string {
	return fmt.Sprintf("%s: exit status %d\n%s%s", strings.Join(r.line, " "), r.status, r.stdout, r.stderr)
}

func (r result) ok() {
	if r.status != 0 {
		fail("%s", r)
	}
}

// fails fails unless the command has failed, and said all of words.
func (r result) fails(words []string) {
	if r.status == 0 {
		fail("%s", r)
	}
	tells(r.stderr, words)
}

// try runs a command in the house to its end. Files, not pipes, take its output:
// what it leaves in the background may keep them.
func (h *house) try(args ...string) result {
	return h.tryWith("", args...)
}

// tryWith is try with something on the standard input.
func (h *house) tryWith(input string, args ...string) result {
	ctx, cancel := context.WithTimeout(context.Background(), patience())
	defer cancel()
	cmd := h.command(ctx, args...)
	cmd.Stdin = strings.NewReader(input)
	stdout, stderr := newOutput(), newOutput()
	defer stdout.Close()
	defer stderr.Close()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		fail("%s: does not end\n%s%s", strings.Join(args, " "), contents(stdout), contents(stderr))
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		fail("%v", err)
	}
	return result{args, cmd.ProcessState.ExitCode(), contents(stdout), contents(stderr)}
}

// must runs a command in the house, which has to succeed, and returns what it
// printed without the last end of line.
func (h *house) must(args ...string) string {
	r := h.try(args...)
	if r.status != 0 {
		fail("%s", r)
	}
	return strings.TrimRight(r.stdout, "\r\n")
}

// start runs a daemon in the house, whose output goes to a file there.
func (h *house) start(log string, args ...string) {
	h.must(append([]string{"sh", "-c", `log=$1; shift; setsid "$@" >"$log" 2>&1 </dev/null &`, "sh", log}, args...)...)
}

// serve starts a daemon in the house, and waits until it answers a command.
func (h *house) serve(name string, answers []string, args ...string) {
	log := "/var/log/" + name
	h.start(log, append([]string{name}, args...)...)
	err := attempt(func() {
		eventually(name+" answers", func() bool { return h.try(answers...).status == 0 })
	})
	if err != nil {
		fail("%v: %s", err, h.read(log))
	}
}

// newOutput is a file that has no name.
func newOutput() *os.File {
	f, err := os.CreateTemp("", "hull-engines-")
	if err == nil {
		err = os.Remove(f.Name())
	}
	if err != nil {
		fail("%v", err)
	}
	return f
}

func contents(f *os.File) string {
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<30))
	if err != nil {
		fail("%v", err)
	}
	return string(text)
}
