package seccomp

import (
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// FromProgram returns the filter that a ready program is. Of p, which may be
// empty, only the flags matter, and whether somebody listens. CheckProgram has
// accepted the program.
func FromProgram(program []byte, p *specs.LinuxSeccomp) (*Filter, error) {
	flags, err := filterFlags(p)
	if err != nil {
		return nil, err
	}
	if ProgramNotifies(program) {
		flags |= unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	}
	return &Filter{Program: program, Flags: settled(flags)}, nil
}

// ProgramNotifies reports whether a program can return
// SECCOMP_RET_USER_NOTIF: it says so, or returns what it has computed.
func ProgramNotifies(program []byte) bool {
	return mayReturn(program, unix.SECCOMP_RET_USER_NOTIF)
}

// ProgramKillsThread is ProgramNotifies for SECCOMP_RET_KILL_THREAD.
func ProgramKillsThread(program []byte) bool {
	return mayReturn(program, unix.SECCOMP_RET_KILL_THREAD)
}

func mayReturn(program []byte, action uint32) bool {
	for i := range decode(program) {
		switch i.Code {
		case unix.BPF_RET | unix.BPF_A:
			return true
		case unix.BPF_RET | unix.BPF_K:
			if i.K&unix.SECCOMP_RET_ACTION_FULL == action {
				return true
			}
		}
	}
	return false
}

// CheckProgram refuses what the kernel would refuse as a filter: it says only
// EINVAL, and that in the container's init (kernel/seccomp.c,
// seccomp_check_filter, and net/core/filter.c, bpf_check_classic).
func CheckProgram(program []byte) error {
	n := len(program) / instructionSize
	switch {
	case n == 0 || len(program)%instructionSize != 0:
		return fmt.Errorf("%d bytes are not instructions of %d bytes", len(program), instructionSize)
	case n > unix.BPF_MAXINSNS:
		return fmt.Errorf("%d instructions are more than %d", n, unix.BPF_MAXINSNS)
	}
	c := checker{stored: make([]uint16, n)}
	for i := range c.stored {
		c.stored[i] = anyWord
	}
	at := 0
	for i := range decode(program) {
		if err := c.check(at, i); err != nil {
			return fmt.Errorf("instruction %d: %w", at, err)
		}
		at++
	}
	return nil
}

const (
	// dataSize is the size of struct seccomp_data.
	dataSize = 64
	// scratchWords is how many words of memory a program has (BPF_MEMWORDS).
	scratchWords = 16
	// anyWord is the set of all of them.
	anyWord = 1<<scratchWords - 1
)

// checker goes through a program once; classic BPF jumps forward only.
type checker struct {
	// stored has the words that are written on every way to an instruction.
	stored []uint16
	// memory has those on the way from the instruction before.
	memory uint16
}

func (c *checker) check(at int, i unix.SockFilter) error {
	c.memory &= c.stored[at]
	if at == len(c.stored)-1 && i.Code != unix.BPF_RET|unix.BPF_K && i.Code != unix.BPF_RET|unix.BPF_A {
		return errors.New("the last one does not return")
	}
	switch i.Code & 7 {
	case unix.BPF_RET:
		return c.only(i, unix.BPF_K, unix.BPF_A)
	case unix.BPF_JMP:
		return c.jump(at, i)
	case unix.BPF_ALU:
		return c.arithmetic(i)
	case unix.BPF_ST, unix.BPF_STX:
		return c.store(i)
	case unix.BPF_MISC:
		return c.only(i, unix.BPF_TAX, unix.BPF_TXA)
	default: // BPF_LD and BPF_LDX
		return c.load(i)
	}
}

// errCode is an instruction that filters of system calls do not have.
var errCode = errors.New("not an instruction of a filter of system calls")

// only accepts the codes of a class that are listed.
func (*checker) only(i unix.SockFilter, codes ...uint16) error {
	if !slices.Contains(codes, i.Code&^7) {
		return fmt.Errorf("%w (code 0x%02x)", errCode, i.Code)
	}
	return nil
}

func (c *checker) load(i unix.SockFilter) error {
	if i.Code == unix.BPF_LD|unix.BPF_W|unix.BPF_ABS {
		if i.K%4 != 0 || i.K >= dataSize {
			return fmt.Errorf("loads offset %d of the %d bytes that describe a call", i.K, dataSize)
		}
		return nil
	}
	if err := c.only(i, unix.BPF_W|unix.BPF_LEN, unix.BPF_IMM, unix.BPF_MEM); err != nil {
		return err
	}
	if i.Code&^7 == unix.BPF_MEM && (i.K >= scratchWords || c.memory&(1<<i.K) == 0) {
		return fmt.Errorf("loads word %d of its memory, which is not stored before", i.K)
	}
	return nil
}

func (c *checker) store(i unix.SockFilter) error {
	if err := c.only(i, 0); err != nil {
		return err
	}
	if i.K >= scratchWords {
		return fmt.Errorf("stores word %d of %d", i.K, scratchWords)
	}
	c.memory |= 1 << i.K
	return nil
}

func (c *checker) arithmetic(i unix.SockFilter) error {
	if i.Code == unix.BPF_ALU|unix.BPF_NEG {
		return nil
	}
	operation := i.Code & 0xf0
	if i.Code&^(7|0xf0|unix.BPF_X) != 0 || operation > unix.BPF_RSH && operation != unix.BPF_XOR {
		return fmt.Errorf("%w (code 0x%02x)", errCode, i.Code)
	}
	constant := i.Code&unix.BPF_X == 0
	switch {
	case constant && operation == unix.BPF_DIV && i.K == 0:
		return errors.New("divides by 0")
	case constant && (operation == unix.BPF_LSH || operation == unix.BPF_RSH) && i.K > 31:
		return fmt.Errorf("shifts by %d bits", i.K)
	}
	return nil
}

func (c *checker) jump(at int, i unix.SockFilter) error {
	targets := [2]uint64{uint64(i.Jt), uint64(i.Jf)}
	switch {
	case i.Code == unix.BPF_JMP|unix.BPF_JA:
		targets = [2]uint64{uint64(i.K), uint64(i.K)}
	case i.Code&^(7|0xf0|unix.BPF_X) != 0 || i.Code&0xf0 == unix.BPF_JA || i.Code&0xf0 > unix.BPF_JSET:
		return fmt.Errorf("%w (code 0x%02x)", errCode, i.Code)
	}
	for _, over := range targets {
		to := uint64(at) + 1 + over
		if to >= uint64(len(c.stored)) {
			return fmt.Errorf("jumps to instruction %d of %d", to, len(c.stored))
		}
		c.stored[to] &= c.memory
	}
	c.memory = anyWord
	return nil
}
