package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/sys/mountinfo"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// A path may be any file that is the namespace: engines bind them to names.
//
//proves:linux.namespaces[].path
func TestANamespaceIsJoinedByAFileThatItIsBoundTo(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	pid := holder(t, "--net", "--ipc", "--uts")
	edits := []edit{func(s *specs.Spec) { s.Hostname = "" }}
	kinds := []specs.LinuxNamespaceType{specs.NetworkNamespace, specs.IPCNamespace, specs.UTSNamespace}
	for _, kind := range kinds {
		name := filepath.Join(t.TempDir(), string(kind))
		writeFile(t, name, "")
		if err := unix.Mount(nsPath(pid, kind), name, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(name, unix.MNT_DETACH) })
		edits = append(edits, addNamespace(kind, name))
	}
	seen := get[map[string]string](t, h.probe([]string{"namespaces"}, edits...), "namespaces")
	for _, kind := range kinds {
		equal(t, string(kind), seen[procNames[kind]], nsOf(t, pid, kind))
	}
}

// config-linux.md, "Namespaces": "The runtime MUST generate an error if path is not
// associated with a namespace of type type." Each type, with the file of each other.
//
//proves:linux.namespaces[].path linux.namespaces[].type config-linux.md#namespaces:5
func TestAPathOfAnotherTypeOfNamespaceIsRefused(t *testing.T) {
	h := newHost(t)
	h.leavesNothing()
	b := h.newBundle([]string{"pid"}, alone(specs.MountNamespace))
	for kind := range procNames {
		for other, file := range procNames {
			if kind == other {
				continue
			}
			b.config.Linux.Namespaces = []specs.LinuxNamespace{{Type: kind, Path: "/proc/self/ns/" + file}}
			if kind != specs.MountNamespace {
				b.config.Linux.Namespaces = append(b.config.Linux.Namespaces, specs.LinuxNamespace{Type: specs.MountNamespace})
			}
			b.save(t)
			h.refuses([]string{"linux.namespaces[0].path /proc/self/ns/" + file, "invalid argument", fmt.Sprintf("a namespace of type %s, not %s", other, kind)},
				"create", "--bundle", b.dir, newID())
		}
	}
}

//proves:linux.namespaces[].path config-linux.md#namespaces:5
func TestAPathThatIsNoNamespaceIsRefusedAtOnce(t *testing.T) {
	h := newHost(t)
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"a fifo": fifo, "a directory": dir, "a device": "/dev/null", "a file of procfs": "/proc/self/status",
	} {
		t.Run(name, func(t *testing.T) {
			(&host{t: t, root: h.root}).fails([]string{"linux.namespaces[4].path " + path, "not a namespace"},
				firstNamespaces, addNamespace(specs.NetworkNamespace, path))
		})
	}
}

// In whichever order the configuration lists them: the user namespace owns the
// others.
//
//proves:linux.namespaces[].type linux.namespaces[].path
func TestTheOrderOfNamespacesDoesNotMatter(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	owner := h.start([]string{"namespaces"}, inUserNamespace)
	owner.see()
	kinds := []specs.LinuxNamespaceType{specs.PIDNamespace, specs.NetworkNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.UserNamespace}
	for turn := range kinds {
		s := h.probe([]string{"namespaces"}, mappedOwner, func(s *specs.Spec) {
			s.Hostname = ""
			s.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.MountNamespace}}
			for i := range kinds {
				kind := kinds[(i+turn)%len(kinds)]
				s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: kind, Path: nsPath(owner.pid, kind)})
			}
		})
		for _, kind := range kinds {
			equal(t, string(kind), get[map[string]string](t, s, "namespaces")[procNames[kind]], nsOf(t, owner.pid, kind))
		}
	}
}

// What each type is for: the container does not see the host's.
//
//proves:linux.namespaces[].type=pid linux.namespaces[].type=network linux.namespaces[].type=ipc
//proves:linux.namespaces[].type=uts linux.namespaces[].type=cgroup linux.namespaces[].type=time
func TestNamespacesIsolateWhatTheyAreFor(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	queue := func() string { return readFile(t, "/proc/sysvipc/msg") }
	before := queue()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	s := h.probe([]string{"pid", "list=/sys/class/net", "uname", "read=/proc/self/cgroup", "clock=boottime", "msgget"},
		addNamespace(specs.CgroupNamespace, ""), addNamespace(specs.TimeNamespace, ""), func(s *specs.Spec) {
			s.Hostname = "inside"
			s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 1e8}}
		})
	equal(t, "pid", get[map[string]int](t, s, "pid")["pid"], 1)
	equal(t, "network devices", get[[]string](t, s, "list=/sys/class/net"), []string{"lo"})
	equal(t, "host name", get[map[string]string](t, s, "uname")["nodename"], "inside")
	after, _ := os.Hostname()
	equal(t, "host name of the host", after, host)
	for line := range strings.Lines(get[string](t, s, "read=/proc/self/cgroup")) {
		equal(t, line, strings.HasSuffix(line, ":/\n"), true)
	}
	if get[float64](t, s, "clock=boottime") < 1e8 {
		t.Error("the clock is the host's")
	}
	get[string](t, s, "msgget")
	equal(t, "message queues of the host", queue(), before)
}

