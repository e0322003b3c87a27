package link

import (
	"encoding/binary"

	"hull/internal/fault"
)

// Filter is a compiled seccomp filter as it travels to init.
type Filter struct {
	// Flags are SECCOMP_FILTER_FLAG_*.
	Flags uint32
	// Program is an array of struct sock_filter; empty for no filter.
	Program []byte
}

// EncodeFilter renders f as the payload of Finish.
func EncodeFilter(f Filter) []byte {
	b := make([]byte, 0, 4+len(f.Program))
	return append(binary.LittleEndian.AppendUint32(b, f.Flags), f.Program...)
}

// DecodeFilter is the inverse of EncodeFilter; an empty payload is no filter.
func DecodeFilter(b []byte) (Filter, error) {
	if len(b) == 0 {
		return Filter{}, nil
	}
	if len(b) < 4 {
		return Filter{}, fault.Newf("decode", "seccomp filter", "%d bytes", len(b))
	}
	return Filter{Flags: binary.LittleEndian.Uint32(b), Program: b[4:]}, nil
}

// NoBarrier is the error of a filter that notifies where the thread under it has
// nothing to wait at (linux.Barrier).
func NoBarrier(cause error) error {
	return fault.New("wait for", "the agent of linux.seccomp", cause).
		WithHint("a filter that notifies takes userfaultfd(2) of the kernel, and hull itself must be allowed it")
}
