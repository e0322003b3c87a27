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
// runtime would keep it open for ever. It takes one of them to close their copies.
func (s *stage) partDescriptors() error {
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

// startMessenger starts what sends the listener of the filter to the parent, on a
// thread that is not under it. This thread waits meanwhile, but not in a system
// call: any may be one that waits for an answer of the agent, which would not have
// the listener yet.
func (s *stage) startMessenger() (err error) {
	if s.barrier, err = linux.NewBarrier(); err != nil {
		return link.NoBarrier(err)
	}
	if len(s.plan.Process.Limits) > 0 {
		if s.limited, err = linux.NewBarrier(); err != nil {
			return link.NoBarrier(err)
		}
	}
	own, err := s.conn.Another()
	if err != nil {
		return err
	}
	runtime.GOMAXPROCS(2) // Barrier.Pass keeps one
	ready := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		close(ready)
		if err := s.deliverListener(own); err != nil {
			_ = s.conn.At(own).Send(link.Message{Kind: link.Failed, Payload: fault.Encode(err)})
			os.Exit(initFailed) //nolint:forbidigo // this process is init and nothing else
		}
		if err := s.limitThread(); err != nil {
			s.report(err)
			os.Exit(initFailed) //nolint:forbidigo // as above
		}
	}()
	<-ready
	// Whoever runs the scheduler meanwhile is on a third thread, the one that the
	// runtime wants when the messenger waits in a system call: later a limit could
	// keep it from being made.
	runtime.Gosched()
	return nil
}

// deliverListener has the first thread wait until the agent has the listener.
func (s *stage) deliverListener(own int) error {
	if err := s.barrier.Await(); err != nil {
		return err
	}
	if err := s.sendListener(own); err != nil {
		return err
	}
	return s.barrier.Lift()
}

// limitThread sets the limits once the first thread is about to execute the program:
// they are those of the process, not of a thread.
func (s *stage) limitThread() error {
	if s.limited == nil {
		return nil
	}
	if err := s.limited.Await(); err != nil {
		return err
	}
	if err := s.setLimits(); err != nil {
		return err
	}
	return s.limited.Lift()
}

// sendListener hands the listener over, by a descriptor of the link that it closes,
// and waits until the agent has it. The first thread may have descriptors of its
// own.
func (s *stage) sendListener(end int) error {
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
	conn := s.conn.At(end)
	if _, err := askOn(conn, link.Message{Kind: link.Listener, Files: []int{listener}}, link.Listened); err != nil {
		return err
	}
	return conn.Close()
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
