package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// procNames are the names of namespace types in /proc/PID/ns.
var procNames = map[specs.LinuxNamespaceType]string{
	specs.PIDNamespace: "pid", specs.NetworkNamespace: "net", specs.MountNamespace: "mnt",
	specs.IPCNamespace: "ipc", specs.UTSNamespace: "uts", specs.UserNamespace: "user",
	specs.CgroupNamespace: "cgroup", specs.TimeNamespace: "time",
}

func nsPath(pid int, kind specs.LinuxNamespaceType) string {
	return fmt.Sprintf("/proc/%d/ns/%s", pid, procNames[kind])
}

func nsOf(t *testing.T, pid int, kind specs.LinuxNamespaceType) string {
	t.Helper()
	target, err := os.Readlink(nsPath(pid, kind))
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// holder is a process that lives in new namespaces of its own.
func holder(t *testing.T, flags ...string) int {
	t.Helper()
	needRoot(t)
	unshare := needTool(t, "unshare")
	// With --fork the sleeping child is the one in the new pid namespace.
	cmd := exec.Command(unshare, append(flags, "sh", "-c", "echo $$; exec sleep 1000")...)
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if _, err := stdout.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

// alone removes what the default configuration has but the given namespaces,
// so that what is left does not need the others.
func alone(kinds ...specs.LinuxNamespaceType) edit {
	return func(s *specs.Spec) {
		s.Hostname = ""
		s.Linux.Namespaces = nil
		for _, k := range kinds {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: k})
		}
	}
}

func mapAll(s *specs.Spec) {
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
	s.Linux.UIDMappings, s.Linux.GIDMappings = ids, ids
}

//proves:linux.namespaces[].type linux.namespaces[].type=pid linux.namespaces[].type=network
//proves:linux.namespaces[].type=mount linux.namespaces[].type=ipc linux.namespaces[].type=uts
//proves:linux.namespaces[].type=user linux.namespaces[].type=cgroup linux.namespaces[].type=time
//proves:config-linux.md#namespaces:2 config-linux.md#namespaces:6 config-linux.md#namespaces:7
func TestANewNamespaceDiffersAndAnAbsentOneIsTheHosts(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for kind := range procNames {
		for _, asked := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s asked for %v", kind, asked), func(t *testing.T) {
				h := &host{t: t, root: h.root}
				base := []specs.LinuxNamespaceType{specs.MountNamespace}
				if kind == specs.MountNamespace {
					base = nil
				}
				if asked {
					base = append(base, kind)
				}
				edits := []edit{alone(base...)}
				if kind == specs.UserNamespace && asked {
					// Only then may it mount procfs and mqueue.
					base = append(base, specs.PIDNamespace, specs.IPCNamespace)
					edits = []edit{alone(base...), mapAll}
				}
				if kind == specs.MountNamespace && !asked {
					edits = append(edits, nothingToMount)
				}
				c := h.start(nil, edits...)
				defer c.delete()
				own := nsOf(t, os.Getpid(), kind)
				if seen := nsOf(t, c.pid, kind); (seen == own) == asked {
					t.Errorf("%s is %s, and the host's is %s", kind, seen, own)
				}
			})
		}
	}
}

// nothingToMount is for a container in the mount namespace of the host, which
// is a chroot only.
func nothingToMount(s *specs.Spec) {
	s.Mounts = nil
	s.Root.Readonly = false
	s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil
}

//proves:linux.namespaces[].path config-linux.md#namespaces:4
func TestNamespacesAreJoinedByPath(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	pid := holder(t, "--mount", "--uts", "--ipc", "--net", "--cgroup", "--time")
	for _, kind := range []specs.LinuxNamespaceType{
		specs.NetworkNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.CgroupNamespace,
		specs.TimeNamespace,
	} {
		t.Run(string(kind), func(t *testing.T) {
			h := &host{t: t, root: h.root}
			path := nsPath(pid, kind)
			if kind == specs.TimeNamespace {
				path = fmt.Sprintf("/proc/%d/ns/time_for_children", pid)
			}
			seen := get[map[string]string](t, h.probe([]string{"namespaces"}, noHostname(kind), addNamespace(kind, path)), "namespaces")
			want, err := os.Readlink(path)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, string(kind), seen[procNames[kind]], want)
		})
	}
}

