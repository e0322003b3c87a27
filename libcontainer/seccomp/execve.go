package seccomp

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// CheckExecve refuses a filter under which no program could be started: it
// denies execve(2) whatever the arguments are. Init is the one that would find
// out, after the filter has taken its voice. A filter that decides by the
// arguments, or asks an agent or a tracer, is accepted.
func CheckExecve(program []byte) error {
	if !always(program, unix.SYS_EXECVE, denies) {
		return nil
	}
	return fault.Newf("", "linux.seccomp", "denies execve, so that the program could not be started").
		WithHint("allow execve in linux.seccomp.syscalls")
}

// MaySilence reports whether a filter may keep init from executing the program,
// or from saying that it could not.
func MaySilence(program []byte) bool {
	for _, number := range [...]uint32{unix.SYS_EXECVE, unix.SYS_WRITE} {
		if !always(program, number, passes) {
			return true
		}
	}
	return false
}

// always reports whether a program is certain to return what is says for a
// native system call, whatever the arguments.
func always(program []byte, number uint32, is func(value uint32) bool) bool {
	a, err := native()
	if err != nil {
		return false
	}
	v := verdicts{program: program, number: number, arch: a.audit, is: is, steps: unix.BPF_MAXINSNS}
	return v.all(0, word{})
}

// verdicts follows all the ways that a program may take with one system call,
// of which the arguments are not known.
type verdicts struct {
	program []byte
	number  uint32
	arch    uint32
	is      func(value uint32) bool
	// steps are how many more instructions are looked at: with each test of
	// an argument there can be twice as many ways.
	steps int
}

// word is the accumulator, if it is known.
type word struct {
	value uint32
	known bool
}

// all reports whether every way from the instruction at on returns what is wanted.
// It is false if it cannot tell.
func (v *verdicts) all(at int, acc word) bool {
	for ; v.steps > 0 && at >= 0 && (at+1)*instructionSize <= len(v.program); at++ {
		v.steps--
		b := v.program[at*instructionSize:]
		i := unix.SockFilter{Code: binary.NativeEndian.Uint16(b), Jt: b[2], Jf: b[3], K: binary.NativeEndian.Uint32(b[4:])}
		switch i.Code & 7 {
		case unix.BPF_RET:
			return i.Code == unix.BPF_RET|unix.BPF_K && v.is(i.K)
		case unix.BPF_JMP:
			over, ok := v.jump(at, i, acc)
			if !ok {
				return false
			}
			at += over
		default:
			acc = v.compute(i, acc)
		}
	}
	return false
}

// jump returns over how many instructions to go on. Of two ways it goes the first
// by itself; it is not ok if that ends otherwise than wanted.
func (v *verdicts) jump(at int, i unix.SockFilter, acc word) (over int, ok bool) {
	if i.Code == unix.BPF_JMP|unix.BPF_JA {
		return int(i.K), true
	}
	holds, known := compare(i.Code, acc, i.K)
	switch {
	case !known:
		return int(i.Jf), v.all(at+1+int(i.Jt), acc)
	case holds:
		return int(i.Jt), true
	}
	return int(i.Jf), true
}

// compute returns the accumulator after an instruction that neither returns nor
// jumps. The memory and the other register are not followed.
func (v *verdicts) compute(i unix.SockFilter, acc word) word {
	switch i.Code {
	case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
		return v.load(i.K)
	case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
		return word{acc.value & i.K, acc.known}
	}
	switch i.Code & 7 {
	case unix.BPF_ST, unix.BPF_STX, unix.BPF_LDX:
		return acc
	}
	return word{}
}

// load returns a word of struct seccomp_data.
func (v *verdicts) load(offset uint32) word {
	switch offset {
	case offsetNumber:
		return word{v.number, true}
	case offsetArch:
		return word{v.arch, true}
	}
	return word{}
}

// compare says whether the condition of a jump holds, if that is known.
func compare(code uint16, acc word, k uint32) (holds, known bool) {
	switch code {
	case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
		return acc.value == k, acc.known
	case unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K:
		return acc.value > k, acc.known
	case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
		return acc.value >= k, acc.known
	case unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K:
		return acc.value&k != 0, acc.known
	}
	return false, false
}

// denies reports whether with this value the kernel does not carry out the call,
// whoever else there is. What it does not know it takes for the first of them
// (kernel/seccomp.c, __seccomp_filter).
func denies(value uint32) bool {
	switch value & unix.SECCOMP_RET_ACTION_FULL {
	case unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_LOG, unix.SECCOMP_RET_TRACE, unix.SECCOMP_RET_USER_NOTIF:
		return false
	}
	return true
}

// passes reports whether with this value the kernel carries the call out.
func passes(value uint32) bool {
	action := value & unix.SECCOMP_RET_ACTION_FULL
	return action == unix.SECCOMP_RET_ALLOW || action == unix.SECCOMP_RET_LOG
}
