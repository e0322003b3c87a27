package state

import (
	"errors"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// Gate is what holds a created container back and tells how its start went:
// two fifos. Init reads one byte from the first, and writes to the second how
// it fared (see link.Started).
//
// Init gets both open, and so needs no path of the host to wait on.
type Gate struct {
	// Wait is init's end of the gate, Result that of the outcome.
	Wait, Result int
}

// MakeGate makes the fifos and opens init's ends.
func (d *Dir) MakeGate() (Gate, error) {
	var fds [2]int
	for i, name := range [...]string{gateFifo, resultFifo} {
		if err := unix.Mkfifoat(d.fd, name, 0o600); err != nil {
			return Gate{}, fault.New("make", d.path+"/"+name, err)
		}
		// Read and write: neither end waits for the other, and init's end
		// sees no end of file while nobody has opened the gate (fifo(7)).
		fd, err := unix.Openat(d.fd, name, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return Gate{}, fault.New("open", d.path+"/"+name, err)
		}
		fds[i] = fd
	}
	return Gate{Wait: fds[0], Result: fds[1]}, nil
}

// Close closes the parent's copies.
func (g Gate) Close() {
	unix.Close(g.Wait)
	unix.Close(g.Result)
}

// HasGate reports whether the container was not started yet.
func (d *Dir) HasGate() bool {
	return unix.Faccessat(d.fd, gateFifo, unix.F_OK, 0) == nil
}

// ErrInitGone says that no process waits at the gate.
var ErrInitGone = errors.New("the container's init process is gone")

// Open lets init go and returns the descriptor of the outcome: it delivers
// what link.Started describes. The error is ErrInitGone if nobody waits.
func (d *Dir) Open() (result int, err error) {
	result, err = unix.Openat(d.fd, resultFifo, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fault.New("open", d.path+"/"+resultFifo, err)
	}
	gate, err := unix.Openat(d.fd, gateFifo, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(gate)
		_, err = unix.Write(gate, []byte{1})
	}
	if errors.Is(err, unix.ENXIO) || errors.Is(err, unix.EPIPE) {
		err = ErrInitGone
	}
	if err != nil {
		unix.Close(result)
		return -1, fault.New("open", d.path+"/"+gateFifo, err)
	}
	return result, nil
}

// RemoveGate takes the fifos away: the container was started.
func (d *Dir) RemoveGate() {
	_ = unix.Unlinkat(d.fd, gateFifo, 0)
	_ = unix.Unlinkat(d.fd, resultFifo, 0)
}
