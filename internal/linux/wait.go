package linux

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// siginfoPid is where waitid(2) puts the pid: the union of siginfo_t starts
// behind three ints, aligned as a pointer is.
const siginfoPid = (12 + unsafe.Sizeof(uintptr(0)) - 1) &^ (unsafe.Sizeof(uintptr(0)) - 1)

// WaitAny blocks until a child of this process has ended and returns its pid.
// The child stays a zombie: whoever it belongs to can still collect it. The
// error is ECHILD when there is no child.
func WaitAny() (pid int, err error) {
	var info unix.Siginfo
	for {
		err = unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR { //nolint:errorlint // x/sys returns bare errnos
			break
		}
	}
	if err != nil {
		return 0, err
	}
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(&info), siginfoPid))), nil
}

// Reap collects the child pid, which must have ended (see WaitAny), and drops
// its status.
func Reap(pid int) error {
	for {
		_, err := unix.Wait4(pid, nil, 0, nil)
		if err != unix.EINTR { //nolint:errorlint // as above
			return err
		}
	}
}
