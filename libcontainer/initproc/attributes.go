package initproc

import (
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/linux"
	"hull/nsenter"
)

// setScheduling applies what the program inherits as a matter of the
// scheduler, the block layer and the memory manager.
func (s *stage) setScheduling() error {
	p := &s.plan.Process
	if len(p.Scheduler) > 0 {
		if err := linux.SetScheduler(p.Scheduler); err != nil {
			return fault.New("set", "process.scheduler", err).
				WithHint("real-time policies take CAP_SYS_NICE, and on cgroup v1 a cpu.rt_runtime_us")
		}
	}
	if p.IOPriority >= 0 {
		if err := linux.SetIOPriority(int(p.IOPriority)); err != nil {
			return fault.New("set", "process.ioPriority", err)
		}
	}
	if p.Personality >= 0 {
		if err := linux.SetPersonality(uint(p.Personality)); err != nil {
			return fault.New("set", "linux.personality", err)
		}
	}
	if len(p.Affinity) > 0 {
		if err := linux.SetAffinity(0, p.Affinity); err != nil {
			return fault.New("set", "process.execCPUAffinity", err).WithHint("the CPUs must be online and in the container's cpuset")
		}
	}
	if p.MemoryPolicy.Mode >= 0 {
		if err := linux.SetMemoryPolicy(int(p.MemoryPolicy.Mode), p.MemoryPolicy.Nodes); err != nil {
			return fault.New("set", "linux.memoryPolicy", err)
		}
	}
	return nil
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
