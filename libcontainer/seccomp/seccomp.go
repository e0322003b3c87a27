// Package seccomp turns the linux.seccomp object of config.json into the
// classic BPF program that seccomp(2) loads.
//
// It is the only importer of libseccomp, and it runs in the parent only: the
// init stage is given bytes. As libseccomp needs 15 to 30 ms for the profile
// that engines use by default, Cached keeps the result on disk.
//
// It refuses what package profile refuses, architectures that the linked
// libseccomp lacks, flags that the running kernel lacks, and profiles whose
// program is longer than the kernel accepts.
package seccomp

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/linux"
	"hull/libcontainer/seccomp/profile"
)

// Filter is a compiled profile.
type Filter struct {
	// Program is an array of struct sock_filter in native byte order.
	Program []byte
	// Flags are the SECCOMP_FILTER_FLAG_* bits to load it with.
	Flags uint32
}

// Notifies reports whether loading the filter gives a listener, which has to
// be sent to the profile's listenerPath.
func (f *Filter) Notifies() bool {
	return f.Flags&unix.SECCOMP_FILTER_FLAG_NEW_LISTENER != 0
}

// UnknownCalls says what becomes of names of system calls that libseccomp does
// not know.
type UnknownCalls int

const (
	// IgnoreUnknown leaves them out: profiles are written for newer kernels and
	// other architectures, too.
	IgnoreUnknown UnknownCalls = iota
	// RefuseUnknown makes them errors.
	RefuseUnknown
)

// Validate is profile.Validate with the architectures that Compile takes.
func Validate(p *specs.LinuxSeccomp) error { return profile.Validate(p, covered) }

// Compile returns the filter of p, or nil if p is disabled (profile.Disabled).
// Errors name the JSON path. It takes milliseconds: see Cached.
//
// Rules whose action is the default action are ignored: libseccomp refuses them.
func Compile(p *specs.LinuxSeccomp, unknown UnknownCalls) (*Filter, error) {
	if profile.Disabled(p) {
		return nil, nil
	}
	if err := Validate(p); err != nil {
		return nil, err
	}
	if unknown == RefuseUnknown {
		if err := refuseUnknown(p); err != nil {
			return nil, err
		}
	}
	flags, err := filterFlags(p)
	if err != nil {
		return nil, err
	}
	if profile.Notifies(p) {
		flags |= unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	}
	abis, err := abisOf(p)
	if err != nil {
		return nil, err
	}
	tables, err := compileTables(p, abis)
	if err != nil {
		return nil, err
	}
	program := link(p, tables)
	if n := len(program) / instructionSize; n > unix.BPF_MAXINSNS {
		return nil, fault.Newf("", "linux.seccomp", "the profile needs a program of %d instructions", n).
			WithHint("the kernel accepts %d", unix.BPF_MAXINSNS)
	}
	return &Filter{Program: program, Flags: settled(flags)}, nil
}

// filterFlags returns the bits that the profile asks for. A profile without
// the flags field gets SPEC_ALLOW, as under runc: since Linux 5.16 the kernel's
// own default is the same, before that a filter slowed the container down.
func filterFlags(p *specs.LinuxSeccomp) (uint32, error) {
	var flags uint32
	if p.Flags == nil {
		flags = unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
	}
	for i, name := range p.Flags {
		bit, _ := profile.FlagValue(name)
		if !kernelHasFlag(bit) {
			return 0, fault.Newf("", elem("flags", i), "the kernel does not support %s", name)
		}
		flags |= bit
	}
	// See profile.FlagTsync. The kernel would refuse it if another thread
	// had a filter of its own.
	flags &^= unix.SECCOMP_FILTER_FLAG_TSYNC
	return flags, nil
}

// settled drops what makes no sense without a listener: nothing is received
// then, and the kernel says EINVAL.
func settled(flags uint32) uint32 {
	if flags&unix.SECCOMP_FILTER_FLAG_NEW_LISTENER == 0 {
		flags &^= unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	}
	return flags
}

// kernelHasFlag reports whether the kernel knows one SECCOMP_FILTER_FLAG_*.
func kernelHasFlag(bit uint32) bool {
	if bit == unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV {
		// Linux 5.19, and only together with a listener.
		bit |= unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	}
	return linux.SeccompHasFlags(bit)
}
