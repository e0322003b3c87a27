package tests

import (
	"strings"
	"testing"
	"unsafe"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

const numaMaps = "read=/proc/self/numa_maps"

func memoryPolicy(p specs.LinuxMemoryPolicy) edit {
	return func(s *specs.Spec) { s.Linux.MemoryPolicy = &p }
}

// policies returns the words for policies that numa_maps has.
func policies(t *testing.T, s sight) map[string]bool {
	t.Helper()
	seen := make(map[string]bool)
	for line := range strings.Lines(get[string](t, s, numaMaps)) {
		_, rest, _ := strings.Cut(line, " ")
		// What follows the policy are names with a value, but for these.
		for _, word := range []string{" file", " heap", " stack", " anon", " huge", " mapped", " dirty", "\n"} {
			rest, _, _ = strings.Cut(rest, word)
		}
		seen[rest] = true
	}
	return seen
}

// bound runs do as somebody whose memory is bound to the first node.
func bound(t *testing.T, do func()) {
	t.Helper()
	if !fileExists("/proc/self/numa_maps") {
		lacks(t, "CONFIG_NUMA in its kernel")
	}
	caller(t, func() (func() error, error) {
		nodes := uint64(1)
		return func() error { return setMemoryPolicy(unix.MPOL_DEFAULT, nil) }, setMemoryPolicy(unix.MPOL_BIND, &nodes)
	}, do)
}

func setMemoryPolicy(mode int, nodes *uint64) error {
	bits := 0
	if nodes != nil {
		bits = 65
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SET_MEMPOLICY, uintptr(mode), uintptr(unsafe.Pointer(nodes)), uintptr(bits)); errno != 0 {
		return errno
	}
	return nil
}

//proves:linux.memoryPolicy.mode linux.memoryPolicy.nodes linux.memoryPolicy.flags
func TestTheMemoryPolicyIsThatOfTheConfiguration(t *testing.T) {
	t.Parallel()
	for want, is := range map[string]specs.LinuxMemoryPolicy{
		//proves:linux.memoryPolicy.mode=MPOL_DEFAULT
		"default": {Mode: specs.MpolDefault},
		//proves:linux.memoryPolicy.mode=MPOL_BIND
		"bind:0": {Mode: specs.MpolBind, Nodes: "0"},
		//proves:linux.memoryPolicy.mode=MPOL_INTERLEAVE
		"interleave:0": {Mode: specs.MpolInterleave, Nodes: "0-3"},
		//proves:linux.memoryPolicy.mode=MPOL_WEIGHTED_INTERLEAVE
		"weighted interleave:0": {Mode: specs.MpolWeightedInterleave, Nodes: "0"},
		//proves:linux.memoryPolicy.mode=MPOL_PREFERRED
		"prefer:0": {Mode: specs.MpolPreferred, Nodes: "0"},
		//proves:linux.memoryPolicy.mode=MPOL_PREFERRED_MANY
		"prefer (many):0": {Mode: specs.MpolPreferredMany, Nodes: "0,1"},
		//proves:linux.memoryPolicy.mode=MPOL_LOCAL
		"local": {Mode: specs.MpolLocal},
		//proves:linux.memoryPolicy.flags=MPOL_F_STATIC_NODES
		"interleave=static:0": {Mode: specs.MpolInterleave, Nodes: "0", Flags: []specs.MemoryPolicyFlagType{specs.MpolFStaticNodes}},
		//proves:linux.memoryPolicy.flags=MPOL_F_RELATIVE_NODES
		"bind=relative:0": {Mode: specs.MpolBind, Nodes: "0", Flags: []specs.MemoryPolicyFlagType{specs.MpolFRelativeNodes}},
		//proves:linux.memoryPolicy.flags=MPOL_F_NUMA_BALANCING
		"bind=balancing:0": {Mode: specs.MpolBind, Nodes: "0", Flags: []specs.MemoryPolicyFlagType{specs.MpolFNumaBalancing}},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			if is.Mode == specs.MpolWeightedInterleave && !fileExists("/sys/kernel/mm/mempolicy/weighted_interleave") {
				lacks(t, "MPOL_WEIGHTED_INTERLEAVE of Linux 6.9")
			}
			bound(t, func() {
				if seen := policies(t, newHost(t).probe([]string{numaMaps}, memoryPolicy(is))); !seen[want] {
					t.Errorf("policies: %v", seen)
				}
			})
		})
	}
}

// A preference without nodes is one for the node that the process is on.
func TestAPreferenceMayHaveNoNodes(t *testing.T) {
	t.Parallel()
	bound(t, func() {
		//proves:linux.memoryPolicy.nodes
		seen := policies(t, newHost(t).probe([]string{numaMaps}, memoryPolicy(specs.LinuxMemoryPolicy{Mode: specs.MpolPreferred})))
		if !seen["local"] {
			t.Errorf("policies: %v", seen)
		}
	})
}

