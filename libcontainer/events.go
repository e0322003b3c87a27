package libcontainer

import (
	"errors"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/libcontainer/cgroup"
	"hull/libcontainer/rdt"
)

// Stats is what a container has used and is using.
type Stats struct {
	// Stats is what control groups account for.
	cgroup.Stats
	// RDT is what resctrl knows; nil if the container has no class there.
	RDT *rdt.Stats
	// Interfaces are those of the container's own network namespace, without
	// the loopback device.
	Interfaces []Interface
}

// Parts of Stats that have a name of their own.
type (
	// Pressure is the share of time in which tasks waited for a resource.
	Pressure = cgroup.Pressure
	// IOEntry is one counter of one block device.
	IOEntry = cgroup.IOEntry
	// RDTStats is what a container has of caches and memory bandwidth.
	RDTStats = rdt.Stats
)

// Stats returns what the container has used and is using.
func (c *Container) Stats() (*Stats, error) {
	used, err := c.cgroup.Stats()
	if err != nil {
		return nil, err
	}
	return &Stats{*used, c.resctrl().Stats(), c.interfaces()}, nil
}

// LiveStats is Stats of a container that has not stopped: else the error is
// ErrNotRunning.
func (c *Container) LiveStats() (*Stats, error) {
	pidfd, err := c.watchable()
	if err != nil {
		return nil, err
	}
	unix.Close(pidfd)
	return c.Stats()
}

// EventKind is what an Event is about.
type EventKind int

const (
	// StatsEvent is the time for Stats.
	StatsEvent EventKind = iota
	// OOMEvent is that the container has run out of memory.
	OOMEvent
)

// Event is what Watch tells.
type Event struct {
	Kind EventKind
	// Stats belong to a StatsEvent.
	Stats *Stats
}

// Watch tells what the container uses, each time the interval is over, and when
// it runs out of memory, until it stops or tell returns an error. The error is
// ErrNotRunning if it does not run.
func (c *Container) Watch(interval time.Duration, tell func(Event) error) error {
	pidfd, err := c.watchable()
	if err != nil {
		return err
	}
	defer unix.Close(pidfd)
	oom, err := c.cgroup.WatchOOM()
	if err != nil {
		return err
	}
	defer oom.Close()
	for next := time.Now().Add(interval); ; {
		ended, err := awaitEvent(pidfd, oom, next)
		if err != nil {
			return err
		}
		// Who was killed for lack of memory has ended afterwards.
		if err := tellOOM(oom, tell); err != nil || ended {
			return err
		}
		if time.Now().Before(next) {
			continue
		}
		next = next.Add(interval)
		if err := c.tellStats(pidfd, tell); err != nil {
			return err
		}
	}
}

// watchable returns a handle of the init process of a container that has not
// stopped.
func (c *Container) watchable() (int, error) {
	status, err := c.status()
	if err != nil {
		return -1, err
	}
	if status == specs.StateStopped || status == specs.StateCreating {
		return -1, fault.New("watch", c.record.ID, ErrNotRunning)
	}
	return c.pidfd()
}

// awaitEvent waits for the end of the process, for something about memory, or
// for a point in time.
func awaitEvent(pidfd int, oom *cgroup.OOMWatch, until time.Time) (ended bool, err error) {
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}, oom.Poll()}
	left := max(0, time.Until(until))
	timeout := unix.NsecToTimespec(left.Nanoseconds())
	_, err = unix.Ppoll(fds, &timeout, nil)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return false, fault.New("wait for", "events", err)
	}
	return err == nil && fds[0].Revents != 0, nil
}

func tellOOM(oom *cgroup.OOMWatch, tell func(Event) error) error {
	fired, err := oom.Fired()
	if err != nil || !fired {
		return err
	}
	return tell(Event{Kind: OOMEvent})
}

// tellStats leaves out what was read of a container that was ending.
func (c *Container) tellStats(pidfd int, tell func(Event) error) error {
	s, err := c.Stats()
	ended := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	if n, pollErr := unix.Poll(ended, 0); pollErr == nil && n > 0 {
		return nil
	}
	if err != nil {
		return err
	}
	return tell(Event{Kind: StatsEvent, Stats: s})
}
