package libcontainer

import (
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/libcontainer/cgroup"
)

// DestroyMode says what to do with a container that has not stopped.
type DestroyMode int

const (
	// IfStopped refuses it.
	IfStopped DestroyMode = iota
	// Force kills all of its processes first.
	Force
)

// Destroy removes the container: its control groups, its directory and, with
// Force, its processes. Then it runs the poststop hooks, whose failures are
// warnings. With Force it cleans up after a creation that was cut off at any
// point. A container that is gone already is ErrNotExist.
//
// It waits for killed processes for at most ten seconds each, for init and for the
// last of the others. The kernel keeps one that waits for what does not answer, as
// a dead server of files: the error names it, and what is left of the container can
// be destroyed when it has been released.
func (c *Container) Destroy(mode DestroyMode) error {
	defer func() { _ = c.dir.Close() }()
	return c.stuck(c.destroy(mode))
}

func (c *Container) destroy(mode DestroyMode) error {
	if err := c.lockToDestroy(mode); err != nil {
		return err
	}
	if c.dir.Removed() {
		return fault.New("delete", c.record.ID, ErrNotExist)
	}
	var err error
	if mode == Force {
		err = c.kill()
	} else {
		err = c.checkStopped()
	}
	if err != nil {
		return err
	}
	return c.remove()
}

// lockToDestroy takes the lock. Somebody who creates or starts the container
// holds it, and lets go of it when the container's processes end.
func (c *Container) lockToDestroy(mode DestroyMode) error {
	locked, err := c.dir.TryLock()
	if err != nil {
		return err
	}
	if !locked && mode == Force {
		err = c.kill()
	} else if !locked {
		err = c.refuseUnlessStopped()
	}
	if err != nil {
		return err
	}
	return c.lock()
}

// lock takes the lock. The record may have been completed since it was read.
func (c *Container) lock() error {
	if err := c.dir.Lock(); err != nil {
		return err
	}
	if !c.record.Creating || c.dir.Removed() {
		return nil
	}
	return c.reload()
}

// reload reads the record again.
func (c *Container) reload() error { return c.load(c.record.ID) }

// checkStopped refuses a container whose init lives, and ends what outlived it: in
// a creation that was cut off, that is init itself, or the stage.
func (c *Container) checkStopped() error {
	if err := c.refuseUnlessStopped(); err != nil {
		return err
	}
	if !c.record.SharesPIDs && !c.record.Creating {
		return nil
	}
	return c.kill()
}

func (c *Container) refuseUnlessStopped() error {
	status, err := c.status()
	if err != nil {
		return err
	}
	if status != specs.StateStopped {
		return fault.Newf("", "", "cannot delete container %s that is not stopped: %s", c.record.ID, status)
	}
	return nil
}

// kill ends all processes of the container and waits for the first of them.
// None is not an error.
func (c *Container) kill() error {
	if err := c.killAll(); err != nil {
		return err
	}
	fd, err := c.pidfd()
	if errors.Is(err, ErrNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := c.signal(fd, unix.SIGKILL); err != nil && !errors.Is(err, ErrNotRunning) {
		return err
	}
	return awaitExit(fd)
}

// errStuck is the cause when what was killed does not end.
var errStuck = errors.New("it was killed, and has not ended")

// stuck says of an error that is for lack of time which process it is that does not
// end, and what can be done about it.
func (c *Container) stuck(err error) error {
	if !errors.Is(err, errStuck) && !errors.Is(err, cgroup.ErrPopulated) {
		return err
	}
	if c.cgroup.FrozenAbove() {
		return fault.New("delete", c.record.ID, err).WithHint("a cgroup above is frozen: thaw it, and delete it again with --force")
	}
	if pid, p, found := c.sleeper(); found {
		return fault.Newf("end", fmt.Sprintf("process %d (%s)", pid, p.Name), "it was killed, and sleeps in the kernel%s", waitsIn(pid)).
			WithHint("what it waits for has to answer, or to be taken away, as a dead filesystem by umount -f; then delete it again with --force")
	}
	return err
}

// exitTimeout is how long a killed process may take to end: one that is frozen
// from above, or sleeps in the kernel, can take for ever.
const exitTimeout = 10 * time.Second

// awaitExit waits until the killed process behind pidfd has exited.
func awaitExit(pidfd int) error {
	deadline := time.Now().Add(exitTimeout)
	for {
		left := max(0, int(time.Until(deadline).Milliseconds()))
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, left)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil && n == 0 {
			return fault.New("wait for", "init", errStuck)
		}
		if err != nil {
			return fault.New("wait for", "init", err)
		}
		return nil
	}
}

// remove undoes what create did, in an order that leaves the record until
// nothing else is left to be found by it.
func (c *Container) remove() error {
	if err := c.unmount(); err != nil {
		return err
	}
	if err := c.removeCgroup(); err != nil {
		return err
	}
	if err := c.resctrl().Remove(); err != nil {
		return err
	}
	if err := c.dir.Remove(); err != nil {
		return err
	}
	c.runPoststop()
	return nil
}

// removeCgroup removes the cgroup, unless it may be somebody else's.
func (c *Container) removeCgroup() error {
	unborn, err := c.unborn()
	if err != nil {
		return err
	}
	if unborn {
		c.cgroup.Withdraw()
		return nil
	}
	return c.cgroup.Remove()
}

// unborn reports whether nothing of the container has been in its cgroup yet: the
// gate is made before that. Whoever is there then was quicker than create, which
// has not found out yet, or was killed before.
func (c *Container) unborn() (bool, error) {
	if !c.record.Creating || c.dir.HasGate() {
		return false, nil
	}
	// A gate that is gone was there if the record says by now that it was made.
	err := c.reload()
	return c.record.Creating, err
}
