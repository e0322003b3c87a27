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
		code, yes, no, k := binary.NativeEndian.Uint16(b), int(b[2]), int(b[3]), binary.NativeEndian.Uint32(b[4:])
		switch code & 7 {
		case unix.BPF_RET:
			return code == unix.BPF_RET|unix.BPF_K && v.is(k)
		case unix.BPF_LD:
			acc = v.load(code, k)
		case unix.BPF_ALU:
			acc.known = acc.known && code == unix.BPF_ALU|unix.BPF_AND|unix.BPF_K
			acc.value &= k
		case unix.BPF_MISC:
			acc.known = acc.known && code == unix.BPF_MISC|unix.BPF_TAX
		case unix.BPF_JMP:
			if code == unix.BPF_JMP|unix.BPF_JA {
				at += int(k)
				continue
			}
			holds, known := compare(code, acc, k)
			switch {
			case !known && !v.all(at+1+yes, acc):
				return false
			case known && holds:
				at += yes
			default:
				at += no
			}
		}
	}
	return false
}

// load returns what an instruction loads.
func (v *verdicts) load(code uint16, k uint32) word {
	if code != unix.BPF_LD|unix.BPF_W|unix.BPF_ABS {
		return word{}
	}
	switch k {
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
