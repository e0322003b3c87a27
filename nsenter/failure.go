package nsenter

import (
	"syscall"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// joinCgroupFailure says what cgroup v2 has against a process in it (clone(2),
// CLONE_INTO_CGROUP; cgroups(7)).
func joinCgroupFailure(object string, cause syscall.Errno) error {
	err := fault.New("join", object, cause)
	switch cause {
	case unix.EBUSY:
		err.Hint = "it gives controllers to the cgroups below it, so that processes can only be in those"
	case unix.EOPNOTSUPP:
		err.Hint = "a cgroup beside or above it is threaded, and it is not: see its cgroup.type"
	case unix.ENODEV:
		err.Hint = "it has been removed"
	}
	return err
}

func joinFailure(ns *Namespaces, index int, cause syscall.Errno) error {
	object := "namespace"
	if index < len(ns.Join) {
		object = ns.Join[index].Name
	}
	err := fault.New("join", object, cause)
	switch cause {
	case syscall.EINVAL:
		err.Hint = "the file is not a namespace of this type, or is the one that hull is already in"
	case syscall.EPERM:
		err.Hint = "joining takes CAP_SYS_ADMIN in the user namespace that owns it"
	}
	return err
}

func newNamespaceFailure(flags uint64, cause syscall.Errno) error {
	err := fault.New("make", Names(flags)+" namespace", cause)
	switch cause {
	case syscall.ENOSPC:
		err.Hint = "a limit in /proc/sys/user/max_*_namespaces is reached"
	case syscall.EPERM:
		err.Hint = "unprivileged users need a user namespace in linux.namespaces"
	case syscall.EAGAIN:
		err.Hint = "the limit of pids of this cgroup or of one above, or RLIMIT_NPROC, is reached"
	case syscall.ENOMEM:
		err.Hint = "the pid namespace that is joined has lost its first process, or memory is short"
	case syscall.EINVAL:
		err.Hint = "the kernel lacks one of these namespaces"
	}
	return err
}
