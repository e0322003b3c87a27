package seccomp

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"runtime"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// cacheFormat changes with the layout of a cached file, and with anything in
// this package that makes another program of the same profile.
const cacheFormat = 2

// key names a compiled filter: the hash of all that its bytes depend on.
type key [sha256.Size]byte

// fileName is where the filter is in the cache directory.
func (k key) fileName() string { return hex.EncodeToString(k[:]) }

// keyOf returns the key of p on this machine. The kernel's release is part of
// it, because Compile asks the kernel which flags it has; and unknown, because a
// profile that was accepted once may be refused otherwise.
func keyOf(p *specs.LinuxSeccomp, unknown UnknownCalls) (key, error) {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return key{}, fault.New("uname", "", err)
	}
	b := binary.AppendUvarint(make([]byte, 0, 16<<10), cacheFormat)
	b = appendText(b, runtime.GOARCH)
	b = appendText(b, Version())
	b = append(b, uts.Release[:]...)
	b = append(b, byte(unknown))
	return sha256.Sum256(appendProfile(b, p)), nil
}

// appendProfile appends the one encoding of a profile: numbers are varints,
// texts and lists begin with their length, so no two profiles have the same
// bytes. By hand, because encoding/json needs many times longer for Docker's
// default profile.
func appendProfile(b []byte, p *specs.LinuxSeccomp) []byte {
	b = appendText(b, p.DefaultAction)
	b = appendOptional(b, p.DefaultErrnoRet)
	b = binary.AppendUvarint(b, uint64(len(p.Architectures)))
	for _, arch := range p.Architectures {
		b = appendText(b, arch)
	}
	// An absent list of flags means something else than an empty one.
	if p.Flags == nil {
		b = append(b, 0)
	} else {
		b = binary.AppendUvarint(b, uint64(len(p.Flags))+1)
	}
	for _, flag := range p.Flags {
		b = appendText(b, flag)
	}
	// Only Validate looks at these, and only at whether they are set.
	b = append(b, byte(min(len(p.ListenerPath), 1)), byte(min(len(p.ListenerMetadata), 1)))
	b = binary.AppendUvarint(b, uint64(len(p.Syscalls)))
	for i := range p.Syscalls {
		b = appendRule(b, &p.Syscalls[i])
	}
	return b
}

func appendRule(b []byte, r *specs.LinuxSyscall) []byte {
	b = appendText(b, r.Action)
	b = appendOptional(b, r.ErrnoRet)
	b = binary.AppendUvarint(b, uint64(len(r.Names)))
	for _, name := range r.Names {
		b = appendText(b, name)
	}
	b = binary.AppendUvarint(b, uint64(len(r.Args)))
	for i := range r.Args {
		arg := &r.Args[i]
		b = binary.AppendUvarint(b, uint64(arg.Index))
		b = binary.AppendUvarint(b, arg.Value)
		b = binary.AppendUvarint(b, arg.ValueTwo)
		b = appendText(b, arg.Op)
	}
	return b
}

func appendText[T ~string](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendOptional appends 0 for nil, and otherwise 1 and the number.
func appendOptional(b []byte, n *uint) []byte {
	if n == nil {
		return append(b, 0)
	}
	return binary.AppendUvarint(append(b, 1), uint64(*n))
}
