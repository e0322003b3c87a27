package tests

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"
)

// announced returns what the runtime says of itself.
func (h *host) announced() (f features.Features) {
	h.t.Helper()
	if err := json.Unmarshal([]byte(h.must("features")), &f); err != nil {
		h.t.Fatal(err)
	}
	if f.Linux == nil || f.Linux.Seccomp == nil || f.Linux.MemoryPolicy == nil {
		h.t.Fatalf("parts are missing: %+v", f.Linux)
	}
	return f
}

// accepts checks that a container with the edit can be created.
func (h *host) accepts(what string, edits ...edit) {
	h.t.Helper()
	id := newID()
	if r := h.try("create", "--bundle", h.newBundle([]string{"pid"}, edits...).dir, id); r.status != 0 {
		h.t.Errorf("%s: %s", what, r.stderr)
		return
	}
	h.must("delete", "--force", id)
}

//proves:features.ociVersionMin features.ociVersionMax features.md#specification-version:1
//proves:features.md#specification-version:2 features.md#specification-version:3 features.md#specification-version:4
//proves:features.md#specification-version:5 ociVersion
func TestTheVersionsThatAreAnnouncedAreAccepted(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	f := h.announced()
	equal(t, "versions", []string{f.OCIVersionMin, f.OCIVersionMax}, []string{"1.0.0", specs.Version})
	for _, version := range []string{f.OCIVersionMin, f.OCIVersionMax} {
		h.accepts(version, func(s *specs.Spec) { s.Version = version })
	}
}

//proves:features.hooks features.md#hooks:1
func TestTheHooksThatAreAnnouncedRun(t *testing.T) {
	t.Parallel()
	h, d := newHost(t), newDiary(t)
	names := h.announced().Hooks
	equal(t, "hooks", len(names), 6)
	b := h.newBundle([]string{"pid"}, d.visible)
	hooks := make(map[string]any)
	for _, name := range names {
		hook := d.hook(name)
		if name == "startContainer" {
			hook = d.insideHook(name)
		}
		hooks[name] = []specs.Hook{hook}
	}
	config := plant(t, []byte(readFile(t, b.path("config.json"))), hooks, []any{"hooks"})
	writeFile(t, b.path("config.json"), string(config))
	h.must("run", "--bundle", b.dir, newID())
	equal(t, "those that ran", sorted(d.names()), sorted(names))
}

//proves:features.linux.namespaces features-linux.md#namespaces:1
func TestTheNamespacesThatAreAnnouncedAreMade(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	types := h.announced().Linux.Namespaces
	equal(t, "types", len(types), len(procNames))
	h.accepts("all of them", mapAll, func(s *specs.Spec) {
		s.Linux.Namespaces = nil
		for _, name := range types {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.LinuxNamespaceType(name)})
		}
	})
}

//proves:features.linux.capabilities features-linux.md#capabilities:1
func TestTheCapabilitiesThatAreAnnouncedAreKnown(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	names := h.announced().Linux.Capabilities
	if !slices.Contains(names, "CAP_CHOWN") || !slices.Contains(names, "CAP_CHECKPOINT_RESTORE") {
		t.Errorf("not all are there: %v", names)
	}
	// Those that the caller lacks are another warning than those that nobody has.
	run := func(more ...string) string {
		t.Helper()
		r := h.try("run", "--bundle", h.newBundle([]string{"pid"}, withCapabilities(append(more, names...)...)).dir, newID())
		if r.status != 0 {
			t.Fatal(r.stderr)
		}
		return r.stderr
	}
	const unknown = "unknown capability"
	if said := run(); strings.Contains(said, unknown) {
		t.Error(said)
	}
	if said := run("CAP_CAKE"); !strings.Contains(said, unknown) {
		t.Errorf("CAP_CAKE is none: %q", said)
	}
}

