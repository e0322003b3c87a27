//go:build engines

package engines

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// The pipe to its keeper is all that holds a house: the kernel closes it for a
// test that is killed.
func TestNothingIsLeftOfAHouseWhoseTestIsGone(t *testing.T) {
	h := newHouse(t, "/bin/true")
	long := strconv.Itoa(1e6 + os.Getpid()) // seconds, and a mark
	err := attempt(func() {
		h.must("mkdir", "-p", "/run/place")
		h.must("mount", "-t", "tmpfs", "tmpfs", "/run/place")
		h.must("ip", "link", "add", "hull-left", "type", "bridge")
		h.start("/run/log", "sleep", long)
		// Of version 1: what is frozen does not die, and its cgroup stays.
		h.must("sh", "-c", `
			freezer=/sys/fs/cgroup/freezer/frozen
			[ -d /sys/fs/cgroup/freezer ] || exit 0
			mkdir $freezer
			setsid sleep "$0" >/dev/null 2>&1 </dev/null &
			echo $! >$freezer/tasks
			echo FROZEN >$freezer/freezer.state`, long)
	})
	if err != nil {
		t.Fatal(err)
	}
	// As an impatient user at a terminal does.
	if err := syscall.Kill(-h.keep.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	h.close(t)
	if _, err := os.Stat("/proc/" + h.pid); err == nil {
		t.Error("the init of the house is left")
	}
	if _, err := os.Stat("/sys/class/net/hull-left"); err == nil {
		t.Error("a network device is left")
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), "/run/place") {
		t.Error("a mount is left")
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range lines {
		if line, err := os.ReadFile(name); err == nil && string(line) == "sleep\x00"+long+"\x00" {
			t.Errorf("a process is left: %s", name)
		}
	}
}
