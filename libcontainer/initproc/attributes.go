package initproc

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/linux"
	"hull/libcontainer/plan"
	"hull/nsenter"
)

// setScheduling applies what the program inherits as a matter of the
// scheduler, the block layer and the memory manager.
func (s *stage) setScheduling() error {
	p := &s.plan.Process
	// Before the policy: SCHED_DEADLINE takes all CPUs.
	if err := s.setAffinity(); err != nil {
		return err
	}
	if err := setScheduler(p.Scheduler); err != nil {
		return err
	}
	if p.IOPriority >= 0 {
		if err := linux.SetIOPriority(int(p.IOPriority)); err != nil {
			return fault.New("set", "process.ioPriority", err).
				WithHint("IOPRIO_CLASS_RT takes CAP_SYS_ADMIN or CAP_SYS_NICE on the host")
		}
	}
	if p.Personality >= 0 {
		if err := linux.SetPersonality(uint(p.Personality)); err != nil {
			return fault.New("set", "linux.personality", err)
		}
	}
	if p.MemoryPolicy.Mode >= 0 {
		if err := linux.SetMemoryPolicy(int(p.MemoryPolicy.Mode), p.MemoryPolicy.Nodes); err != nil {
			return memoryPolicyFailure(err)
		}
	}
	return nil
}

// setAffinity undoes what hull's caller was held to, a unit with CPUAffinity=
// for one. Entering a cpuset did that until Linux 6.2, which remembers what was
// asked for (commit da019032819a, "sched: Enforce user requested affinity").
func (s *stage) setAffinity() error {
	switch a := &s.plan.Process.Affinity; a.Policy {
	case plan.ChosenCPUs:
		if err := linux.SetAffinity(0, a.CPUs); err != nil {
			return fault.New("set", "process.execCPUAffinity.final", err).
				WithHint("one of the CPUs must be online and in the container's cpuset")
		}
	case plan.WholeCpuset:
		// A sandbox around hull may forbid it, and a container works without.
		if err := linux.AllowAllCPUs(); err != nil {
			s.note(fault.New("leave", "the CPU affinity of the caller", err))
		}
	case plan.InheritedCPUs:
	}
	return nil
}

func setScheduler(s plan.Scheduler) error {
	if len(s.Attr) == 0 {
		return nil
	}
	if err := linux.SetScheduler(s.Attr); err != nil {
		return schedulerFailure(s.Attr, err)
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

// schedulerFailure says what the kernel wants of a policy (sched(7),
// kernel/sched/syscalls.c).
func schedulerFailure(attr []byte, cause error) error {
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

// restoreFileLimit undoes what the Go runtime does at its start, which is to
// raise the soft limit of open files; the parent sets the configured limits
// after this.
func (s *stage) restoreFileLimit() error {
	soft, hard := nsenter.FileLimit()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: soft, Max: hard}); err != nil {
		return fault.New("restore", "RLIMIT_NOFILE", err)
	}
	return nil
}
