package linux

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// disposition is the kernel's struct sigaction (rt_sigaction(2)), of which only
// the handler is at the same place on every architecture. All zeros is the
// default action.
type disposition struct {
	handler uintptr
	_       [5]uint64 // flags, restorer and mask, or more
}

// StopBy does to this process what sig does to one that does not catch it, and
// returns once it is continued; at once where nobody could continue it, in an
// orphaned process group (setpgid(2)). It takes a system call of its own: a
// signal that the Go runtime has caught once is ignored when it no longer is.
func StopBy(sig unix.Signal) error {
	runtime.LockOSThread() // what is sent to this thread has come before the call returns
	defer runtime.UnlockOSThread()
	var before, byDefault disposition
	if err := setDisposition(sig, &byDefault, &before); err != nil {
		return err
	}
	err := unix.Tgkill(unix.Getpid(), unix.Gettid(), sig)
	if undo := setDisposition(sig, &before, nil); err == nil {
		err = undo
	}
	return err
}

func setDisposition(sig unix.Signal, to, before *disposition) error {
	const signals = 8 // size of the kernel's sigset_t
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig),
		uintptr(unsafe.Pointer(to)), uintptr(unsafe.Pointer(before)), signals, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
