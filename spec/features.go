package spec

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"
	"golang.org/x/sys/unix"
)

// versionMin is the oldest specification whose configurations hull accepts.
const versionMin = "1.0.0"

// FeatureParts are the parts of the features document that other packages know.
// What is nil is left out, which means "unknown".
type FeatureParts struct {
	Cgroup     *features.Cgroup
	Seccomp    *features.Seccomp
	Apparmor   *features.Apparmor
	Selinux    *features.Selinux
	IntelRdt   *features.IntelRdt
	NetDevices *features.NetDevices
	// Annotations are versions and the like.
	Annotations map[string]string
}

// Features returns the features document (features.md), complete but for what
// parts lacks.
func Features(parts FeatureParts) *features.Features {
	yes := true
	return &features.Features{
		OCIVersionMin: versionMin,
		OCIVersionMax: specs.Version,
		Hooks: []string{
			"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
		},
		MountOptions: mountOptionNames(),
		Linux: &features.Linux{
			Namespaces:      namespaceTypes(),
			Capabilities:    slices.Clone(capabilityNames[:]),
			Cgroup:          parts.Cgroup,
			Seccomp:         parts.Seccomp,
			Apparmor:        parts.Apparmor,
			Selinux:         parts.Selinux,
			IntelRdt:        parts.IntelRdt,
			MemoryPolicy:    memoryPolicyFeatures(),
			MountExtensions: &features.MountExtensions{IDMap: &features.IDMap{Enabled: &yes}},
			NetDevices:      parts.NetDevices,
		},
		Annotations:                        parts.Annotations,
		PotentiallyUnsafeConfigAnnotations: UnsafeAnnotations(),
	}
}

// mountOptionNames lists the options of the compiler's table that do something,
// or that mount(8) has.
func mountOptionNames() []string {
	names := make([]string, 0, len(options))
	for i := range options {
		if options[i].kind != unheard {
			names = append(names, options[i].name)
		}
	}
	return names
}

func memoryPolicyFeatures() *features.MemoryPolicy {
	return &features.MemoryPolicy{
		Modes: []string{
			string(specs.MpolBind), string(specs.MpolDefault), string(specs.MpolInterleave),
			string(specs.MpolLocal), string(specs.MpolPreferred), string(specs.MpolPreferredMany),
			string(specs.MpolWeightedInterleave),
		},
		Flags: []string{
			string(specs.MpolFNumaBalancing), string(specs.MpolFRelativeNodes), string(specs.MpolFStaticNodes),
		},
	}
}

// MemoryPolicy is one way to call set_mempolicy(2).
type MemoryPolicy struct {
	// Name is the mode, and Flag the flag that is tried with it, if any.
	Name, Flag string
	Mode       int32
	Nodes      []byte
}

// MemoryPolicies lists a valid use of each mode of linux.memoryPolicy, and of
// each flag, for a machine whose first node has memory.
func MemoryPolicies() []MemoryPolicy {
	first := []byte{1, 0, 0, 0, 0, 0, 0, 0}
	modes, flags := memoryModes(), memoryFlags()
	list := make([]MemoryPolicy, 0, len(modes)+len(flags))
	for _, mode := range modes {
		p := MemoryPolicy{Name: string(mode.name), Mode: mode.value, Nodes: first}
		if mode.value == unix.MPOL_DEFAULT || mode.value == unix.MPOL_LOCAL {
			p.Nodes = nil
		}
		list = append(list, p)
	}
	for _, flag := range flags {
		// NUMA_BALANCING goes with MPOL_BIND alone (set_mempolicy(2)).
		list = append(list, MemoryPolicy{
			Name: string(specs.MpolBind), Flag: string(flag.name), Mode: unix.MPOL_BIND | flag.value, Nodes: first,
		})
	}
	return list
}
