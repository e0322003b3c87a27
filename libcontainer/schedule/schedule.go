// Package schedule gives the calling thread what a program inherits as a matter
// of the scheduler, the block layer and the memory manager: process.scheduler,
// process.ioPriority, linux.personality and linux.memoryPolicy.
//
// The init stage does it to itself; a thread that ends with it finds out
// beforehand what the kernel would refuse. On which CPUs the program runs is not
// its matter.
package schedule

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/linux"
	"hull/libcontainer/plan"
)

// Apply sets what p has of these, and returns what the kernel refused, each error
// with the name of its property and what it takes.
func Apply(p *plan.Process) (refused []error) {
	for _, err := range []error{
		setScheduler(p.Scheduler),
		setIOPriority(p.IOPriority),
		setPersonality(p.Personality),
		setMemoryPolicy(&p.MemoryPolicy),
	} {
		if err != nil {
			refused = append(refused, err)
		}
	}
	return refused
}

func setIOPriority(priority int32) error {
	if priority < 0 {
		return nil
	}
	if err := linux.SetIOPriority(int(priority)); err != nil {
		return fault.New("set", "process.ioPriority", err).
			WithHint("IOPRIO_CLASS_RT takes CAP_SYS_ADMIN or CAP_SYS_NICE on the host")
	}
	return nil
}

func setPersonality(persona int64) error {
	if persona < 0 {
		return nil
	}
	if err := linux.SetPersonality(uint(persona)); err != nil {
		return fault.New("set", "linux.personality", err)
	}
	return nil
}

func setMemoryPolicy(m *plan.MemoryPolicy) error {
	if m.Mode < 0 {
		return nil
	}
	if err := linux.SetMemoryPolicy(int(m.Mode), m.Nodes); err != nil {
		return memoryPolicyFailure(err)
	}
	return nil
}

func setScheduler(s plan.Scheduler) error {
	if len(s.Attr) == 0 {
		return nil
	}
	if err := linux.SetScheduler(s.Attr); err != nil {
		return Failure(s.Attr, err)
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

// Failure is the error of a scheduler that the kernel refuses with cause. It says what
// the kernel wants of the policy (sched(7), kernel/sched/syscalls.c). Attr is the
// struct sched_attr.
func Failure(attr []byte, cause error) error {
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

func memoryPolicyFailure(cause error) error {
	failed := fault.New("set", "linux.memoryPolicy", cause)
	switch {
	case errors.Is(cause, unix.EINVAL):
		failed.Hint = "one of the nodes must have memory and be in the container's cpuset.mems, and this kernel must know the mode and let it have the flags"
	case errors.Is(cause, unix.ENOSYS):
		failed.Hint = "the kernel lacks CONFIG_NUMA"
	}
	return failed
}
