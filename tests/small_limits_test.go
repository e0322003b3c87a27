package tests

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Limits that a program fits into, and the runtime's own init does not.

// small limits memory to so many KiB, and pids.
func small(memory, pids int64) edit {
	memory <<= 10
	return resources(specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: &memory, Swap: &memory},
		Pids:   &specs.LinuxPids{Limit: &pids},
	})
}

//proves:linux.resources.memory.limit linux.resources.pids.limit
func TestASmallProgramRunsInSmallLimits(t *testing.T) {
	t.Parallel()
	needBusybox(t)
	needController(t, "memory")
	for name, also := range map[string]edit{
		"plain":              func(*specs.Spec) {},
		"a cgroup namespace": addNamespace(specs.CgroupNamespace, ""),
		"a user namespace":   inUserNamespace,
		"no pid namespace":   dropNamespace(specs.PIDNamespace),
		"a user namespace and a cgroup namespace": edits(inUserNamespace, addNamespace(specs.CgroupNamespace, "")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			b := h.newBundle(nil, args("/bin/true"), small(512, 1), also)
			if r := h.try("run", "--bundle", b.dir, newID()); r.status != 0 || r.stderr != "" {
				t.Errorf("status %d: %s", r.status, r.stderr)
			}
		})
	}
}

func TestADelegatedCgroupMayBeSmall(t *testing.T) {
	t.Parallel()
	needBusybox(t)
	if !onlyV2() {
		lacks(t, "cgroup v2 alone")
	}
	h := newHost(t)
	h.must("run", "--bundle", h.newBundle(nil, args("/bin/true"), small(512, 1), addNamespace(specs.CgroupNamespace, ""),
		annotated("run.oci.delegate-cgroup", "inner")).dir, newID())
}

// A scope without processes is one that systemd forgets.
func TestAScopeMayBeSmall(t *testing.T) {
	needBusybox(t)
	h := newSystemdHost(t)
	c := h.create(h.newBundle(nil, args("/bin/sleep", "1000"), small(512, 1), addNamespace(specs.CgroupNamespace, "")))
	dir := c.cgroup("memory")
	name := "hull-" + c.id + ".scope"
	checkUnit(t, name, map[string]string{
		"ActiveState": "active", "MemoryMax": strconv.Itoa(512 << 10), "TasksMax": "1", "ControlGroup": strings.TrimPrefix(dir, cgroupRoot),
	})
	equal(t, "processes", strings.TrimSpace(readFile(t, dir+"/cgroup.procs")), strconv.Itoa(c.pid))
	h.must("start", c.id)
	equal(t, "output of exec", h.must("exec", c.id, "/bin/cat", "/proc/self/cgroup"), "0::/\n")
	h.must("delete", "--force", c.id)
	isGone(t, name, dir)
}

// What is kept out of the cgroup has to end up in it, all threads of it, with
// the cgroup as the root of its namespace.
func TestWhoCameLateIsInTheCgroupNonetheless(t *testing.T) {
	t.Parallel()
	needBusybox(t)
	needController(t, "memory")
	h := newHost(t)
	c := h.create(h.newBundle(nil, args("/bin/sh", "-c", "cat /proc/self/cgroup; exec sleep 1000"),
		small(1024, 3), addNamespace(specs.CgroupNamespace, "")))
	want := strings.TrimPrefix(c.cgroup("memory"), cgroupRoot)
	if !strings.Contains(want, c.id) {
		t.Errorf("init is in %s", want)
	}
	tasks, err := os.ReadDir("/proc/" + strconv.Itoa(c.pid) + "/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		tid, _ := strconv.Atoi(task.Name())
		equal(t, "cgroup of thread "+task.Name(), strings.TrimPrefix(cgroupOf(t, tid, "memory"), cgroupRoot), want)
	}
	h.must("start", c.id)
	eventually(t, "the program prints", func() bool { return readFile(t, c.out) != "" })
	for line := range strings.Lines(readFile(t, c.out)) {
		if f := strings.SplitN(strings.TrimSpace(line), ":", 3); f[1] == "memory" || f[1] == "" {
			equal(t, "cgroup as the program sees it: "+line, f[2], "/")
		}
	}
}

func TestExecNeedsNoRoomForTheRuntime(t *testing.T) {
	t.Parallel()
	needBusybox(t)
	needController(t, "memory")
	h := newHost(t)
	c := h.create(h.newBundle(nil, args("/bin/sleep", "1000"), small(640, 1)))
	h.must("start", c.id)
	for i := range 5 {
		pidFile := c.out + ".exec"
		h.must("exec", "--detach", "--pid-file", pidFile, c.id, "/bin/sleep", "1000")
		pid, err := strconv.Atoi(readFile(t, pidFile))
		if err != nil {
			t.Fatal(err)
		}
		for _, controller := range []string{"memory", "pids"} {
			equal(t, "cgroup of exec "+strconv.Itoa(i), cgroupOf(t, pid, controller), c.cgroup(controller))
		}
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	// Nothing of the container was killed for it.
	equal(t, "status", h.state(c.id).Status, specs.StateRunning)
	// The limits hold for what came in late.
	if r := h.try("exec", c.id, "/bin/sh", "-c", "(echo child); echo end"); !strings.Contains(r.stderr, "can't fork") {
		t.Errorf("status %d\n%s%s", r.status, r.stdout, r.stderr)
	}
}

// Whoever starts a container that a limit has ended already hears only that.
func TestMemoryThatIsTooLittleToStartWithIsSaid(t *testing.T) {
	t.Parallel()
	needBusybox(t)
	needController(t, "memory")
	h := newHost(t)
	id := newID()
	r := h.try("create", "--bundle", h.newBundle(nil, args("/bin/true"), small(4, 1)).dir, id)
	if r.status == 0 { // with a kernel that counts less
		equal(t, "status", h.state(id).Status, specs.StateCreated)
		r = h.try("start", id)
	}
	if r.status != 1 || !strings.Contains(r.stderr, "out-of-memory killer") {
		t.Errorf("status %d: %s", r.status, r.stderr)
	}
}
