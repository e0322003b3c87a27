package linux

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Execve is execve(2) and nothing more: it neither waits for the Go runtime nor
// touches limits, so that a seccomp filter that is already in force sees no
// other call, not even the futex(2) of a scheduler that wants the thread, which
// comes at the begin of functions that may grow the stack. It returns only if it
// failed.
//
//go:nosplit
func Execve(path *byte, argv, envv []*byte) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(path)),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envv[0])))
	return errno
}

// SetUID makes uid the real, effective and saved user of the calling thread
// (setresuid(2)). The C library's call would change all threads, by signals.
func SetUID(uid uint32) error {
	id := uintptr(uid)
	return check(unix.RawSyscall(unix.SYS_SETRESUID, id, id, id))
}

// SetGID is SetUID for the group (setresgid(2)).
func SetGID(gid uint32) error {
	id := uintptr(gid)
	return check(unix.RawSyscall(unix.SYS_SETRESGID, id, id, id))
}

// SetGroups sets the supplementary groups of the calling thread
// (setgroups(2)).
func SetGroups(gids []uint32) error {
	return check(unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(gids)), uintptr(unsafe.Pointer(unsafe.SliceData(gids))), 0))
}

// SetLimit sets one of RLIMIT_* of the calling process (prlimit(2)).
func SetLimit(resource uint32, soft, hard uint64) error {
	limit := unix.Rlimit{Cur: soft, Max: hard}
	return check(unix.RawSyscall6(unix.SYS_PRLIMIT64, 0, uintptr(resource), uintptr(unsafe.Pointer(&limit)), 0, 0, 0))
}

// OpenPeer opens the other end of the pseudo-terminal whose master is given,
// with flags of open(2), whatever has become of its name (TIOCGPTPEER of
// ioctl_tty(2), Linux 4.13).
func OpenPeer(master, flags int) (int, error) {
	fd, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, uintptr(flags))
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// SetScheduler is sched_setattr(2) of the calling thread; attr is a struct
// sched_attr.
func SetScheduler(attr []byte) error {
	return check(unix.RawSyscall(unix.SYS_SCHED_SETATTR, 0, uintptr(unsafe.Pointer(&attr[0])), 0))
}

// SetIOPriority is ioprio_set(2) of the calling thread.
func SetIOPriority(priority int) error {
	const whoProcess = 1 // IOPRIO_WHO_PROCESS: a thread, in spite of its name
	return check(unix.RawSyscall(unix.SYS_IOPRIO_SET, whoProcess, 0, uintptr(priority)))
}

// SetPersonality is personality(2) of the calling thread.
func SetPersonality(persona uint) error {
	return check(unix.RawSyscall(unix.SYS_PERSONALITY, uintptr(persona), 0, 0))
}

// SetAffinity is sched_setaffinity(2) of the thread pid, 0 for the calling
// thread; mask is a bit mask of CPUs in native words.
func SetAffinity(pid int, mask []byte) error {
	return check(unix.RawSyscall(unix.SYS_SCHED_SETAFFINITY, uintptr(pid), uintptr(len(mask)), uintptr(unsafe.Pointer(&mask[0]))))
}

// AllowAllCPUs lets the calling thread run on all CPUs of its cgroup's cpuset:
// the kernel takes away from a mask what is neither there nor allowed. A mask
// that is longer than the kernel's is cut, so this one is as long as any.
func AllowAllCPUs() error {
	var mask [8192 / 8]byte // the largest CONFIG_NR_CPUS
	for i := range mask {
		mask[i] = 0xff
	}
	return SetAffinity(0, mask[:])
}

// SetMemoryPolicy is set_mempolicy(2) of the calling thread; nodes is a bit
// mask of NUMA nodes in native words, or empty.
func SetMemoryPolicy(mode int, nodes []byte) error {
	var first unsafe.Pointer
	bits := 0
	if len(nodes) > 0 {
		first = unsafe.Pointer(&nodes[0])
		// The kernel takes one bit less than it is told (set_mempolicy(2), BUGS).
		bits = len(nodes)*8 + 1
	}
	return check(unix.RawSyscall(unix.SYS_SET_MEMPOLICY, uintptr(mode), uintptr(first), uintptr(bits)))
}

func check(_, _ uintptr, errno unix.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}
