package dbus

import (
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// socket is a connected stream socket. It does without package net, whose
// initialization every process of the runtime would pay for.
type socket int

func connect(path string) (socket, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return socket(fd), nil
}

func (s socket) setTimeout(d time.Duration) error {
	tv := unix.NsecToTimeval(int64(d))
	for _, option := range [...]int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
		if err := unix.SetsockoptTimeval(int(s), unix.SOL_SOCKET, option, &tv); err != nil {
			return err
		}
	}
	return nil
}

// Read implements io.Reader.
func (s socket) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(int(s), b)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return 0, unix.ETIMEDOUT
		case err != nil:
			return 0, err
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
		n, err := unix.SendmsgN(int(s), b[done:], nil, nil, unix.MSG_NOSIGNAL)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return done, unix.ETIMEDOUT
		case err != nil:
			return done, err
		}
		done += max(n, 0)
	}
	return done, nil
}
