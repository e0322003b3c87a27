package libcontainer

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// Process is a process of a container that is a child of the calling program.
type Process struct {
	pid     int
	console *os.File
}

// Pid returns its pid in the caller's pid namespace.
func (p *Process) Pid() int { return p.pid }

// Console returns the master of its pseudo-terminal, if it has one that was not
// sent to a console socket, else nil. The caller closes it.
func (p *Process) Console() *os.File { return p.console }

// Signal sends sig; the error is ErrNotRunning if it has been waited for. The
// pid cannot be another's before that.
func (p *Process) Signal(sig unix.Signal) error {
	err := unix.Kill(p.pid, sig)
	if errors.Is(err, unix.ESRCH) {
		return fault.New("signal", "process", ErrNotRunning)
	}
	if err != nil {
		return fault.New("signal", "process", err)
	}
	return nil
}

// Wait waits until the process has exited and reaps it. It may be called once.
func (p *Process) Wait() (ExitStatus, error) {
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(p.pid, &status, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return ExitStatus{}, fault.New("wait for", "process", err)
		}
		if status.Signaled() {
			return ExitStatus{Signal: status.Signal()}, nil
		}
		return ExitStatus{Code: status.ExitStatus()}, nil
	}
}

// ExitStatus is how a process ended.
type ExitStatus struct {
	// Code is its exit status, if Signal is 0.
	Code int
	// Signal is what killed it.
	Signal unix.Signal
}

// Shell returns the status as a shell has it: 128 plus the signal's number for
// a process that was killed.
func (s ExitStatus) Shell() int {
	if s.Signal != 0 {
		return 128 + int(s.Signal)
	}
	return s.Code
}