// noHostname leaves the name of a namespace that is joined alone.
func noHostname(specs.LinuxNamespaceType) edit {
	return func(s *specs.Spec) { s.Hostname = "" }
}

//proves:linux.namespaces[].path linux.namespaces[].type=mount
func TestAJoinedMountNamespaceHoldsTheRoot(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	pid := holder(t, "--mount")
	b := h.newBundle([]string{"namespaces", "list=/"}, addNamespace(specs.MountNamespace, nsPath(pid, specs.MountNamespace)))
	s := h.run(b)
	equal(t, "mnt", get[map[string]string](t, s, "namespaces")["mnt"], nsOf(t, pid, specs.MountNamespace))
	if names := strings.Join(get[[]string](t, s, "list=/"), " "); !strings.Contains(names, "probe") || strings.Contains(names, "work") {
		t.Errorf("the root has %s", names)
	}
}

//proves:linux.namespaces[].path linux.namespaces[].type=pid
func TestAContainerJoinsThePIDNamespaceOfAnother(t *testing.T) {
	h := newHost(t)
	a := h.start([]string{"pid"})
	equal(t, "pid of the first", get[map[string]int](t, a.see(), "pid")["pid"], 1)
	b := h.start([]string{"pid", "namespaces"}, addNamespace(specs.PIDNamespace, nsPath(a.pid, specs.PIDNamespace)))
	s := b.see()
	pid := get[map[string]int](t, s, "pid")["pid"]
	if pid == 1 {
		t.Error("the second is pid 1 as well")
	}
	equal(t, "namespace", get[map[string]string](t, s, "namespaces")["pid"], nsOf(t, a.pid, specs.PIDNamespace))
	name := fmt.Sprintf("read=/proc/%d/cmdline", pid)
	if text := get[string](t, a.exec(name), name); !strings.HasPrefix(text, "/probe") {
		t.Errorf("the first sees %q as process %d", text, pid)
	}
	// Only the end of the one that is pid 1 ends the other.
	h.must("kill", b.id, "KILL")
	h.awaitStatus(b.id, specs.StateStopped)
	equal(t, "the first", h.state(a.id).Status, specs.StateRunning)
}

//proves:linux.namespaces[].path
func TestContainersOfAPodShareNamespaces(t *testing.T) {
	h := newHost(t)
	h.leavesNothing()
	infra := h.start(nil, func(s *specs.Spec) { s.Hostname = "pod" })
	shared := []specs.LinuxNamespaceType{specs.NetworkNamespace, specs.IPCNamespace, specs.UTSNamespace}
	edits := []edit{func(s *specs.Spec) { s.Hostname = "" }}
	for _, kind := range shared {
		edits = append(edits, addNamespace(kind, nsPath(infra.pid, kind)))
	}
	s := h.probe([]string{"namespaces", "uname", "pid"}, edits...)
	seen := get[map[string]string](t, s, "namespaces")
	for _, kind := range shared {
		equal(t, string(kind), seen[procNames[kind]], nsOf(t, infra.pid, kind))
	}
	for _, kind := range []specs.LinuxNamespaceType{specs.PIDNamespace, specs.MountNamespace} {
		if seen[procNames[kind]] == nsOf(t, infra.pid, kind) {
			t.Errorf("%s is shared as well", kind)
		}
	}
	equal(t, "nodename", get[map[string]string](t, s, "uname")["nodename"], "pod")
	equal(t, "pid", get[map[string]int](t, s, "pid")["pid"], 1)
}

