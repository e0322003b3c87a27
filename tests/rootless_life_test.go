package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// What an ordinary user does with a container that runs.

func TestTheContainerOfAnOrdinaryUserHasTerminals(t *testing.T) {
	t.Parallel()
	needBusybox(t)
	t.Run("of run and exec", func(t *testing.T) {
		t.Parallel()
		h := newUserHost(t)
		script := shell("/probe tty; read line; echo got $line; exec sleep 1000")
		b := h.rootlessBundle(nil, script, terminal)
		id := newID()
		s, wait := onTerminal(t, h, 33, 44, "run", "--bundle", b.dir, id)
		s.await(`"columns":44,`)
		s.enter("hello\r")
		s.await("got hello\r\n")
		inside, ended := onTerminal(t, h, 22, 55, "exec", "-t", id, "/bin/sh", "-c", "/probe tty; read line; exit $line")
		inside.await(`"columns":55,`)
		inside.enter("9\r")
		equal(t, "exit status of exec", ended(), 9)
		h.must("kill", id, "KILL")
		equal(t, "exit status of run", wait(), 137)
		h.nothingRemains(id, b)
	})
	t.Run("through a socket", func(t *testing.T) {
		t.Parallel()
		h := newUserHost(t)
		socket := newInbox(t, filepath.Join(t.TempDir(), "console.sock"))
		reachable(t, filepath.Dir(socket.path))
		if err := os.Chmod(socket.path, 0o666); err != nil {
			t.Fatal(err)
		}
		b := h.rootlessBundle(nil, shell("echo ready; read line; echo got $line; exec sleep 1000"), terminal)
		id := newID()
		h.must("create", "--console-socket", socket.path, "--bundle", b.dir, id)
		_, master := socket.receive()
		s := newScreen(t, master)
		h.must("start", id)
		s.await("ready\r\n")
		s.enter("hello\r")
		s.await("got hello\r\n")
		h.must("delete", "--force", id)
		h.nothingRemains(id, b)
	})
}

// What create has said of cgroups, nobody else repeats.
func TestOnlyCreateWarnsAnOrdinaryUser(t *testing.T) {
	h := newUserHost(t)
	b := h.rootlessBundle([]string{"sleep"})
	id := newID()
	first := h.try("create", "--bundle", b.dir, id)
	defer func() { _ = h.command("delete", "--force", id).Run() }()
	warnings := 1
	if h.ownsCgroups() {
		warnings = 0
	}
	if first.status != 0 || strings.Count(first.stderr, "level=warning") != warnings {
		t.Errorf("create: status %d\n%s", first.status, first.stderr)
	}
	for _, command := range [][]string{
		{"start", id},
		{"state", id},
		{"list"},
		{"ps", id},
		{"exec", id, "/probe", "pid"},
		{"exec", "--detach", id, "/probe", "sleep"},
		{"kill", id, "WINCH"},
		{"delete", "--force", id},
	} {
		if r := h.try(command...); r.status != 0 || r.stderr != "" {
			t.Errorf("%v: status %d\n%s", command, r.status, r.stderr)
		}
	}
	h.nothingRemains(id, b)
}

// Without a cgroup there are no limits, which nobody may believe to hold.
func TestWithoutACgroupAnOrdinaryUserIsToldWhatHeCannotHave(t *testing.T) {
	h := newUserHost(t)
	if h.ownsCgroups() {
		lacks(t, "an ordinary user without cgroups of his own")
	}
	c := h.begin(h.rootlessBundle([]string{"sleep"}))
	limits := func(r specs.LinuxResources) edit { return func(s *specs.Spec) { s.Linux.Resources = &r } }
	const none = "the container has no cgroup of its own"
	for _, command := range [][]string{
		{"pause", c.id},
		{"update", "--memory", "64M", c.id},
		{"update", "--pids-limit", "9", c.id},
		{"events", "--stats", c.id},
		{"exec", "--cgroup", "below", c.id, "/probe", "pid"},
	} {
		h.within(t).refuses([]string{none}, command...)
	}
	equal(t, "status", h.state(c.id).Status, specs.StateRunning)
	//proves:linux.resources
	h.refusesRun([]string{"linux.resources.memory.limit", "no hierarchy with this controller is mounted or writable here"},
		limits(specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: pointer(int64(64 << 20))}}))
	h.refusesRun([]string{"linux.resources.pids.limit"}, limits(specs.LinuxResources{Pids: &specs.LinuxPids{Limit: pointer(int64(64))}}))
	//proves:linux.cgroupsPath
	h.refusesRun([]string{"create cgroup", "/wanted: permission denied", "linux.cgroupsPath"}, cgroupsPath("/wanted"))
	// Device rules are no limit to who has no devices.
	h.must("run", "--bundle", h.rootlessBundle([]string{"pid"}, limits(specs.LinuxResources{
		Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}},
	})).dir, newID())
}

