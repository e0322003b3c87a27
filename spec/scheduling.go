package spec

import (
	"encoding/binary"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/libcontainer/plan"
)

// schedAttrSize is the size of struct sched_attr with the utilisation clamps
// (SCHED_ATTR_SIZE_VER1, since Linux 5.3).
const schedAttrSize = 56

// scheduler translates process.scheduler.
func scheduler(p *problems, s *specs.Scheduler) plan.Scheduler {
	if s == nil {
		return plan.Scheduler{}
	}
	policy, ok := schedPolicy(s.Policy)
	if !ok {
		p.add("process.scheduler.policy", "unknown policy %q", s.Policy)
	}
	schedValues(p, s)
	var flags uint64
	for i, name := range s.Flags {
		flag, ok := schedFlag(name)
		if !ok {
			p.add(at("process", "scheduler", "flags", i), "unknown flag %q", name)
		}
		flags |= flag
	}
	b := make([]byte, 0, schedAttrSize)
	b = binary.NativeEndian.AppendUint32(b, schedAttrSize)
	b = binary.NativeEndian.AppendUint32(b, policy)
	b = binary.NativeEndian.AppendUint64(b, flags)
	b = binary.NativeEndian.AppendUint32(b, uint32(s.Nice))
	b = binary.NativeEndian.AppendUint32(b, uint32(s.Priority))
	b = binary.NativeEndian.AppendUint64(b, s.Runtime)
	b = binary.NativeEndian.AppendUint64(b, s.Deadline)
	b = binary.NativeEndian.AppendUint64(b, s.Period)
	out := plan.Scheduler{Attr: append(b, make([]byte, schedAttrSize-len(b))...), Nice: s.Nice} // no clamps
	if policy == unix.SCHED_NORMAL || policy == unix.SCHED_BATCH || flags&unix.SCHED_FLAG_KEEP_PARAMS != 0 {
		out.Nice = plan.KeepNice
	}
	return out
}

// schedValues checks that each value fits the policy (sched(7)).
func schedValues(p *problems, s *specs.Scheduler) {
	if s.Nice < -20 || s.Nice > 19 {
		p.add("process.scheduler.nice", "%d is not from -20 to 19", s.Nice)
	}
	if s.Policy == specs.SchedDeadline {
		schedDeadline(p, s)
	}
	schedPriority(p, s)
	if s.Policy != specs.SchedDeadline && (s.Runtime != 0 || s.Deadline != 0 || s.Period != 0) {
		p.add("process.scheduler.runtime", "runtime, deadline and period need the policy SCHED_DEADLINE")
	}
}

// schedPriority checks the static priority, which real time needs and nothing
// else may have.
func schedPriority(p *problems, s *specs.Scheduler) {
	realtime := s.Policy == specs.SchedFIFO || s.Policy == specs.SchedRR
	if realtime && (s.Priority < 1 || s.Priority > 99) {
		p.add("process.scheduler.priority", "%d is not from 1 to 99", s.Priority)
	}
	if !realtime && s.Priority != 0 {
		p.add("process.scheduler.priority", "needs the policy SCHED_FIFO or SCHED_RR")
	}
}

// schedDeadline checks runtime <= deadline <= period, where no period stands for
// one as long as the deadline.
func schedDeadline(p *problems, s *specs.Scheduler) {
	if s.Runtime == 0 || s.Runtime > s.Deadline || s.Period != 0 && s.Deadline > s.Period {
		p.add("process.scheduler.runtime", "must be above 0, at most deadline, and that at most period")
	}
}

// schedPolicy translates a policy to its number in <linux/sched.h>.
func schedPolicy(policy specs.LinuxSchedulerPolicy) (uint32, bool) {
	switch policy {
	case specs.SchedOther:
		return unix.SCHED_NORMAL, true
	case specs.SchedFIFO:
		return unix.SCHED_FIFO, true
	case specs.SchedRR:
		return unix.SCHED_RR, true
	case specs.SchedBatch:
		return unix.SCHED_BATCH, true
	case specs.SchedISO:
		return 4, true // reserved in <linux/sched.h>, and in no kernel
	case specs.SchedIdle:
		return unix.SCHED_IDLE, true
	case specs.SchedDeadline:
		return unix.SCHED_DEADLINE, true
	}
	return 0, false
}

// schedFlag translates a flag to its bit in <linux/sched.h>.
func schedFlag(flag specs.LinuxSchedulerFlag) (uint64, bool) {
	switch flag {
	case specs.SchedFlagResetOnFork:
		return unix.SCHED_FLAG_RESET_ON_FORK, true
	case specs.SchedFlagReclaim:
		return unix.SCHED_FLAG_RECLAIM, true
	case specs.SchedFlagDLOverrun:
		return unix.SCHED_FLAG_DL_OVERRUN, true
	case specs.SchedFlagKeepPolicy:
		return unix.SCHED_FLAG_KEEP_POLICY, true
	case specs.SchedFlagKeepParams:
		return unix.SCHED_FLAG_KEEP_PARAMS, true
	case specs.SchedFlagUtilClampMin:
		return unix.SCHED_FLAG_UTIL_CLAMP_MIN, true
	case specs.SchedFlagUtilClampMax:
		return unix.SCHED_FLAG_UTIL_CLAMP_MAX, true
	}
	return 0, false
}

