package spec_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/libcontainer/plan"
	"hull/spec"
)

func compile(t *testing.T, s *specs.Spec, in spec.Inputs) *plan.Plan {
	t.Helper()
	if err := spec.Validate(s); err != nil {
		t.Fatal(err)
	}
	p, _, err := spec.Compile(s, in)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// load reads a real configuration and points its root and its bind mounts at
// files that exist.
func load(t *testing.T, name string) *specs.Spec {
	t.Helper()
	s, err := spec.Load("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	s.Root.Path = t.TempDir()
	for i := range s.Mounts {
		if s.Mounts[i].Type == "bind" {
			s.Mounts[i].Source = "/etc/passwd"
		}
	}
	return s
}

func TestRealConfigurationsCompile(t *testing.T) {
	for _, c := range []struct {
		name   string
		mounts []string
		caps   int
	}{
		{"default", []string{"/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/sys/fs/cgroup"}, 3},
		{"containerd", []string{"/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/run"}, 14},
		{"docker", []string{
			"/proc", "/dev", "/dev/pts", "/sys", "/sys/fs/cgroup", "/dev/mqueue", "/dev/shm",
			"/etc/resolv.conf", "/etc/hostname", "/etc/hosts",
		}, 14},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, in := load(t, c.name), inputs(t)
			in.CgroupMounts = []plan.Mount{{Type: "cgroup2", Source: "cgroup"}}
			in.Warn = func(err error) { t.Errorf("warning: %v", err) }
			p := compile(t, s, in)
			var targets []string
			for _, m := range p.Mounts {
				targets = append(targets, m.Target)
			}
			if !slices.Equal(targets, c.mounts) {
				t.Errorf("mounts %v, want %v", targets, c.mounts)
			}
			if len(p.Devices) != 6 || len(p.DevLinks) != 6 {
				t.Errorf("devices %v, links %v", p.Devices, p.DevLinks)
			}
			if n := bitsSet(p.Process.Capabilities.Bounding); n != c.caps || p.Process.Capabilities.Inheritable != 0 {
				t.Errorf("%d capabilities, want %d: %+v", n, c.caps, p.Process.Capabilities)
			}
			if again, err := plan.Decode(plan.Encode(p)); err != nil || again.ID != "c1" {
				t.Errorf("the plan does not travel: %v", err)
			}
		})
	}
}

func bitsSet(mask uint64) (n int) {
	for ; mask != 0; mask &= mask - 1 {
		n++
	}
	return n
}

func TestTheDefaultPlanSaysWhatToDo(t *testing.T) {
	s := load(t, "default")
	s.Domainname = "example"
	s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1", "kernel/sem": "2", "net/ipv4/conf/a.b/c": "3"}
	s.Hooks = &specs.Hooks{
		CreateContainer: []specs.Hook{{Path: "/a", Args: []string{"a", "b"}, Env: []string{"C=d"}, Timeout: ptr(5)}},
		StartContainer:  []specs.Hook{{Path: "/b"}},
		Poststop:        []specs.Hook{{Path: "/not-init's"}},
	}
	p := compile(t, s, inputs(t))
	want := plan.Rootfs{Path: s.Root.Path, Access: plan.ReadOnly, HostPropagation: unix.MS_SLAVE | unix.MS_REC}
	if p.Rootfs != want || p.Kind != plan.Create || p.ID != "c1" {
		t.Errorf("rootfs %+v, want %+v", p.Rootfs, want)
	}
	if p.Hostname != "hull" || p.Domainname != "example" || len(p.MaskedPaths) != 10 || len(p.ReadonlyPaths) != 5 {
		t.Errorf("got %+v", p)
	}
	if want := []plan.Sysctl{{Key: "kernel.sem", Value: "2"}, {Key: "net.ipv4.ip_forward", Value: "1"}, {Key: "net.ipv4.conf.a/b.c", Value: "3"}}; !slices.Equal(p.Sysctls, want) {
		t.Errorf("sysctls %v, want %v", p.Sysctls, want)
	}
	if want := []plan.Hook{{Name: "hooks.createContainer[0]", Path: "/a", Args: []string{"a", "b"}, Env: []string{"C=d"}, TimeoutSeconds: 5}}; !reflect.DeepEqual(p.CreateContainer, want) {
		t.Errorf("hooks %+v, want %+v", p.CreateContainer, want)
	}
	if len(p.StartContainer) != 1 || p.StartContainer[0].Name != "hooks.startContainer[0]" {
		t.Errorf("hooks %+v", p.StartContainer)
	}
}

