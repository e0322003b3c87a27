// Package libcontainer creates and runs OCI containers: it is the runtime as a
// library, and all that the hull command uses.
//
// A program that embeds it imports the init stage beside it, since the init
// process of a container starts as a copy of the program:
//
//	import (
//		"hull/libcontainer"
//		_ "hull/libcontainer/initproc"
//	)
//
// The package logs nothing, ends no process, reads no environment variable and
// keeps nothing between calls: what is known of a container is in its directory
// below Runtime.Root and in the kernel. Containers of one root may be used by
// many programs at a time.
package libcontainer

import (
	"errors"
	"os"
	"path/filepath"

	"hull/internal/fault"
	"hull/libcontainer/cgroup"
	"hull/state"
)

// CgroupDriver says who makes the control groups of containers.
type CgroupDriver int

const (
	// Cgroupfs makes them directly in the filesystem.
	Cgroupfs CgroupDriver = iota
	// Systemd asks systemd for a scope.
	Systemd
	// NoCgroup makes none: containers live in the caller's, without limits.
	NoCgroup
)

// Privilege is what the caller may do on the host.
type Privilege int

const (
	// Rootful callers may do everything; what is refused is an error.
	Rootful Privilege = iota
	// Rootless callers go on without control groups that they cannot write.
	Rootless
)

// Runtime is a state directory and how containers in it are made. The zero
// value of each field but Root is right for root on an ordinary host.
type Runtime struct {
	// Root is the directory of all containers' state. It must be a directory
	// that only the caller can write, or one that does not exist yet.
	Root string
	// Cgroup is who makes control groups.
	Cgroup CgroupDriver
	// Manager is the private socket of the service manager that Systemd asks:
	// empty is the system's, a user's is $XDG_RUNTIME_DIR/systemd/private.
	Manager string
	// Privilege says what to forgive.
	Privilege Privilege
	// Warn receives what is worth saying and no reason to stop: one call an
	// event, on the goroutine of the call that caused it. Nil drops them.
	Warn func(error)
}

// Errors that callers tell apart with errors.Is. Engines match on their words.
var (
	// ErrNotExist: there is no container of that ID.
	ErrNotExist = state.ErrNotExist
	// ErrExist: there is one already.
	ErrExist = state.ErrExist
	// ErrNotRunning: the operation needs a live process.
	ErrNotRunning = errors.New("container not running")
	// ErrPaused: the operation needs a container that is not paused.
	ErrPaused = errors.New("cannot exec in a paused container (use --ignore-paused to override)")
)

// Load returns the container with the given ID. The error is ErrNotExist if
// there is none.
func (r *Runtime) Load(id string) (*Container, error) {
	dir, err := state.Open(r.Root, id)
	if err != nil {
		return nil, err
	}
	c := &Container{runtime: r, dir: dir}
	if err := c.load(id); err != nil {
		_ = dir.Close()
		return nil, err
	}
	return c, nil
}

// Each calls visit with every container, sorted by ID, until it returns an error,
// and closes each after that. The error is fs.ErrNotExist if there is no state
// directory. A container whose state cannot be read is reported through Warn and
// left out.
func (r *Runtime) Each(visit func(*Container) error) error {
	ids, err := state.List(r.Root)
	if err != nil {
		return err
	}
	for _, id := range ids {
		c, err := r.Load(id)
		switch {
		case errors.Is(err, ErrNotExist): // deleted meanwhile
			continue
		case err != nil:
			r.warn(err)
			continue
		}
		err = visit(c)
		_ = c.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// load reads the record. One that was cut off before its record was written had
// nothing but the directory yet.
func (c *Container) load(id string) error {
	var cg cgroup.Record
	record, err := c.dir.Load(&cg)
	if c.unrecorded = errors.Is(err, state.ErrNotExist); c.unrecorded {
		if c.dir.Removed() {
			return fault.New("load", id, ErrNotExist)
		}
		cg.Driver = cgroup.Disabled
		record, err = &state.Record{ID: id, Creating: true, Cgroup: &cg}, nil
	}
	if err != nil {
		return err
	}
	c.record = record
	c.cgroup, err = cgroup.Load(cg)
	return err
}

func (r *Runtime) warn(err error) {
	if r.Warn != nil {
		r.Warn(err)
	}
}

// filterCache is where compiled seccomp filters are kept: a name that no
// container can have.
func (r *Runtime) filterCache() string { return filepath.Join(r.Root, ".filters:seccomp") }

// Stdio are the standard streams of a process. Nil is /dev/null.
type Stdio struct{ In, Out, Err *os.File }

// open returns the descriptors, and what to call once they are passed on.
func (s Stdio) open() (fds [3]uintptr, release func(), err error) {
	release = func() {}
	for i, f := range [...]*os.File{s.In, s.Out, s.Err} {
		if f != nil {
			fds[i] = f.Fd()
			continue
		}
		null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		if err != nil {
			release()
			return fds, nil, fault.New("open", os.DevNull, err)
		}
		fds[i] = null.Fd()
		before := release
		release = func() { null.Close(); before() }
	}
	return fds, release, nil
}
