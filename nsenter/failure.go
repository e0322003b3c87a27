package nsenter

import (
	"syscall"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// explained is an error of the C stage with what an errno means for it.
func explained(op, object string, cause syscall.Errno, meanings map[syscall.Errno]string) error {
	err := fault.New(op, object, cause)
	err.Hint = meanings[cause]
	return err
}

// joinCgroupFailure says what cgroup v2 has against a process in it (clone(2),
// CLONE_INTO_CGROUP; cgroups(7)).
func joinCgroupFailure(object string, cause syscall.Errno) error {
	return explained("join", object, cause, map[syscall.Errno]string{
		unix.EBUSY:      "it gives controllers to the cgroups below it, so that processes can only be in those",
		unix.EOPNOTSUPP: "a cgroup beside or above it is threaded, and it is not: see its cgroup.type",
		unix.ENODEV:     "it has been removed",
	})
}

func joinFailure(ns *Namespaces, index int, cause syscall.Errno) error {
	object := "namespace"
	if index < len(ns.Join) {
		object = ns.Join[index].Name
	}
	return explained("join", object, cause, map[syscall.Errno]string{
		unix.EINVAL: "the file is not a namespace of this type, or is the one that hull is already in",
		unix.EPERM:  "joining takes CAP_SYS_ADMIN in the user namespace that owns it",
	})
}

func newNamespaceFailure(flags uint64, cause syscall.Errno) error {
	return explained("make", Names(flags)+" namespace", cause, map[syscall.Errno]string{
		unix.ENOSPC: "a limit in /proc/sys/user/max_*_namespaces is reached",
		unix.EPERM:  "unprivileged users need a user namespace in linux.namespaces",
		unix.EAGAIN: "the limit of pids of this cgroup or of one above, or RLIMIT_NPROC, is reached",
		unix.ENOMEM: "the pid namespace that is joined has lost its first process, or memory is short",
		unix.EINVAL: "the kernel lacks one of these namespaces",
	})
}
