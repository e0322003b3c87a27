package tty

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// Streams are the standard streams of this process. Nothing here changes the
// flags of what they have open, which is the caller's too: they may block, or
// not, and may be made to do the other at any time.
type Streams struct{ In, Out, Err *os.File }

// Session is the terminal of a container's process, shown on the streams of
// this one until Close.
type Session struct {
	master    *os.File
	streams   Streams
	keys      *keyboard // nil if In is no terminal
	screen    *os.File  // the stream that knows the window size; nil: none
	print     func([]byte)
	shown     chan struct{} // closed when nothing is copied to Out any more
	abandoned chan struct{} // closed by Abandon
	abandon   sync.Once
	ended     atomic.Bool // In is not to be read any more
	end       sync.Once
}

// SetUp gives master, the master end of a container's pseudoterminal, the modes
// and the size that its program is to find. Later they are the program's.
func (s Streams) SetUp(master *os.File) error {
	if err := clearONLCR(master); err != nil {
		return fault.New("set up terminal", master.Name(), err)
	}
	copySize(s.screen(), master)
	return nil
}

// screen is the stream that knows the size of the window, or nil.
func (s Streams) screen() *os.File {
	for _, f := range []*os.File{s.In, s.Out, s.Err} {
		if IsTerminal(f) {
			return f
		}
	}
	return nil
}

// Attach connects master, which has been set up, with s. Where s.In is a terminal, it is in raw mode until Close: each key goes to
// the container, which turns control-C into a signal. Otherwise it stays as it
// is, so that control-C reaches this process. Master is the session's from now on.
//
// A caller that catches SIGTTOU and is not in the foreground of its terminal
// would be in this function for ever: tcsetattr(3) starts anew after each.
func Attach(master *os.File, s Streams) (*Session, error) {
	own, err := pollable(master)
	if err != nil {
		return nil, err
	}
	t := &Session{master: own, streams: s, screen: s.screen(), shown: make(chan struct{}), abandoned: make(chan struct{})}
	if t.screen != nil && t.screen == s.In {
		t.keys = &keyboard{file: s.In}
		if err := t.keys.take(); err != nil {
			return nil, errors.Join(err, own.Close())
		}
	}
	in, out := -1, -1
	err = errors.Join(
		control(s.In, func(fd int) { in = fd }),
		control(s.Out, func(fd int) { out = fd }))
	if err != nil {
		return nil, errors.Join(err, t.Release(), own.Close())
	}
	t.print = printer(out)
	t.Resize()
	go t.show()
	go t.feed(in)
	return t, nil
}

// Resize gives the container's terminal the size of this process's.
func (t *Session) Resize() { copySize(t.screen, t.master) }

// copySize does nothing where there is no size: a terminal that is gone, or has
// never been told, has none.
func copySize(from, to *os.File) {
	if from == nil {
		return
	}
	var (
		size *unix.Winsize
		err  error
	)
	cerr := control(from, func(fd int) { size, err = unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ) })
	if cerr != nil || err != nil || size.Row == 0 && size.Col == 0 {
		return
	}
	_ = control(to, func(fd int) { _ = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, size) })
}

// Release puts the caller's terminal back as it was, for as long as this process
// is stopped. It does nothing the second time.
func (t *Session) Release() error {
	if t.keys == nil {
		return nil
	}
	return t.keys.giveBack()
}

// Retake makes the caller's terminal raw again.
func (t *Session) Retake() error {
	if t.keys == nil {
		return nil
	}
	return t.keys.take()
}

// Abandon ends Close when nobody takes what is to be shown.
func (t *Session) Abandon() { t.abandon.Do(func() { close(t.abandoned) }) }

// Close restores this process's terminal and shows what the container had
// printed when it was called, without waiting for processes that still hold
// the terminal.
func (t *Session) Close() error {
	t.ended.Store(true)
	var err error
	if t.keys != nil {
		err = t.keys.giveBackForGood()
	}
	t.finish()
	return err
}

