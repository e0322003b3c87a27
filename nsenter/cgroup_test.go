package nsenter

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hull/internal/testkit"
)

// makeCgroup makes a group below that of this process in the first hierarchy
// that has the file, and returns its directory, its controllers as in
// /proc/PID/cgroup and its path.
func makeCgroup(t *testing.T, file string) (dir, controllers, path string) {
	t.Helper()
	own := look().Cgroups
	name := fmt.Sprintf("hull-test-%d", os.Getpid())
	for controllers, within := range own {
		for _, mount := range []string{strings.TrimPrefix(controllers, "name="), "unified", "."} {
			dir := filepath.Join("/sys/fs/cgroup", mount, within)
			if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
				continue
			}
			if unified := controllers == ""; unified != onCgroup2(dir) {
				continue
			}
			if strings.Contains(controllers, "cpuset") {
				continue // takes nobody before it has CPUs (cpusets(7))
			}
			dir = filepath.Join(dir, name)
			if err := os.Mkdir(dir, 0o755); err != nil {
				continue
			}
			t.Cleanup(func() {
				if err := os.Remove(dir); err != nil {
					t.Error(err)
				}
			})
			return dir, controllers, filepath.Join(within, name)
		}
	}
	t.Skipf("needs a hierarchy of control groups with files %s", file)
	return "", "", ""
}

func onCgroup2(dir string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(dir, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC
}

func TestAStageIsInItsControlGroup(t *testing.T) {
	testkit.RequireRoot(t)
	for _, tt := range []struct {
		name, file string
		cgroup     func(dir string) (Cgroup, error)
	}{
		{"by a tasks file of version 1", "tasks", func(dir string) (Cgroup, error) {
			f, err := os.OpenFile(filepath.Join(dir, "tasks"), os.O_WRONLY, 0)
			return Cgroup{Tasks: []*os.File{f}}, err
		}},
		{"born into a directory of version 2", "cgroup.controllers", func(dir string) (Cgroup, error) {
			f, err := os.Open(dir)
			return Cgroup{Into: f}, err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, controllers, path := makeCgroup(t, tt.file)
			cgroup, err := tt.cgroup(dir)
			if err != nil {
				t.Fatal(err)
			}
			v := enter(t, Inherit{}, &Namespaces{Cgroup: cgroup}).look(t)
			if got := v.Cgroups[controllers]; got != path {
				t.Errorf("the process is in %q, want %q", got, path)
			}
			// What it is in when its namespace is made is the root of that.
			v = enter(t, Inherit{}, &Namespaces{New: unix.CLONE_NEWCGROUP, Cgroup: cgroup}).look(t)
			if got := v.Cgroups[controllers]; got != "/" {
				t.Errorf("in a new namespace the process is in %q, want /", got)
			}
		})
	}
	expectNoChild(t)
}