//proves:features.linux.seccomp.enabled features.linux.seccomp.actions features.linux.seccomp.operators
//proves:features.linux.seccomp.archs features.linux.seccomp.knownFlags features.linux.seccomp.supportedFlags
//proves:features-linux.md#seccomp:1 features-linux.md#seccomp:2 features-linux.md#seccomp:3
//proves:features-linux.md#seccomp:4 features-linux.md#seccomp:5
func TestTheWordsOfSeccompThatAreAnnouncedAreKnown(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	known := h.announced().Linux.Seccomp
	equal(t, "enabled", known.Enabled, pointer(true))
	for what, list := range map[string][]string{
		"actions": known.Actions, "operators": known.Operators, "archs": known.Archs, "flags": known.KnownFlags,
	} {
		if len(list) < 4 {
			t.Errorf("%s: %v", what, list)
		}
	}
	// One that has every word, and one word more. What else is wrong is said with
	// it, before anything is compiled.
	for _, more := range []string{"", "CAKE"} {
		f := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, ListenerPath: "/x"}
		for _, action := range withMore(known.Actions, more) {
			f.Syscalls = append(f.Syscalls, specs.LinuxSyscall{Names: []string{getpgid}, Action: specs.LinuxSeccompAction(action)})
		}
		for _, op := range withMore(known.Operators, more) {
			f.Syscalls[0].Args = append(f.Syscalls[0].Args, specs.LinuxSeccompArg{Op: specs.LinuxSeccompOperator(op)})
		}
		for _, arch := range withMore(known.Archs, more) {
			f.Architectures = append(f.Architectures, specs.Arch(arch))
		}
		for _, flag := range withMore(known.KnownFlags, more) {
			f.Flags = append(f.Flags, specs.LinuxSeccompFlag(flag))
		}
		b := h.newBundle([]string{"pid"}, withFilter(f), func(s *specs.Spec) { s.Process.Cwd = "relative" })
		r := h.try("create", "--bundle", b.dir, newID())
		for _, word := range []string{"unknown action", "unknown operator", "unknown architecture", "unknown flag"} {
			if strings.Contains(r.stderr, word) != (more != "") || !strings.Contains(r.stderr, "process.cwd") {
				t.Errorf("with %q: %q and the error is %s", more, word, r.stderr)
			}
		}
	}
	for _, flag := range known.SupportedFlags {
		f := filter(specs.ActErrno, nil)
		f.Flags = []specs.LinuxSeccompFlag{specs.LinuxSeccompFlag(flag)}
		if flag == "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" { // without a listener, EINVAL: seccomp(2)
			f.Syscalls[0].Action, f.ListenerPath = specs.ActNotify, newAgent(t).path
		}
		h.accepts(flag, withFilter(f))
	}
}

func withMore(list []string, word string) []string {
	if word == "" {
		return list
	}
	return append(slices.Clone(list), word)
}

//proves:features.linux.memoryPolicy.modes features.linux.memoryPolicy.flags
//proves:features-linux.md#memorypolicy:1 features-linux.md#memorypolicy:2
func TestTheMemoryPoliciesThatAreAnnouncedAreKnown(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	known := h.announced().Linux.MemoryPolicy
	equal(t, "modes and flags", []int{len(known.Modes), len(known.Flags)}, []int{7, 3})
	try := func(policy specs.LinuxMemoryPolicy) {
		t.Helper()
		// The kernel may refuse it, or lack it; hull has to know it.
		b := h.newBundle([]string{"pid"}, func(s *specs.Spec) { s.Linux.MemoryPolicy = &policy })
		if r := h.try("run", "--bundle", b.dir, newID()); strings.Contains(r.stderr, "unknown") {
			t.Errorf("%v: %s", policy, r.stderr)
		}
	}
	for _, mode := range known.Modes {
		policy := specs.LinuxMemoryPolicy{Mode: specs.MemoryPolicyModeType(mode), Nodes: "0"}
		if policy.Mode == specs.MpolDefault || policy.Mode == specs.MpolLocal {
			policy.Nodes = ""
		}
		try(policy)
	}
	for _, flag := range known.Flags {
		try(specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "0", Flags: []specs.MemoryPolicyFlagType{specs.MemoryPolicyFlagType(flag)}})
	}
	b := h.newBundle([]string{"pid"}, func(s *specs.Spec) { s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: "MPOL_CAKE"} })
	h.refuses([]string{"linux.memoryPolicy.mode", "unknown"}, "run", "--bundle", b.dir, newID())
}

