package linux

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sockFilterSize is the size of struct sock_filter, one BPF instruction.
const sockFilterSize = int(unsafe.Sizeof(unix.SockFilter{}))

// SeccompLoad installs program, an array of struct sock_filter, on the calling
// thread (seccomp(2), SECCOMP_SET_MODE_FILTER); lock the goroutine to its
// thread first. flags are SECCOMP_FILTER_FLAG_*. With NEW_LISTENER it returns a
// close-on-exec descriptor, else 0.
//
// EACCES means that the thread has neither no_new_privs nor CAP_SYS_ADMIN in
// its user namespace, EINVAL that the program or a flag is not valid.
func SeccompLoad(program []byte, flags uint32) (listener int, err error) {
	if len(program) == 0 || len(program)%sockFilterSize != 0 || len(program)/sockFilterSize > unix.BPF_MAXINSNS {
		return -1, unix.EINVAL
	}
	prog := unix.SockFprog{
		Len:    uint16(len(program) / sockFilterSize),
		Filter: (*unix.SockFilter)(unsafe.Pointer(unsafe.SliceData(program))),
	}
	// Raw: the filter may forbid what the scheduler does around a system call.
	r, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		uintptr(flags), uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}

// SeccompHasAction reports whether the kernel knows action, a SECCOMP_RET_*
// value (seccomp(2), SECCOMP_GET_ACTION_AVAIL).
func SeccompHasAction(action uint32) bool {
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL,
		0, uintptr(unsafe.Pointer(&action)))
	return errno == 0
}

// SeccompHasFlags reports whether the kernel knows flags, a combination of
// SECCOMP_FILTER_FLAG_*. Nothing is loaded: flags are checked before the null
// pointer that stands for the program is read, so a known combination fails
// with EFAULT and an unknown one with EINVAL.
func SeccompHasFlags(flags uint32) bool {
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(flags), 0)
	return errno == unix.EFAULT
}
