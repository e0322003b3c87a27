package initproc

import (
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/linux"
	"hull/libcontainer/plan"
	"hull/libcontainer/schedule"
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
	if failed := schedule.Apply(p); len(failed) > 0 {
		return failed[0]
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

// setLimits comes in the last moment (see plan.Limit), and does nothing that takes
// memory.
func (s *stage) setLimits() error {
	limits := s.plan.Process.Limits
	for i := range limits {
		l := &limits[i]
		if err := linux.SetLimit(l.Resource, l.Soft, l.Hard); err != nil {
			return fault.New("set", l.Name, err)
		}
	}
	return nil
}

// restoreFileLimit undoes what the Go runtime does at its start, which is to
// raise the soft limit of open files; a configured one is set after this.
func (s *stage) restoreFileLimit() error {
	soft, hard := nsenter.FileLimit()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: soft, Max: hard}); err != nil {
		return fault.New("restore", "RLIMIT_NOFILE", err)
	}
	return nil
}