//proves:features.linux.mountExtensions.idmap.enabled features-linux.md#mountextensions:1
func TestMappedMountsAreAnnouncedSinceTheyAreTried(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	e := h.announced().Linux.MountExtensions
	if e == nil || e.IDMap == nil || e.IDMap.Enabled == nil || !*e.IDMap.Enabled {
		t.Errorf("they are not announced: %+v", e)
	}
	m := bind(t.TempDir(), "idmap")
	m.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 5000, Size: 1}}
	m.GIDMappings = m.UIDMappings
	st := get[fileStat](t, h.probe([]string{"stat=/mnt"}, writableRoot, addMounts(m)), "stat=/mnt")
	equal(t, "owner", []int{st.UID, st.GID}, []int{5000, 5000})
}

//proves:features.md#features-structure:2
func TestTheFeaturesHaveNoNull(t *testing.T) {
	t.Parallel()
	text := newHost(t).must("features")
	if strings.Contains(text, "null") {
		t.Error(text)
	}
}

//proves:features.potentiallyUnsafeConfigAnnotations
func TestTheAnnotationsThatActAreAnnounced(t *testing.T) {
	t.Parallel()
	equal(t, "annotations", sorted(newHost(t).announced().PotentiallyUnsafeConfigAnnotations), []string{
		"org.criu.config", "org.systemd.property.", "run.oci.delegate-cgroup", "run.oci.hooks.stderr", "run.oci.hooks.stdout",
		"run.oci.keep_original_groups", "run.oci.mount_context_type", "run.oci.pidfd_receiver", "run.oci.seccomp.receiver",
		"run.oci.seccomp_bpf_data", "run.oci.seccomp_fail_unknown_syscall", "run.oci.systemd.subgroup",
	})
}

//proves:features.linux.apparmor.enabled features.linux.selinux.enabled features.linux.intelRdt.enabled
//proves:features.linux.intelRdt.schemata features.linux.intelRdt.monitoring features.linux.netDevices.enabled
//proves:features.linux.cgroup.v1 features.linux.cgroup.v2 features.linux.cgroup.systemd
//proves:features.linux.cgroup.systemdUser features.linux.cgroup.rdma
func TestWhatHullCanDoIsAnnouncedWhateverTheMachineHas(t *testing.T) {
	t.Parallel()
	f := newHost(t).announced().Linux
	on := pointer(true)
	equal(t, "AppArmor", f.Apparmor, features.Apparmor{Enabled: on})
	equal(t, "SELinux", f.Selinux, features.Selinux{Enabled: on})
	equal(t, "Intel RDT", f.IntelRdt, features.IntelRdt{Enabled: on, Schemata: on, Monitoring: on})
	equal(t, "network devices", f.NetDevices, features.NetDevices{Enabled: on})
	equal(t, "cgroups", f.Cgroup, features.Cgroup{V1: on, V2: on, Systemd: on, SystemdUser: on, Rdma: on})
}

// What depends on the machine is in the annotations, and in the flags of seccomp
// that the specification has for that.
//
//proves:features.md#features-structure:1
func TestTheFeaturesAreTheSameOnAnotherMachine(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.through = []string{needTool(t, "unshare"), "--mount", "sh", "-c", `umount -l /sys /proc && exec "$0" "$@"`}
	var there features.Features
	if err := json.Unmarshal([]byte(h.must("features")), &there); err != nil {
		t.Fatal(err)
	}
	h.through = nil
	here := h.announced()
	equal(t, "what the kernel has", len(here.Annotations) == 0, false)
	here.Annotations, there.Annotations = nil, nil
	here.Linux.Seccomp.SupportedFlags, there.Linux.Seccomp.SupportedFlags = nil, nil
	equal(t, "features", there, here)
}
