package spec

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Rlimit is a resource limit, ready for prlimit(2).
type Rlimit struct {
	// Resource is one of RLIMIT_*.
	Resource   int
	Soft, Hard uint64
}

// Rlimits translates process.rlimits.
func Rlimits(p *specs.Process) ([]Rlimit, error) {
	found := new(problems)
	limits := rlimits(found, p)
	return limits, found.err()
}

func rlimits(p *problems, process *specs.Process) []Rlimit {
	var (
		limits = make([]Rlimit, 0, len(process.Rlimits))
		first  [16]int // by resource: 1 + the index of its first entry
	)
	for i, r := range process.Rlimits {
		resource, ok := rlimitResource(r.Type)
		switch {
		case !ok:
			p.add(at("process", "rlimits", i, "type"), "unknown resource limit %q", r.Type)
			continue
		case first[resource] != 0:
			p.add(at("process", "rlimits", i, "type"), "%s is already rlimits[%d]", r.Type, first[resource]-1)
			continue
		case r.Soft > r.Hard:
			p.add(at("process", "rlimits", i, "soft"), "%d is above the hard limit %d", r.Soft, r.Hard)
		}
		first[resource] = i + 1
		limits = append(limits, Rlimit{Resource: resource, Soft: r.Soft, Hard: r.Hard})
	}
	return limits
}

// rlimitResource translates a name of getrlimit(2).
func rlimitResource(name string) (int, bool) {
	switch name {
	case "RLIMIT_CPU":
		return unix.RLIMIT_CPU, true
	case "RLIMIT_FSIZE":
		return unix.RLIMIT_FSIZE, true
	case "RLIMIT_DATA":
		return unix.RLIMIT_DATA, true
	case "RLIMIT_STACK":
		return unix.RLIMIT_STACK, true
	case "RLIMIT_CORE":
		return unix.RLIMIT_CORE, true
	case "RLIMIT_RSS":
		return unix.RLIMIT_RSS, true
	case "RLIMIT_NPROC":
		return unix.RLIMIT_NPROC, true
	case "RLIMIT_NOFILE":
		return unix.RLIMIT_NOFILE, true
	case "RLIMIT_MEMLOCK":
		return unix.RLIMIT_MEMLOCK, true
	case "RLIMIT_AS":
		return unix.RLIMIT_AS, true
	case "RLIMIT_LOCKS":
		return unix.RLIMIT_LOCKS, true
	case "RLIMIT_SIGPENDING":
		return unix.RLIMIT_SIGPENDING, true
	case "RLIMIT_MSGQUEUE":
		return unix.RLIMIT_MSGQUEUE, true
	case "RLIMIT_NICE":
		return unix.RLIMIT_NICE, true
	case "RLIMIT_RTPRIO":
		return unix.RLIMIT_RTPRIO, true
	case "RLIMIT_RTTIME":
		return unix.RLIMIT_RTTIME, true
	}
	return 0, false
}
