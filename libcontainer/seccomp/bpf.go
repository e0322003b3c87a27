package seccomp

import (
	"encoding/binary"
	"iter"

	"golang.org/x/sys/unix"
)

// instructionSize is the size of struct sock_filter.
const instructionSize = 8

const (
	offsetNumber = 0 // of nr in struct seccomp_data
	offsetArch   = 4 // of arch
)

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

func jumpIf(op uint16, k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_K | op, Jt: yes, Jf: no, K: k}
}

func jump(over int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: uint32(over)}
}

func ret(value uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: value}
}

// encode returns instructions as the kernel reads them.
func encode(code ...unix.SockFilter) []byte {
	b := make([]byte, 0, len(code)*instructionSize)
	for _, i := range code {
		b = binary.NativeEndian.AppendUint16(b, i.Code)
		b = append(b, i.Jt, i.Jf)
		b = binary.NativeEndian.AppendUint32(b, i.K)
	}
	return b
}

// decode is the inverse of encode. A rest that is no instruction is left out.
func decode(program []byte) iter.Seq[unix.SockFilter] {
	return func(yield func(unix.SockFilter) bool) {
		for b := program; len(b) >= instructionSize; b = b[instructionSize:] {
			i := unix.SockFilter{
				Code: binary.NativeEndian.Uint16(b), Jt: b[2], Jf: b[3],
				K: binary.NativeEndian.Uint32(b[4:]),
			}
			if !yield(i) {
				return
			}
		}
	}
}
