package spec

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/libcontainer/plan"
)

// Rlimits translates process.rlimits.
func Rlimits(p *specs.Process) ([]plan.Limit, error) {
	found := new(problems)
	limits := rlimits(found, p)
	return limits, found.err()
}

func rlimits(p *problems, process *specs.Process) []plan.Limit {
	var (
		limits = make([]plan.Limit, 0, len(process.Rlimits))
		first  [16]int // by resource: 1 + the index of its first entry
	)
	for i, r := range process.Rlimits {
		before := len(p.found)
		resource := lookUp(p, at("process", "rlimits", i, "type"), "resource limit", r.Type, rlimitResources())
		switch {
		case len(p.found) > before:
			continue
		case first[resource] != 0:
			p.add(at("process", "rlimits", i, "type"), "%s is already rlimits[%d]", r.Type, first[resource]-1)
			continue
		case r.Soft > r.Hard:
			p.add(at("process", "rlimits", i, "soft"), "%d is above the hard limit %d", r.Soft, r.Hard)
		}
		first[resource] = i + 1
		limits = append(limits, plan.Limit{
			Name:     at("process", "rlimits", i) + " (" + r.Type + ")",
			Resource: uint32(resource),
			Soft:     r.Soft,
			Hard:     r.Hard,
		})
	}
	return limits
}

// initLimits are those of limits that init sets itself.
func initLimits(limits []plan.Limit) (own []plan.Limit) {
	for _, l := range limits {
		if !l.OfParent() {
			own = append(own, l)
		}
	}
	return own
}

// rlimitResources are the resources of getrlimit(2).
func rlimitResources() []named[string, int] {
	return []named[string, int]{
		{"RLIMIT_CPU", unix.RLIMIT_CPU},
		{"RLIMIT_FSIZE", unix.RLIMIT_FSIZE},
		{"RLIMIT_DATA", unix.RLIMIT_DATA},
		{"RLIMIT_STACK", unix.RLIMIT_STACK},
		{"RLIMIT_CORE", unix.RLIMIT_CORE},
		{"RLIMIT_RSS", unix.RLIMIT_RSS},
		{"RLIMIT_NPROC", unix.RLIMIT_NPROC},
		{"RLIMIT_NOFILE", unix.RLIMIT_NOFILE},
		{"RLIMIT_MEMLOCK", unix.RLIMIT_MEMLOCK},
		{"RLIMIT_AS", unix.RLIMIT_AS},
		{"RLIMIT_LOCKS", unix.RLIMIT_LOCKS},
		{"RLIMIT_SIGPENDING", unix.RLIMIT_SIGPENDING},
		{"RLIMIT_MSGQUEUE", unix.RLIMIT_MSGQUEUE},
		{"RLIMIT_NICE", unix.RLIMIT_NICE},
		{"RLIMIT_RTPRIO", unix.RLIMIT_RTPRIO},
		{"RLIMIT_RTTIME", unix.RLIMIT_RTTIME},
	}
}
