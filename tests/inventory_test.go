package tests

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// leavesNothing fails the test if, at its end, something of the containers that
// it made is still there: state, cgroups, mounts, processes.
func (h *host) leavesNothing() {
	h.t.Helper()
	before := inventory(h.t)
	h.t.Cleanup(func() {
		if ids := strings.Fields(h.must("list", "-q")); len(ids) != 0 {
			h.t.Errorf("containers left: %v", ids)
		}
		for what, count := range inventory(h.t) {
			if count > before[what] {
				h.t.Errorf("%s: %d before the test, %d after it", what, before[what], count)
			}
		}
	})
}

// inventory counts what a runtime could leave on the host. Other runs of the
// suite at the same time have container IDs of their own.
func inventory(t *testing.T) map[string]int {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	// A relative path is below the caller's own cgroup, which may lie deep.
	cgroups := 0
	for _, depth := range []string{"", "*/", "*/*/", "*/*/*/"} {
		found, err := filepath.Glob("/sys/fs/cgroup/" + depth + "*" + idPrefix() + "*")
		if err != nil {
			t.Fatal(err)
		}
		cgroups += len(found)
	}
	stages := 0
	processes, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, p := range processes {
		comm, err := os.ReadFile(p)
		if err != nil || !strings.HasPrefix(string(comm), "hull:init") {
			continue
		}
		// Before it has a cgroup and a root, it is in the bundle.
		cgroup, _ := os.ReadFile(filepath.Join(filepath.Dir(p), "cgroup"))
		cwd, _ := os.Readlink(filepath.Join(filepath.Dir(p), "cwd"))
		test, _, _ := strings.Cut(t.Name(), "/")
		if bytes.Contains(cgroup, []byte(idPrefix())) || strings.HasPrefix(cwd, filepath.Join(os.TempDir(), test)) {
			stages++
		}
	}
	return map[string]int{
		"mounts":      bytes.Count(mounts, []byte("\n")),
		"cgroups":     cgroups,
		"init stages": stages,
	}
}
