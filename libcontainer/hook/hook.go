// Package hook runs one OCI hook: config.md, "POSIX-platform Hooks".
//
// It decides neither when a hook runs nor what its failure means, and it looks
// nothing up: path, arguments, environment and state come in the plan. The
// hook's environment is exactly what the configuration gives it.
package hook

import (
	"cmp"
	"errors"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/libcontainer/plan"
)

// The operations of this package's errors.
const (
	opRun  = "run hook"
	opWait = "wait for hook"
)

// ErrEnded is the cause of an error when the hook was killed because the
// descriptor end said so.
var ErrEnded = errors.New("killed, since the container's init is gone")

// outputLimit is how much of a failed hook's last output goes into the error,
// in bytes.
const outputLimit = 1024

// Place is where a hook runs.
type Place struct {
	// Dir is the working directory; empty for the caller's.
	Dir string
	// End is a descriptor that ends the hook when it becomes readable or is
	// hung up, or -1.
	End int
	// Output is where its output goes.
	Output Output
	// Program is a descriptor of the program, where its path does not lead to
	// it, or 0.
	Program int
}

// Output are descriptors that take what hooks print; 0 is none, and then it is
// shown if the hook fails and else dropped.
type Output struct {
	Stdout, Stderr int
}

// Run executes h with its state on stdin, and waits for it. A hook that outlives
// its timeout is killed with its process group, and that is an error; so is one
// that still runs when place.End says so. A hook does not outlive the thread
// that calls Run.
func Run(h *plan.Hook, place Place) error {
	stdin, err := memfd(h.State)
	if err != nil {
		return NotRun(h, err)
	}
	defer unix.Close(stdin)
	output, err := memfd(nil)
	if err != nil {
		return NotRun(h, err)
	}
	defer unix.Close(output)

	path := h.Path
	files := []uintptr{uintptr(stdin), cmp.Or(uintptr(place.Output.Stdout), uintptr(output)), cmp.Or(uintptr(place.Output.Stderr), uintptr(output))}
	if place.Program != 0 {
		// It is not closed by execve(2): the interpreter of a script needs it.
		path = "/proc/self/fd/" + strconv.Itoa(len(files))
		files = append(files, uintptr(place.Program))
	}
	pidfd := -1
	pid, err := syscall.ForkExec(path, arguments(h), &syscall.ProcAttr{
		Dir:   place.Dir,
		Env:   h.Env,
		Files: files,
		Sys:   &syscall.SysProcAttr{Setpgid: true, PidFD: &pidfd, Pdeathsig: unix.SIGKILL},
	})
	if err != nil {
		return NotRun(h, err)
	}
	defer unix.Close(pidfd)
	return wait(h, pid, pidfd, output, place.End)
}

// NotRun is the error of a hook that cannot be started.
func NotRun(h *plan.Hook, cause error) error {
	failed := fault.New(opRun, describe(h), cause)
	switch {
	case errors.Is(cause, unix.EAGAIN): // fork(2)
		failed.Hint = "process.rlimits has RLIMIT_NPROC too low, the pids limit is, or process.scheduler lacks SCHED_FLAG_RESET_ON_FORK"
	case errors.Is(cause, unix.EMFILE):
		failed.Hint = "RLIMIT_NOFILE of who called hull is too low"
	case errors.Is(cause, unix.EFBIG):
		failed.Hint = "RLIMIT_FSIZE of who called hull is too low for the state of the container"
	case errors.Is(cause, unix.ENOENT):
		failed.Hint = "the file is missing, or its interpreter"
	case errors.Is(cause, unix.EACCES):
		failed.Hint = "it must be a file that may be executed"
	case errors.Is(cause, unix.ENOEXEC):
		failed.Hint = plan.ExecutionHint(cause)
	}
	return failed
}

func describe(h *plan.Hook) string { return h.Name + " (" + h.Path + ")" }

func arguments(h *plan.Hook) []string {
	if len(h.Args) == 0 {
		return []string{h.Path}
	}
	return h.Args
}

// memfd returns a file in memory that holds b and is read from its start. Files
// instead of pipes: neither a hook that does not read its state nor a child
// that a hook leaves behind can block us.
func memfd(b []byte) (int, error) {
	fd, err := unix.MemfdCreate("hull-hook", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, err
	}
	if err := pwrite(fd, b); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// pwrite writes all of b, of which RLIMIT_FSIZE lets the kernel take a part.
func pwrite(fd int, b []byte) error {
	for done := 0; done < len(b); {
		n, err := unix.Pwrite(fd, b[done:], int64(done))
		if err != nil {
			return err
		}
		done += n
	}
	return nil
}

func wait(h *plan.Hook, pid, pidfd, output, end int) error {
	how, err := await(pidfd, end, time.Duration(h.TimeoutSeconds)*time.Second)
	if how != exited {
		_ = unix.Kill(-pid, unix.SIGKILL)
	}
	var status unix.WaitStatus
	for {
		if _, err := unix.Wait4(pid, &status, 0, nil); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	switch {
	case err != nil:
		return fault.New(opWait, describe(h), err)
	case how == ended:
		return withOutput(fault.New(opRun, describe(h), ErrEnded), output)
	case how == expired:
		return withOutput(fault.Newf(opRun, describe(h), "killed after its timeout of %d s", h.TimeoutSeconds), output)
	case status.Signaled():
		return withOutput(fault.Newf(opRun, describe(h), "killed by %s", unix.SignalName(status.Signal())), output)
	case status.ExitStatus() != 0:
		return withOutput(fault.Newf(opRun, describe(h), "exit status %d", status.ExitStatus()), output)
	}
	return nil
}

// outcome is what ends the wait for a hook.
type outcome int

const (
	unknown outcome = iota
	exited
	expired
	ended
)

// await waits for the process behind pidfd to exit, or for end; a limit of 0 is
// none. A descriptor of -1 is one that poll(2) ignores.
func await(pidfd, end int, limit time.Duration) (outcome, error) {
	deadline := time.Now().Add(limit)
	for {
		timeout := -1
		if limit > 0 {
			timeout = max(0, int(time.Until(deadline).Milliseconds()))
		}
		fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}, {Fd: int32(end), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, timeout)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return unknown, err
		case n == 0:
			return expired, nil
		case fds[0].Revents != 0:
			return exited, nil
		}
		return ended, nil
	}
}

// withOutput adds the end of what the hook printed as the hint.
func withOutput(e *fault.Error, output int) error {
	var st unix.Stat_t
	if unix.Fstat(output, &st) != nil || st.Size == 0 {
		return e
	}
	b := make([]byte, outputLimit)
	n, err := unix.Pread(output, b, max(0, st.Size-outputLimit))
	if err != nil || n <= 0 {
		return e
	}
	if text := strings.TrimSpace(string(b[:n])); text != "" {
		e.Hint = "it said: " + strings.Join(strings.Fields(text), " ")
	}
	return e
}
