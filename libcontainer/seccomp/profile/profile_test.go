package profile_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/internal/fault"
	"hull/libcontainer/seccomp/profile"
)

// base is a valid profile with one of everything.
func base() *specs.LinuxSeccomp {
	errno, message := uint(38), uint(65535)
	return &specs.LinuxSeccomp{
		DefaultAction:    specs.ActErrno,
		DefaultErrnoRet:  &errno,
		Architectures:    []specs.Arch{specs.ArchX86_64, specs.ArchSHEB},
		Flags:            []specs.LinuxSeccompFlag{profile.FlagTsync, specs.LinuxSeccompFlagLog},
		ListenerPath:     "/run/agent",
		ListenerMetadata: "x",
		Syscalls: []specs.LinuxSyscall{
			{Names: []string{"read", "write"}, Action: specs.ActAllow},
			{Names: []string{"mount"}, Action: specs.ActNotify},
			{Names: []string{"kill"}, Action: specs.ActTrace, ErrnoRet: &message, Args: []specs.LinuxSeccompArg{
				{Index: 5, Value: 1, Op: specs.OpMaskedEqual},
			}},
		},
	}
}

func ptr(n uint) *uint { return &n }

func TestValidateNamesTheJSONPathOfWhatIsWrong(t *testing.T) {
	tests := []struct {
		name   string
		damage func(*specs.LinuxSeccomp)
		want   string
	}{
		{"unknown default action", func(p *specs.LinuxSeccomp) { p.DefaultAction, p.DefaultErrnoRet = "SCMP_ACT_DENY", nil }, `linux.seccomp.defaultAction: unknown action "SCMP_ACT_DENY"`},
		{"no default action but rules", func(p *specs.LinuxSeccomp) { p.DefaultAction, p.DefaultErrnoRet = "", nil }, `linux.seccomp.defaultAction: unknown action ""`},
		{"default return value without room", func(p *specs.LinuxSeccomp) { p.DefaultAction = specs.ActKill }, `linux.seccomp.defaultErrnoRet: the action "SCMP_ACT_KILL" takes no return value`},
		{"default errno too large", func(p *specs.LinuxSeccomp) { p.DefaultErrnoRet = ptr(4095) }, "linux.seccomp.defaultErrnoRet: 4095 is more than 4094"},
		{"unknown architecture", func(p *specs.LinuxSeccomp) { p.Architectures[1] = "SCMP_ARCH_Z80" }, `linux.seccomp.architectures[1]: unknown architecture "SCMP_ARCH_Z80"`},
		{"unknown flag", func(p *specs.LinuxSeccomp) { p.Flags[1] = "SECCOMP_FILTER_FLAG_X" }, `linux.seccomp.flags[1]: unknown flag "SECCOMP_FILTER_FLAG_X"`},
		{"the listener flag is not for profiles", func(p *specs.LinuxSeccomp) { p.Flags[0] = "SECCOMP_FILTER_FLAG_NEW_LISTENER" }, "linux.seccomp.flags[0]: unknown flag"},
		{"notify without listener", func(p *specs.LinuxSeccomp) { p.ListenerPath, p.ListenerMetadata = "", "" }, "linux.seccomp.listenerPath: must be set"},
		{"notify by default without listener", func(p *specs.LinuxSeccomp) {
			*p = specs.LinuxSeccomp{DefaultAction: specs.ActNotify}
		}, "linux.seccomp.listenerPath: must be set"},
		{"metadata without listener", func(p *specs.LinuxSeccomp) { p.ListenerPath, p.Syscalls = "", nil }, "linux.seccomp.listenerMetadata: must not be set without listenerPath"},
		{"no names", func(p *specs.LinuxSeccomp) { p.Syscalls[0].Names = nil }, "linux.seccomp.syscalls[0].names: must not be empty"},
		{"empty name", func(p *specs.LinuxSeccomp) { p.Syscalls[0].Names[1] = "" }, "linux.seccomp.syscalls[0].names[1]: must not be empty"},
		{"unknown action", func(p *specs.LinuxSeccomp) { p.Syscalls[0].Action = "allow" }, `linux.seccomp.syscalls[0].action: unknown action "allow"`},
		{"return value without room", func(p *specs.LinuxSeccomp) { p.Syscalls[0].ErrnoRet = ptr(1) }, `linux.seccomp.syscalls[0].errnoRet: the action "SCMP_ACT_ALLOW" takes no return value`},
		{"trace message too large", func(p *specs.LinuxSeccomp) { p.Syscalls[2].ErrnoRet = ptr(65536) }, "linux.seccomp.syscalls[2].errnoRet: 65536 is more than 65535"},
		{"seventh argument", func(p *specs.LinuxSeccomp) { p.Syscalls[2].Args[0].Index = 6 }, "linux.seccomp.syscalls[2].args[0].index: 6 is not an argument of a system call (0 to 5)"},
		{"unknown operator", func(p *specs.LinuxSeccomp) { p.Syscalls[2].Args[0].Op = "==" }, `linux.seccomp.syscalls[2].args[0].op: unknown operator "=="`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := base()
			tt.damage(p)
			err := profile.Validate(p, profile.Architectures)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			var f *fault.Error
			if !errors.As(err, &f) {
				t.Errorf("%T is not a fault", err)
			}
		})
	}
}

