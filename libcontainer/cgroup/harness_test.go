package cgroup

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// systems returns the layouts that this machine's kernel can show: as it is,
// only its v2 hierarchy, and only its v1 hierarchies.
func systems(t testing.TB) map[string]system {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIP: needs root to make cgroups")
	}
	all := map[string]system{"as mounted": standardSystem()}
	trees, err := standardSystem().trees()
	if err != nil {
		t.Fatal(err)
	}
	v1 := t.TempDir()
	names := 0
	for _, tr := range trees {
		if tr.controllers == "" {
			only := standardSystem()
			only.root = tr.mount
			all["v2 alone"] = only
			continue
		}
		if err := os.Symlink(tr.mount, filepath.Join(v1, strings.TrimPrefix(tr.controllers, "name="))); err != nil {
			t.Fatal(err)
		}
		names++
	}
	if names > 0 {
		only := standardSystem()
		only.root = v1
		only.mountinfo = filepath.Join(v1, "mountinfo")
		if err := os.WriteFile(only.mountinfo, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		all["v1 alone"] = only
	}
	return all
}

// onEach runs f on each layout with a cgroup that does not exist yet.
func onEach(t *testing.T, f func(t *testing.T, c *Cgroup)) {
	for name, sys := range systems(t) {
		t.Run(name, func(t *testing.T) { f(t, newCgroup(t, sys, testPath(t))) })
	}
}

func testPath(t testing.TB) string {
	return "/hull-test-" + strconv.Itoa(os.Getpid()) + "-" +
		strings.Map(func(r rune) rune {
			if r == '/' || r == ' ' {
				return '-'
			}
			return r
		}, t.Name())
}

func newCgroup(t testing.TB, sys system, path string) *Cgroup {
	t.Helper()
	c, err := newOn(sys, Config{ID: "ct", Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Kill(); err != nil {
			t.Error(err)
		}
		if err := c.Remove(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func create(t testing.TB, c *Cgroup) {
	t.Helper()
	if err := c.Create(); err != nil {
		t.Fatal(err)
	}
}

// start runs a shell script in the cgroup.
func start(t testing.TB, c *Cgroup, script string, subs ...Sub) *exec.Cmd {
	t.Helper()
	j, err := c.JoinAt(subs)
	if err != nil {
		t.Fatal(err)
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
		t.Fatal(err)
	}
	defer ready.Close()
	cmd.Stdout = w
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if _, err := ready.Read(make([]byte, 1)); err != nil {
		t.Fatalf("the process did not get into the cgroup: %v", err)
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
