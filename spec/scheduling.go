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
	policy := lookUp(p, "process.scheduler.policy", "policy", s.Policy, schedPolicies())
	schedValues(p, s)
	var flags uint64
	for i, name := range s.Flags {
		flags |= lookUp(p, at("process", "scheduler", "flags", i), "flag", name, schedFlags())
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

// schedPolicies are the policies of <linux/sched.h>.
func schedPolicies() []named[specs.LinuxSchedulerPolicy, uint32] {
	return []named[specs.LinuxSchedulerPolicy, uint32]{
		{specs.SchedOther, unix.SCHED_NORMAL},
		{specs.SchedFIFO, unix.SCHED_FIFO},
		{specs.SchedRR, unix.SCHED_RR},
		{specs.SchedBatch, unix.SCHED_BATCH},
		{specs.SchedISO, 4}, // reserved in <linux/sched.h>, and in no kernel
		{specs.SchedIdle, unix.SCHED_IDLE},
		{specs.SchedDeadline, unix.SCHED_DEADLINE},
	}
}

// schedFlags are the flags of <linux/sched.h>.
func schedFlags() []named[specs.LinuxSchedulerFlag, uint64] {
	return []named[specs.LinuxSchedulerFlag, uint64]{
		{specs.SchedFlagResetOnFork, unix.SCHED_FLAG_RESET_ON_FORK},
		{specs.SchedFlagReclaim, unix.SCHED_FLAG_RECLAIM},
		{specs.SchedFlagDLOverrun, unix.SCHED_FLAG_DL_OVERRUN},
		{specs.SchedFlagKeepPolicy, unix.SCHED_FLAG_KEEP_POLICY},
		{specs.SchedFlagKeepParams, unix.SCHED_FLAG_KEEP_PARAMS},
		{specs.SchedFlagUtilClampMin, unix.SCHED_FLAG_UTIL_CLAMP_MIN},
		{specs.SchedFlagUtilClampMax, unix.SCHED_FLAG_UTIL_CLAMP_MAX},
	}
}

// ioPriority translates process.ioPriority to the argument of ioprio_set(2), or
// -1 when there is none.
func ioPriority(p *problems, io *specs.LinuxIOPriority) int32 {
	const classShift = 13
	if io == nil {
		return -1
	}
	class := lookUp(p, "process.ioPriority.class", "class", io.Class, ioClasses())
	if io.Priority < 0 || io.Priority > 7 {
		p.add("process.ioPriority.priority", "%d is not from 0 to 7", io.Priority)
	}
	return class<<classShift | int32(io.Priority)&7
}

// ioClasses are the classes of <linux/ioprio.h>.
func ioClasses() []named[specs.IOPriorityClass, int32] {
	return []named[specs.IOPriorityClass, int32]{
		{specs.IOPRIO_CLASS_RT, 1},
		{specs.IOPRIO_CLASS_BE, 2},
		{specs.IOPRIO_CLASS_IDLE, 3},
	}
}

// personality translates linux.personality to the argument of personality(2),
// or -1 when there is none.
func personality(p *problems, pers *specs.LinuxPersonality) int64 {
	if pers == nil {
		return -1
	}
	if len(pers.Flags) > 0 {
		p.add("linux.personality.flags", "must be empty, as no flag is supported")
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
	mode := lookUp(p, "linux.memoryPolicy.mode", "mode", m.Mode, memoryModes())
	nodes, err := bitList(m.Nodes, maxNodes)
	switch {
	case err != nil:
		p.add("linux.memoryPolicy.nodes", "%w", err)
	case (mode == unix.MPOL_DEFAULT || mode == unix.MPOL_LOCAL) && len(nodes) > 0:
		p.add("linux.memoryPolicy.nodes", "must be empty for the mode %s", m.Mode)
	case mode != unix.MPOL_DEFAULT && mode != unix.MPOL_LOCAL && mode != unix.MPOL_PREFERRED && len(nodes) == 0:
		p.add("linux.memoryPolicy.nodes", "must not be empty for the mode %s", m.Mode)
	}
	flags := memoryFlagBits(p, m)
	mode |= flags
	if mode&unix.MPOL_F_STATIC_NODES != 0 && mode&unix.MPOL_F_RELATIVE_NODES != 0 {
		p.add("linux.memoryPolicy.flags", "%s and %s exclude each other", specs.MpolFStaticNodes, specs.MpolFRelativeNodes)
	}
	return plan.MemoryPolicy{Mode: mode, Nodes: nodes}
}

// memoryFlagBits translates the flags, and checks which the mode takes
// (set_mempolicy(2)).
func memoryFlagBits(p *problems, m *specs.LinuxMemoryPolicy) (bits int32) {
	for i, name := range m.Flags {
		path := at("linux", "memoryPolicy", "flags", i)
		bits |= lookUp(p, path, "flag", name, memoryFlags())
		switch {
		case name == specs.MpolFNumaBalancing && m.Mode != specs.MpolBind && m.Mode != specs.MpolPreferredMany:
			p.add(path, "%s needs the mode %s or %s", name, specs.MpolBind, specs.MpolPreferredMany)
		case name != specs.MpolFNumaBalancing && m.Mode == specs.MpolLocal,
			name != specs.MpolFNumaBalancing && m.Mode == specs.MpolPreferred && m.Nodes == "":
			p.add(path, "%s needs a mode with nodes", name)
		}
	}
	return bits
}

// memoryModes are the modes of set_mempolicy(2).
func memoryModes() []named[specs.MemoryPolicyModeType, int32] {
	return []named[specs.MemoryPolicyModeType, int32]{
		{specs.MpolDefault, unix.MPOL_DEFAULT},
		{specs.MpolPreferred, unix.MPOL_PREFERRED},
		{specs.MpolBind, unix.MPOL_BIND},
		{specs.MpolInterleave, unix.MPOL_INTERLEAVE},
		{specs.MpolLocal, unix.MPOL_LOCAL},
		{specs.MpolPreferredMany, unix.MPOL_PREFERRED_MANY},
		{specs.MpolWeightedInterleave, unix.MPOL_WEIGHTED_INTERLEAVE},
	}
}

// memoryFlags are the flags of set_mempolicy(2).
func memoryFlags() []named[specs.MemoryPolicyFlagType, int32] {
	return []named[specs.MemoryPolicyFlagType, int32]{
		{specs.MpolFStaticNodes, unix.MPOL_F_STATIC_NODES},
		{specs.MpolFRelativeNodes, unix.MPOL_F_RELATIVE_NODES},
		{specs.MpolFNumaBalancing, unix.MPOL_F_NUMA_BALANCING},
	}
}
