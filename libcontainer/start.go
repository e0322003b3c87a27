package libcontainer

import (
	"errors"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/libcontainer/link"
	"hull/state"
)

// Start runs the program of a created container and returns once it executes:
// after the startContainer hooks, and after the poststart hooks have run. If a
// hook fails, the container is destroyed (runtime.md, "Lifecycle"); if the
// program cannot be executed, it has stopped.
func (c *Container) Start() error {
	return c.start(func() error { return nil })
}

// start is Start, with something to be done before that only whoever starts the
// container may do.
func (c *Container) start(prepare func() error) error {
	if err := c.lock(); err != nil {
		return err
	}
	defer c.dir.Unlock()
	if c.dir.Removed() {
		return fault.New("start", c.record.ID, ErrNotExist)
	}
	if err := c.checkStartable(); err != nil {
		return err
	}
	if err := prepare(); err != nil {
		return err
	}
	outcome, err := c.release()
	if len(outcome) > 0 && outcome[0] != link.Started { // a startContainer hook
		return c.fail(fault.Decode(outcome))
	}
	if err == nil || errors.Is(err, state.ErrInitGone) {
		err = c.executed(outcome)
	}
	if err != nil {
		return c.stop(err)
	}
	c.dir.RemoveGate()
	// The container is started: whoever forces its deletion need not wait for
	// a hook that may never end.
	c.dir.Unlock()
	if err := c.runPoststart(); err != nil {
		return c.fail(err)
	}
	return nil
}

// neverStarted is the error of an init that is gone, with the reason if it shows.
func (c *Container) neverStarted(what string) error {
	err := fault.New("start", c.record.ID, errors.New(what))
	if n, _ := c.cgroup.OOMKills(); n > 0 {
		err.Hint = "by the out-of-memory killer: linux.resources.memory.limit, or a limit above, may be too small"
	}
	return err
}

func (c *Container) checkStartable() error {
	status, err := c.status()
	if err != nil {
		return err
	}
	switch status {
	case specs.StateCreated:
	case specs.StateStopped:
		return c.neverStarted("cannot start a container that has stopped")
	case specs.StateRunning:
		return fault.New("start", c.record.ID, errors.New("cannot start an already running container"))
	default:
		return fault.Newf("start", c.record.ID, "cannot start a container in the %s state", status)
	}
	if !c.record.HasProcess {
		return fault.New("start", c.record.ID, errors.New("process: not in the configuration, so there is nothing to run"))
	}
	return nil
}

// executed returns the error of a program that is not executed, as init reports
// it or does not.
func (c *Container) executed(outcome []byte) error {
	switch {
	case len(outcome) == 0:
		return c.neverStarted("the init process was killed before it executed the program")
	case len(outcome) > 1: // execve(2)
		return fault.Decode(outcome[1:])
	case c.record.Silenced:
		return notExecuted(c.record.PID, c.record.StartTime, c.program)
	}
	return nil
}

// stop ends what is left of a container whose program is not executed, for cause:
// under a seccomp filter init may have been unable to end, or only in part.
func (c *Container) stop(cause error) error {
	if err := c.kill(); err != nil {
		c.runtime.warn(err)
	}
	return cause
}

// fail destroys the container for cause, unless somebody else has.
func (c *Container) fail(cause error) error {
	if err := c.dir.Lock(); err != nil || c.dir.Removed() {
		return cause
	}
	if err := c.kill(); err != nil {
		c.runtime.warn(err)
	}
	if err := c.remove(); err != nil {
		c.runtime.warn(err)
	}
	return cause
}

// program returns process.args[0].
func (c *Container) program() string {
	s, err := c.Config()
	if err != nil || s.Process == nil || len(s.Process.Args) == 0 {
		return ""
	}
	return s.Process.Args[0]
}

// release opens the gate and waits for what comes of it (see link.Started). It
// needs no time limit: init either reports or dies, and both end the wait.
func (c *Container) release() ([]byte, error) {
	result, err := c.dir.Open()
	if err != nil {
		return nil, err
	}
	defer unix.Close(result)
	outcome, err := readToEnd(result)
	if err != nil {
		return nil, fault.New("start", c.record.ID, err)
	}
	return outcome, nil
}

// readToEnd reads a fifo that is open without blocking until all its writers
// are gone.
func readToEnd(fd int) ([]byte, error) {
	var out []byte
	buf := make([]byte, 4096)
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		n, err := unix.Read(fd, buf)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, err
		case n == 0:
			return out, nil
		}
		out = append(out, buf[:n]...)
	}
}
