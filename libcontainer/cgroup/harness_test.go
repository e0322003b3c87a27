package cgroup

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// systems returns the layouts that this machine's kernel can show: as it is,
// only its v2 hierarchy, and only its v1 hierarchies.
func systems(tb testing.TB) map[string]system {
	tb.Helper()
	if os.Getuid() != 0 {
		tb.Skip("SKIP: needs root to make cgroups")
	}
	all := map[string]system{"as mounted": standardSystem()}
	trees, err := standardSystem().trees()
	if err != nil {
		tb.Fatal(err)
	}
	v1 := tb.TempDir()
	names := 0
	for _, tr := range trees {
		if tr.controllers == "" {
			restoreControllers(tb, tr.mount)
			only := standardSystem()
			only.root = tr.mount
			all["v2 alone"] = only
			continue
		}
		if err := os.Symlink(tr.mount, filepath.Join(v1, strings.TrimPrefix(tr.controllers, "name="))); err != nil {
			tb.Fatal(err)
		}
		names++
	}
	if names > 0 {
		only := standardSystem()
		only.root = v1
		only.mountinfo = filepath.Join(v1, "mountinfo")
		// For tests that look at it as another user.
		if err := errors.Join(os.WriteFile(only.mountinfo, nil, 0o644), os.Chmod(filepath.Dir(v1), 0o755)); err != nil {
			tb.Fatal(err)
		}
		all["v1 alone"] = only
	}
	return all
}

// restoreControllers turns off at the end of the test what it has turned on at
// the root of the machine's v2 hierarchy.
func restoreControllers(tb testing.TB, mount string) {
	tb.Helper()
	file := mount + "/cgroup.subtree_control"
	before, err := readFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		after, err := readFile(file)
		if err != nil {
			tb.Error(err)
		}
		for name := range strings.FieldsSeq(after) {
			if !slices.Contains(strings.Fields(before), name) {
				if err := writeFile(file, "-"+name); err != nil {
					tb.Error(err)
				}
			}
		}
	})
}

// onEach runs f on each layout with a cgroup that does not exist yet.
func onEach(t *testing.T, f func(scene)) {
	t.Helper()
	for name, sys := range systems(t) {
		t.Run(name, func(t *testing.T) { f(scene{t, newCgroup(t, sys, testPath(t))}) })
	}
}

// scene is a test and its cgroup.
type scene struct {
	t *testing.T
	c *Cgroup
}

func testPath(tb testing.TB) string {
	tb.Helper()
	return "/hull-test-" + strconv.Itoa(os.Getpid()) + "-" +
		strings.Map(func(r rune) rune {
			if r == '/' || r == ' ' {
				return '-'
			}
			return r
		}, tb.Name())
}

func newCgroup(tb testing.TB, sys system, path string) *Cgroup {
	tb.Helper()
	c, err := newOn(sys, Config{ID: "ct", Path: path})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Kill(); err != nil {
			tb.Error(err)
		}
		if err := c.Remove(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

func create(tb testing.TB, c *Cgroup) {
	tb.Helper()
	if err := c.Create(); err != nil {
		tb.Fatal(err)
	}
}

// start runs a shell script in the cgroup.
func start(tb testing.TB, c *Cgroup, script string, subs ...Sub) *exec.Cmd {
	tb.Helper()
	j, err := c.JoinAt(subs, 0, OwnCredentials)
	if err != nil {
		tb.Fatal(err)
	}
	defer j.Close()
	var enter strings.Builder
	for i := range j.Tasks {
		fmt.Fprintf(&enter, "echo 0 >&%d; exec %d>&-; ", 3+i, 3+i)
	}
	cmd := exec.Command("/bin/bash", "-c", enter.String()+"echo; exec >/dev/null; "+script)
	cmd.ExtraFiles = j.Tasks
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if j.Into != nil {
		cmd.SysProcAttr.UseCgroupFD = true
		cmd.SysProcAttr.CgroupFD = int(j.Into.Fd())
	}
	ready, w, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	defer ready.Close()
	cmd.Stdout = w
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	w.Close()
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if _, err := ready.Read(make([]byte, 1)); err != nil {
		tb.Fatalf("the process did not get into the cgroup: %v", err)
	}
	return cmd
}

// leftovers returns the directories of the cgroup that exist.
func leftovers(c *Cgroup) (dirs []string) {
	for _, h := range c.rec.Hierarchies {
		if _, err := os.Stat(h.dir()); err == nil {
			dirs = append(dirs, h.dir())
		}
	}
	return dirs
}

// adopted starts a process outside the cgroup, has the cgroup adopt it, and ends it
// with the test.
func adopted(t *testing.T, c *Cgroup) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if err := c.Adopt(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	return cmd
}
