package initproc

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/linux"
	"hull/libcontainer/link"
	"hull/libcontainer/plan"
)

// prepareFilter makes what some filters take besides this thread. It comes before
// a limit that could keep a thread from being made.
func (s *stage) prepareFilter() error {
	if s.plan.Process.Notifies {
		if err := s.startMessenger(); err != nil {
			return err
		}
	}
	if s.plan.Process.KillsThread {
		return s.partDescriptors()
	}
	return nil
}

// partDescriptors leaves this thread alone with what others listen to for the end
// of init, where the filter may kill this thread and no other: those of the Go
// runtime would keep it open for ever. It takes one of them to close their
// copies; that of the link is left to the messenger.
func (s *stage) partDescriptors() error {
	if err := unix.Unshare(unix.CLONE_FILES); err != nil {
		return fault.New("have descriptors of", "the thread", err)
	}
	var listened []int
	if !s.plan.Process.Notifies {
		listened = append(listened, s.conn.FD())
	}
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

// startMessenger starts what sends the listener of the filter to the parent, on a
// thread that is not under it. This thread waits meanwhile, but not in a system
// call: any may be one that waits for an answer of the agent, which would not have
// the listener yet.
func (s *stage) startMessenger() error {
	barrier, err := linux.NewBarrier()
	if err != nil {
		return link.NoBarrier(err)
	}
	s.barrier = barrier
	runtime.GOMAXPROCS(2) // Barrier.Pass keeps one
	ready := make(chan struct{})
	go func() {
		close(ready)
		err := barrier.Await()
		if err == nil {
			err = s.sendListener()
		}
		if err == nil {
			err = barrier.Lift()
		}
		if err != nil {
			s.report(err)
			os.Exit(initFailed) //nolint:forbidigo // this process is init and nothing else
		}
	}()
	<-ready
	return nil
}

// sendListener hands the listener over and waits until the agent has it. The first
// thread may have descriptors of its own.
func (s *stage) sendListener() error {
	init, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return fault.New("find", "the seccomp listener", err)
	}
	defer unix.Close(init)
	listener, err := unix.PidfdGetfd(init, s.listener, 0)
	if err != nil {
		return fault.New("find", "the seccomp listener", err)
	}
	defer unix.Close(listener)
	if _, err := s.ask(link.Listener, link.Listened, listener); err != nil {
		return err
	}
	if s.plan.Process.KillsThread {
		unix.Close(s.conn.FD())
	}
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
	listener, err := linux.SeccompLoad(filter.Program, filter.Flags)
	if err != nil {
		return fault.New("load", "linux.seccomp", err)
	}
	s.filter = link.Filter{}
	if s.plan.Process.Notifies {
		s.listener = listener
		s.barrier.Pass()
	}
	return nil
}
