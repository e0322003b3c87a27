package cgroup

import (
	"encoding/binary"
	"errors"
	"strconv"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// OOMWatch learns when a cgroup runs out of memory. It has no descriptors for a
// cgroup without a memory controller, which never does.
type OOMWatch struct {
	h *Hierarchy
	// fd is memory.events of v2, or an eventfd of v1; -1 is none.
	fd int
	// kills is what memory.events had when it was looked at last.
	kills uint64
}

// WatchOOM begins to watch. What happened before does not count.
func (c *Cgroup) WatchOOM() (*OOMWatch, error) {
	k := c.knobs("memory")
	w := &OOMWatch{h: k.h, fd: -1}
	file := k.pick("memory.oom_control", "memory.events")
	if k.h == nil || !k.has(file) {
		return w, nil
	}
	path := k.h.dir() + "/" + file
	fd, err := openFile(path, unix.O_RDONLY)
	if err != nil {
		return nil, fault.New("open", path, err)
	}
	w.fd = fd
	if k.v2() {
		_, err = w.Fired()
		return w, err
	}
	defer unix.Close(fd)
	if w.fd, err = k.h.notifyOOM(fd); err != nil {
		return nil, fault.New("watch", path, err)
	}
	return w, nil
}

// notifyOOM makes an eventfd that is written to whenever the v1 cgroup runs out
// of memory, and when it is removed (memory.rst of the kernel, "OOM control").
func (h *Hierarchy) notifyOOM(control int) (int, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return -1, err
	}
	err = writeFile(h.dir()+"/cgroup.event_control", strconv.Itoa(fd)+" "+strconv.Itoa(control))
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// Poll is what to wait for before it is of use to call Fired.
func (w *OOMWatch) Poll() unix.PollFd {
	events := int16(unix.POLLIN)
	if w.h != nil && w.h.v2() {
		events = unix.POLLPRI
	}
	return unix.PollFd{Fd: int32(w.fd), Events: events} // poll(2) ignores -1
}

// Fired reports whether the cgroup has run out of memory since it was called
// last.
func (w *OOMWatch) Fired() (bool, error) {
	switch {
	case w.fd < 0:
		return false, nil
	case w.h.v2():
		return w.firedV2()
	}
	return w.firedV1()
}

func (w *OOMWatch) firedV2() (bool, error) {
	content, err := readAll(w.fd)
	if err != nil {
		return false, ignoreGone("read", w.h.dir()+"/memory.events", err)
	}
	kills := value(content, "oom_kill")
	fired := kills > w.kills
	w.kills = kills
	return fired, nil
}

// firedV1 takes the removal of the cgroup, which the kernel tells in the same
// way, off the number of times.
func (w *OOMWatch) firedV1() (bool, error) {
	var b [8]byte
	err := retry(func() error {
		_, err := unix.Read(w.fd, b[:])
		return err
	})
	if errors.Is(err, unix.EAGAIN) {
		return false, nil
	}
	if err != nil {
		return false, fault.New("read", "eventfd", err)
	}
	times := binary.NativeEndian.Uint64(b[:])
	if times > 0 && !w.h.exists() {
		times--
	}
	return times > 0, nil
}

// Close ends the watch.
func (w *OOMWatch) Close() {
	if w.fd >= 0 {
		unix.Close(w.fd)
		w.fd = -1
	}
}
