package seccomp

import (
	"cmp"
	"math"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	libseccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/sys/unix"
)

// A profile that denies by default denies the calls of tomorrow's kernels too.
// C libraries try a new call first and fall back to an older one on ENOSYS, but
// not on EPERM, and not when killed. So the dispatcher answers ENOSYS, as if
// the kernel were as old as the profile, to every number above the highest one
// that the profile has an opinion on. Numbers below it are the rules' business:
// the author knew the table up to there.
//
// A profile that by default allows, logs or asks a tracer means to let new
// calls through, and gets no such answer.

const (
	// x32Bit marks the x32 table in a number of AUDIT_ARCH_X86_64.
	x32Bit = 1 << 30
	// armPrivate is where 32-bit ARM has a few calls of its own, far above
	// the table (breakpoint, cacheflush, set_tls...): they say nothing about
	// the age of a profile.
	armPrivate = 0x0f0000
	// directLimit is above the own numbers of calls that are also reached
	// through a multiplexer (x86 has 359 to 373 and 393 to 402).
	directLimit = 600
)

// multiplexed reports whether nr is what libseccomp gives for a call that a
// table has twice: behind socketcall(2) or ipc(2), and with its own number.
func multiplexed(nr int32) bool { return nr > -300 && nr < -100 }

// span is a range of system call numbers, both ends included.
type span struct{ from, to uint32 }

// link joins the programs of the tables behind a dispatcher:
//
//	    load arch
//	A:  if arch != A go to B
//	    load number
//	    if from <= number <= to return ENOSYS      for each span
//	    if number >= x32Bit go to program x32      only where both are covered
//	    go to program A
//	B:  ...
//	    kill the thread                            libseccomp's default, too
//	program A, program x32, program B...
//
// Conditional jumps of classic BPF reach 255 instructions, so none leaves its
// section; unconditional ones have 32 bits. All instructions are among those
// that the kernel can evaluate for its bitmap of calls that are always allowed
// (Linux 5.11, seccomp_is_const_allow), so an allowed call stays free.
func link(p *specs.LinuxSeccomp, tables []table) []byte {
	l := linker{code: []unix.SockFilter{load(offsetArch)}}
	for i, t := range tables {
		sameArch := func(o table) bool { return o.audit == t.audit }
		if slices.ContainsFunc(tables[:i], sameArch) {
			continue // it is in the section of that one
		}
		var group []table
		for _, o := range tables[i:] {
			if sameArch(o) {
				group = append(group, o)
			}
		}
		l.section(p, group)
	}
	l.code = append(l.code, ret(unix.SECCOMP_RET_KILL_THREAD))
	for _, e := range l.exits {
		l.code[e.at] = jump(len(l.code) + e.to - e.at - 1)
	}
	return append(encode(l.code...), l.programs...)
}

// linker is what link has so far: the dispatcher, and the programs that come
// after it.
type linker struct {
	code     []unix.SockFilter
	exits    []exit
	programs []byte
}

// exit is a jump out of the dispatcher: where it is, and where it goes,
// counted from the first program.
type exit struct{ at, to int }

// section appends the part for the tables of one seccomp_data.arch.
func (l *linker) section(p *specs.LinuxSeccomp, group []table) {
	start := len(l.code)
	l.code = append(l.code, unix.SockFilter{}, load(offsetNumber))
	for _, t := range group {
		l.code = appendSpans(l.code, t.newerThan(p))
	}
	// The table that begins at 0 is for what no other takes.
	slices.SortFunc(group, func(a, b table) int { return cmp.Compare(b.firstNumber(), a.firstNumber()) })
	for i, t := range group {
		if i < len(group)-1 {
			l.code = append(l.code, jumpIf(unix.BPF_JGE, t.firstNumber(), 0, 1))
		}
		l.exits = append(l.exits, exit{at: len(l.code), to: len(l.programs) / instructionSize})
		l.code = append(l.code, unix.SockFilter{})
		l.programs = append(l.programs, t.program...)
	}
	l.code[start] = jumpIf(unix.BPF_JEQ, group[0].audit, 0, uint8(len(l.code)-start-1))
}

func appendSpans(code []unix.SockFilter, spans []span) []unix.SockFilter {
	for _, r := range spans {
		code = append(code,
			jumpIf(unix.BPF_JGE, r.from, 0, 2),
			jumpIf(unix.BPF_JGT, r.to, 1, 0),
			ret(unix.SECCOMP_RET_ERRNO|uint32(unix.ENOSYS)))
	}
	return code
}

// deniesByDefault reports whether an unknown call is refused, and with
// something other than ENOSYS.
func deniesByDefault(p *specs.LinuxSeccomp) bool {
	switch p.DefaultAction {
	case specs.ActKill, specs.ActKillThread, specs.ActKillProcess, specs.ActTrap:
		return true
	case specs.ActErrno:
		return p.DefaultErrnoRet == nil || *p.DefaultErrnoRet != uint(unix.ENOSYS)
	case specs.ActAllow, specs.ActLog, specs.ActTrace, specs.ActNotify:
	}
	return false
}

// newerThan returns the numbers of the table that are newer than p. A profile
// that names nothing in the table has no age.
func (t table) newerThan(p *specs.LinuxSeccomp) []span {
	if !deniesByDefault(p) || t.highest < 0 {
		return nil
	}
	spans := []span{{uint32(t.highest) + 1, t.limit()}}
	// On s390 a number above 255 is passed in a register to system call 0, and
	// stays 0 when the kernel does not know it. Nothing has used the real
	// number 0, setup(2), for decades.
	if t.arch == libseccomp.ArchS390 || t.arch == libseccomp.ArchS390X {
		spans = append(spans, span{0, 0})
	}
	return spans
}

// firstNumber is where the table begins among those of one seccomp_data.arch.
func (a abi) firstNumber() uint32 {
	if a.arch == libseccomp.ArchX32 {
		return x32Bit
	}
	return 0
}

// limit is the last number that belongs to the table.
func (a abi) limit() uint32 {
	switch a.arch {
	case libseccomp.ArchAMD64:
		return x32Bit - 1
	case libseccomp.ArchARM:
		return armPrivate - 1
	default:
		return math.MaxUint32
	}
}

// highestDirect returns the highest own number of the named calls, for which
// libseccomp gives the multiplexed one when asked by name; -1 without names.
func (a abi) highestDirect(names []string) int32 {
	if len(names) == 0 {
		return -1
	}
	for nr := int32(directLimit); nr >= 0; nr-- {
		name, err := libseccomp.ScmpSyscall(nr).GetNameByArch(a.arch)
		if err == nil && slices.Contains(names, name) {
			return nr
		}
	}
	return -1
}