func TestValidateAcceptsWhatTheSpecAllows(t *testing.T) {
	tests := []struct {
		name string
		p    *specs.LinuxSeccomp
	}{
		{"no profile", nil},
		{"an empty object", &specs.LinuxSeccomp{}},
		{"one of everything", base()},
		{"notify by default", &specs.LinuxSeccomp{DefaultAction: specs.ActNotify, ListenerPath: "/x"}},
		{"a listener nobody uses", &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, ListenerPath: "/x"}},
		{"names that do not exist", &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"nope"}, Action: specs.ActKill}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := profile.Validate(tt.p, profile.Architectures); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestValidateReportsAllProblemsAtOnce(t *testing.T) {
	p := base()
	p.Flags[0], p.Syscalls[0].Action, p.Syscalls[2].Args[0].Op = "a", "b", "c"
	list, ok := profile.Validate(p, profile.Architectures).(interface{ Unwrap() []error })
	if !ok || len(list.Unwrap()) != 3 {
		t.Errorf("got %v, want three problems", profile.Validate(p, profile.Architectures))
	}
}

func TestListsAreSortedAndEveryNameHasAValue(t *testing.T) {
	for _, list := range [][]string{profile.Actions(), profile.Operators(), profile.Architectures(), profile.Flags()} {
		if !slices.IsSorted(list) {
			t.Errorf("not sorted: %v", list)
		}
	}
	for _, name := range profile.Actions() {
		if _, ok := profile.ActionValue(specs.LinuxSeccompAction(name)); !ok {
			t.Errorf("%s has no value", name)
		}
	}
	for _, name := range profile.Flags() {
		if _, ok := profile.FlagValue(specs.LinuxSeccompFlag(name)); !ok {
			t.Errorf("%s has no value", name)
		}
	}
}

func TestAProfileMayKillAThreadByDefaultOrInARule(t *testing.T) {
	rule := func(a specs.LinuxSeccompAction) *specs.LinuxSeccomp {
		return &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Action: specs.ActLog}, {Action: a}}}
	}
	for action, want := range map[specs.LinuxSeccompAction]bool{
		specs.ActKill: true, specs.ActKillThread: true, specs.ActKillProcess: false, specs.ActErrno: false, specs.ActAllow: false,
	} {
		if got := profile.KillsThread(&specs.LinuxSeccomp{DefaultAction: action}); got != want {
			t.Errorf("%s by default: %v", action, got)
		}
		if got := profile.KillsThread(rule(action)); got != want {
			t.Errorf("%s in a rule: %v", action, got)
		}
	}
}
