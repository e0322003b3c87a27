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

// PeekExit waits until the child pid has exited and leaves its status to be
// collected (waitid(2), WNOWAIT).
func PeekExit(pid int) (Exit, error) {
	info, err := peek(unix.P_PID, pid)
	if err != nil {
		return Exit{}, err
	}
	const exited = 1 // CLD_EXITED
	if info.Code == exited {
		return Exit{Code: int(info.status)}, nil
	}
	return Exit{Signal: unix.Signal(info.status)}, nil
}

// waited is siginfo_t as waitid(2) fills it in on 64-bit machines.
type waited struct {
	Signo, Errno, Code int32
	_                  int32
	pid                int32
	uid                uint32
	status             int32
	_                  [100]byte
}

func peek(kind, id int) (*waited, error) {
	info := new(waited)
	for {
		err := unix.Waitid(kind, id, (*unix.Siginfo)(unsafe.Pointer(info)), unix.WEXITED|unix.WNOWAIT, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return info, err
	}
}
