package seccomp

import (
	"encoding/binary"
	"math"

	"github.com/opencontainers/runtime-spec/specs-go"
	libseccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/sys/unix"
)

// A profile that denies by default denies the calls of tomorrow's kernels too.
// C libraries try a new call first and fall back to an older one on ENOSYS, but
// not on EPERM, and not when killed. So a stub before the rules answers ENOSYS,
// as if the kernel were as old as the profile, to every number above the
// highest one that the profile has an opinion on. Numbers below it are the
// rules' business: the author knew the table up to there.
//
// A profile that by default allows, logs or asks a tracer gets no stub: it
// means to let new calls through.

const (
	// x32Bit marks the x32 table in a number of AUDIT_ARCH_X86_64.
	x32Bit = 1 << 30
	// armPrivate is where 32-bit ARM has a few calls of its own, far above
	// the table (breakpoint, cacheflush, set_tls...): they say nothing about
	// the age of a profile.
	armPrivate = 0x0f0000
	// multiplexed numbers, those of socketcall(2) and ipc(2), are what
	// libseccomp gives for calls that a table has twice: behind the
	// multiplexer, and with a number of their own.
	multiplexedLast  = -100
	multiplexedFirst = -300
	// directLimit is above the own numbers of such calls (x86 has 359 to
	// 373 and 393 to 402).
	directLimit = 600
)

// span is a range of system call numbers, both ends included.
type span struct{ from, to uint32 }

// enosysStub returns the program that answers ENOSYS to calls newer than p and
// falls through to what follows it otherwise. It is empty where p needs none.
//
// For each architecture it has one section that holds all it needs, its own
// return included: conditional jumps of classic BPF reach 255 instructions,
// and none of these leaves its section.
//
//	    load arch
//	A:  if arch != A go to B
//	    load number
//	    if number < from or > to go on       for each span
//	    return ENOSYS
//	    go to the end                        (an unconditional jump has 32 bits)
//	B:  ...
//
// It uses only instructions that the kernel can evaluate for its bitmap of
// calls that are always allowed (Linux 5.11, seccomp_is_const_allow), so an
// allowed call is still free.
func enosysStub(p *specs.LinuxSeccomp, abis []abi) []byte {
	if !deniesByDefault(p) {
		return nil
	}
	sections := make([][]unix.SockFilter, 0, len(abis))
	rest := 0
	for _, audit := range auditArchs(abis) {
		spans := newerThan(p, abis, audit)
		if len(spans) == 0 {
			continue
		}
		s := section(audit, spans)
		sections = append(sections, s)
		rest += len(s)
	}
	if rest == 0 {
		return nil
	}
	program := appendInstructions(nil, load(offsetArch))
	for _, s := range sections {
		rest -= len(s)
		s[len(s)-1] = jump(rest)
		program = appendInstructions(program, s...)
	}
	return program
}

// deniesByDefault reports whether an unknown call is refused, and with
// something other than ENOSYS.
func deniesByDefault(p *specs.LinuxSeccomp) bool {
	switch p.DefaultAction {
	case specs.ActKill, specs.ActKillThread, specs.ActKillProcess, specs.ActTrap:
		return true
	case specs.ActErrno:
		return p.DefaultErrnoRet == nil || *p.DefaultErrnoRet != uint(unix.ENOSYS)
	}
	return false
}

// auditArchs returns each seccomp_data.arch of abis once.
func auditArchs(abis []abi) []uint32 {
	var archs []uint32
next:
	for _, a := range abis {
		for _, have := range archs {
			if have == a.audit {
				continue next
			}
		}
		archs = append(archs, a.audit)
	}
	return archs
}

// newerThan returns the numbers that are newer than p under audit.
func newerThan(p *specs.LinuxSeccomp, abis []abi, audit uint32) []span {
	var spans []span
	for _, a := range abis {
		if a.audit != audit {
			continue
		}
		highest, ok := a.highest(p)
		if !ok {
			continue
		}
		spans = append(spans, span{highest + 1, a.limit()})
		// On s390 a number above 255 is passed in a register to system call 0,
		// and stays 0 when the kernel does not know it. Nothing has used
		// the real number 0, setup(2), for decades.
		if a.arch == libseccomp.ArchS390 || a.arch == libseccomp.ArchS390X {
			spans = append(spans, span{0, 0})
		}
	}
	return spans
}

// limit is the last number that belongs to the table.
func (a abi) limit() uint32 {
	switch a.arch {
	case libseccomp.ArchAMD64:
		return x32Bit - 1
	case libseccomp.ArchARM:
		return armPrivate - 1
	}
	return math.MaxUint32
}

// highest returns the highest number in the table that p names, and whether it
// names any.
func (a abi) highest(p *specs.LinuxSeccomp) (uint32, bool) {
	highest := int32(-1)
	twice := map[string]bool{}
	for i := range p.Syscalls {
		for _, name := range p.Syscalls[i].Names {
			nr, ok := a.number(name)
			switch {
			case !ok || uint32(max(nr, 0)) > a.limit():
			case nr < 0:
				twice[name] = twice[name] || nr > multiplexedFirst && nr < multiplexedLast
			default:
				highest = max(highest, nr)
			}
		}
	}
	highest = max(highest, a.highestDirect(twice))
	return uint32(highest), highest >= 0
}

// highestDirect returns the highest own number of the calls that are also
// reached through a multiplexer, for which libseccomp gives a negative number,
// or -1.
func (a abi) highestDirect(twice map[string]bool) int32 {
	if len(twice) == 0 {
		return -1
	}
	for nr := int32(directLimit); nr >= 0; nr-- {
		name, err := libseccomp.ScmpSyscall(nr).GetNameByArch(a.arch)
		if err == nil && twice[name] {
			return nr
		}
	}
	return -1
}

// section is the part of the stub for one architecture. Its last instruction
// is left for the jump to the end.
func section(audit uint32, spans []span) []unix.SockFilter {
	s := []unix.SockFilter{{}, load(offsetNumber)}
	for _, r := range spans {
		enosys := ret(unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS))
		s = append(s, jumpIf(unix.BPF_JGE, r.from, 0, 2), jumpIf(unix.BPF_JGT, r.to, 1, 0), enosys)
	}
	s = append(s, unix.SockFilter{})
	s[0] = jumpIf(unix.BPF_JEQ, audit, 0, uint8(len(s)-1))
	return s
}

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

// appendInstructions appends instructions as the kernel reads them.
func appendInstructions(b []byte, code ...unix.SockFilter) []byte {
	for _, i := range code {
		b = binary.NativeEndian.AppendUint16(b, i.Code)
		b = append(b, i.Jt, i.Jf)
		b = binary.NativeEndian.AppendUint32(b, i.K)
	}
	return b
}
