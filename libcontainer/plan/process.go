package plan

import (
	"slices"
	"syscall"
)

// Process is what is executed, and as whom.
type Process struct {
	Args []string
	Env  []string
	Cwd  string

	UID, GID       uint32
	Groups         Groups
	AdditionalGIDs []uint32
	Umask          int32

	Capabilities Capabilities
	NoNewPrivs   bool

	// Notifies says that loading the seccomp filter gives a listener, which
	// the parent takes.
	Notifies bool
	// KillsThread says that the filter may end the thread that executes the
	// program and leave the others of init, who must not be taken for it.
	KillsThread bool

	Keyring      Keyring
	KeyringLabel string

	// SELinuxLabel and AppArmorProfile take effect at execve(2).
	SELinuxLabel    string
	AppArmorProfile string

	Scheduler Scheduler
	// IOPriority is the argument of ioprio_set(2), or -1.
	IOPriority int32
	// Personality is the argument of personality(2), or -1.
	Personality int64
	Affinity    Affinity
	// MemoryPolicy is linux.memoryPolicy.
	MemoryPolicy MemoryPolicy

	// Limits are those that init sets itself (see Limit.OfParent).
	Limits []Limit

	Terminal Terminal
	// PreserveFDs is how many descriptors from 3 on stay open for the process.
	PreserveFDs uint32
}

// Keyring says what becomes of the session keyring.
type Keyring uint8

const (
	// NewKeyring joins a new session keyring named after the container.
	NewKeyring Keyring = iota
	// KeepKeyring stays in the caller's (--no-new-keyring).
	KeepKeyring
)

// Groups says what becomes of the supplementary groups.
type Groups uint8

const (
	// SetGroups applies exactly Process.AdditionalGIDs.
	SetGroups Groups = iota
	// KeepGroups leaves the caller's.
	KeepGroups
)

// Limit is a resource limit, ready for prlimit(2).
type Limit struct {
	// Name is where and how the user wrote it, for errors:
	// "process.rlimits[0] (RLIMIT_NOFILE)".
	Name string
	// Resource is one of RLIMIT_*.
	Resource   uint32
	Soft, Hard uint64
}

// OfParent reports whether the parent sets l while init still works. All others init
// sets itself, in its last moment, and the parent only sees to it that it may: they
// are the program's, and init can work under none that is low. This one has to be
// there when the user of the process changes (setresuid(2), PF_NPROC_EXCEEDED).
func (l *Limit) OfParent() bool { return l.Resource == rlimitNproc }

// OfMemory reports whether l is a limit of the memory that a process maps. The Go
// runtime ends where it may map no more.
func (l *Limit) OfMemory() bool {
	switch l.Resource {
	case syscall.RLIMIT_AS, syscall.RLIMIT_DATA, syscall.RLIMIT_STACK:
		return true
	}
	return false
}

// rlimitNproc is RLIMIT_NPROC, which package syscall lacks.
const rlimitNproc = 6

// Scheduler is process.scheduler.
type Scheduler struct {
	// Attr is a struct sched_attr for sched_setattr(2), or empty for none.
	Attr []byte
	// Nice is for setpriority(2), or KeepNice: sched_setattr(2) takes the nice
	// value with SCHED_OTHER and SCHED_BATCH only.
	Nice int32
}

// KeepNice is above all nice values.
const KeepNice = 20

// Affinity is on which CPUs the program may run.
type Affinity struct {
	Policy AffinityPolicy
	// CPUs is a mask for sched_setaffinity(2) with ChosenCPUs.
	CPUs []byte
}

// AffinityPolicy says where an affinity comes from.
type AffinityPolicy uint8

const (
	// WholeCpuset allows all CPUs of the cgroup, whatever hull's caller was
	// held to.
	WholeCpuset AffinityPolicy = iota
	// InheritedCPUs leaves it to the kernel.
	InheritedCPUs
	// ChosenCPUs allows Affinity.CPUs.
	ChosenCPUs
)

// Capabilities are the five sets of capabilities(7) as bit masks.
type Capabilities struct {
	Bounding, Effective, Inheritable, Permitted, Ambient uint64
}

// MemoryPolicy is the argument of set_mempolicy(2); Mode is -1 for none.
type MemoryPolicy struct {
	Mode  int32
	Nodes []byte
}

// Terminal asks for a pseudo-terminal.
type Terminal struct {
	Wanted bool
	// Rows and Columns are 0 to leave the kernel's default.
	Rows, Columns uint16
}

// LimitsMemory reports whether init is to set a limit of memory.
func (p *Process) LimitsMemory() bool {
	return slices.ContainsFunc(p.Limits, func(l Limit) bool { return l.OfMemory() })
}
