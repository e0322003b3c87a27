package tests

import (
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"
)

func featuresOf(t *testing.T, h *host) (f features.Features) {
	t.Helper()
	decodeStrictly(t, h.must("features"), &f)
	return f
}

// What is a matter of the runtime does not depend on the host.
//
//proves:features.linux.cgroup.v1 features.linux.cgroup.v2 features.linux.cgroup.systemd features.linux.cgroup.rdma
//proves:features.linux.seccomp.enabled features.linux.apparmor.enabled features.linux.selinux.enabled
//proves:features.linux.intelRdt.enabled features.linux.intelRdt.schemata features.linux.intelRdt.monitoring
//proves:features.linux.mountExtensions.idmap.enabled features.linux.netDevices.enabled
func TestFeaturesSayWhatIsBuiltIn(t *testing.T) {
	t.Parallel()
	l := featuresOf(t, newHost(t)).Linux
	for name, has := range map[string]*bool{
		"v1": l.Cgroup.V1, "v2": l.Cgroup.V2, "systemd": l.Cgroup.Systemd, "rdma": l.Cgroup.Rdma,
		"seccomp": l.Seccomp.Enabled, "AppArmor": l.Apparmor.Enabled, "SELinux": l.Selinux.Enabled,
		"RDT": l.IntelRdt.Enabled, "schemata": l.IntelRdt.Schemata, "monitoring": l.IntelRdt.Monitoring,
		"idmap": l.MountExtensions.IDMap.Enabled, "netDevices": l.NetDevices.Enabled,
	} {
		if has == nil || !*has {
			t.Errorf("%s is not announced", name)
		}
	}
}

// The names that are announced are those that check knows.
//
//proves:features.ociVersionMin features.ociVersionMax features.hooks features.linux.namespaces
//proves:features.linux.capabilities features.linux.seccomp.actions features.linux.seccomp.operators
//proves:features.linux.seccomp.archs features.linux.seccomp.knownFlags features.linux.seccomp.supportedFlags
//proves:features.linux.memoryPolicy.modes features.linux.memoryPolicy.flags
func TestEveryNameThatIsAnnouncedIsRecognized(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	f := featuresOf(t, h)
	recognized := func(what string, e edit) {
		t.Helper()
		for i, line := range h.check(h.newBundle([]string{"pid"}, e)).lines {
			t.Errorf("%s: finding %d: %s", what, i, line)
		}
	}
	for _, version := range []string{f.OCIVersionMin, f.OCIVersionMax} {
		recognized(version, func(s *specs.Spec) { s.Version = version })
	}
	recognized("namespaces", func(s *specs.Spec) {
		inUserNamespace(s)
		for _, kind := range f.Linux.Namespaces {
			ns := specs.LinuxNamespace{Type: specs.LinuxNamespaceType(kind)}
			if !slices.Contains(s.Linux.Namespaces, ns) {
				s.Linux.Namespaces = append(s.Linux.Namespaces, ns)
			}
		}
		equal(t, "namespaces", len(s.Linux.Namespaces), 8)
	})
	recognized("capabilities", func(s *specs.Spec) { s.Process.Capabilities.Bounding = f.Linux.Capabilities })
	equal(t, "capabilities", len(f.Linux.Capabilities), 41)
	recognized("seccomp", func(s *specs.Spec) {
		p := notifying("/proc/self/exe")
		p.Syscalls = nil
		for _, arch := range f.Linux.Seccomp.Archs {
			if strings.HasSuffix(arch, "_X86_64") || strings.HasSuffix(arch, "_X32") || strings.HasSuffix(arch, "_X86") {
				p.Architectures = append(p.Architectures, specs.Arch(arch))
			}
		}
		for _, flag := range f.Linux.Seccomp.SupportedFlags {
			p.Flags = append(p.Flags, specs.LinuxSeccompFlag(flag))
		}
		for i, action := range f.Linux.Seccomp.Actions {
			if action == string(specs.ActNotify) {
				continue
			}
			op := specs.LinuxSeccompOperator(f.Linux.Seccomp.Operators[i%len(f.Linux.Seccomp.Operators)])
			p.Syscalls = append(p.Syscalls, specs.LinuxSyscall{
				Names: []string{"mkdir"}, Action: specs.LinuxSeccompAction(action),
				Args: []specs.LinuxSeccompArg{{Index: 0, Value: uint64(i), Op: op}},
			})
		}
		s.Linux.Seccomp = &p
	})
	for _, mode := range f.Linux.MemoryPolicy.Modes {
		recognized(mode, func(s *specs.Spec) {
			s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: specs.MemoryPolicyModeType(mode), Nodes: "0"}
			if mode == string(specs.MpolDefault) || mode == string(specs.MpolLocal) {
				s.Linux.MemoryPolicy.Nodes = ""
			}
		})
	}
	for _, flag := range f.Linux.MemoryPolicy.Flags {
		recognized(flag, func(s *specs.Spec) {
			s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{
				Mode: specs.MpolBind, Nodes: "0", Flags: []specs.MemoryPolicyFlagType{specs.MemoryPolicyFlagType(flag)},
			}
		})
	}
}