// finish ends the container's terminal: what is on it is shown, and what still
// runs on it is hung up (pty(7)).
func (t *Session) finish() {
	t.end.Do(func() {
		// An expired deadline ends what the two goroutines wait for.
		if t.master.SetDeadline(time.Unix(1, 0)) == nil {
			select {
			case <-t.shown:
			case <-t.abandoned:
			}
		}
		_ = t.master.Close()
	})
}

// holds is more than a pseudoterminal holds that nobody reads: 8 KiB on the way
// and 4 KiB that have arrived (tty_buffer_set_limit in drivers/tty/pty.c).
const holds = 64 << 10

// show copies from the container until Close. That nobody has the terminal open
// (EIO) is no end: a program may open it again, as an init does with each
// message for /dev/console.
func (t *Session) show() {
	defer close(t.shown)
	defer t.Release() //nolint:errcheck // a panic: nobody is there to be told
	conn, err := t.master.SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, holds)
	for err == nil {
		n := 0
		err = conn.Read(func(fd uintptr) bool {
			n = fill(int(fd), buf)
			return n > 0
		})
		t.print(buf[:n])
	}
	// The deadline keeps no one from looking once more. The kernel finishes
	// what was written before it says that there is nothing (n_tty_read).
	n := 0
	_ = conn.Control(func(fd uintptr) { n = fill(int(fd), buf) })
	t.print(buf[:n])
}

// fill reads what is there, at most all of buf.
func fill(fd int, buf []byte) (n int) {
	for n < len(buf) {
		k, err := unix.Read(fd, buf[n:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if k <= 0 {
			break
		}
		n += k
	}
	return n
}

// feed copies what is typed to the container. Its end is not the end of the
// session, which lasts as long as the process, unless the terminal was hung up.
//
// It reads only when there is something, and not after Close: that is for
// whoever reads the terminal next.
func (t *Session) feed(in int) {
	defer t.Release() //nolint:errcheck // a panic: nobody is there to be told
	buf := make([]byte, 32<<10)
	for {
		state := poll(in, unix.POLLIN)
		if t.ended.Load() {
			return
		}
		n, err := unix.Read(in, buf)
		switch {
		case n > 0:
			if !t.enter(buf[:n]) {
				return
			}
		case t.keys != nil && state&unix.POLLHUP != 0:
			// The other end of the caller's terminal is gone. So is this
			// one's then, and those who use it learn of it.
			t.finish()
			return
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
		case err != nil, t.keys == nil:
			return
		}
	}
}

// enter types b, unless nobody has the terminal open. It returns false when
// the session has ended.
func (t *Session) enter(b []byte) bool {
	_, err := t.master.Write(b)
	return err == nil || errors.Is(err, unix.EIO)
}

// poll waits until fd is ready, and returns for what.
func poll(fd int, events int16) int16 {
	fds := []unix.PollFd{{Fd: int32(fd), Events: events}}
	for {
		if _, err := unix.Poll(fds, -1); !errors.Is(err, unix.EINTR) {
			return fds[0].Revents
		}
	}
}

// printer returns a function that writes to fd. One that takes no more does not
// stop it: a full terminal would block the container.
func printer(fd int) func([]byte) {
	closed := false
	return func(b []byte) {
		for len(b) > 0 && !closed {
			n, err := unix.Write(fd, b)
			switch {
			case n > 0:
				b = b[n:]
			case errors.Is(err, unix.EAGAIN):
				poll(fd, unix.POLLOUT)
			case !errors.Is(err, unix.EINTR):
				closed = true
			}
		}
	}
}

// pollable returns a descriptor of master that the Go poller watches, so that a
// read can be ended, and closes master.
func pollable(master *os.File) (*os.File, error) {
	var (
		fd  int
		err error
	)
	cerr := control(master, func(m int) {
		fd, err = unix.FcntlInt(uintptr(m), unix.F_DUPFD_CLOEXEC, 3)
	})
	if err = errors.Join(cerr, err, master.Close()); err != nil {
		return nil, fault.New("duplicate terminal", master.Name(), err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(fault.New("set non-blocking", master.Name(), err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), master.Name()), nil
}