//proves:linux.namespaces[].path linux.namespaces[].type=user
func TestAUserNamespaceIsJoinedWithWhatItOwns(t *testing.T) {
	h := newHost(t)
	owner := h.start([]string{"namespaces"}, addNamespace(specs.UserNamespace, ""), mapAll)
	owner.see()
	for name, kinds := range map[string][]specs.LinuxNamespaceType{
		"user alone":           {specs.UserNamespace},
		"user and network":     {specs.UserNamespace, specs.NetworkNamespace},
		"user, network, ipc":   {specs.UserNamespace, specs.NetworkNamespace, specs.IPCNamespace, specs.UTSNamespace},
		"all but the mount ns": {specs.UserNamespace, specs.NetworkNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.PIDNamespace},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			edits := []edit{mappedOwner, func(s *specs.Spec) { s.Hostname = "" }}
			for _, kind := range kinds {
				edits = append(edits, addNamespace(kind, nsPath(owner.pid, kind)))
			}
			s := h.probe([]string{"namespaces", "ids", "read=/proc/self/uid_map"}, edits...)
			for _, kind := range kinds {
				equal(t, string(kind), get[map[string]string](t, s, "namespaces")[procNames[kind]], nsOf(t, owner.pid, kind))
			}
			equal(t, "uid", get[struct{ UID []int }](t, s, "ids").UID, []int{0, 0, 0})
			equal(t, "uid_map", strings.Fields(get[string](t, s, "read=/proc/self/uid_map")), []string{"0", "100000", "65536"})
		})
	}
}

//proves:linux.namespaces[].type
func TestAllEightNamespacesAreNewAtOnce(t *testing.T) {
	h := newHost(t)
	h.leavesNothing()
	edits := []edit{mapAll}
	for _, kind := range []specs.LinuxNamespaceType{specs.UserNamespace, specs.CgroupNamespace, specs.TimeNamespace} {
		edits = append(edits, addNamespace(kind, ""))
	}
	s := h.probe([]string{"namespaces", "pid", "read=/proc/self/cgroup"}, edits...)
	for kind, name := range procNames {
		if seen := get[map[string]string](t, s, "namespaces")[name]; seen == nsOf(t, os.Getpid(), kind) {
			t.Errorf("%s is the host's: %s", kind, seen)
		}
	}
	equal(t, "pid", get[map[string]int](t, s, "pid")["pid"], 1)
	for line := range strings.Lines(get[string](t, s, "read=/proc/self/cgroup")) {
		if !strings.HasSuffix(strings.TrimSpace(line), ":/") {
			t.Errorf("the cgroup namespace was made before the process was in its cgroup: %s", line)
		}
	}
}

//proves:linux.namespaces[].type=pid
func TestWithoutAPIDNamespaceThePIDIsTheHosts(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start([]string{"pid"}, dropNamespace(specs.PIDNamespace))
	equal(t, "pid", get[map[string]int](t, c.see(), "pid")["pid"], c.pid)
}

//proves:linux.namespaces[].path linux.namespaces[].type config-linux.md#namespaces:3 config-linux.md#namespaces:8
//proves:linux.namespaces config-linux.md#namespaces:5
func TestANamespaceThatCannotBeJoinedIsNamed(t *testing.T) {
	h := newHost(t)
	missing := filepath.Join(t.TempDir(), "missing")
	regular := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(regular, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		kind  specs.LinuxNamespaceType
		path  string
		words []string
	}{
		"a path that does not exist":      {specs.NetworkNamespace, missing, []string{"linux.namespaces[4]", missing, "no such file or directory"}},
		"a regular file":                  {specs.IPCNamespace, regular, []string{"linux.namespaces[4]", "invalid argument"}},
		"a namespace of another type":     {specs.NetworkNamespace, "/proc/self/ns/uts", []string{"linux.namespaces[4]", "invalid argument"}},
		"a path that is relative":         {specs.NetworkNamespace, "ns/net", []string{"linux.namespaces[4].path", "absolute"}},
		"a type that does not exist":      {"cake", "", []string{"linux.namespaces[5].type", "cake"}},
		"a user namespace one is in":      {specs.UserNamespace, "/proc/self/ns/user", []string{"linux.namespaces[5]"}},
		"a mount namespace of wrong type": {specs.MountNamespace, "/proc/self/ns/pid", []string{"linux.namespaces[4]"}},
	} {
		t.Run(name, func(t *testing.T) {
			(&host{t: t, root: h.root}).fails(tt.words, firstNamespaces, addNamespace(tt.kind, tt.path))
		})
	}
	t.Run("a namespace that is asked for twice", func(t *testing.T) {
		(&host{t: t, root: h.root}).fails([]string{"linux.namespaces[5].type", "linux.namespaces[0]"}, firstNamespaces, func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.PIDNamespace})
		})
	})
}