func TestWithoutAMemoryPolicyItIsThatOfTheCaller(t *testing.T) {
	t.Parallel()
	bound(t, func() {
		h := newHost(t)
		if seen := policies(t, h.probe([]string{numaMaps})); !seen["bind:0"] {
			t.Errorf("policies: %v", seen)
		}
		// An exec has that of the container.
		c := h.start(nil, memoryPolicy(specs.LinuxMemoryPolicy{Mode: specs.MpolInterleave, Nodes: "0"}))
		if seen := policies(t, c.exec(numaMaps)); !seen["interleave:0"] {
			t.Errorf("policies of an exec: %v", seen)
		}
	})
}

func TestAMemoryPolicyThatCannotBeIsRefused(t *testing.T) {
	h := newHost(t)
	static, relative := specs.MpolFStaticNodes, specs.MpolFRelativeNodes
	for name, tt := range map[string]struct {
		is    specs.LinuxMemoryPolicy
		words []string
	}{
		"no mode":             {specs.LinuxMemoryPolicy{}, []string{"linux.memoryPolicy.mode", `""`}},
		"an unknown mode":     {specs.LinuxMemoryPolicy{Mode: "MPOL_CAKE"}, []string{"linux.memoryPolicy.mode", "MPOL_CAKE"}},
		"an unknown flag":     {specs.LinuxMemoryPolicy{Mode: specs.MpolLocal, Flags: []specs.MemoryPolicyFlagType{"CAKE"}}, []string{"linux.memoryPolicy.flags[0]", "CAKE"}},
		"two that exclude":    {specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "0", Flags: []specs.MemoryPolicyFlagType{static, relative}}, []string{"linux.memoryPolicy.flags", "exclude"}},
		"nodes for local":     {specs.LinuxMemoryPolicy{Mode: specs.MpolLocal, Nodes: "0"}, []string{"linux.memoryPolicy.nodes", "must be empty"}},
		"no nodes for bind":   {specs.LinuxMemoryPolicy{Mode: specs.MpolBind}, []string{"linux.memoryPolicy.nodes", "must not be empty"}},
		"nodes that are none": {specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "0-"}, []string{"linux.memoryPolicy.nodes", `"0-"`}},
		"nodes not there":     {specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "900"}, []string{"set linux.memoryPolicy", "invalid argument", "cpuset.mems"}},
	} {
		t.Run(name, func(t *testing.T) { (&host{t: t, root: h.root}).fails(tt.words, memoryPolicy(tt.is)) })
	}
}

//proves:linux.personality.domain linux.personality.domain=LINUX linux.personality.domain=LINUX32
func TestThePersonalityShowsInTheNameOfTheMachine(t *testing.T) {
	t.Parallel()
	machine := func(edits ...edit) string {
		s := newHost(t).probe([]string{"uname"}, edits...)
		return get[map[string]string](t, s, "uname")["machine"]
	}
	domain := func(d specs.LinuxPersonalityDomain) edit {
		return func(s *specs.Spec) { s.Linux.Personality = &specs.LinuxPersonality{Domain: d} }
	}
	own := machine()
	if own != "x86_64" {
		lacks(t, "a machine that has a 32-bit name")
	}
	equal(t, "LINUX32", machine(domain(specs.PerLinux32)), "i686")
	const linux32 = 8
	caller(t, func() (func() error, error) {
		return func() error { return setPersonality(0) }, setPersonality(linux32)
	}, func() {
		equal(t, "that of the caller", machine(), "i686")
		equal(t, "LINUX", machine(domain(specs.PerLinux)), own)
	})
}

func setPersonality(persona uintptr) error {
	if _, _, errno := unix.RawSyscall(unix.SYS_PERSONALITY, persona, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

func TestAPersonalityThatCannotBeIsRefused(t *testing.T) {
	h := newHost(t)
	//proves:linux.personality.flags config-linux.md#personality:1
	h.fails([]string{"linux.personality.domain", `""`}, func(s *specs.Spec) { s.Linux.Personality = &specs.LinuxPersonality{} })
	h.fails([]string{"linux.personality.domain", "BSD"}, func(s *specs.Spec) { s.Linux.Personality = &specs.LinuxPersonality{Domain: "BSD"} })
	h.fails([]string{"linux.personality.flags", "no flag is supported"}, func(s *specs.Spec) {
		s.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux, Flags: []specs.LinuxPersonalityFlag{"ADDR_NO_RANDOMIZE"}}
	})
}
