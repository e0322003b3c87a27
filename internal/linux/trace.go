package linux

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Tracee is a thread that the calling thread traces (ptrace(2)). Its methods
// belong on the thread that called Trace.
type Tracee struct{ tid int }

// ErrEnded is what a Tracee's methods return when the thread has ended. Its
// status is left to be collected.
const ErrEnded = unix.ESRCH

// Trace attaches to a child of this process and stops it. Should this process
// end before it detaches, the child is killed.
func Trace(tid int) (Tracee, error) {
	t := Tracee{tid}
	if err := unix.PtraceSeize(tid); err != nil {
		return t, err
	}
	if err := unix.PtraceInterrupt(tid); err != nil {
		return t, err
	}
	for {
		signal, err := t.await()
		if err != nil {
			return t, err
		}
		if signal == stopOfEvent {
			// TRACESYSGOOD tells system calls from signals.
			return t, unix.PtraceSetOptions(tid, unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_EXITKILL)
		}
		if err := unix.PtraceCont(tid, signal); err != nil {
			return t, err
		}
	}
}

// AwaitCall lets the thread go on until the kernel has carried out its next
// system call of that number, and stops it there: it does nothing more before
// Detach. It returns what the call did, an error number being negative.
func (t Tracee) AwaitCall(number uint64) (int64, error) {
	inside, deliver := false, 0
	for {
		if err := unix.PtraceSyscall(t.tid, deliver); err != nil {
			return 0, err
		}
		signal, err := t.await()
		if err != nil {
			return 0, err
		}
		deliver = 0
		switch signal {
		case stopOfEvent:
			continue
		case stopOfCall:
		default:
			deliver = signal
			continue
		}
		info, err := t.call()
		switch {
		case err != nil:
			return 0, err
		case info.op == callEntry:
			inside = info.value == number
		case info.op == callExit && inside:
			return int64(info.value), nil
		}
	}
}

// Detach lets the thread go.
func (t Tracee) Detach() error { return unix.PtraceDetach(t.tid) }

const (
	// stopOfCall is the signal of a stop at a system call.
	stopOfCall = int(unix.SIGTRAP) | 0x80
	// stopOfEvent stands for a stop that is not to deliver a signal.
	stopOfEvent = 0
)

// await blocks until the thread is stopped, and returns the signal that the
// stop is about.
func (t Tracee) await() (signal int, err error) {
	info, err := peek(unix.P_PID, t.tid, unix.WSTOPPED|unix.WALL)
	if err != nil {
		return 0, err
	}
	if info.code != childTrapped {
		return 0, ErrEnded
	}
	if info.status>>8 != 0 { // PTRACE_EVENT_*
		return stopOfEvent, nil
	}
	return int(info.status), nil
}

// Values of callInfo.op.
const (
	callEntry = 1 // PTRACE_SYSCALL_INFO_ENTRY
	callExit  = 2 // PTRACE_SYSCALL_INFO_EXIT
)

// callInfo is struct ptrace_syscall_info of linux/ptrace.h. value is the number
// of the call at its entry, and what it returned at its exit.
type callInfo struct {
	op      uint8
	_       [3]byte
	_       uint32 // arch
	_, _    uint64 // instruction and stack pointer
	value   uint64
	_, _, _ uint64
	_, _, _ uint64
	_       uint64
}

// call asks what system call the thread is stopped at (Linux 5.3).
func (t Tracee) call() (info callInfo, err error) {
	const getSyscallInfo = 0x420e // PTRACE_GET_SYSCALL_INFO
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, getSyscallInfo, uintptr(t.tid),
		unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 {
		return info, errno
	}
	return info, nil
}
