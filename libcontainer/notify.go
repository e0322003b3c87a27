package libcontainer

import (
	"errors"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/libcontainer/plan"
	"hull/spec"
	"hull/state"
)

// Notify says whether the process of a container gets a socket for sd_notify(3).
type Notify int

const (
	// NoNotify gives it none.
	NoNotify Notify = iota
	// NotifySocket gives it one, in a directory that is mounted in the
	// container, and NOTIFY_SOCKET. StartListening listens to it.
	NotifySocket
)

// notifyTarget is where runc mounts the directory, and programs may know it.
const notifyTarget = "/run/notify"

// planNotify mounts the directory of the socket, after all else and so on top of
// what may be mounted on /run.
func (n *creation) planNotify() error {
	if n.options.Notify == NoNotify || n.spec.Process == nil {
		return nil
	}
	source, err := state.NotifyPath(n.runtime.Root, n.id)
	if err != nil {
		return err
	}
	m := plan.Mount{
		Name:        "NOTIFY_SOCKET",
		Kind:        plan.Bind,
		Source:      source,
		Target:      notifyTarget,
		Set:         unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC,
		Propagation: []uint64{unix.MS_PRIVATE},
	}
	if n.opener() == spec.ParentOpens {
		// Init may be where neither its rights nor the path reach.
		m.Flags |= plan.Supplied
		n.sources = append(n.sources, spec.Source{Mount: len(n.plan.Mounts), Name: m.Name, Path: source})
	}
	n.plan.Mounts = append(n.plan.Mounts, m)
	p := &n.plan.Process
	p.Env = append(without(p.Env, "NOTIFY_SOCKET"), "NOTIFY_SOCKET="+notifyTarget+"/"+state.NotifySocket)
	return nil
}

// Notifier listens to what the process of a container reports with sd_notify(3).
type Notifier struct {
	runtime *Runtime
	pid     int
	pidfd   int
	socket  int
}

// StartListening is Start with somebody who listens to what the program reports
// from then on: the caller must call Close. The Notifier is nil if the container
// was created without NotifySocket.
func (c *Container) StartListening() (*Notifier, error) {
	var n *Notifier
	err := c.start(func() (err error) {
		n, err = c.listen()
		return err
	})
	if err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

func (c *Container) listen() (*Notifier, error) {
	socket, err := c.dir.ListenNotify()
	if errors.Is(err, ErrNotExist) {
		c.runtime.warn(fault.Newf("listen to", c.record.ID, "it was created without NOTIFY_SOCKET, and cannot say that it is ready"))
		return nil, nil //nolint:nilnil // there is no socket, and nothing wrong
	}
	if err != nil {
		return nil, err
	}
	pidfd, err := c.pidfd()
	if err != nil {
		unix.Close(socket)
		return nil, err
	}
	return &Notifier{runtime: c.runtime, pid: c.record.PID, pidfd: pidfd, socket: socket}, nil
}

// Close ends the listening. Nil is closed already.
func (n *Notifier) Close() {
	if n != nil {
		unix.Close(n.socket)
		unix.Close(n.pidfd)
	}
}
