package initproc

import (
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/linux"
	"hull/libcontainer/link"
	"hull/libcontainer/plan"
)

// partDescriptors leaves this thread alone with what others listen to for the end
// of init, where the filter may kill this thread and no other: those of the Go
// runtime would keep it open for ever. It takes one of them to close their
// copies, and comes before a limit that could keep it from being made.
func (s *stage) partDescriptors() error {
	if !s.plan.Process.KillsThread {
		return nil
	}
	if err := unix.Unshare(unix.CLONE_FILES); err != nil {
		return fault.New("have descriptors of", "the thread", err)
	}
	listened := []int{s.conn.FD()}
	if s.plan.Kind == plan.Create {
		listened = append(listened, s.gate, s.result)
	}
	closed := make(chan struct{})
	go func() { // on another thread: this one is locked
		defer close(closed)
		for _, fd := range listened {
			unix.Close(fd)
		}
	}()
	<-closed
	return nil
}

// loadNotifyingFilter loads a filter that notifies before the container is
// created, while there is a parent to take the listener. Any other is loaded by
// execute.
func (s *stage) loadNotifyingFilter() error {
	if !s.plan.Process.Notifies {
		return nil
	}
	return s.loadFilter()
}

// loadFilter puts this thread under the seccomp filter, if it is not yet. It
// comes last: a profile has to allow what the program does, and nothing else.
func (s *stage) loadFilter() error {
	filter := s.filter
	if len(filter.Program) == 0 {
		return nil
	}
	if s.kept != 0 {
		if err := s.setOwn(s.caps.Effective | s.kept); err != nil {
			return err
		}
	}
	if s.plan.Process.Notifies {
		// The parent takes the listener while this thread is still in
		// seccomp(2): any other system call may be one that waits for an
		// answer of the agent, which would not have the listener yet.
		if _, err := s.ask(link.Filtering, link.Watched); err != nil {
			return err
		}
	}
	if _, err := linux.SeccompLoad(filter.Program, filter.Flags); err != nil {
		return fault.New("load", "linux.seccomp", err)
	}
	s.filter = link.Filter{}
	return nil
}
