package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Where a machine has its control groups. Tests ask for a controller and get its
// directory in cgroup v1 or v2, whichever has it.

const cgroupRoot = "/sys/fs/cgroup"

// onlyV2 reports whether the machine has cgroup v2 and nothing else.
func onlyV2() bool {
	var st unix.Statfs_t
	return unix.Statfs(cgroupRoot, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC
}

// cgroupMountType is what a container finds where it mounts cgroups: v1 has a
// directory of hierarchies.
func cgroupMountType() string {
	if onlyV2() {
		return "cgroup2"
	}
	return "tmpfs"
}

// unifiedMount is where v2 is mounted, alone or beside v1.
func unifiedMount() string {
	if onlyV2() {
		return cgroupRoot
	}
	return filepath.Join(cgroupRoot, "unified")
}

// onV2 reports whether v2 has the controller. The devices and the freezer of v2
// are no controllers, and always there.
func onV2(controller string) bool {
	if controller == "devices" || controller == "freezer" || controller == "" {
		return onlyV2()
	}
	text, _ := os.ReadFile(filepath.Join(unifiedMount(), "cgroup.controllers"))
	return strings.Contains(" "+strings.TrimSpace(string(text))+" ", " "+controller+" ")
}

// hasController reports whether either version has the controller.
func hasController(name string) bool {
	_, err := os.Stat(filepath.Join(cgroupRoot, name, "cgroup.procs"))
	return err == nil && !onlyV2() || onV2(name)
}

// needController skips the test on a machine without the controller.
func needController(t *testing.T, name string) {
	t.Helper()
	if !hasController(name) {
		lacks(t, "the "+name+" controller")
	}
}

// cgroup returns the container's directory in the hierarchy of a controller, or
// in the unified one for "".
func (c *container) cgroup(controller string) string {
	c.h.t.Helper()
	return cgroupOf(c.h.t, c.pid, controller)
}

func cgroupOf(t *testing.T, pid int, controller string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		t.Fatal(err)
	}
	unified := ""
	for line := range strings.Lines(string(text)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(f) != 3:
		case f[1] == "":
			unified = filepath.Join(unifiedMount(), f[2])
		case f[1] == controller:
			return filepath.Join(cgroupRoot, strings.TrimPrefix(controller, "name="), f[2])
		}
	}
	if unified == "" || controller != "" && !onV2(controller) && !onlyV2() {
		t.Fatalf("process %d is in no cgroup of %q:\n%s", pid, controller, text)
	}
	return unified
}

// ownCgroup is below what a relative cgroupsPath is: the test's own cgroup on v1,
// and the one above it on v2, which has no processes.
func ownCgroup(t *testing.T, controller string) string {
	t.Helper()
	own := cgroupOf(t, os.Getpid(), controller)
	if onV2(controller) && own != unifiedMount() {
		return filepath.Dir(own)
	}
	return own
}

// knob is a limit as both versions have it: the file and what is in it. An empty
// file says that the version does not have it.
type knob struct{ controller, v1, inV1, v2, inV2 string }

// check compares the file of this machine.
func (k knob) check(t *testing.T, c *container) {
	t.Helper()
	file, want := k.v1, k.inV1
	if onV2(k.controller) {
		file, want = k.v2, k.inV2
	}
	if !hasController(k.controller) || file == "" {
		lacks(t, "the limit "+k.controller+" "+k.v1+k.v2)
	}
	equal(t, file, settled(file, readFile(t, filepath.Join(c.cgroup(k.controller), file))), settled(file, want))
}

// settled is what a limit is in the end: systemd writes its own idea of some, sooner
// or later. Without a quota it has its own period, and for 0 pids it has 1, with which
// a process that is there can make no other either.
func settled(file, value string) string {
	value = strings.TrimSpace(value)
	switch {
	case !bySystemd():
		return value
	case file == "cpu.max" && strings.HasPrefix(value, "max "):
		return "max"
	case file == "pids.max" && value == "0":
		return "1"
	}
	return value
}
