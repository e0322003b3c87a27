package libcontainer

import (
	"errors"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/linux"
	"hull/libcontainer/cgroup"
	"hull/spec"
	"hull/state"
)

// StatusPaused is the one status that hull adds to those of the runtime
// specification: the processes of the container are frozen.
const StatusPaused specs.ContainerState = "paused"

// Container is a container that exists, in any status. Its methods ask the
// kernel anew each time; another program may delete it in between, and then
// they return ErrNotExist. It is not safe for concurrent use.
type Container struct {
	runtime *Runtime
	dir     *state.Dir
	record  *state.Record
	cgroup  *cgroup.Cgroup
	// unrecorded says that there is no record: not yet, or not any more.
	unrecorded bool
	// init is our own child, if this value came from Create.
	init *Process
}

// Close gives back the descriptor that the value holds. The container itself
// stays as it is.
func (c *Container) Close() error { return c.dir.Close() }

// ID returns the container's ID.
func (c *Container) ID() string { return c.record.ID }

// Bundle returns the absolute path of the bundle.
func (c *Container) Bundle() string { return c.record.Bundle }

// Rootfs returns the absolute path of the root filesystem.
func (c *Container) Rootfs() string { return c.record.Rootfs }

// Created returns when the container was created.
func (c *Container) Created() time.Time { return c.record.Created }

// Owner returns the user who created the container.
func (c *Container) Owner() int { return c.record.Owner }

// Init returns the container's first process if this value came from Create,
// and nil if it came from Load: only its parent can wait for it.
func (c *Container) Init() *Process { return c.init }

// Config returns the configuration as it was when the container was created.
func (c *Container) Config() (*specs.Spec, error) {
	b, err := c.dir.LoadConfig()
	if err != nil {
		return nil, err
	}
	return spec.Decode(b)
}

// State returns the state of the container as the runtime specification has
// it (runtime.md, "State").
func (c *Container) State() (*specs.State, error) {
	status, err := c.status()
	if err != nil {
		return nil, err
	}
	return c.stateAs(status, c.record.PID), nil
}

// stateAs returns the state with a given status, as a hook sees it. There is no
// pid in a container that has stopped.
func (c *Container) stateAs(status specs.ContainerState, pid int) *specs.State {
	if status == specs.StateStopped {
		pid = 0
	}
	return &specs.State{
		Version:     c.record.OCIVersion,
		ID:          c.record.ID,
		Status:      status,
		Pid:         pid,
		Bundle:      c.record.Bundle,
		Annotations: c.record.Annotations,
	}
}

// status derives the container's status from the kernel. Nothing of it is
// stored: what is stored cannot go stale.
func (c *Container) status() (specs.ContainerState, error) {
	if c.record.Creating {
		status, err := c.statusOfCreation()
		if status != "" || err != nil {
			return status, err
		}
	}
	p, err := linux.Stat(c.record.PID)
	if errors.Is(err, linux.ErrNoProcess) {
		return specs.StateStopped, nil
	}
	if err != nil {
		return "", fault.New("read state of", c.record.ID, err)
	}
	if !p.Alive() || p.StartTime != c.record.StartTime {
		return specs.StateStopped, nil
	}
	frozen, err := c.cgroup.State()
	if err != nil {
		return "", err
	}
	switch {
	case frozen == cgroup.Frozen:
		return StatusPaused, nil
	case !p.Executed() && c.dir.HasGate():
		return specs.StateCreated, nil
	}
	return specs.StateRunning, nil
}

// statusOfCreation is the status of what its record does not call created, or "" if
// it has become that since the record was read.
func (c *Container) statusOfCreation() (specs.ContainerState, error) {
	// Create holds the lock until it is done or dead.
	locked := c.dir.Locked()
	if locked && !c.unrecorded {
		return specs.StateCreating, nil
	}
	if err := c.reload(); err != nil {
		return "", err
	}
	switch {
	case !c.record.Creating:
		return "", nil
	case c.unrecorded && !c.dir.Held():
		// Create has had no effect yet, or delete is at its end. Or either was
		// killed there: the name is in use then, until somebody deletes it.
		return "", fault.New("load", c.record.ID, ErrNotExist)
	case locked:
		return specs.StateCreating, nil
	}
	return specs.StateStopped, nil
}

