package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// underFilter is about system calls that a seccomp filter decides.
func underFilter(verb, argument string) (any, error) {
	switch verb {
	case "call": // number:argument,argument... and what comes of it
		return call(argument)
	case "threadcall": // the same on a thread of its own: does this process live on?
		return threadCall(argument)
	case "traced": // the same in a child, as its tracer sees it
		return traced(argument)
	}
	return nil, errors.New("unknown verb " + verb)
}

// called is what a system call returned.
type called struct {
	Value uint64
	Errno int
}

func call(argument string) (called, error) {
	number, list, _ := strings.Cut(argument, ":")
	values := strings.FieldsFunc(number+","+list, func(r rune) bool { return r == ',' })
	var args [7]uintptr
	if len(values) > len(args) {
		return called{}, errors.New("call takes six arguments")
	}
	for i, text := range values {
		v, err := strconv.ParseUint(text, 0, 64)
		if err != nil {
			return called{}, errors.New("call takes number:argument,argument")
		}
		args[i] = uintptr(v)
	}
	c := called{}
	r, _, errno := syscall.Syscall6(args[0], args[1], args[2], args[3], args[4], args[5], args[6])
	if errno == 0 {
		c.Value = uint64(r)
	}
	c.Errno = int(errno)
	return c, nil
}

// threadCall returns once the thread has made the call, or is no more.
func threadCall(argument string) (string, error) {
	debug.SetGCPercent(-1) // the runtime cannot stop a thread that is gone
	ids, done := make(chan int), make(chan error, 1)
	besideLeader(func() {
		ids <- unix.Gettid()
		_, err := call(argument)
		done <- err
	})
	id := <-ids
	for unix.Tgkill(os.Getpid(), id, 0) == nil {
		select {
		case err := <-done:
			return "the thread lives", err
		default:
			runtime.Gosched()
		}
	}
	return "the thread is gone", nil
}

// besideLeader runs f on a thread that is not the first: a dead leader stays as
// long as the others.
func besideLeader(f func()) {
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			besideLeader(f)
			select {}
		}
		f()
	}()
}

// trace is what a tracer sees of a child that makes one call.
type trace struct {
	// Message is that of PTRACE_EVENT_SECCOMP, -1 without one.
	Message int
	// Signal is what the call raised, Code, Errno and Syscall its siginfo.
	Signal, Code, Errno, Syscall int
	// Output is what the child said of the call.
	Output string
}

func traced(argument string) (any, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var output strings.Builder
	cmd := exec.Command("/proc/self/exe", "call="+argument)
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	cmd.Stdout = &output
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	t := trace{Message: -1}
	var status unix.WaitStatus
	if _, err := unix.Wait4(cmd.Process.Pid, &status, unix.WALL, nil); err != nil {
		return nil, err
	}
	err := unix.PtraceSetOptions(cmd.Process.Pid, unix.PTRACE_O_TRACESECCOMP|unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_EXITKILL)
	if err != nil {
		return nil, err
	}
	for tid := cmd.Process.Pid; tid != 0; {
		if tid, err = t.follow(cmd.Process.Pid, tid, status, &status); err != nil {
			return nil, err
		}
	}
	_ = cmd.Wait() // ECHILD: it is collected, but its output is read to the end
	t.Output = output.String()
	return t, nil
}

// follow notes why a thread has stopped, lets it go on and waits for the next
// stop. It returns 0 when the child has ended.
func (t *trace) follow(child, tid int, stop unix.WaitStatus, next *unix.WaitStatus) (int, error) {
	deliver := 0
	switch {
	case stop.Exited() || stop.Signaled():
		if tid == child {
			return 0, nil
		}
	case stop.TrapCause() == unix.PTRACE_EVENT_SECCOMP:
		message, err := unix.PtraceGetEventMsg(tid)
		if err != nil {
			return 0, err
		}
		t.Message = int(message)
	case stop.StopSignal() == unix.SIGSYS:
		// siginfo_t: three numbers, then for SIGSYS an address, the call and
		// the architecture.
		var info struct {
			signal, errno, code, _ int32
			address                uint64
			call, arch             int32
			_                      [96]byte
		}
		_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GETSIGINFO, uintptr(tid), 0, uintptr(unsafe.Pointer(&info)), 0, 0)
		if errno != 0 {
			return 0, fmt.Errorf("PTRACE_GETSIGINFO: %w", errno)
		}
		t.Signal, t.Code, t.Errno, t.Syscall = int(info.signal), int(info.code), int(info.errno), int(info.call)
		if err := unix.Kill(child, unix.SIGKILL); err != nil {
			return 0, err
		}
	case stop.StopSignal() != unix.SIGTRAP && stop.StopSignal() != unix.SIGSTOP:
		deliver = int(stop.StopSignal())
	}
	if stop.Stopped() {
		if err := unix.PtraceCont(tid, deliver); err != nil && !errors.Is(err, unix.ESRCH) {
			return 0, err
		}
	}
	return unix.Wait4(-1, next, unix.WALL, nil)
}
