package cgroup

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/linux"
)

// FreezerState is whether the processes of a cgroup may run.
type FreezerState int

const (
	// Thawed processes run, or there are none.
	Thawed FreezerState = iota
	// Frozen processes are stopped by this cgroup, or about to be.
	Frozen
)

// freezeTimeout is how long Freeze waits for a process that the kernel cannot
// stop at once: one in an uninterruptible sleep, as on a dead NFS server.
const freezeTimeout = 10 * time.Second

// State reads the container's own freezer; a frozen ancestor does not count.
// It costs one file. A cgroup that does not exist is Thawed.
func (c *Cgroup) State() (FreezerState, error) {
	h := c.core()
	if h == nil {
		return Thawed, nil
	}
	file := h.dir() + "/cgroup.freeze"
	if !h.v2() {
		file = h.dir() + "/freezer.self_freezing"
	}
	v, err := readFile(file)
	if err != nil {
		return Thawed, ignoreGone("read", file, err)
	}
	if strings.TrimSpace(v) == "1" {
		return Frozen, nil
	}
	return Thawed, nil
}

// FrozenAbove reports whether a cgroup above keeps the processes from running:
// Thaw does not help then.
func (c *Cgroup) FrozenAbove() bool {
	h := c.core()
	if h == nil {
		return false
	}
	if !h.v2() {
		v, err := readFile(h.dir() + "/freezer.parent_freezing")
		return err == nil && strings.TrimSpace(v) == "1"
	}
	events, err := readFile(h.dir() + "/cgroup.events")
	if err != nil || value(events, "frozen") != 1 {
		return false
	}
	state, err := c.State()
	return err == nil && state == Thawed
}

// Freeze stops every process in the cgroup and below it, and returns when they
// are stopped. When that takes more than ten seconds, it thaws them and
// returns an error.
func (c *Cgroup) Freeze() error {
	h, err := c.freezer()
	if err != nil {
		return err
	}
	freeze := h.freezeV1
	if h.v2() {
		freeze = h.freezeV2
	}
	if err := freeze(time.Now().Add(freezeTimeout)); err != nil {
		_ = h.thaw() // half frozen is worse than either
		return fault.New("freeze cgroup", h.dir(), err)
	}
	return nil
}

// Thaw lets the processes run again.
func (c *Cgroup) Thaw() error {
	h, err := c.freezer()
	if err != nil {
		return err
	}
	return ignoreGone("thaw cgroup", h.dir(), h.thaw())
}

func (c *Cgroup) freezer() (*Hierarchy, error) {
	h := c.core()
	if h == nil {
		return nil, fault.New("freeze", "the cgroup", ErrNoCgroup)
	}
	if !h.v2() && !hasField(h.Controllers, "freezer") {
		return nil, fault.Newf("freeze cgroup", h.dir(), "no freezer hierarchy is mounted")
	}
	return h, nil
}

func (h *Hierarchy) thaw() error {
	if h.v2() {
		return writeFile(h.dir()+"/cgroup.freeze", "0")
	}
	return writeFile(h.dir()+"/freezer.state", "THAWED")
}

// freezeV2 asks, and waits for the kernel's word that all have stopped.
func (h *Hierarchy) freezeV2(deadline time.Time) error {
	if err := writeFile(h.dir()+"/cgroup.freeze", "1"); err != nil {
		return err
	}
	return h.await("frozen", 1, deadline)
}

// await blocks until a key of cgroup.events has the value. The kernel notifies
// a poller of each change (cgroup-v2.rst, "cgroup.events").
func (h *Hierarchy) await(key string, want uint64, deadline time.Time) error {
	fd, err := openFile(h.dir()+"/cgroup.events", unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for {
		content, err := readAll(fd)
		if err != nil {
			return err
		}
		if value(content, key) == want {
			return nil
		}
		if err := waitPoll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}}, deadline); err != nil {
			return err
		}
	}
}

// waitPoll blocks until one of fds is ready, and returns ETIMEDOUT when the
// deadline comes first.
func waitPoll(fds []unix.PollFd, deadline time.Time) error {
	return retry(func() error {
		left := time.Until(deadline)
		if left <= 0 {
			return unix.ETIMEDOUT
		}
		n, err := unix.Poll(fds, int(left.Milliseconds())+1)
		if err == nil && n == 0 {
			return unix.ETIMEDOUT
		}
		return err
	})
}

// freezeV1 asks until the state is FROZEN. v1 has no notification, and it can
// stay FREEZING while processes enter, so the demand is repeated. Between two
// tries the process blocks until every CPU has gone through the scheduler:
// what runs on them has then met the freezer, unless it is in the kernel.
func (h *Hierarchy) freezeV1(deadline time.Time) error {
	file := h.dir() + "/freezer.state"
	for {
		if err := writeFile(file, "FROZEN"); err != nil {
			return err
		}
		state, err := readFile(file)
		if err != nil {
			return err
		}
		if strings.TrimSpace(state) == "FROZEN" {
			return nil
		}
		if time.Now().After(deadline) {
			return unix.ETIMEDOUT
		}
		linux.AwaitSchedule()
	}
}
