package dbus

import (
	"errors"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// socket is a connected stream socket. It does without package net, whose
// initialization every process of the runtime would pay for.
type socket struct {
	fd       int
	deadline time.Time
}

func connect(path string, timeout time.Duration) (socket, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return socket{}, err
	}
	s := socket{fd, time.Now().Add(timeout)}
	// A listener that does not accept makes connect(2) wait; it counts as
	// sending (unix(7)).
	for err = unix.EINTR; errors.Is(err, unix.EINTR); { // as the Go runtime signals itself
		if err = s.await(unix.SO_SNDTIMEO); err == nil {
			err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
		}
	}
	if err != nil {
		unix.Close(fd)
		return socket{}, inTime(err)
	}
	return s, nil
}

// await bounds the next system call of a kind by what is left of the time.
func (s socket) await(option int) error {
	left := time.Until(s.deadline)
	if left < time.Microsecond { // 0 is for ever (socket(7))
		return unix.ETIMEDOUT
	}
	tv := unix.NsecToTimeval(int64(left))
	return unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, option, &tv)
}

// inTime gives the errno of a call that ran out of time its name.
func inTime(err error) error {
	if errors.Is(err, unix.EAGAIN) {
		return unix.ETIMEDOUT
	}
	return err
}

// Read implements io.Reader.
func (s socket) Read(b []byte) (int, error) {
	for {
		if err := s.await(unix.SO_RCVTIMEO); err != nil {
			return 0, err
		}
		n, err := unix.Read(s.fd, b)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, inTime(err)
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// Write implements io.Writer.
func (s socket) Write(b []byte) (int, error) {
	done := 0
	for done < len(b) {
		if err := s.await(unix.SO_SNDTIMEO); err != nil {
			return done, err
		}
		n, err := unix.SendmsgN(s.fd, b[done:], nil, nil, unix.MSG_NOSIGNAL)
		if err != nil && err != unix.EINTR {
			return done, inTime(err)
		}
		done += max(n, 0)
	}
	return done, nil
}
