package spec

import (
	"math/bits"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/libcontainer/plan"
)

// capabilityNames are the capabilities of capabilities(7) in the order of their
// numbers. The last one came with Linux 5.9, so every kernel that hull runs on
// has all of them.
var capabilityNames = [...]string{ //nolint:gochecknoglobals // a table, never written
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER",
	"CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID",
	"CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST",
	"CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER",
	"CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE",
	"CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE",
	"CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD",
	"CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP",
	"CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
}

// AllCapabilities is the mask of every capability: what a process holds in a
// user namespace of its own.
const AllCapabilities uint64 = 1<<len(capabilityNames) - 1

// HeldCapabilities returns the mask of the capabilities that the calling thread
// is permitted: what it can grant to a container without a user namespace.
func HeldCapabilities() (uint64, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, fault.New("read", "own capabilities", err)
	}
	return uint64(data[1].Permitted)<<32 | uint64(data[0].Permitted), nil
}

// CapabilityMask returns the bit of a capability such as "CAP_KILL", in upper
// case as the specification has it, and whether there is one of that name.
func CapabilityMask(name string) (uint64, bool) {
	for i, n := range &capabilityNames {
		if n == name {
			return 1 << i, true
		}
	}
	return 0, false
}

// capabilities translates process.capabilities. Names that mean nothing and
// capabilities that cannot be granted are left out with a warning, as config.md
// ("Linux Process") wants it. Without the object all that is held stays.
func capabilities(c *specs.LinuxCapabilities, held uint64, warn func(error)) plan.Capabilities {
	if c == nil {
		return plan.Capabilities{Bounding: AllCapabilities, Effective: held, Permitted: held}
	}
	grant := func(set string, names []string, limit uint64, why string) uint64 {
		path := at("process", "capabilities", set)
		asked := capabilityMask(names, path, warn)
		if missing := asked &^ limit; missing != 0 {
			warn(fault.Newf("", path, "%s not granted", maskNames(missing)).WithHint("%s", why))
		}
		return asked & limit
	}
	var sets plan.Capabilities
	sets.Bounding = grant("bounding", c.Bounding, AllCapabilities, "")
	sets.Permitted = grant("permitted", c.Permitted, held, "hull does not hold it")
	sets.Effective = grant("effective", c.Effective, sets.Permitted, "it is not permitted")
	sets.Inheritable = grant("inheritable", c.Inheritable, held, "hull does not hold it")
	sets.Ambient = grant("ambient", c.Ambient, sets.Permitted&sets.Inheritable,
		"it is not both permitted and inheritable")
	return sets
}

// capabilityMask translates one list of names.
func capabilityMask(names []string, path string, warn func(error)) uint64 {
	var mask uint64
	for i, name := range names {
		bit, ok := CapabilityMask(name)
		if !ok {
			warn(fault.Newf("", at(path, i), "unknown capability %q ignored", name))
		}
		mask |= bit
	}
	return mask
}

// maskNames renders a mask for messages.
func maskNames(mask uint64) string { return strings.Join(CapabilityNames(mask), ", ") }

// CapabilityNames lists the capabilities of a mask that have a name, in the order
// of their numbers.
func CapabilityNames(mask uint64) []string {
	var names []string
	for mask &= AllCapabilities; mask != 0; mask &= mask - 1 {
		names = append(names, capabilityNames[bits.TrailingZeros64(mask)])
	}
	return names
}

// KernelCapabilities lists the capabilities that this kernel has
// (PR_CAPBSET_READ of prctl(2): EINVAL for others).
func KernelCapabilities() []string {
	var mask uint64
	for i := range capabilityNames {
		if _, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(i), 0, 0, 0); err == nil {
			mask |= 1 << i
		}
	}
	return CapabilityNames(mask)
}
