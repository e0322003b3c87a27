package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The container's process starts like any other, whatever its caller blocks
// and ignores: execve(2) would hand both down.
func TestSignalsOfTheCallerDoNotReachTheContainer(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle(nil)
	b.config.Process.Args = []string{"/bin/cat", "/proc/self/status"}
	b.save(t)
	env := []string{"--block-signal=USR1,TERM,CHLD,RTMIN", "--ignore-signal=HUP,INT,TSTP,TTOU,USR2,CHLD,QUIT", suite.runtime, "--root", h.root}
	check := func(args ...string) {
		t.Helper()
		r := h.finish(exec.Command("env", append(env, args...)...))
		if r.status != 0 {
			t.Fatal(r.stderr)
		}
		for _, line := range []string{"SigBlk:\t0000000000000000\n", "SigIgn:\t0000000000000000\n"} {
			if !strings.Contains(r.stdout, line) {
				t.Errorf("%s: no %q in\n%s", args[0], line, r.stdout)
			}
		}
	}
	check("run", "--bundle", b.dir, newID())
	b.config.Process.Args = []string{"/bin/sleep", "1000"}
	b.save(t)
	id := newID()
	h.must("run", "--detach", "--bundle", b.dir, id)
	check("exec", id, "/bin/cat", "/proc/self/status")
}

// Each of them has its own content, and arrives with it at its own number.
func TestAnyNumberOfDescriptorsIsPreserved(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"sleep"})
	id := newID()
	h.must("run", "--detach", "--bundle", b.dir, id)
	for _, count := range []int{1, 2, 3, 5, 9, 40} {
		var files []*os.File
		script, want := "", ""
		for i := range count {
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, fmt.Appendf(nil, "file %d\n", i), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = f.Close() })
			files = append(files, f)
			script += fmt.Sprintf("cat /proc/self/fd/%d; ", 3+i)
			want += fmt.Sprintf("file %d\n", i)
		}
		b.config.Process.Args = []string{"/bin/sh", "-c", script}
		b.save(t)
		preserve := fmt.Sprintf("--preserve-fds=%d", count)
		for _, args := range [][]string{
			{"run", preserve, "--bundle", b.dir, newID()},
			{"exec", preserve, id, "/bin/sh", "-c", script},
		} {
			cmd := h.command(args...)
			cmd.ExtraFiles = files
			if r := h.finish(cmd); r.status != 0 || r.stdout != want {
				t.Errorf("%s with %d: exit status %d\n%s%s", args[0], count, r.status, r.stdout, r.stderr)
			}
		}
	}
}

func TestThePidFileIsNotWrittenThroughALink(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"sleep"})
	victim, pidFile := b.path("victim"), b.path("pid")
	if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, b.path(".pid")); err != nil {
		t.Fatal(err)
	}
	h.must("run", "--detach", "--pid-file", pidFile, "--bundle", b.dir, newID())
	if text, _ := os.ReadFile(victim); string(text) != "mine" {
		t.Errorf("the link's target holds %q", text)
	}
	if info, err := os.Lstat(pidFile); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the pid file: %v, %v", info, err)
	}
}
