package tests

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// race has two containers that want all of the same CPU, gives each its limits
// once it runs, and returns how much of half a second they get.
func race(t *testing.T, h *host, limits ...[]string) (shares []float64) {
	t.Helper()
	needBusybox(t)
	needController(t, "cpu")
	needController(t, "cpuset")
	var all []*container
	for range limits {
		c := h.create(h.newBundle(nil, shell("while :; do :; done"), resources(specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "0"}})))
		h.must("start", c.id)
		all = append(all, c)
	}
	for i, c := range all {
		c.mustUpdate("", limits[i]...)
	}
	const long = 500 * time.Millisecond
	var before []float64
	for _, c := range all {
		before = append(before, used(t, c.pid))
	}
	time.Sleep(long)
	for i, c := range all {
		shares = append(shares, (used(t, c.pid)-before[i])/long.Seconds())
	}
	for _, c := range all {
		h.must("delete", "--force", c.id)
	}
	return shares
}

// used is how long a process has run, in seconds.
func used(t *testing.T, pid int) float64 {
	t.Helper()
	return float64(number(t, strings.Fields(readFile(t, procPath(pid, "schedstat")))[0])) / 1e9
}

func TestSharesDivideTheTimeOfACPU(t *testing.T) {
	if got := race(t, newHost(t), []string{"--cpu-share", "4096"}, []string{"--cpu-share", "256"}); got[0] < 2*got[1] || got[0] == 0 {
		t.Errorf("4096 shares got %.2f of the CPU, and 256 got %.2f", got[0], got[1])
	}
}

func TestAnIdleContainerGetsWhatOthersLeave(t *testing.T) {
	if got := race(t, newHost(t), nil, []string{"--cpu-idle", "1"}); got[0] < 3*got[1] || got[0] == 0 {
		t.Errorf("the idle one got %.2f of the CPU, and the other %.2f", got[1], got[0])
	}
}

// What containerd's shim watches itself: an eventfd for memory.oom_control, or
// memory.events, of the cgroup that /proc/PID/cgroup names.
//
//proves:linux.resources.memory.limit
func TestEnginesLearnFromTheKernelThatMemoryRanOut(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil, resources(specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: pointer(int64(48 << 20)), Swap: pointer(int64(48 << 20))}}))
	fired := watchMemory(t, c.cgroup("memory"))
	if r := h.try("exec", c.id, "/probe", "allocate=256"); r.status != 128+9 {
		t.Fatalf("status %d\n%s", r.status, r.stderr)
	}
	if !fired() {
		t.Error("nobody was told")
	}
	file := map[bool]string{true: "memory.events", false: "memory.oom_control"}[onV2("memory")]
	if text := readFile(t, c.cgroup("memory")+"/"+file); !strings.Contains(text, "oom_kill 1\n") {
		t.Errorf("%s: %s", file, text)
	}
	equal(t, "status of the container", h.state(c.id).Status, specs.StateRunning)
}

// watchMemory returns whether the kernel has told of too little memory, and waits
// a while for it to do so.
func watchMemory(t *testing.T, dir string) (fired func() bool) {
	t.Helper()
	if onV2("memory") {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
		if err == nil {
			_, err = unix.InotifyAddWatch(fd, dir+"/memory.events", unix.IN_MODIFY)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return func() bool { return readable(fd) }
	}
	control, err := os.Open(dir + "/memory.oom_control")
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	writeFile(t, dir+"/cgroup.event_control", fmt.Sprintf("%d %d", fd, control.Fd()))
	return func() bool {
		b := make([]byte, 8)
		if !readable(fd) {
			return false
		}
		_, err := unix.Read(fd, b)
		return err == nil && binary.NativeEndian.Uint64(b) > 0
	}
}

func readable(fd int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int((5 * time.Second).Milliseconds()))
	return err == nil && n == 1
}
