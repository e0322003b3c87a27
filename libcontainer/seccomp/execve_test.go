package seccomp

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestAFilterIsRefusedOnlyIfNoExecveCanSucceed(t *testing.T) {
	onlyIf := func(op specs.LinuxSeccompOperator) *specs.LinuxSeccomp {
		p := rule(specs.ActAllow, nil, "execve")
		p.DefaultAction = specs.ActErrno
		p.Syscalls[0].Args = []specs.LinuxSeccompArg{{Index: 0, Op: op}}
		return p
	}
	for name, tt := range map[string]struct {
		profile *specs.LinuxSeccomp
		refused bool
	}{
		"nothing is allowed":              {&specs.LinuxSeccomp{DefaultAction: specs.ActErrno}, true},
		"everything kills the thread":     {&specs.LinuxSeccomp{DefaultAction: specs.ActKill}, true},
		"everything kills the process":    {&specs.LinuxSeccomp{DefaultAction: specs.ActKillProcess}, true},
		"everything traps":                {&specs.LinuxSeccomp{DefaultAction: specs.ActTrap}, true},
		"another call is allowed":         {denying(rule(specs.ActAllow, nil, "read")), true},
		"only execveat is allowed":        {denying(rule(specs.ActAllow, nil, "execveat")), true},
		"execve is the one that is not":   {rule(specs.ActErrno, nil, "execve"), true},
		"execve is allowed":               {denying(rule(specs.ActAllow, nil, "execve")), false},
		"execve is logged":                {denying(rule(specs.ActLog, nil, "execve")), false},
		"a tracer is asked":               {denying(rule(specs.ActTrace, nil, "execve")), false},
		"the arguments decide":            {onlyIf(specs.OpEqualTo), false},
		"the arguments decide, otherwise": {onlyIf(specs.OpNotEqual), false},
		"everything is allowed":           {&specs.LinuxSeccomp{DefaultAction: specs.ActAllow}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.profile.DefaultAction == specs.ActAllow && len(tt.profile.Syscalls) == 0 {
				if err := CheckExecve(encode(ret(allow))); err != nil {
					t.Error(err)
				}
				return
			}
			f, err := Compile(tt.profile, IgnoreUnknown)
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckExecve(f.Program); (err != nil) != tt.refused {
				t.Errorf("got %v, refused should be %v", err, tt.refused)
			}
		})
	}
}

// denying is p with everything denied that it has no rule for.
func denying(p *specs.LinuxSeccomp) *specs.LinuxSeccomp {
	p.DefaultAction = specs.ActErrno
	return p
}

func TestWhatCannotBeFollowedIsNotRefused(t *testing.T) {
	kill := ret(unix.SECCOMP_RET_KILL_PROCESS)
	computed := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_A}
	add := unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_ADD | unix.BPF_K, K: 1}
	many := []unix.SockFilter{load(16)}
	for range 40 { // 2^40 ways to the same end
		many = append(many, jumpIf(unix.BPF_JEQ, 1, 0, 0))
	}
	for name, program := range map[string][]byte{
		"returns what it has computed":           encode(load(offsetNumber), computed),
		"goes by a number that it has changed":   encode(load(offsetNumber), add, jumpIf(unix.BPF_JEQ, unix.SYS_EXECVE, 1, 0), ret(allow), kill),
		"goes by an address":                     encode(load(8), jumpIf(unix.BPF_JGT, 0, 1, 0), ret(allow), kill),
		"compares with X, which is not followed": encode(load(offsetNumber), unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_X, Jt: 1}, ret(allow), kill),
		"has too many ways":                      encode(append(many, kill)...),
	} {
		if err := CheckExecve(program); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := CheckExecve(encode(load(16), jumpIf(unix.BPF_JEQ, 1, 0, 1), kill, ret(unix.SECCOMP_RET_ERRNO))); err == nil {
		t.Error("denied on both ways, and accepted")
	}
}

func TestAFilterThatLetsInitSpeakIsTold(t *testing.T) {
	reporting := []string{"execve", "write"}
	for name, tt := range map[string]struct {
		profile *specs.LinuxSeccomp
		silent  bool
	}{
		"denies something else":        {rule(specs.ActErrno, nil, "getpgid"), false},
		"allows just that":             {denying(rule(specs.ActAllow, nil, reporting...)), false},
		"logs just that":               {denying(rule(specs.ActLog, nil, reporting...)), false},
		"does not allow write":         {denying(rule(specs.ActAllow, nil, "execve")), true},
		"does not allow execve":        {rule(specs.ActKillProcess, nil, "execve"), true},
		"has a tracer asked of execve": {rule(specs.ActTrace, nil, "execve"), true},
	} {
		f, err := Compile(tt.profile, IgnoreUnknown)
		if err != nil {
			t.Fatal(err)
		}
		if got := MaySilence(f.Program); got != tt.silent {
			t.Errorf("a filter that %s: got %v", name, got)
		}
	}
}

func BenchmarkWhatAFilterDoesToExecve(b *testing.B) {
	f, err := Compile(dockerProfile(b), IgnoreUnknown)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := CheckExecve(f.Program); err != nil || MaySilence(f.Program) {
			b.Fatal(err)
		}
	}
}
