package seccomp

import (
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	libseccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/sys/unix"

	"hull/libcontainer/seccomp/profile"
)

const (
	killThread = uint32(unix.SECCOMP_RET_KILL_THREAD)
	allow      = uint32(unix.SECCOMP_RET_ALLOW)
	eperm      = uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.EPERM)
	enosys     = uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.ENOSYS)
)

// verdict is what f returns for c.
func verdict(t *testing.T, f *Filter, c call) uint32 {
	t.Helper()
	v, err := run(f.Program, c)
	if err != nil {
		t.Fatalf("%+v: %v", c, err)
	}
	return v
}

func mustCompile(t *testing.T, p *specs.LinuxSeccomp) *Filter {
	t.Helper()
	f, err := Compile(p, IgnoreUnknown)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestADisabledProfileHasNoFilter(t *testing.T) {
	for _, p := range []*specs.LinuxSeccomp{nil, {}, {Architectures: []specs.Arch{specs.ArchX86}}} {
		if f, err := Compile(p, IgnoreUnknown); f != nil || err != nil {
			t.Errorf("%+v: %v, %v", p, f, err)
		}
	}
}

func TestFlagsBecomeBits(t *testing.T) {
	const log, spec, listener, wait = unix.SECCOMP_FILTER_FLAG_LOG, unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	tests := []struct {
		name   string
		flags  []specs.LinuxSeccompFlag
		action specs.LinuxSeccompAction
		want   uint32
	}{
		{"absent means spec allow", nil, specs.ActErrno, spec},
		{"empty means none", []specs.LinuxSeccompFlag{}, specs.ActErrno, 0},
		{"log", []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagLog}, specs.ActErrno, log},
		{"tsync has no bit", []specs.LinuxSeccompFlag{"SECCOMP_FILTER_FLAG_TSYNC", specs.LinuxSeccompFlagSpecAllow}, specs.ActErrno, spec},
		{"notify adds the listener", []specs.LinuxSeccompFlag{}, specs.ActNotify, listener},
		{"waiting needs the listener", []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagWaitKillableRecv}, specs.ActErrno, 0},
		{"waiting with the listener", []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagWaitKillableRecv}, specs.ActNotify, listener | wait},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := rule(tt.action, nil, "getpgid")
			p.Flags = tt.flags
			f := mustCompile(t, p)
			if f.Flags != tt.want {
				t.Errorf("flags %#x, want %#x", f.Flags, tt.want)
			}
			if tt.action != specs.ActNotify {
				errnos(t, f, call{nr: getpgid}) // the kernel takes them
			}
		})
	}
}

func TestErrorsOfCompileNameTheJSONPath(t *testing.T) {
	big := make([]specs.LinuxSeccompArg, 0, 5000)
	for i := range 5000 {
		big = append(big, specs.LinuxSeccompArg{Value: uint64(i) << 20, Op: specs.OpEqualTo})
	}
	tests := []struct {
		name string
		p    *specs.LinuxSeccomp
		want string
	}{
		{"not valid", &specs.LinuxSeccomp{DefaultAction: "x"}, `linux.seccomp.defaultAction: unknown action "x"`},
		{"not in libseccomp", &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: []specs.Arch{specs.ArchX86, specs.ArchM68K}}, "linux.seccomp.architectures[1]: SCMP_ARCH_M68K is not supported by libseccomp " + Version()},
		{"other byte order", &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: []specs.Arch{specs.ArchS390X}}, "linux.seccomp.architectures[0]: SCMP_ARCH_S390X has another byte order"},
		{"too long", &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"getpgid"}, Action: specs.ActErrno, Args: big}}}, "linux.seccomp: the profile needs a program of"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Compile(tt.p, IgnoreUnknown); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// TestJoinedTablesDecideAsOneFilterOfLibseccomp compares with a filter that
