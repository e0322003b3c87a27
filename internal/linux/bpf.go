package linux

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// BPFInstruction is struct bpf_insn of linux/bpf.h.
type BPFInstruction struct {
	Code uint8
	// Registers is the destination in the low and the source in the high
	// four bits (on a little-endian machine; see registers).
	Registers uint8
	Offset    int16
	Immediate int32
}

// Jumps reports whether the instruction jumps if its condition holds.
func (i BPFInstruction) Jumps() bool {
	class := i.Code & 0x07
	return (class == unix.BPF_JMP || class == unix.BPF_JMP32) && i.Code&0xf0 != unix.BPF_EXIT
}

// registers packs the two bit fields the way the C compiler does.
func registers(dst, src uint8) uint8 {
	if bigEndian() {
		return dst<<4 | src
	}
	return src<<4 | dst
}

func bigEndian() bool {
	one := uint16(1)
	return *(*byte)(unsafe.Pointer(&one)) == 0
}

// BPFLoad32 loads the 32-bit word at src+offset into dst.
func BPFLoad32(dst, src uint8, offset int16) BPFInstruction {
	return BPFInstruction{unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W, registers(dst, src), offset, 0}
}

// BPFMove copies src to dst, 32 bits.
func BPFMove(dst, src uint8) BPFInstruction {
	return BPFInstruction{unix.BPF_ALU | unix.BPF_MOV | unix.BPF_X, registers(dst, src), 0, 0}
}

// BPFMoveImm sets dst, 32 bits.
func BPFMoveImm(dst uint8, v int32) BPFInstruction {
	return BPFInstruction{unix.BPF_ALU | unix.BPF_MOV | unix.BPF_K, registers(dst, 0), 0, v}
}

// BPFAndImm masks dst, 32 bits.
func BPFAndImm(dst uint8, v int32) BPFInstruction {
	return BPFInstruction{unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, registers(dst, 0), 0, v}
}

// BPFShiftRightImm shifts dst, 32 bits.
func BPFShiftRightImm(dst uint8, n int32) BPFInstruction {
	return BPFInstruction{unix.BPF_ALU | unix.BPF_RSH | unix.BPF_K, registers(dst, 0), 0, n}
}

// BPFJumpNotEqualImm jumps by Offset unless the low 32 bits of dst are v.
func BPFJumpNotEqualImm(dst uint8, v int32) BPFInstruction {
	return BPFInstruction{unix.BPF_JMP32 | unix.BPF_JNE | unix.BPF_K, registers(dst, 0), 0, v}
}

// BPFJumpEqualImm jumps by Offset if the low 32 bits of dst are v.
func BPFJumpEqualImm(dst uint8, v int32) BPFInstruction {
	return BPFInstruction{unix.BPF_JMP32 | unix.BPF_JEQ | unix.BPF_K, registers(dst, 0), 0, v}
}

// BPFJumpNotEqual jumps by Offset unless the low 32 bits are equal.
func BPFJumpNotEqual(dst, src uint8) BPFInstruction {
	return BPFInstruction{unix.BPF_JMP32 | unix.BPF_JNE | unix.BPF_X, registers(dst, src), 0, 0}
}

// BPFExit returns register 0.
func BPFExit() BPFInstruction {
	return BPFInstruction{unix.BPF_JMP | unix.BPF_EXIT, 0, 0, 0}
}

// maxDevicePrograms is the kernel's limit on programs of one kind attached to
// one cgroup (BPF_CGROUP_MAX_PROGS).
const maxDevicePrograms = 64

// DevicePrograms returns the IDs of the device programs that are attached to
// the open cgroup v2 directory.
func DevicePrograms(cgroup int) ([]uint32, error) {
	ids := make([]uint32, maxDevicePrograms)
	// The query part of union bpf_attr, to its end: kernels from 6.17 on write
	// revision whatever size they are given.
	attr := struct {
		target, attachType, queryFlags, attachFlags uint32
		ids                                         uint64
		count, _                                    uint32
		idFlags, linkIDs, linkFlags, revision       uint64
	}{
		target:     uint32(cgroup),
		attachType: uint32(unix.BPF_CGROUP_DEVICE),
		count:      maxDevicePrograms,
	}
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&ids[0])
	attr.ids = uint64(uintptr(unsafe.Pointer(&ids[0])))
	if _, err := bpf(unix.BPF_PROG_QUERY, unsafe.Pointer(&attr), unsafe.Sizeof(attr)); err != nil {
		return nil, err
	}
	return ids[:attr.count], nil
}

// AttachDeviceProgram adds a loaded program to those of the open cgroup v2
// directory; access needs the consent of all.
func AttachDeviceProgram(cgroup, program int) error {
	return deviceProgram(unix.BPF_PROG_ATTACH, cgroup, program, -1)
}

// ReplaceDeviceProgram puts a loaded program in the place of another one of the
// open cgroup v2 directory: an access meets either the one or the other
// (Linux 5.6).
func ReplaceDeviceProgram(cgroup, program, old int) error {
	return deviceProgram(unix.BPF_PROG_ATTACH, cgroup, program, old)
}

// DetachDeviceProgram removes a program from the open cgroup v2 directory.
func DetachDeviceProgram(cgroup, program int) error {
	return deviceProgram(unix.BPF_PROG_DETACH, cgroup, program, -1)
}

// deviceProgram attaches or detaches a program; old is the one to replace, or
// -1.
func deviceProgram(command uintptr, cgroup, program, old int) error {
	attr := struct{ target, program, attachType, flags, replace uint32 }{
		target:     uint32(cgroup),
		program:    uint32(program),
		attachType: uint32(unix.BPF_CGROUP_DEVICE),
	}
	if command == unix.BPF_PROG_ATTACH {
		attr.flags = unix.BPF_F_ALLOW_MULTI
	}
	if old >= 0 {
		attr.flags |= unix.BPF_F_REPLACE
		attr.replace = uint32(old)
	}
	_, err := bpf(command, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	return err
}

// LoadDeviceProgram loads a BPF_PROG_TYPE_CGROUP_DEVICE program.
func LoadDeviceProgram(program []BPFInstruction) (fd int, err error) {
	license := [...]byte{'A', 'p', 'a', 'c', 'h', 'e', 0}
	attr := struct {
		kind, count           uint32
		instructions, license uint64
		logLevel, logSize     uint32
		log                   uint64
	}{
		kind:  uint32(unix.BPF_PROG_TYPE_CGROUP_DEVICE),
		count: uint32(len(program)),
	}
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&program[0])
	pin.Pin(&license[0])
	attr.instructions = uint64(uintptr(unsafe.Pointer(&program[0])))
	attr.license = uint64(uintptr(unsafe.Pointer(&license[0])))
	return bpf(unix.BPF_PROG_LOAD, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
}

// OpenDeviceProgram opens the program with the ID.
func OpenDeviceProgram(id uint32) (fd int, err error) {
	attr := struct{ id, next, flags uint32 }{id: id}
	return bpf(unix.BPF_PROG_GET_FD_BY_ID, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
}

// bpf calls bpf(2). The verifier gives up with EAGAIN when a signal comes.
func bpf(cmd uintptr, attr unsafe.Pointer, size uintptr) (int, error) {
	for {
		r, _, errno := unix.Syscall(unix.SYS_BPF, cmd, uintptr(attr), size)
		switch errno {
		case 0:
			return int(r), nil
		case unix.EAGAIN, unix.EINTR:
		default:
			return -1, errno
		}
	}
}
