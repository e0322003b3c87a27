package libcontainer

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// maxNotification is the longest datagram that service managers take
// (NOTIFY_BUFFER_MAX of systemd).
const maxNotification = 4096

// barrierTimeout is how long a service manager may take to read what it was told,
// in milliseconds: sd_notify_barrier(3) has no default, and its users this one.
const barrierTimeout = 30_000

// CheckNotifyAddress returns why nobody can be told at address, as sd_notify(3)
// has it in NOTIFY_SOCKET: the absolute path of a socket, or an abstract one
// ("@name"). Sockets of virtual machines are those of whole systems.
func CheckNotifyAddress(address string) error {
	if len(address) > 1 && (address[0] == '/' || address[0] == '@') {
		return nil
	}
	return fault.Newf("use NOTIFY_SOCKET", strconv.Quote(address), "neither an absolute path nor an abstract socket")
}

// Relay passes on to address, of a service manager, what the container reports:
// of what sd_notify(3) knows, all that is about the state of a service. What
// would give the container a say about processes and descriptors of the host is
// left out, and READY=1 goes with a MAINPID of ours.
//
// A Detached caller is done, and so is Relay, once the container is ready, when
// its init is the main process. For an Attached one that is the caller, until the
// container ends. That nobody listens at address is a warning.
func (n *Notifier) Relay(address string, l Lifetime) error {
	main := n.pid
	if l == Attached {
		main = os.Getpid()
	}
	for {
		message, err := n.receive()
		if err != nil || message == "" {
			return err
		}
		message, ready := passable(message)
		if ready {
			message += "MAINPID=" + strconv.Itoa(main) + "\n"
		}
		if message != "" {
			n.warn(tell(address, message, nil))
		}
		if ready && l == Detached {
			// Who sent a message is asked when it is read: not after our end.
			n.warn(barrier(address))
			return nil
		}
	}
}

func (n *Notifier) warn(err error) {
	if err != nil {
		n.runtime.warn(err)
	}
}

// receive returns the next message, "" if the container has ended without one.
// Descriptors that come along are closed by the kernel, which answers BARRIER=1.
func (n *Notifier) receive() (string, error) {
	fds := []unix.PollFd{{Fd: int32(n.socket), Events: unix.POLLIN}, {Fd: int32(n.pidfd), Events: unix.POLLIN}}
	b := make([]byte, maxNotification+1)
	for {
		_, err := unix.Poll(fds, -1)
		if err == nil && fds[0].Revents == 0 {
			return "", nil
		}
		size := 0
		if err == nil {
			size, _, err = unix.Recvfrom(n.socket, b, unix.MSG_DONTWAIT)
		}
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
		case err != nil:
			return "", fault.New("listen to", "the container's NOTIFY_SOCKET", err)
		case size > 0 && size <= maxNotification:
			return string(b[:size]), nil
		}
	}
}

// passable returns the lines of a message that are passed on, and whether one of
// them says that the service is ready.
func passable(message string) (lines string, ready bool) {
	var passed strings.Builder
	for line := range strings.SplitSeq(message, "\n") {
		switch name, _, _ := strings.Cut(line, "="); name {
		case "READY":
			ready = ready || line == "READY=1"
		case "STATUS", "ERRNO", "BUSERROR", "VARLINKERROR", "EXIT_STATUS", "RELOADING", "STOPPING", "MONOTONIC_USEC",
			"WATCHDOG", "WATCHDOG_USEC", "EXTEND_TIMEOUT_USEC":
		default:
			continue
		}
		passed.WriteString(line + "\n")
	}
	return passed.String(), ready
}

// tell sends one message, with descriptors, to the socket at address.
func tell(address, message string, files []int) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fault.New("notify", address, err)
	}
	defer unix.Close(fd)
	var rights []byte
	if len(files) > 0 {
		rights = unix.UnixRights(files...)
	}
	err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: patience})
	for err == nil {
		err = unix.Sendmsg(fd, []byte(message), rights, &unix.SockaddrUnix{Name: address}, unix.MSG_NOSIGNAL)
		if err == nil {
			return nil
		}
		if errors.Is(err, unix.EINTR) {
			err = nil
		}
	}
	return fault.New("notify", address, err)
}

// barrier waits until the service manager has read what it was told before: it
// closes the descriptor that comes with the message (sd_notify_barrier(3)).
func barrier(address string) error {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return fault.New("notify", address, err)
	}
	defer unix.Close(pipe[0])
	err := tell(address, "BARRIER=1", pipe[1:])
	unix.Close(pipe[1])
	if err != nil {
		return err
	}
	for {
		ended, err := unix.Poll([]unix.PollFd{{Fd: int32(pipe[0])}}, barrierTimeout)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fault.New("notify", address, err)
		case ended == 0:
			return fault.New("notify", address, unix.ETIMEDOUT).WithHint("nobody has read that the container is ready")
		default:
			return nil
		}
	}
}