// pidfd returns a descriptor of the init process; the error is ErrNotRunning if
// it has exited. The pid cannot have become another process's: the start time
// is checked after the descriptor holds it.
func (c *Container) pidfd() (int, error) {
	notRunning := fault.New("use", c.record.ID, ErrNotRunning)
	if c.record.PID == 0 {
		return -1, notRunning
	}
	fd, err := linux.OpenProcess(c.record.PID)
	if errors.Is(err, unix.ESRCH) {
		return -1, notRunning
	}
	if err != nil {
		return -1, fault.New("open the init process of", c.record.ID, err)
	}
	p, err := linux.Stat(c.record.PID)
	if err != nil || !p.Alive() || p.StartTime != c.record.StartTime {
		unix.Close(fd)
		return -1, notRunning
	}
	return fd, nil
}

// Signal sends sig to the container's init process; the error is ErrNotRunning
// unless the container is created, running or paused. SIGKILL to a container
// without a pid namespace of its own goes to all of its processes.
func (c *Container) Signal(sig unix.Signal) error {
	status, err := c.status()
	if err != nil {
		return err
	}
	if status == specs.StateCreating || status == specs.StateStopped {
		return fault.New("signal", c.record.ID, ErrNotRunning)
	}
	fd, err := c.pidfd()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if sig == unix.SIGKILL && c.record.SharesPIDs {
		if err := c.killAll(); err != nil || c.hasCgroup() {
			return err
		}
	}
	if err := c.signal(fd, sig); err != nil {
		return err
	}
	if status == StatusPaused && sig == unix.SIGKILL {
		// A frozen process of cgroup v1 dies when it is thawed.
		return c.cgroup.Thaw()
	}
	return nil
}

// SignalAll is Signal for who wants no process to be missed, as an engine does when
// init has ended: of a container that has stopped, SIGKILL ends the processes that
// no pid namespace has ended with init. That none is left is not an error.
func (c *Container) SignalAll(sig unix.Signal) error {
	err := c.Signal(sig)
	if !errors.Is(err, ErrNotRunning) {
		return err
	}
	status, err := c.status()
	if err != nil || status != specs.StateStopped || sig != unix.SIGKILL || !c.record.SharesPIDs {
		return err
	}
	return c.killAll()
}

func (c *Container) signal(pidfd int, sig unix.Signal) error {
	err := unix.PidfdSendSignal(pidfd, sig, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return fault.New("signal", c.record.ID, ErrNotRunning)
	}
	if err != nil {
		return fault.New("signal", c.record.ID, err)
	}
	return nil
}

// Pause freezes all processes of a running or created container. One that sleeps
// in the kernel cannot be frozen: after ten seconds all run again, and the error
// names it.
func (c *Container) Pause() error {
	status, err := c.status()
	if err != nil {
		return err
	}
	if status != specs.StateRunning && status != specs.StateCreated {
		return fault.Newf("pause", c.record.ID, "container not running or created: %s", status)
	}
	err = c.cgroup.Freeze()
	if !errors.Is(err, unix.ETIMEDOUT) {
		return err
	}
	if pid, p, found := c.sleeper(); found {
		return fault.Newf("pause", c.record.ID, "process %d (%s) sleeps in the kernel%s: %w", pid, p.Name, waitsIn(pid), err)
	}
	return err
}

// Resume thaws a paused container.
func (c *Container) Resume() error {
	status, err := c.status()
	if err != nil {
		return err
	}
	if status != StatusPaused {
		return fault.Newf("resume", c.record.ID, "container not paused: %s", status)
	}
	return c.cgroup.Thaw()
}