// What a user namespace has of the host's, since it cannot have its own.
//
//proves:linux.devices mounts[].options=rbind
func TestAnOrdinaryUserHasDevicesAndNetworkOfTheHost(t *testing.T) {
	t.Parallel()
	h := newUserHost(t)
	const mounts, network, null, made = "read=/proc/self/mountinfo", "readlink=/proc/self/ns/net", "open=/dev/null", "open=/sys/kernel/made"
	s := parseSight(t, h.must("run", "--bundle", h.rootlessBundle([]string{mounts, network, null, made, "list=/sys/class/net"}).dir, newID()))
	table := get[string](t, s, mounts)
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		if !strings.Contains(table, " /"+name+" /dev/"+name+" ") {
			t.Errorf("/dev/%s is not the host's:\n%s", name, table)
		}
	}
	get[any](t, s, null)
	host, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "network", get[string](t, s, network), host)
	if s.failure(made) == "" {
		t.Error("/sys can be written")
	}
	names, err := os.ReadDir("/sys/class/net")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "network devices of /sys", len(get[[]string](t, s, "list=/sys/class/net")), len(names))
}

// What only root may do is refused with what it was.
func TestAnOrdinaryUserIsToldWhatOnlyRootMayDo(t *testing.T) {
	h := newUserHost(t)
	mapped := []specs.LinuxIDMapping{{Size: 1}}
	for name, tt := range map[string]struct {
		edit  edit
		words []string
	}{
		"a filesystem of a device": {
			addMounts(specs.Mount{Destination: "/tmp", Type: "ext4", Source: "/dev/vda"}),
			[]string{"mount ext4 /dev/vda on /tmp (mounts[7])", "a user namespace may not mount this filesystem"},
		},
		"an id-mapped mount": {
			addMounts(specs.Mount{Destination: "/tmp", Type: "bind", Source: "/usr", Options: []string{"bind"}, UIDMappings: mapped, GIDMappings: mapped}),
			[]string{"mounts[7]", "id-mapped", "root can have it"},
		},
		"what is under a mount": {
			addMounts(specs.Mount{Destination: "/tmp", Type: "bind", Source: "/sys", Options: []string{"bind"}}),
			[]string{"bind /sys on /tmp (mounts[7])", "use rbind"},
		},
		"a source that is not his": {
			addMounts(specs.Mount{Destination: "/tmp", Type: "bind", Source: "/proc/1/root", Options: []string{"bind"}}),
			[]string{"mounts[7].source", "/proc/1/root", "permission denied"},
		},
		"a process listing of the host": {
			dropNamespace(specs.PIDNamespace), []string{"mount proc on /proc (mounts[0])", "pid namespace is not the user namespace's own"},
		},
		"no user namespace": {
			func(s *specs.Spec) {
				dropNamespace(specs.UserNamespace)(s)
				s.Linux.UIDMappings, s.Linux.GIDMappings = nil, nil
			},
			[]string{"make pid, ", "unprivileged users need a user namespace in linux.namespaces"},
		},
		"the host's network": {
			func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1"} },
			[]string{"linux.sysctl.net.ipv4.ip_forward", "needs a namespace of type network"},
		},
		"somebody's namespace": {
			addNamespace(specs.IPCNamespace, "/proc/1/ns/ipc"), []string{"open linux.namespaces[", "/proc/1/ns/ipc: permission denied"},
		},
		"a higher limit": {
			func(s *specs.Spec) {
				s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NICE", Hard: 40, Soft: 40}}
			},
			[]string{"process.rlimits[0] (RLIMIT_NICE)", "CAP_SYS_RESOURCE"},
		},
		"real time": {
			func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedFIFO, Priority: 5} },
			[]string{"process.scheduler", "SCHED_FIFO", "CAP_SYS_NICE"},
		},
		"a device that there is not": {
			func(s *specs.Spec) {
				s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/none", Type: "c", Major: 1, Minor: 99}}
			},
			[]string{"/dev/none", "mknod(2) is not permitted here, so the host's node of the same path is bound"},
		},
	} {
		t.Run(name, func(t *testing.T) { h.within(t).refusesRun(tt.words, tt.edit) })
	}
}

// A network namespace of his own he may have.
//
//proves:linux.namespaces[].type=network
func TestAnOrdinaryUserMayHaveANetworkOfHisOwn(t *testing.T) {
	t.Parallel()
	h := newUserHost(t)
	const devices, forward = "list=/sys/class/net", "read=/proc/sys/net/ipv4/ip_forward"
	s := parseSight(t, h.must("run", "--bundle", h.rootlessBundle([]string{devices, forward}, addNamespace(specs.NetworkNamespace, ""), func(s *specs.Spec) {
		s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1"}
		for i := range s.Mounts {
			if s.Mounts[i].Destination == "/sys" {
				s.Mounts[i] = specs.Mount{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"ro", "nosuid", "noexec", "nodev"}}
			}
		}
	}).dir, newID()))
	equal(t, "ip_forward", get[string](t, s, forward), "1\n")
	if names := get[[]string](t, s, devices); len(names) == 0 || len(names) > 0 && names[0] == "eth0" {
		t.Errorf("devices: %v", names)
	}
}