// libseccomp makes for all architectures at once.
func TestJoinedTablesDecideAsOneFilterOfLibseccomp(t *testing.T) {
	p := dockerProfile(t)
	ours := mustCompile(t, p)
	filter, err := libseccomp.NewFilter(scmpAction(p.DefaultAction, p.DefaultErrnoRet))
	if err != nil {
		t.Fatal(err)
	}
	defer filter.Release()
	abis, err := abisOf(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range abis {
		if err := filter.AddArch(a.arch); err != nil {
			t.Fatal(err)
		}
	}
	for i := range p.Syscalls {
		entry := &p.Syscalls[i]
		action := scmpAction(entry.Action, entry.ErrnoRet)
		conds, _ := conditions(entry.Args)
		for _, name := range entry.Names {
			nr, err := libseccomp.GetSyscallFromName(name)
			if err != nil || action == scmpAction(p.DefaultAction, p.DefaultErrnoRet) {
				continue
			}
			for _, c := range conds {
				if err := filter.AddRuleConditional(nr, action, c); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	theirs, err := export(filter)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := compileTables(p, abis)
	if err != nil {
		t.Fatal(err)
	}
	args := []uint64{0, 1, 8, 40, 0x7e020000, 0x10000000, 0xffffffff, 1 << 40}
	compared := 0
	for _, a := range tables {
		for nr := range uint32(600) {
			for _, arg := range args {
				c := call{arch: a.audit, nr: nr + a.firstNumber(), args: [6]uint64{arg, arg}}
				want, err := run(theirs, c)
				if err != nil {
					t.Fatal(err)
				}
				if c.nr > uint32(a.highest) {
					want = enosys
				}
				if got := verdict(t, ours, c); got != want {
					t.Errorf("%v number %d, argument %#x: %#x, libseccomp says %#x", a.arch, nr, arg, got, want)
				}
				compared++
			}
		}
	}
	if c := (call{arch: unix.AUDIT_ARCH_AARCH64}); verdict(t, ours, c) != killThread {
		t.Error("an architecture that is not covered must be killed")
	}
	if compared != len(abis)*600*len(args) {
		t.Errorf("compared %d", compared)
	}
}

func TestNumbersAboveTheProfileAreENOSYSInEveryTable(t *testing.T) {
	archs := []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32, specs.ArchARM, specs.ArchAARCH64, specs.ArchRISCV64, specs.ArchMIPSEL, specs.ArchMIPSEL64N32, specs.ArchPPC64LE}
	p := &specs.LinuxSeccomp{
		DefaultAction: specs.ActErrno,
		Architectures: archs,
		Syscalls:      []specs.LinuxSyscall{{Names: []string{"read", "openat2", "breakpoint"}, Action: specs.ActAllow}},
	}
	f := mustCompile(t, p)
	for _, name := range archs {
		a, _ := lookup(name)
		newest, _ := a.number("openat2")
		for offset, want := range map[int32]uint32{-1: eperm, 0: allow, 1: enosys, 1000: enosys} {
			c := call{arch: a.audit, nr: uint32(newest + offset)}
			if got := verdict(t, f, c); got != want {
				t.Errorf("%s, openat2%+d: %#x, want %#x", name, offset, got, want)
			}
		}
	}
	if got := verdict(t, f, call{arch: unix.AUDIT_ARCH_ARM, nr: armPrivate + 1}); got != allow {
		t.Errorf("a private call of ARM: %#x", got)
	}
	if got := verdict(t, f, call{arch: unix.AUDIT_ARCH_ARM, nr: armPrivate + 2}); got != eperm {
		t.Errorf("a private call of ARM that is not allowed: %#x", got)
	}
}

func TestOnS390TheMultiplexerItselfIsENOSYS(t *testing.T) {
	a, _ := lookup(specs.ArchS390X)
	p := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno}
	program := link(p, []table{{abi: a, program: encode(ret(allow)), highest: 300}})
	for nr, want := range map[uint32]uint32{0: enosys, 1: allow, 300: allow, 301: enosys} {
		if got, err := run(program, call{arch: a.audit, nr: nr}); err != nil || got != want {
			t.Errorf("number %d: %#x, %v; want %#x", nr, got, err, want)
		}
	}
}

func TestCallsBehindAMultiplexerCountWithTheirOwnNumber(t *testing.T) {
	p := &specs.LinuxSeccomp{
		DefaultAction: specs.ActErrno,
		Architectures: []specs.Arch{specs.ArchX86},
		Syscalls:      []specs.LinuxSyscall{{Names: []string{"exit", "socket", "semget"}, Action: specs.ActAllow}},
	}
	f := mustCompile(t, p)
	const socket, semget = 359, 393
	for nr, want := range map[uint32]uint32{1: allow, 2: eperm, socket: allow, semget: allow, semget + 1: enosys} {
		if got := verdict(t, f, call{arch: unix.AUDIT_ARCH_I386, nr: nr}); got != want {
			t.Errorf("number %d: %#x, want %#x", nr, got, want)
		}
	}
}

func TestOnlyProfilesThatDenyAnswerENOSYS(t *testing.T) {
	tests := []struct {
		action specs.LinuxSeccompAction
		ret    *uint
		want   uint32
	}{
		{specs.ActKill, nil, enosys},
		{specs.ActKillThread, nil, enosys},
		{specs.ActKillProcess, nil, enosys},
		{specs.ActTrap, nil, enosys},
		{specs.ActErrno, nil, enosys},
		{specs.ActErrno, value(uint(unix.ENOSYS)), enosys},
		{specs.ActAllow, nil, allow},
		{specs.ActLog, nil, unix.SECCOMP_RET_LOG},
		{specs.ActTrace, nil, unix.SECCOMP_RET_TRACE | uint32(unix.EPERM)},
	}
	for _, tt := range tests {
		p := &specs.LinuxSeccomp{
			DefaultAction: tt.action, DefaultErrnoRet: tt.ret,
			Syscalls: []specs.LinuxSyscall{{Names: []string{"read"}, Action: specs.ActTrap}, {Names: []string{"mount"}, Action: specs.ActErrno}},
		}
		a, err := native()
		if err != nil {
			t.Fatal(err)
		}
		if got := verdict(t, mustCompile(t, p), call{arch: a.audit, nr: 5000}); got != tt.want {
			t.Errorf("%s: %#x, want %#x", tt.action, got, tt.want)
		}
	}
}

func TestAProfileWithoutRulesDoesItsDefaultAction(t *testing.T) {
	a, err := native()
	if err != nil {
		t.Fatal(err)
	}
	for _, names := range [][]string{nil, {"no_such_call"}, {"socketcall"}} {
		p := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Architectures: []specs.Arch{specs.ArchX86, specs.ArchX32}}
		for range 2 * optimizeFrom {
			if names != nil {
				p.Syscalls = append(p.Syscalls, specs.LinuxSyscall{Names: names, Action: specs.ActAllow})
			}
		}
		if got := verdict(t, mustCompile(t, p), call{arch: a.audit, nr: 3}); got != eperm {
			t.Errorf("%v: %#x", names, got)
		}
	}
}

func TestKnownFactsAreThoseOfThisKernelAndLibrary(t *testing.T) {
	facts := Known()
	for _, name := range []string{"SCMP_ARCH_X86_64", "SCMP_ARCH_PARISC", "SCMP_ARCH_RISCV64"} {
		if !slices.Contains(facts.Architectures, name) {
			t.Errorf("%s is missing in %v", name, facts.Architectures)
		}
	}
	for _, name := range facts.Architectures {
		a, _ := lookup(specs.Arch(name))
		if _, err := libseccomp.GetSyscallFromNameByArch("read", a.arch); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Linux 5.12, the oldest that is supported, has all actions, and all
	// flags but one.
	if !slices.Equal(facts.SupportedActions, facts.Actions) {
		t.Errorf("actions %v", facts.SupportedActions)
	}
	for _, name := range []string{"SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"} {
		if !slices.Contains(facts.SupportedFlags, name) {
			t.Errorf("%s is missing in %v", name, facts.SupportedFlags)
		}
	}
	if major, _, _ := strings.Cut(facts.Libseccomp, "."); major != "2" {
		t.Errorf("libseccomp %q", facts.Libseccomp)
	}
}

func TestTheArchitecturesThatAreOfferedAreThoseThatAreTaken(t *testing.T) {
	said := Validate(&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: []specs.Arch{"Z80"}})
	if said == nil {
		t.Fatal("an unknown architecture is accepted")
	}
	offered := strings.FieldsFunc(said.Error(), func(r rune) bool { return strings.ContainsRune(" ,()", r) })
	for _, name := range profile.Architectures() {
		_, err := Compile(&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: []specs.Arch{specs.Arch(name)}}, IgnoreUnknown)
		if slices.Contains(offered, name) != (err == nil) {
			t.Errorf("%s: %v, while the offer is %q", name, err, offered)
		}
	}
}