func TestTheRootIsResolved(t *testing.T) {
	bundle := t.TempDir()
	if err := os.Mkdir(filepath.Join(bundle, "real"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", filepath.Join(bundle, "rootfs")); err != nil {
		t.Fatal(err)
	}
	s, in := spec.Default(), inputs(t)
	s.Mounts, in.Bundle = nil, bundle
	if got := compile(t, s, in).Rootfs.Path; got != bundle+"/real" {
		t.Errorf("got %s", got)
	}
	s.Root.Path = "missing"
	_, _, err := spec.Compile(s, in)
	if want := "root.path: open " + bundle + "/missing: no such file or directory (it must be a directory)"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestPropagationNeverMakesTheHostShared(t *testing.T) {
	const rec = unix.MS_REC
	for _, c := range []struct {
		value      string
		host, root uint64
	}{
		{"", unix.MS_SLAVE | rec, 0},
		{"shared", unix.MS_SLAVE | rec, unix.MS_SHARED},
		{"rshared", unix.MS_SLAVE | rec, unix.MS_SHARED | rec},
		{"slave", unix.MS_SLAVE | rec, unix.MS_SLAVE},
		{"private", unix.MS_PRIVATE | rec, unix.MS_PRIVATE},
		{"unbindable", unix.MS_PRIVATE | rec, unix.MS_UNBINDABLE},
	} {
		s := bundleSpec(t)
		s.Linux.RootfsPropagation = c.value
		r := compile(t, s, inputs(t)).Rootfs
		if r.HostPropagation != c.host || r.Propagation != c.root {
			t.Errorf("%s: got %x %x", c.value, r.HostPropagation, r.Propagation)
		}
	}
}

func TestTheWayToTheRootFollowsTheNamespace(t *testing.T) {
	s, in := bundleSpec(t), inputs(t)
	in.Pivot = plan.MoveRoot
	if got := compile(t, s, in).Rootfs.Pivot; got != plan.MoveRoot {
		t.Errorf("got %d", got)
	}
	s.Linux.RootfsPropagation = "private"
	_, _, err := spec.Compile(s, in)
	if want := "linux.rootfsPropagation: private is not possible without pivot_root"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	drop(s, specs.MountNamespace)
	s.Root.Readonly = false
	s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil
	if r := compile(t, s, in).Rootfs; r.Pivot != plan.ChrootOnly || r.HostPropagation != 0 || r.Propagation != 0 {
		t.Errorf("without a mount namespace: %+v", r)
	}
}

func TestNetworkSysctlsOfTheHostsNamespaceAreRefused(t *testing.T) {
	s := bundleSpec(t)
	join(s, specs.NetworkNamespace, "/proc/self/ns/net")
	s.Linux.Sysctl = map[string]string{"net.core.somaxconn": "1"}
	_, _, err := spec.Compile(s, inputs(t))
	want := "linux.sysctl.net.core.somaxconn: /proc/self/ns/net is the network namespace of the host"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestCapabilitiesThatCannotBeGrantedAreReported(t *testing.T) {
	const kill, admin, chown = 1 << unix.CAP_KILL, 1 << unix.CAP_SYS_ADMIN, 1 << unix.CAP_CHOWN
	s := bundleSpec(t)
	s.Process.Capabilities = &specs.LinuxCapabilities{
		Bounding:    []string{"CAP_KILL", "CAP_SYS_ADMIN", "CAP_FLY", "cap_kill"},
		Permitted:   []string{"CAP_KILL", "CAP_SYS_ADMIN"},
		Effective:   []string{"CAP_KILL", "CAP_CHOWN"},
		Inheritable: []string{"CAP_CHOWN", "CAP_KILL"},
		Ambient:     []string{"CAP_KILL", "CAP_CHOWN"},
	}
	var warnings []string
	p, err := spec.CompileProcess(s, s.Process, spec.ProcessInputs{
		Held: kill | chown, Warn: func(err error) { warnings = append(warnings, err.Error()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	want := plan.Capabilities{Bounding: kill | admin, Permitted: kill, Effective: kill, Inheritable: kill | chown, Ambient: kill}
	if p.Capabilities != want {
		t.Errorf("got %+v, want %+v", p.Capabilities, want)
	}
	wantWarnings := []string{
		`process.capabilities.bounding[2]: unknown capability "CAP_FLY" ignored`,
		`process.capabilities.bounding[3]: unknown capability "cap_kill" ignored`,
		"process.capabilities.permitted: CAP_SYS_ADMIN not granted (hull does not hold it)",
		"process.capabilities.effective: CAP_CHOWN not granted (it is not permitted)",
		"process.capabilities.ambient: CAP_CHOWN not granted (it is not both permitted and inheritable)",
	}
	if !slices.Equal(warnings, wantWarnings) {
		t.Errorf("got %q\nwant %q", warnings, wantWarnings)
	}
}

func TestTheCapabilityNamesHaveTheKernelsNumbers(t *testing.T) {
	for name, number := range map[string]int{
		"CAP_CHOWN": unix.CAP_CHOWN, "CAP_SYS_ADMIN": unix.CAP_SYS_ADMIN, "CAP_SETFCAP": unix.CAP_SETFCAP,
		"CAP_SYSLOG": unix.CAP_SYSLOG, "CAP_CHECKPOINT_RESTORE": unix.CAP_LAST_CAP,
	} {
		if mask, ok := spec.CapabilityMask(name); !ok || mask != 1<<number {
			t.Errorf("%s: got %x", name, mask)
		}
	}
	held, err := spec.HeldCapabilities()
	if err != nil || held&^spec.AllCapabilities != 0 {
		t.Errorf("held %x, %v", held, err)
	}
}

func TestRlimitsHaveTheKernelsNumbers(t *testing.T) {
	names := []string{
		"RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CORE", "RLIMIT_RSS", "RLIMIT_NPROC", "RLIMIT_NOFILE",
		"RLIMIT_MEMLOCK", "RLIMIT_AS", "RLIMIT_LOCKS", "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_RTPRIO", "RLIMIT_RTTIME",
	}
	p := new(specs.Process)
	for i, name := range names {
		p.Rlimits = append(p.Rlimits, specs.POSIXRlimit{Type: name, Soft: uint64(i), Hard: 1<<64 - 1})
	}
	limits, err := spec.Rlimits(p)
	if err != nil || len(limits) != len(names) {
		t.Fatal(limits, err)
	}
	for i, l := range limits {
		// The numbers are those of the architectures hull runs on.
		if l != (plan.Limit{Name: fmt.Sprintf("process.rlimits[%d] (%s)", i, names[i]), Resource: uint32(i), Soft: uint64(i), Hard: 1<<64 - 1}) {
			t.Errorf("%s: got %+v", names[i], l)
		}
	}
}

func TestCPUListsBecomeMasks(t *testing.T) {
	for list, want := range map[string][]byte{
		"": nil, "0": {1, 0, 0, 0, 0, 0, 0, 0}, "0-3,7": {0x8f, 0, 0, 0, 0, 0, 0, 0}, "1 , ,2-2,": {6, 0, 0, 0, 0, 0, 0, 0},
		"64": {0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0},
	} {
		if got, err := spec.CPUMask(list); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q: got %v, %v", list, got, err)
		}
	}
	for _, list := range []string{",", "-", "1-", "-1", "0x1", "3-2", "8192", "0-99999999999999999999", "1 2"} {
		if got, err := spec.CPUMask(list); err == nil {
			t.Errorf("%q: got %v", list, got)
		}
	}
}

func TestMappingsBecomeLinesAndTranslateIDs(t *testing.T) {
	m := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 1}, {ContainerID: 5, HostID: 100000, Size: 4294867290}}
	if got := string(spec.IDMapLines(m)); got != "0 1000 1\n5 100000 4294867290\n" {
		t.Errorf("got %q", got)
	}
	for id, want := range map[uint32]uint32{0: 1000, 5: 100000, 7: 100002} {
		if got, ok := spec.HostID(m, id); !ok || got != want {
			t.Errorf("%d: got %d, %v", id, got, ok)
		}
	}
	if got, ok := spec.HostID(m, 1); ok {
		t.Errorf("1 is mapped to %d", got)
	}
}
