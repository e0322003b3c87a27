// Package nsenter makes a process in the container's namespaces before the Go
// runtime starts there: setns(2) of a user, mount, pid or time namespace, and
// everything that has to stay single-threaded, is impossible afterwards.
//
// The constructor in nsexec.c does the work in a copy of this executable that
// Launch starts; bootstrap.h is all that crosses. The resulting init process
// is a direct child of the caller and enters Go with the link on a fixed
// descriptor; package initproc takes over from there.
//
// The package knows nothing of containers: not what the process is for, nor
// what is said on the link after the bootstrap.
package nsenter

/*
#cgo CFLAGS: -std=gnu11 -Wall -Wextra -O2 -I.
// Not in quotes: this is compiled in the temporary directory, and a bootstrap.h
// that somebody left there would be found first.
#include <bootstrap.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/linux"
)

// LinkFD is the descriptor on which an init process finds its end of the link.
const LinkFD = C.HULL_LINK_FD

// FirstPreservedFD is where an init process finds the first of the descriptors
// that its program shall inherit; the program finds it one lower, at 3.
const FirstPreservedFD = LinkFD + 1

// IsStage reports whether this process is an init process that the
// constructor has put into its namespaces.
func IsStage() bool { return C.hull_is_stage() != 0 }

// FileLimit returns RLIMIT_NOFILE as this init process inherited it; the Go
// runtime raises the soft limit at its start.
func FileLimit() (soft, hard uint64) {
	var s, h C.uint64_t
	C.hull_file_limit(&s, &h)
	return uint64(s), uint64(h)
}

// Join is a namespace to enter.
type Join struct {
	// Name is how the user named it, for errors: "linux.namespaces[1]
	// (network at /run/netns/x)".
	Name string
	// Type is a CLONE_NEW* flag, or several if File is a pidfd (setns(2),
	// Linux 5.8).
	Type uint64
	// File is a namespace file or a pidfd.
	File *os.File
}

// Cgroup says how the process comes into its control groups.
type Cgroup struct {
	// Into is a cgroup v2 directory for CLONE_INTO_CGROUP, or nil.
	Into *os.File
	// Tasks are `tasks` files of cgroup v1, or cgroup.procs of v2, open for
	// writing.
	Tasks []*os.File
	// Leave are such files of other cgroups, in which the process stays once
	// it has its cgroup namespace: until it executes, it takes more than the
	// limits of its own may allow.
	Leave []*os.File
	// Stay keeps the stage where it is until Reap, in the process's stead.
	Stay bool
}

// Namespaces is where the init process shall live.
type Namespaces struct {
	// Join are existing namespaces to enter.
	Join []Join
	// New are CLONE_NEW* flags of the namespaces to make.
	New uint64
	// UIDMappings and GIDMappings are of a new user namespace.
	UIDMappings, GIDMappings []IDMapping
	// ClockOffsets are of a new time namespace.
	ClockOffsets []ClockOffset
	Cgroup       Cgroup
}

// EntersUser tells whether the process is to be in another user namespace.
func (ns *Namespaces) EntersUser() bool {
	flags := ns.New
	for i := range ns.Join {
		flags |= ns.Join[i].Type
	}
	return flags&unix.CLONE_NEWUSER != 0
}

// Stage is a started copy of this executable that waits for its bootstrap.
type Stage struct {
	link  int
	pid   int
	pidfd int
}

// Inherit is what a stage gets from its parent.
type Inherit struct {
	// Dir is the working directory; empty for the caller's.
	Dir   string
	Stdio [3]uintptr
	// Preserved are descriptors for FirstPreservedFD and on.
	Preserved []uintptr
}

// Launch starts this program as a stage, in such a way that no process of a
// container can write it. The caller must end with either Enter or Abort.
func Launch(in Inherit) (*Stage, error) {
	exe, err := seal()
	if err != nil {
		return nil, err
	}
	// Not later: see seal.
	defer exe.Close()
	return launch(exe, in)
}

func launch(exe *os.File, in Inherit) (*Stage, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fault.New("make the link to init", "", err)
	}
	defer unix.Close(pair[1])
	files := append([]uintptr{in.Stdio[0], in.Stdio[1], in.Stdio[2], uintptr(pair[1])}, in.Preserved...)
	program, err := unix.FcntlInt(exe.Fd(), unix.F_DUPFD_CLOEXEC, clearOf(files))
	if err != nil {
		unix.Close(pair[0])
		return nil, fault.New("start the init stage", "", err)
	}
	defer unix.Close(program)
	argv := []string{C.HULL_INIT_ARGV0, C.HULL_INIT_ARGV1}
	pidfd := -1
	pid, err := syscall.ForkExec("/proc/self/fd/"+strconv.Itoa(program), argv, &syscall.ProcAttr{
		Dir:   in.Dir,
		Env:   stageEnv(),
		Files: files,
		Sys:   &syscall.SysProcAttr{PidFD: &pidfd},
	})
	if err != nil {
		unix.Close(pair[0])
		return nil, fault.New("start the init stage", "", err)
	}
	return &Stage{link: pair[0], pid: pid, pidfd: pidfd}, nil
}

// clearOf returns the first descriptor that the child leaves alone until it
// executes: it puts files at 0 and on, and what is in the way it moves above the
// largest of them first, as it does with a pipe of its own (package syscall,
// forkAndExecInChild).
func clearOf(files []uintptr) int { return int(slices.Max(files)) + len(files) + 2 }

// stageEnv is the whole environment of the init stage: what the user wants for
// the program travels in the plan. One P is all that init needs, and nothing runs
// there for so long that it had to be interrupted: the signal for that ends with
// rt_sigreturn(2), which the container's seccomp filter may not allow.
func stageEnv() []string { return []string{"GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1"} }

// PID returns the pid of the stage, which waits in the caller's namespaces. What
// it is moved into, the init process is born in.
func (s *Stage) PID() int { return s.pid }

// Enter sends the stage into its namespaces and returns the pid of the init
// process, which is a child of the caller, and the caller's end of the link.
// The stage itself is about to exit, or stays: the caller ends with Reap.
func (s *Stage) Enter(ns *Namespaces) (pid, link int, err error) {
	pid, err = s.enter(ns)
	if err != nil {
		s.Abort()
		if pid > 0 {
			_ = linux.Reap(pid)
		}
		return 0, -1, err
	}
	return pid, s.link, nil
}

// Reap ends and collects the stage after Enter.
func (s *Stage) Reap() {
	// The process is our unreaped child: its pid cannot be another's.
	_ = unix.Kill(s.pid, unix.SIGKILL)
	_ = linux.Reap(s.pid)
	unix.Close(s.pidfd)
}

// Abort ends the stage and closes the link; an init process that is already
// there sees the end of the link and exits.
func (s *Stage) Abort() {
	unix.Close(s.link)
	s.Reap()
}

func (s *Stage) enter(ns *Namespaces) (int, error) {
	if err := s.sendBootstrap(ns); err != nil {
		return 0, err
	}
	var failed error
	pid := 0
	for pid == 0 {
		r, err := s.report()
		if err != nil {
			return 0, err
		}
		switch r.kind {
		case C.HULL_WANT_MAPS:
			if err := s.writeMaps(ns); err != nil {
				return 0, err
			}
		case C.HULL_BORN:
			pid = int(r.pid)
		case C.HULL_FAILED:
			failed = failure(&r, ns)
			if r.step < C.HULL_STEP_JOIN_CGROUP {
				return 0, failed
			}
			// It was the init process, and overtook the report of its pid.
		default:
			return 0, fault.Newf("start init", "", "unexpected report 0x%x", uint8(r.kind))
		}
	}
	return pid, failed
}

// joinsLate reports whether the cgroup namespace of j is to be entered from
// within the cgroup. One of the caller's own user namespace needs the privileges
// that are lost with the entry into another.
func (ns *Namespaces) joinsLate(j *Join) bool {
	return j.Type&unix.CLONE_NEWCGROUP != 0 &&
		(j.Type != unix.CLONE_NEWCGROUP || !ns.EntersUser() || !ownerIsOwn(j.File))
}

// mappedFlags are the namespaces that the parent has to set up from outside.
const mappedFlags = unix.CLONE_NEWUSER | unix.CLONE_NEWTIME

func (s *Stage) sendBootstrap(ns *Namespaces) error {
	b := C.struct_hull_bootstrap{
		magic:  C.HULL_MAGIC,
		size:   C.sizeof_struct_hull_bootstrap,
		mapped: C.uint64_t(ns.New & mappedFlags),
		late:   C.uint64_t(ns.New & unix.CLONE_NEWCGROUP),
		cloned: C.uint64_t(ns.New &^ (mappedFlags | unix.CLONE_NEWCGROUP)),
		joins:  C.uint32_t(len(ns.Join)),
		tasks:  C.uint32_t(len(ns.Cgroup.Tasks)),
		leaves: C.uint32_t(len(ns.Cgroup.Leave)),
		uid:    C.uint32_t(builder(ns.UIDMappings)),
		gid:    C.uint32_t(builder(ns.GIDMappings)),

		late_join: C.HULL_MAX_JOINS,
	}
	if ns.Cgroup.Stay {
		b.stays = 1
	}
	files := slices.Concat(ns.Cgroup.Tasks, ns.Cgroup.Leave)
	if len(ns.Join) > C.HULL_MAX_JOINS || len(files) > C.HULL_MAX_TASKS {
		return fault.New("start init", "", errors.New("too many namespaces or cgroup hierarchies"))
	}
	fds := make([]int, 0, C.HULL_MAX_FDS)
	if os.Geteuid() != 0 {
		b.dumpable = 1
	}
	for i, j := range ns.Join {
		b.join[i] = C.uint64_t(j.Type)
		if ns.joinsLate(&j) {
			b.join[i] &^= unix.CLONE_NEWCGROUP
			b.late_join = C.uint32_t(i)
		}
		fds = append(fds, int(j.File.Fd()))
	}
	if ns.Cgroup.Into != nil {
		b.has_cgroup = 1
		fds = append(fds, int(ns.Cgroup.Into.Fd()))
	}
	for _, f := range files {
		fds = append(fds, int(f.Fd()))
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	if err := unix.Sendmsg(s.link, unsafe.Slice((*byte)(unsafe.Pointer(&b)), unsafe.Sizeof(b)), rights, nil, unix.MSG_NOSIGNAL); err != nil {
		return fault.New("send the bootstrap to init", "", err)
	}
	return nil
}

func (s *Stage) report() (r C.struct_hull_report, err error) {
	buf := unsafe.Slice((*byte)(unsafe.Pointer(&r)), unsafe.Sizeof(r))
	for {
		n, err := 0, s.await()
		if err == nil {
			n, _, err = unix.Recvfrom(s.link, buf, unix.MSG_DONTWAIT)
		}
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err == nil && n == 0, errors.Is(err, unix.EAGAIN):
			return r, fault.New("start init", "", errors.New("the process died before it reached its namespaces"))
		case err != nil:
			return r, fault.New("hear from init", "", err)
		case n != len(buf) || r.magic != C.HULL_MAGIC:
			return r, fault.New("start init", "", errors.New("malformed report"))
		}
		return r, nil
	}
}

// await waits until there is something to be read from the link, or the stage is
// gone. Where it is killed between the clone and the report of it, the init process
// holds the link, and has nothing to say before it is asked.
func (s *Stage) await() error {
	_, err := unix.Poll([]unix.PollFd{{Fd: int32(s.link), Events: unix.POLLIN}, {Fd: int32(s.pidfd), Events: unix.POLLIN}}, -1)
	return err
}

// IsFailure reports whether a datagram of the link is the failure report of a
// process that has not yet entered Go, and translates it.
func IsFailure(b []byte, ns *Namespaces) (error, bool) { //nolint:revive // the error is the result
	var r C.struct_hull_report
	if len(b) != int(unsafe.Sizeof(r)) || b[0] != C.HULL_FAILED {
		return nil, false
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&r)), unsafe.Sizeof(r)), b)
	return failure(&r, ns), true
}

// failure puts the C stage's report into words.
func failure(r *C.struct_hull_report, ns *Namespaces) error {
	cause := syscall.Errno(r.error)
	index := int(r.index)
	switch r.step {
	case C.HULL_STEP_BOOTSTRAP:
		return fault.New("receive the bootstrap in", "init", cause)
	case C.HULL_STEP_JOIN, C.HULL_STEP_JOIN_LATE:
		return joinFailure(ns, index, cause)
	case C.HULL_STEP_UNSHARE_MAPPED:
		return newNamespaceFailure(ns.New&mappedFlags, cause)
	case C.HULL_STEP_BECOME_ROOT:
		return fault.New("take ids in", "the user namespace", cause)
	case C.HULL_STEP_CLONE:
		if into := ns.Cgroup.Into; into != nil && (cause == unix.EBUSY || cause == unix.EOPNOTSUPP || cause == unix.ENODEV) {
			return joinCgroupFailure(into.Name(), cause)
		}
		return newNamespaceFailure(ns.New&^(mappedFlags|unix.CLONE_NEWCGROUP), cause)
	case C.HULL_STEP_JOIN_CGROUP:
		object := "cgroup"
		if files := slices.Concat(ns.Cgroup.Tasks, ns.Cgroup.Leave); index < len(files) {
			object = files[index].Name()
		}
		return joinCgroupFailure(object, cause)
	case C.HULL_STEP_UNSHARE_CGROUP:
		return newNamespaceFailure(unix.CLONE_NEWCGROUP, cause)
	}
	return fault.New("start init", fmt.Sprint("step ", r.step), cause)
}
