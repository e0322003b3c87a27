package profile

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// FlagTsync is accepted in profiles and has no effect: the filter is loaded by
// the thread that calls execve(2), which ends all others. The spec lists the
// flag, its Go package does not.
const FlagTsync specs.LinuxSeccompFlag = "SECCOMP_FILTER_FLAG_TSYNC"

// Actions returns the actions of the spec, sorted.
func Actions() []string {
	return []string{
		string(specs.ActAllow),
		string(specs.ActErrno),
		string(specs.ActKill),
		string(specs.ActKillProcess),
		string(specs.ActKillThread),
		string(specs.ActLog),
		string(specs.ActNotify),
		string(specs.ActTrace),
		string(specs.ActTrap),
	}
}

// ActionValue returns the SECCOMP_RET_* value of an action, without its data
// bits, and whether the action exists.
func ActionValue(a specs.LinuxSeccompAction) (value uint32, ok bool) {
	switch a {
	case specs.ActAllow:
		return unix.SECCOMP_RET_ALLOW, true
	case specs.ActErrno:
		return unix.SECCOMP_RET_ERRNO, true
	case specs.ActKill, specs.ActKillThread:
		return unix.SECCOMP_RET_KILL_THREAD, true
	case specs.ActKillProcess:
		return unix.SECCOMP_RET_KILL_PROCESS, true
	case specs.ActLog:
		return unix.SECCOMP_RET_LOG, true
	case specs.ActNotify:
		return unix.SECCOMP_RET_USER_NOTIF, true
	case specs.ActTrace:
		return unix.SECCOMP_RET_TRACE, true
	case specs.ActTrap:
		return unix.SECCOMP_RET_TRAP, true
	}
	return 0, false
}

// Operators returns the comparison operators of the spec, sorted.
func Operators() []string {
	return []string{
		string(specs.OpEqualTo),
		string(specs.OpGreaterEqual),
		string(specs.OpGreaterThan),
		string(specs.OpLessEqual),
		string(specs.OpLessThan),
		string(specs.OpMaskedEqual),
		string(specs.OpNotEqual),
	}
}

// Architectures returns the architectures of the spec, sorted. The linked
// libseccomp may know fewer.
func Architectures() []string {
	return []string{
		string(specs.ArchAARCH64),
		string(specs.ArchARM),
		string(specs.ArchLOONGARCH64),
		string(specs.ArchM68K),
		string(specs.ArchMIPS),
		string(specs.ArchMIPS64),
		string(specs.ArchMIPS64N32),
		string(specs.ArchMIPSEL),
		string(specs.ArchMIPSEL64),
		string(specs.ArchMIPSEL64N32),
		string(specs.ArchPARISC),
		string(specs.ArchPARISC64),
		string(specs.ArchPPC),
		string(specs.ArchPPC64),
		string(specs.ArchPPC64LE),
		string(specs.ArchRISCV64),
		string(specs.ArchS390),
		string(specs.ArchS390X),
		string(specs.ArchSH),
		string(specs.ArchSHEB),
		string(specs.ArchX32),
		string(specs.ArchX86),
		string(specs.ArchX86_64),
	}
}

// Flags returns the filter flags of the spec, sorted.
func Flags() []string {
	return []string{
		string(specs.LinuxSeccompFlagLog),
		string(specs.LinuxSeccompFlagSpecAllow),
		string(FlagTsync),
		string(specs.LinuxSeccompFlagWaitKillableRecv),
	}
}

// FlagValue returns the SECCOMP_FILTER_FLAG_* bit of a flag and whether the
// flag exists.
func FlagValue(f specs.LinuxSeccompFlag) (bit uint32, ok bool) {
	switch f {
	case FlagTsync:
		return unix.SECCOMP_FILTER_FLAG_TSYNC, true
	case specs.LinuxSeccompFlagLog:
		return unix.SECCOMP_FILTER_FLAG_LOG, true
	case specs.LinuxSeccompFlagSpecAllow:
		return unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW, true
	case specs.LinuxSeccompFlagWaitKillableRecv:
		return unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, true
	}
	return 0, false
}