// What either mounts, the other does not have: nothing of a private mount is
// propagated, whatever the host shares.
//
//proves:linux.namespaces[].type=mount
func TestAMountNamespaceHasMountsOfItsOwn(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	outside := t.TempDir()
	b := h.newBundle([]string{"sleep"}, withCapabilities("CAP_SYS_ADMIN"), addMounts(bind(outside, "rprivate")))
	c := h.create(b)
	h.must("start", c.id)
	if err := unix.Mount("outside", outside, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(outside, unix.MNT_DETACH) })
	const mount = "mount=tmpfs:/dev/shm"
	equal(t, "mount", get[string](t, c.exec(mount), mount), "mounted")
	of := func(pid int) []*mountinfo.Info {
		found, err := mountinfo.GetMountsFromReader(strings.NewReader(readFile(t, procPath(pid, "mountinfo"))), nil)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	hosts := map[int]string{}
	for _, m := range of(os.Getpid()) {
		hosts[m.ID] = m.Mountpoint
		if strings.HasPrefix(m.Mountpoint, b.path("rootfs")) {
			t.Errorf("the host has %s", m.Mountpoint)
		}
	}
	for _, m := range of(c.pid) {
		if hosts[m.ID] != "" || m.Source == "outside" {
			t.Errorf("the container has the host's %s%s at %s", hosts[m.ID], m.Source, m.Mountpoint)
		}
	}
}

// time_namespaces(7): what leaves a clock below zero is ERANGE.
//
//proves:linux.timeOffsets.boottime.secs linux.timeOffsets.boottime.nanosecs
func TestClocksGoBackButNotBelowZero(t *testing.T) {
	h := newHost(t)
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		t.Fatal(err)
	}
	offset := func(secs int64, nanosecs uint32) edit {
		return func(s *specs.Spec) {
			addNamespace(specs.TimeNamespace, "")(s)
			s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: secs, Nanosecs: nanosecs}}
		}
	}
	back := now.Sec - 5
	s := h.probe([]string{"clock=boottime", "read=/proc/uptime", "clock=monotonic"}, offset(-back, 999999999))
	if shifted := get[float64](t, s, "clock=boottime"); shifted < 5.9 || shifted > 30 {
		t.Errorf("boottime is %f", shifted)
	}
	var uptime float64
	if _, err := fmt.Sscan(get[string](t, s, "read=/proc/uptime"), &uptime); err != nil || uptime > 30 {
		t.Errorf("uptime is %f (%v)", uptime, err)
	}
	if m := get[float64](t, s, "clock=monotonic"); m < float64(back) {
		t.Errorf("monotonic was shifted as well: %f", m)
	}
	h.fails([]string{"linux.timeOffsets", "numerical result out of range"}, offset(-now.Sec-1000, 0))
	h.fails([]string{"linux.timeOffsets.boottime.secs", "4611686018427387904"}, offset(1<<62, 0))
	h.fails([]string{"linux.timeOffsets.boottime.nanosecs", "1000000000"}, offset(0, 1000000000))
}

// Whoever is in a user namespace that is joined could trace a stage that is
// dumpable, and take what it has open (CVE-2016-9962).
func TestNothingIsDumpableOnItsWayThroughAJoinedUserNamespace(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	strace := needTool(t, "strace")
	pid := h.start(nil, inUserNamespace).pid
	trace := filepath.Join(t.TempDir(), "trace")
	h.through = []string{strace, "-f", "-qq", "-o", trace, "-e", "trace=prctl"}
	b := h.newBundle([]string{"read=/proc/self/timens_offsets"}, mappedOwner,
		addNamespace(specs.UserNamespace, nsPath(pid, specs.UserNamespace)), addNamespace(specs.TimeNamespace, ""),
		func(s *specs.Spec) {
			s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 4711}}
		})
	offsets := get[string](t, h.run(b), "read=/proc/self/timens_offsets")
	equal(t, "whether the offset is there", strings.Contains(offsets, "4711"), true)
	calls := readFile(t, trace)
	if !strings.Contains(calls, "PR_SET_DUMPABLE, SUID_DUMP_DISABLE") || strings.Contains(calls, "PR_SET_DUMPABLE, SUID_DUMP_USER") {
		t.Errorf("prctl(2) was called so:\n%s", calls)
	}
}
