// Package schedule gives the calling thread what its program shall inherit as a
// matter of the scheduler, the block layer and the memory manager, and explains
// the kernel's refusals.
//
// Init does it in earnest, and a check on a thread that ends with it: both say
// the same. It decides nothing; the plan has the numbers.
package schedule

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/linux"
	"hull/libcontainer/plan"
)

// Steps are what there is to set, in order. What the plan leaves out is left as
// it is.
func Steps() []func(*plan.Process) error {
	return []func(*plan.Process) error{setScheduler, setIOPriority, setPersonality, setMemoryPolicy}
}

func setScheduler(p *plan.Process) error {
	s := &p.Scheduler
	if len(s.Attr) == 0 {
		return nil
	}
	if err := linux.SetScheduler(s.Attr); err != nil {
		return Refused(s.Attr, err)
	}
	if s.Nice == plan.KeepNice {
		return nil
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, int(s.Nice)); err != nil {
		return fault.New("set", "process.scheduler.nice", err).WithHint(hintNice)
	}
	return nil
}

const hintNice = "a nice value below the caller's takes CAP_SYS_NICE on the host"

// Refused is the error of a scheduler that the kernel refuses; it says what the
// kernel wants of the policy (sched(7), kernel/sched/syscalls.c).
func Refused(attr []byte, cause error) error {
	policies := [...]string{
		unix.SCHED_NORMAL: "SCHED_OTHER", unix.SCHED_FIFO: "SCHED_FIFO", unix.SCHED_RR: "SCHED_RR",
		unix.SCHED_BATCH: "SCHED_BATCH", schedISO: "SCHED_ISO", unix.SCHED_IDLE: "SCHED_IDLE",
		unix.SCHED_DEADLINE: "SCHED_DEADLINE",
	}
	policy := binary.NativeEndian.Uint32(attr[4:])
	failed := fault.New("set process.scheduler to", policies[policy], cause)
	switch {
	case errors.Is(cause, unix.EOPNOTSUPP):
		failed.Hint = "utilisation clamps take a kernel with CONFIG_UCLAMP_TASK"
	case policy == schedISO:
		failed.Hint = "the name is reserved, and no kernel implements it"
	case policy == unix.SCHED_DEADLINE:
		failed.Hint = deadlineHint(cause)
	case errors.Is(cause, unix.EINVAL):
		failed.Hint = "policy, priority and flags do not go together in this kernel"
	case policy == unix.SCHED_FIFO || policy == unix.SCHED_RR:
		failed.Hint = "real time takes CAP_SYS_NICE on the host and, on cgroup v1, linux.resources.cpu.realtimeRuntime above 0, in the cgroups above as well"
	default:
		failed.Hint = hintNice
	}
	return failed
}

// schedISO is reserved in <linux/sched.h>.
const schedISO = 4

func deadlineHint(cause error) string {
	switch {
	case errors.Is(cause, unix.EBUSY):
		return "the CPUs have no such bandwidth left: lower runtime or raise period"
	case errors.Is(cause, unix.EINVAL):
		return "runtime is at least 1024 ns, and period within /proc/sys/kernel/sched_deadline_period_min_us and sched_deadline_period_max_us"
	}
	return "it takes CAP_SYS_NICE on the host and all CPUs of the scheduling domain: leave linux.resources.cpu.cpus out, or make the cpuset an exclusive one"
}

func setIOPriority(p *plan.Process) error {
	if p.IOPriority < 0 {
		return nil
	}
	if err := linux.SetIOPriority(int(p.IOPriority)); err != nil {
		return fault.New("set", "process.ioPriority", err).
			WithHint("IOPRIO_CLASS_RT takes CAP_SYS_ADMIN or CAP_SYS_NICE on the host")
	}
	return nil
}

func setPersonality(p *plan.Process) error {
	if p.Personality < 0 {
		return nil
	}
	if err := linux.SetPersonality(uint(p.Personality)); err != nil {
		return fault.New("set", "linux.personality", err)
	}
	return nil
}

func setMemoryPolicy(p *plan.Process) error {
	if p.MemoryPolicy.Mode < 0 {
		return nil
	}
	err := linux.SetMemoryPolicy(int(p.MemoryPolicy.Mode), p.MemoryPolicy.Nodes)
	if err == nil {
		return nil
	}
	failed := fault.New("set", "linux.memoryPolicy", err)
	switch {
	case errors.Is(err, unix.EINVAL):
		failed.Hint = "one of the nodes must have memory and be in the container's cpuset.mems, and this kernel must know the mode and let it have the flags"
	case errors.Is(err, unix.ENOSYS):
		failed.Hint = "the kernel lacks CONFIG_NUMA"
	}
	return failed
}