func TestCreateLeavesOneProcessWhichIsItsChild(t *testing.T) {
	// What create leaves goes to the nearest subreaper: this process.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) }()
	for name, edits := range map[string][]edit{
		"the default namespaces": nil,
		"all namespaces": {
			mapAll, addNamespace(specs.UserNamespace, ""), addNamespace(specs.CgroupNamespace, ""),
			addNamespace(specs.TimeNamespace, ""),
		},
		"no pid namespace": {dropNamespace(specs.PIDNamespace)},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			before := children(t)
			c := h.create(h.newBundle([]string{"pid"}, edits...))
			var left []int
			for pid := range children(t) {
				if !before[pid] {
					left = append(left, pid)
				}
			}
			equal(t, "new children", left, []int{c.pid})
			h.must("delete", "--force", c.id)
			_, _ = unix.Wait4(c.pid, nil, 0, nil)
		})
	}
}

// children are the processes whose parent this process is.
func children(t *testing.T) map[int]bool {
	t.Helper()
	out := make(map[int]bool)
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, p := range stats {
		b, err := os.ReadFile(p)
		if err != nil {
			continue
		}
		var pid, ppid int
		_, rest, _ := strings.Cut(string(b), ") ")
		_, _ = fmt.Sscanf(string(b), "%d", &pid)
		_, _ = fmt.Sscanf(rest[2:], "%d", &ppid)
		if ppid == os.Getpid() {
			out[pid] = true
		}
	}
	return out
}

//proves:linux.timeOffsets.monotonic.secs linux.timeOffsets.monotonic.nanosecs linux.timeOffsets.boottime.secs
//proves:linux.namespaces[].type=time
func TestClocksOfATimeNamespaceAreShifted(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	const monotonic, boottime = 1000, 100000
	s := h.probe([]string{"clock=monotonic", "clock=boottime", "read=/proc/uptime"}, addNamespace(specs.TimeNamespace, ""),
		func(s *specs.Spec) {
			s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{
				"monotonic": {Secs: monotonic, Nanosecs: 500000000},
				"boottime":  {Secs: boottime},
			}
		})
	for name, want := range map[string]struct {
		id     int32
		offset float64
	}{"clock=monotonic": {unix.CLOCK_MONOTONIC, monotonic + 0.5}, "clock=boottime": {unix.CLOCK_BOOTTIME, boottime}} {
		var now unix.Timespec
		if err := unix.ClockGettime(want.id, &now); err != nil {
			t.Fatal(err)
		}
		shift := get[float64](t, s, name) - float64(now.Sec) - float64(now.Nsec)/1e9
		if shift > want.offset || shift < want.offset-20 {
			t.Errorf("%s is shifted by %f, not by %f", name, shift, want.offset)
		}
	}
	var uptime float64
	if _, err := fmt.Sscanf(get[string](t, s, "read=/proc/uptime"), "%f", &uptime); err != nil || uptime < boottime {
		t.Errorf("/proc/uptime says %f (%v)", uptime, err)
	}
}

//proves:linux.timeOffsets
func TestTimeOffsetsAreRefusedWhereTheyCannotWork(t *testing.T) {
	h := newHost(t)
	offsets := func(clock string) edit {
		return func(s *specs.Spec) { s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{clock: {Secs: 1}} }
	}
	h.fails([]string{"linux.timeOffsets", "needs a time namespace"}, offsets("monotonic"))
	h.fails([]string{"linux.timeOffsets", "realtime"}, addNamespace(specs.TimeNamespace, ""), offsets("realtime"))
	h.fails([]string{"linux.timeOffsets", "joined"}, addNamespace(specs.TimeNamespace, "/proc/self/ns/time"), offsets("monotonic"))
}
