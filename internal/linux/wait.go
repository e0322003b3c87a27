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
	info, err := peekEnd(unix.P_PID, pid)
	if err != nil {
		return Exit{}, err
	}
	if info.code == childExited {
		return Exit{Code: int(info.status)}, nil
	}
	return Exit{Signal: unix.Signal(info.status)}, nil
}

// WaitAny blocks until a child of this process has ended and returns its pid.
// The child stays a zombie: whoever it belongs to can still collect it. The
// error is ECHILD when there is no child.
func WaitAny() (pid int, err error) {
	info, err := peekEnd(unix.P_ALL, 0)
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

// Values of childInfo.code, of asm-generic/siginfo.h.
const (
	childExited  = 1 // CLD_EXITED
	childDumped  = 3 // CLD_DUMPED; CLD_KILLED is between the two
	childTrapped = 4 // CLD_TRAPPED
)

// peekEnd waits for the end of a child without collecting it. The kernel shows
// the stops of a child that this process traces too, although nobody asked for
// them (wait_task_stopped in kernel/exit.c), and goes on to until somebody has
// taken them: peekEnd does, so that nobody may wait for them meanwhile.
func peekEnd(kind, id int) (*childInfo, error) {
	for {
		info, err := peek(kind, id, 0)
		if err != nil || childExited <= info.code && info.code <= childDumped {
			return info, err
		}
		// Only a stop: were the child to end now, its status would stay. That it
		// goes on now, or is collected, peek finds out.
		_ = unix.Waitid(unix.P_PID, int(info.pid), nil, unix.WSTOPPED|unix.WALL|unix.WNOHANG, nil)
	}
}

// peek waits for the end of a child, and for what else the options of waitid(2)
// say, without collecting it.
func peek(kind, id, options int) (*childInfo, error) {
	info := new(childInfo)
	for {
		err := unix.Waitid(kind, id, (*unix.Siginfo)(unsafe.Pointer(info)), unix.WEXITED|unix.WNOWAIT|options, nil)
		if !errors.Is(err, unix.EINTR) {
			return info, err
		}
	}
}
