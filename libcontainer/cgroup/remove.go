package cgroup

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/linux"
)

// removeTimeout is how long Remove waits for killed processes to be gone: the
// exit of one with much memory, or a core dump, takes its time.
const removeTimeout = 10 * time.Second

// ErrPopulated is the cause when processes do not leave the cgroup in time.
var ErrPopulated = errors.New("processes are still in it")

// Remove removes the cgroup with everything below it, once its processes have
// ended; it does not kill them. What is gone already is no error, so that it
// can be called after any failure, and again.
//
// Parents go as well, if Create had to make them and nothing else uses them.
// That cannot hurt another container: a parent in use cannot be removed, and
// Create makes it again if it vanishes under its hands. What a crash leaves
// before the record was stored again after Create is an empty parent.
func (c *Cgroup) Remove() error {
	deadline := time.Now().Add(removeTimeout)
	if c.rec.Driver == Systemd {
		// systemd would wait longer, and say less.
		if u := c.unified(); u != nil {
			if err := u.awaitEmpty(deadline); err != nil {
				return u.busyHint(fault.New("remove cgroup", u.dir(), err))
			}
		}
		if err := c.stopUnit(); err != nil {
			return err
		}
	}
	// v2 first: it says when the last process has left, and a process
	// leaves all its hierarchies at once.
	var first error
	if u := c.unified(); u != nil {
		first = u.remove(deadline)
	}
	for i := range c.rec.Hierarchies {
		h := &c.rec.Hierarchies[i]
		if h.v2() {
			continue
		}
		if err := h.remove(deadline); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Withdraw takes away what Create may have made, for who has never had a process
// in it: whatever is in use is somebody else's, and stays. systemd makes nothing
// before there is a process.
func (c *Cgroup) Withdraw() {
	if c.rec.Driver != Cgroupfs {
		return
	}
	for i := range c.rec.Hierarchies {
		h := &c.rec.Hierarchies[i]
		_ = unix.Rmdir(h.dir())
		h.removeParents()
	}
}

func (h *Hierarchy) remove(deadline time.Time) error {
	err := unix.Rmdir(h.dir())
	if errors.Is(err, unix.EBUSY) {
		err = h.removeBusy(deadline)
	}
	if err != nil && !errors.Is(err, unix.ENOENT) && h.exists() {
		return h.busyHint(fault.New("remove cgroup", h.dir(), err))
	}
	h.removeParents()
	return nil
}

// removeParents removes the parents that Create has made and nobody uses.
func (h *Hierarchy) removeParents() {
	for i, p := range ancestors(h.Path) {
		if i >= h.Made {
			return
		}
		if err := unix.Rmdir(h.Mount + p); err != nil && !errors.Is(err, unix.ENOENT) {
			return // somebody uses it
		}
	}
}

// exists tells a cgroup that cannot be removed from one that is not there: on
// a read-only mount, rmdir(2) fails the same for both.
func (h *Hierarchy) exists() bool {
	return unix.Access(h.dir(), unix.F_OK) != unix.ENOENT
}

func (h *Hierarchy) busyHint(f *fault.Error) *fault.Error {
	if pids, err := procs(h.dir()); err == nil && len(pids) > 0 {
		return f.WithHint("%d process(es) are still in it, the first is %d", len(pids), pids[0])
	}
	return f
}

// removeBusy removes a cgroup that has sub-cgroups or had processes a moment
// ago.
func (h *Hierarchy) removeBusy(deadline time.Time) error {
	for {
		if err := h.awaitEmpty(deadline); err != nil {
			return err
		}
		err := removeTree(h.dir())
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return err
		}
		// Empty, and still busy: the last process has announced its end
		// and is on its way out (since kernel 6.19 it leaves its cgroup
		// at its very last context switch).
		linux.AwaitSchedule()
	}
}

// awaitEmpty blocks until no process is left; the error is ErrPopulated if one
// stays.
func (h *Hierarchy) awaitEmpty(deadline time.Time) error {
	err := h.awaitLast(deadline)
	if errors.Is(err, unix.ETIMEDOUT) {
		return ErrPopulated
	}
	return err
}

func (h *Hierarchy) awaitLast(deadline time.Time) error {
	if h.v2() {
		if err := h.await("populated", 0, deadline); !gone(err) {
			return err
		}
		return nil
	}
	for {
		pids, err := procs(h.dir())
		if err != nil || len(pids) == 0 {
			return err
		}
		if err := awaitExit(pids[0], deadline); err != nil {
			return err
		}
	}
}

// awaitExit blocks until the process has ended.
func awaitExit(pid int, deadline time.Time) error {
	fd, err := linux.OpenProcess(pid)
	if errors.Is(err, unix.ESRCH) && time.Now().Before(deadline) {
		linux.AwaitSchedule() // still listed: it ends right now
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return waitPoll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, deadline)
}

// removeTree removes dir and everything below it, deepest first.
func removeTree(dir string) error {
	err := unix.Rmdir(dir)
	if !errors.Is(err, unix.EBUSY) {
		return ignoreENOENT(err)
	}
	subs, err := children(dir)
	if err != nil {
		return err
	}
	for _, s := range subs {
		if err := removeTree(dir + "/" + s); err != nil {
			return err
		}
	}
	return ignoreENOENT(unix.Rmdir(dir))
}

func ignoreENOENT(err error) error {
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}
