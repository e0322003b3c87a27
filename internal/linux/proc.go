// Package linux holds what hull needs of the kernel and golang.org/x/sys/unix
// does not offer: a system call, a file's format, a policy for EINTR. It
// resolves no path that a container controls; that is package inroot.
package linux

import (
	"bytes"
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Flags of include/linux/sched.h.
const (
	// pfExiting is PF_EXITING: on its way out.
	pfExiting = 0x4
	// pfForkNoExec is PF_FORKNOEXEC: forked, and not yet executed anything.
	pfForkNoExec = 0x40
)

// Process is what /proc/PID/stat says of a process (proc_pid_stat(5)).
type Process struct {
	// Name is field 2, the command's: the process may have chosen it.
	Name string
	// State is the letter of field 3: R, S, D, Z, X, ….
	State byte
	// Parent is field 4, its parent's pid.
	Parent int
	// StartTime is field 22, in clock ticks since boot. Together with the
	// pid it names a process for good.
	StartTime uint64
	flags     uint64
	threads   uint64
}

// Alive reports whether any thread of the process lives. The first one may have
// ended without the others, and then looks like a zombie.
func (p Process) Alive() bool { return p.State != 'Z' && p.State != 'X' || p.threads > 1 }

// Executed reports whether the process has called execve(2) since it was
// forked.
func (p Process) Executed() bool { return p.flags&pfForkNoExec == 0 }

// Ending reports whether the first thread of the process has ended or is about to,
// which is so before any descriptor of an ending process is closed.
func (p Process) Ending() bool { return p.flags&pfExiting != 0 }

// ErrNoProcess says that there is no process of the pid.
var ErrNoProcess = errors.New("no such process")

// Stat reads the process of pid; the error is ErrNoProcess if there is none.
func Stat(pid int) (Process, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return Process{}, ErrNoProcess
	}
	if err != nil {
		return Process{}, err
	}
	return parseStat(b)
}

// parseStat relies on nothing before the last parenthesis: the name of the
// command is the process's own to choose.
func parseStat(b []byte) (Process, error) {
	begin, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if begin < 0 || end < begin {
		return Process{}, errors.New("malformed /proc/PID/stat")
	}
	fields := bytes.Fields(b[end+1:])
	const (
		first     = 3 // the manual's number of fields[0]
		state     = 0
		parent    = 4 - first
		flags     = 9 - first
		threads   = 20 - first
		startTime = 22 - first
	)
	if len(fields) <= startTime || len(fields[state]) != 1 {
		return Process{}, errors.New("malformed /proc/PID/stat")
	}
	p := Process{Name: string(b[begin+1 : end]), State: fields[state][0]}
	var err error
	if p.flags, err = strconv.ParseUint(string(fields[flags]), 10, 64); err != nil {
		return Process{}, err
	}
	if p.threads, err = strconv.ParseUint(string(fields[threads]), 10, 64); err != nil {
		return Process{}, err
	}
	if p.Parent, err = strconv.Atoi(string(fields[parent])); err != nil {
		return Process{}, err
	}
	p.StartTime, err = strconv.ParseUint(string(fields[startTime]), 10, 64)
	return p, err
}

// Processes returns all processes of the caller's pid namespace that he may see.
func Processes() (map[int]Process, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	all := make(map[int]Process)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		p, err := Stat(pid)
		if errors.Is(err, ErrNoProcess) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all[pid] = p
	}
	return all, nil
}

// Children returns the children of the first thread of a process, zombies
// included; none where the kernel does not tell (CONFIG_PROC_CHILDREN).
func Children(pid int) []int {
	id := strconv.Itoa(pid)
	b, err := os.ReadFile("/proc/" + id + "/task/" + id + "/children")
	if err != nil {
		return nil
	}
	var pids []int
	for field := range bytes.FieldsSeq(b) {
		if child, err := strconv.Atoi(string(field)); err == nil {
			pids = append(pids, child)
		}
	}
	return pids
}

// WaitsIn returns the kernel's function that a process sleeps in; "" if that is
// not to be known.
func WaitsIn(pid int) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/wchan")
	if err != nil || string(b) == "0" {
		return ""
	}
	return string(b)
}

// InnerPID returns the pid that the process has in its own pid namespace: the
// last number of NSpid in /proc/PID/status (proc_pid_status(5)).
func InnerPID(pid int) (int, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, err
	}
	_, rest, found := bytes.Cut(b, []byte("\nNSpid:"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	fields := bytes.Fields(line)
	if !found || len(fields) == 0 {
		return 0, errors.New("no NSpid in /proc/PID/status")
	}
	return strconv.Atoi(string(fields[len(fields)-1]))
}

// OpenProcess returns a descriptor of a process; the error is ESRCH if there is
// none. Kernels say EINVAL (6.12) or ENOENT as well, where the number is that of
// a thread, or still that of a session or a process group.
func OpenProcess(pid int) (fd int, err error) {
	fd, err = unix.PidfdOpen(pid, 0)
	if pid > 0 && (errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT)) {
		return -1, unix.ESRCH
	}
	return fd, err
}
