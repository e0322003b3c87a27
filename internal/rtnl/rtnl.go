// Package rtnl asks the kernel about network devices and their addresses, and
// changes them: the few messages of rtnetlink(7) that it takes to move a device
// from one network namespace to another.
//
// It knows nothing of containers. The usual library imports net and several
// hundred message types, and adds more than a megabyte.
package rtnl

import (
	"errors"
	"runtime"

	"golang.org/x/sys/unix"
)

// Conn is a socket of one network namespace. It is not safe for concurrent use.
type Conn struct {
	fd       int
	sequence uint32
	buffer   []byte
}

// bufferSize is the most that the kernel puts into one datagram of a list
// (netlink_dump in net/netlink/af_netlink.c).
const bufferSize = 32 << 10

// Dial opens a socket in the network namespace of the calling thread.
func Dial() (*Conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	for _, option := range [...]int{
		unix.NETLINK_EXT_ACK,        // explain refusals
		unix.NETLINK_CAP_ACK,        // and do not send requests back
		unix.NETLINK_GET_STRICT_CHK, // list the addresses of one device only
	} {
		if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, option, 1); err != nil {
			unix.Close(fd)
			return nil, err
		}
	}
	return &Conn{fd: fd, buffer: make([]byte, bufferSize)}, nil
}

// DialIn opens a socket in the network namespace that the descriptor names. It
// stays in that namespace, and holds it, wherever it is used.
func DialIn(namespace int) (*Conn, error) {
	type result struct {
		conn *Conn
		err  error
	}
	done := make(chan result)
	// Only one thread goes there. If it cannot come back it ends with the
	// goroutine that is locked to it.
	go func() {
		runtime.LockOSThread()
		conn, err := dialThere(namespace)
		if !errors.Is(err, errLost) {
			runtime.UnlockOSThread()
		}
		done <- result{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}

// errLost says that a thread is in a network namespace that is not its own.
var errLost = errors.New("return to the network namespace")

func dialThere(namespace int) (*Conn, error) {
	home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(home)
	if err := unix.Setns(namespace, unix.CLONE_NEWNET); err != nil {
		return nil, err
	}
	conn, err := Dial()
	if back := unix.Setns(home, unix.CLONE_NEWNET); back != nil {
		if err == nil {
			_ = conn.Close()
		}
		return nil, errors.Join(errLost, back)
	}
	return conn, err
}

// Close closes the socket.
func (c *Conn) Close() error { return unix.Close(c.fd) }

// RefusedError is the answer of a kernel that does not do what it was asked.
type RefusedError struct {
	Errno unix.Errno
	// Reason is the kernel's own explanation, or "".
	Reason string
}

// Error returns what the errno means, and the reason.
func (e *RefusedError) Error() string {
	if e.Reason == "" {
		return e.Errno.Error()
	}
	return e.Errno.Error() + ": " + e.Reason
}

// Unwrap returns the errno.
func (e *RefusedError) Unwrap() error { return e.Errno }

// do sends a request and passes what the kernel answers to each, until it has
// said all. What each gets is overwritten by the next datagram.
func (c *Conn) do(kind, flags uint16, body []byte, each func(message) error) error {
	c.sequence++
	m := message{kind: kind, flags: flags | unix.NLM_F_REQUEST | unix.NLM_F_ACK, sequence: c.sequence, body: body}
	if err := unix.Sendto(c.fd, m.append(nil), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	for {
		datagram, err := c.receive()
		if err != nil {
			return err
		}
		end, err := c.read(datagram, each)
		if end || err != nil {
			return err
		}
	}
}

// read passes on the messages of a datagram that belong to the request, and
// reports whether one of them was the last.
func (c *Conn) read(datagram []byte, each func(message) error) (end bool, err error) {
	for len(datagram) > 0 {
		var m message
		if m, datagram, err = parseMessage(datagram); err != nil {
			return true, err
		}
		switch {
		case m.sequence != c.sequence: // of a request that was given up
		case m.kind == unix.NLMSG_ERROR, m.kind == unix.NLMSG_DONE:
			return true, m.verdict()
		default:
			if err := each(m); err != nil {
				return true, err
			}
		}
	}
	return false, nil
}

// receive returns the next datagram of the kernel: other processes can send as
// well, and have a port that is not 0.
func (c *Conn) receive() ([]byte, error) {
	for {
		n, _, flags, from, err := unix.Recvmsg(c.fd, c.buffer, nil, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
			continue
		}
		if flags&unix.MSG_TRUNC != 0 {
			return nil, unix.EMSGSIZE
		}
		return c.buffer[:n], nil
	}
}

// nothing is for requests whose only answer is the acknowledgement.
func nothing(message) error { return nil }
