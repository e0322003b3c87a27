package seccomp

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"golang.org/x/sys/unix"
)

// call is one system call as a filter sees it (struct seccomp_data).
type call struct {
	arch uint32
	nr   uint32
	args [6]uint64
}

// word returns the 32 bits at an offset of struct seccomp_data.
func (c call) word(offset uint32) uint32 {
	b := binary.NativeEndian.AppendUint32(nil, c.nr)
	b = binary.NativeEndian.AppendUint32(b, c.arch)
	b = binary.NativeEndian.AppendUint64(b, 0)
	for _, arg := range c.args {
		b = binary.NativeEndian.AppendUint64(b, arg)
	}
	return binary.NativeEndian.Uint32(b[offset:])
}

// errRanOff is a program whose end is reached, or a jump out of it.
var errRanOff = errors.New("the program does not return")

// run interprets a program, as the kernel would: what it returns is a
// SECCOMP_RET_* value. It is how filters of architectures that cannot be
// executed here are checked.
func run(program []byte, c call) (uint32, error) {
	var acc uint32
	var mem [16]uint32
	for pc := 0; ; pc++ {
		if pc < 0 || pc*instructionSize >= len(program) {
			return 0, errRanOff
		}
		b := program[pc*instructionSize:]
		code, jt, jf, k := binary.NativeEndian.Uint16(b), b[2], b[3], binary.NativeEndian.Uint32(b[4:])
		switch code & 7 {
		case unix.BPF_RET:
			return k, nil
		case unix.BPF_LD:
			switch code {
			case unix.BPF_LD | unix.BPF_MEM:
				acc = mem[k]
			case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
				acc = c.word(k)
			default:
				return 0, errors.New("unknown load")
			}
		case unix.BPF_ST:
			mem[k] = acc
		case unix.BPF_ALU:
			if code != unix.BPF_ALU|unix.BPF_AND|unix.BPF_K {
				return 0, errors.New("unknown arithmetic")
			}
			acc &= k
		case unix.BPF_JMP:
			pc += hop(code, jt, jf, k, acc)
		default:
			return 0, errors.New("unknown instruction")
		}
	}
}

func hop(code uint16, jt, jf uint8, k, acc uint32) int {
	yes := false
	switch code & 0xf0 {
	case unix.BPF_JA:
		return int(k)
	case unix.BPF_JEQ:
		yes = acc == k
	case unix.BPF_JGT:
		yes = acc > k
	case unix.BPF_JGE:
		yes = acc >= k
	case unix.BPF_JSET:
		yes = acc&k != 0
	}
	if yes {
		return int(jt)
	}
	return int(jf)
}

func TestTheInterpreterAgreesWithTheInstructionSet(t *testing.T) {
	program := encode(
		load(16), // low word of the first argument on a little-endian machine
		jumpIf(unix.BPF_JGT, 10, 0, 1),
		ret(1),
		jumpIf(unix.BPF_JEQ, 3, 0, 1),
		jump(1),
		ret(2),
		ret(3),
	)
	for arg, want := range map[uint64]uint32{11: 1, 3: 3, 4: 2, math.MaxUint32: 1} {
		if got, err := run(program, call{args: [6]uint64{arg}}); err != nil || got != want {
			t.Errorf("%d: got %d, %v; want %d", arg, got, err, want)
		}
	}
	if _, err := run(program[:len(program)-instructionSize], call{args: [6]uint64{3}}); !errors.Is(err, errRanOff) {
		t.Errorf("a program without end: %v", err)
	}
}
