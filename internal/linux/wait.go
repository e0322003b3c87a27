package linux

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Exit is how a process ended: by itself with Code, or by Signal.
type Exit struct {
	Code   int
	Signal unix.Signal
}

// PeekExit blocks until the child pid has ended and leaves its status to be
// collected.
func PeekExit(pid int) (Exit, error) {
	info, err := peek(unix.P_PID, pid, 0)
	if err != nil {
		return Exit{}, err
	}
	if info.code == childExited {
		return Exit{Code: int(info.status)}, nil
	}
	return Exit{Signal: unix.Signal(info.status)}, nil
}

// HasEnded reports whether the child pid has ended, and leaves its status to be
// collected.
func HasEnded(pid int) bool {
	info, err := peek(unix.P_PID, pid, unix.WNOHANG)
	return err == nil && info.pid == int32(pid)
}

// WaitAny blocks until a child of this process has ended and returns its pid.
// The child stays a zombie: whoever it belongs to can still collect it. The
// error is ECHILD when there is no child.
func WaitAny() (pid int, err error) {
	info, err := peek(unix.P_ALL, 0, 0)
	if err != nil {
		return 0, err
	}
	return int(info.pid), nil
}

// Reap collects the child pid, once it has ended, and drops its status.
func Reap(pid int) error {
	for {
		_, err := unix.Wait4(pid, nil, 0, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// childInfo is siginfo_t as waitid(2) fills it in: the union behind the first
// three numbers is aligned as a pointer is.
type childInfo struct {
	_, _, code int32 // si_signo, si_errno, si_code
	_          [0]uintptr
	pid        int32
	_          uint32 // si_uid
	status     int32
	_          [104]byte // up to SI_MAX_SIZE, 128, or more
}

// childExited is a value of childInfo.code, of asm-generic/siginfo.h: CLD_EXITED.
const childExited = 1

// peek waits for the end of a child without collecting it. With WNOHANG among the
// options, no pid says that none has ended.
func peek(kind, id, options int) (*childInfo, error) {
	info := new(childInfo)
	for {
		err := unix.Waitid(kind, id, (*unix.Siginfo)(unsafe.Pointer(info)), unix.WEXITED|unix.WNOWAIT|options, nil)
		if !errors.Is(err, unix.EINTR) {
			return info, err
		}
	}
}
