package tty

import (
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// Streams are the standard streams of this process.
type Streams struct{ In, Out, Err *os.File }

// Session is the terminal of a container's process, shown on the streams of
// this one until Close.
type Session struct {
	master *os.File
	screen *os.File      // the stream that knows the window size; nil: none
	keys   *os.File      // the stream in raw mode; nil: none
	saved  *unix.Termios // what keys was before
	shown  chan struct{} // closed when nothing is copied to Out any more
	out    io.Writer
}

// Attach connects master, the master end of a container's pseudoterminal, with
// s. Where s.In is a terminal, it is in raw mode until Close: each key goes to
// the container, which turns control-C into a signal. Otherwise it stays as it
// is, so that control-C reaches this process. Master remains the caller's.
func Attach(master *os.File, s Streams) (*Session, error) {
	own, err := pollable(master)
	if err != nil {
		return nil, err
	}
	t := &Session{master: own, out: s.Out, shown: make(chan struct{})}
	if err := clearONLCR(own); err != nil {
		return nil, errors.Join(fault.New("set up terminal", master.Name(), err), own.Close())
	}
	for _, f := range []*os.File{s.In, s.Out, s.Err} {
		if IsTerminal(f) {
			t.screen = f
			break
		}
	}
	if err := t.takeKeys(s.In); err != nil {
		return nil, errors.Join(err, own.Close())
	}
	t.Resize()
	go t.show()
	go func() {
		// Neither EOF nor an error here ends the session: its process does.
		_, _ = io.Copy(plainWriter{own}, plainReader{s.In})
	}()
	return t, nil
}

// Resize gives the container's terminal the size of this process's. A terminal
// that is gone has no size, and that is no reason to fail.
func (t *Session) Resize() {
	if t.screen == nil {
		return
	}
	var (
		size *unix.Winsize
		err  error
	)
	cerr := control(t.screen, func(fd int) { size, err = unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ) })
	if cerr != nil || err != nil {
		return
	}
	_ = control(t.master, func(fd int) { _ = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, size) })
}

// Close shows what the container had printed when it was called, without
// waiting for processes that still hold the terminal, and restores this
// process's terminal.
func (t *Session) Close() error {
	// An expired deadline ends the read that show may be waiting in.
	err := t.master.SetReadDeadline(time.Unix(1, 0))
	if err == nil {
		<-t.shown
		t.drain()
	}
	if t.keys != nil {
		err = errors.Join(err, setTermios(t.keys, t.saved))
	}
	return errors.Join(err, t.master.Close())
}

func (t *Session) takeKeys(in *os.File) error {
	saved, err := getTermios(in)
	if err != nil {
		return nil //nolint:nilerr // not a terminal: there is nothing to take
	}
	raw := *saved
	makeRaw(&raw)
	if err := setTermios(in, &raw); err != nil {
		return fault.New("set raw mode of", in.Name(), err)
	}
	t.keys, t.saved = in, saved
	return nil
}

// show copies from the container until its terminal is closed (EIO) or Close
// ends it. A stream that takes no more does not stop it: a full terminal would
// block the container.
func (t *Session) show() {
	defer close(t.shown)
	buf := make([]byte, 32<<10)
	for {
		n, err := t.master.Read(buf)
		t.print(buf[:n])
		if err != nil {
			return
		}
	}
}

// drain shows what can be read at once.
func (t *Session) drain() {
	if t.master.SetReadDeadline(time.Time{}) != nil {
		return
	}
	conn, err := t.master.SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, 4<<10)
	_ = conn.Read(func(fd uintptr) bool {
		for {
			n, err := unix.Read(int(fd), buf)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if n <= 0 {
				return true
			}
			t.print(buf[:n])
		}
	})
}

func (t *Session) print(b []byte) {
	if len(b) == 0 {
		return
	}
	if _, err := t.out.Write(b); err != nil {
		t.out = io.Discard
	}
}

// pollable returns a descriptor of master of our own that the Go poller
// watches, so that a read can be ended.
func pollable(master *os.File) (*os.File, error) {
	var (
		fd  int
		err error
	)
	cerr := control(master, func(m int) {
		fd, err = unix.FcntlInt(uintptr(m), unix.F_DUPFD_CLOEXEC, 3)
	})
	if err = errors.Join(cerr, err); err != nil {
		return nil, fault.New("duplicate terminal", master.Name(), err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(fault.New("set non-blocking", master.Name(), err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), master.Name()), nil
}

// plainReader and plainWriter hide that both ends are files: io.Copy would try
// splice(2) and copy_file_range(2) first, which terminals do not have.
type (
	plainReader struct{ io.Reader }
	plainWriter struct{ io.Writer }
)