// ioPriority translates process.ioPriority to the argument of ioprio_set(2), or
// -1 when there is none.
func ioPriority(p *problems, io *specs.LinuxIOPriority) int32 {
	const classShift = 13
	if io == nil {
		return -1
	}
	var class int32
	switch io.Class {
	case specs.IOPRIO_CLASS_RT:
		class = 1
	case specs.IOPRIO_CLASS_BE:
		class = 2
	case specs.IOPRIO_CLASS_IDLE:
		class = 3
	default:
		p.add("process.ioPriority.class", "unknown class %q", io.Class)
	}
	if io.Priority < 0 || io.Priority > 7 {
		p.add("process.ioPriority.priority", "%d is not from 0 to 7", io.Priority)
	}
	return class<<classShift | int32(io.Priority)&7
}

// personality translates linux.personality to the argument of personality(2),
// or -1 when there is none.
func personality(p *problems, pers *specs.LinuxPersonality) int64 {
	if pers == nil {
		return -1
	}
	if len(pers.Flags) > 0 {
		p.add("linux.personality.flags", "no flag is supported")
	}
	switch pers.Domain {
	case specs.PerLinux:
		return 0
	case specs.PerLinux32:
		return 8
	}
	p.add("linux.personality.domain", "unknown domain %q (one of %s, %s)", pers.Domain, specs.PerLinux, specs.PerLinux32)
	return -1
}

// memoryPolicy translates linux.memoryPolicy to the arguments of
// set_mempolicy(2).
func memoryPolicy(p *problems, m *specs.LinuxMemoryPolicy) plan.MemoryPolicy {
	if m == nil {
		return plan.MemoryPolicy{Mode: -1}
	}
	mode, ok := memoryMode(m.Mode)
	if !ok {
		p.add("linux.memoryPolicy.mode", "unknown mode %q", m.Mode)
	}
	nodes, err := bitList(m.Nodes, maxNodes)
	switch {
	case err != nil:
		p.add("linux.memoryPolicy.nodes", "%w", err)
	case (mode == unix.MPOL_DEFAULT || mode == unix.MPOL_LOCAL) && len(nodes) > 0:
		p.add("linux.memoryPolicy.nodes", "must be empty for the mode %s", m.Mode)
	case mode != unix.MPOL_DEFAULT && mode != unix.MPOL_LOCAL && mode != unix.MPOL_PREFERRED && len(nodes) == 0:
		p.add("linux.memoryPolicy.nodes", "must not be empty for the mode %s", m.Mode)
	}
	for i, name := range m.Flags {
		flag, ok := memoryFlag(name)
		if !ok {
			p.add(at("linux", "memoryPolicy", "flags", i), "unknown flag %q", name)
		}
		mode |= flag
	}
	if mode&unix.MPOL_F_STATIC_NODES != 0 && mode&unix.MPOL_F_RELATIVE_NODES != 0 {
		p.add("linux.memoryPolicy.flags", "%s and %s exclude each other", specs.MpolFStaticNodes, specs.MpolFRelativeNodes)
	}
	return plan.MemoryPolicy{Mode: mode, Nodes: nodes}
}

func memoryMode(mode specs.MemoryPolicyModeType) (int32, bool) {
	switch mode {
	case specs.MpolDefault:
		return unix.MPOL_DEFAULT, true
	case specs.MpolPreferred:
		return unix.MPOL_PREFERRED, true
	case specs.MpolBind:
		return unix.MPOL_BIND, true
	case specs.MpolInterleave:
		return unix.MPOL_INTERLEAVE, true
	case specs.MpolLocal:
		return unix.MPOL_LOCAL, true
	case specs.MpolPreferredMany:
		return unix.MPOL_PREFERRED_MANY, true
	case specs.MpolWeightedInterleave:
		return unix.MPOL_WEIGHTED_INTERLEAVE, true
	}
	return 0, false
}

func memoryFlag(flag specs.MemoryPolicyFlagType) (int32, bool) {
	switch flag {
	case specs.MpolFStaticNodes:
		return unix.MPOL_F_STATIC_NODES, true
	case specs.MpolFRelativeNodes:
		return unix.MPOL_F_RELATIVE_NODES, true
	case specs.MpolFNumaBalancing:
		return unix.MPOL_F_NUMA_BALANCING, true
	}
	return 0, false
}
