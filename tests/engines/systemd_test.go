//go:build engines

package engines

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// What the engines do where systemd makes the cgroups.

func TestContainerdWithSystemd(t *testing.T) {
	needSystemd(t)
	compareIn(t, newSystemdHouse, append(debians.programs, clientOfCRI), openContainerdWithSystemd, slices.Concat(ctrSystemd, ctrLife))
}

func TestPodmanWithSystemd(t *testing.T) {
	needSystemd(t)
	compareIn(t, newSystemdHouse, []string{"podman", "conmon"}, openPodman, slices.Concat(podmanSystemd, alike))
}

func TestDockerWithSystemd(t *testing.T) {
	needSystemd(t)
	compareIn(t, newSystemdHouse, []string{"docker", "dockerd"}, openDocker, slices.Concat(dockerSystemd, alike))
}

func TestCRIWithSystemd(t *testing.T) {
	needSystemd(t)
	compareIn(t, newSystemdHouse, append(newest.programs, clientOfCRI), newest.openCRI, slices.Concat(criSystemd, criLife, criIsolation))
}

func needSystemd(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err != nil {
		lacks(t, "no cgroup v2 for systemd")
	}
	for _, program := range []string{"/lib/systemd/systemd", "dbus-daemon"} {
		if _, err := exec.LookPath(program); err != nil {
			lacks(t, "no "+program)
		}
	}
}

func openContainerdWithSystemd(h *house, runtime string) *engine {
	e := debians.open(h, runtime)
	e.options = []string{"--runc-systemd-cgroup", "--cgroup=system.slice:ctr:box"}
	return e
}

var ctrSystemd = []check{
	{"systemd has the limits, until the container is gone", func(e *engine) {
		e.box("--memory-limit=67108864", "--cpus=0.5")
		e.inScope("ctr-box.scope", "system.slice", "MemoryMax=67108864", "CPUQuotaPerSecUSec=500ms")
		e.sweep()
		e.noScope("ctr-box.scope")
	}},
}

var criSystemd = []check{
	{"systemd has the limits, also those of an update, until the container is gone", func(e *engine) {
		resources := func(memory int) message {
			return message{"linux": message{"memoryLimitInBytes": memory, "cpuPeriod": 100000, "cpuQuota": 50000}}
		}
		b := e.pod("pod").start(idle, message{"linux": message{"resources": resources(64 << 20)["linux"]}})
		scope := "cri-containerd-" + b.id + ".scope"
		e.inScope(scope, "kubepods-pod.slice", "MemoryMax=67108864", "CPUQuotaPerSecUSec=500ms")
		b.call("UpdateContainerResources", b.named(resources(128<<20)))
		e.inScope(scope, "kubepods-pod.slice", "MemoryMax=134217728", "CPUQuotaPerSecUSec=500ms")
		b.prints("here", "echo here")
		e.sweep()
		e.noScope(scope)
	}},
}

var podmanSystemd = []check{knownToSystemd("libpod-", "machine.slice", "--memory=128m")}

var dockerSystemd = []check{knownToSystemd("docker-", "system.slice", "--memory=128m", "--memory-swap=256m")}

// knownToSystemd is a check of Podman and Docker. The scope of a container is called
// by its ID after the prefix; change are the flags of an update to 128 MiB.
func knownToSystemd(prefix, slice string, change ...string) check {
	return check{"systemd has the limits, also those of an update, until the container is gone", func(e *engine) {
		e.must("run", "--detach", "--name=box", "--memory=64m", "--pids-limit=55", "--cpus=0.5", image, "sleep", "1000")
		scope := prefix + e.must("inspect", "--format={{.Id}}", "box") + ".scope"
		e.inScope(scope, slice, "MemoryMax=67108864", "TasksMax=55", "CPUQuotaPerSecUSec=500ms")
		e.must(slices.Concat([]string{"update"}, change, []string{"box"})...)
		e.inScope(scope, slice, "MemoryMax=134217728")
		e.must("exec", "box", "true")
		e.sweep()
		e.noScope(scope)
	}}
}

// inScope checks what systemd knows of the unit of a container, and that the
// container is in it.
func (e *engine) inScope(unit, slice string, properties ...string) {
	shown := strings.Split(e.house.must("systemctl", "show", unit), "\n")
	for _, p := range append(properties, "ActiveState=active", "Slice="+slice) {
		if !slices.Contains(shown, p) {
			fail("%s: %s is missing in what systemd shows: %s", unit, p, strings.Join(shown, " "))
		}
	}
	group := e.house.must("systemctl", "show", "--property=ControlGroup", "--value", unit)
	if e.house.try("sh", "-c", `grep -q . $(find "/sys/fs/cgroup$0" -name cgroup.procs)`, group).status != 0 {
		fail("no process is in %s", unit)
	}
}

// noScope waits until systemd has forgotten a unit, which it does by itself.
func (e *engine) noScope(unit string) {
	eventually("systemd has forgotten "+unit, func() bool {
		return e.house.must("systemctl", "show", "--property=LoadState", unit) == "LoadState=not-found"
	})
}
