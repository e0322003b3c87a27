package seccomp

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// rule is a profile that allows all but one rule's calls.
func rule(action specs.LinuxSeccompAction, errnoRet *uint, names ...string) *specs.LinuxSeccomp {
	return &specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow,
		ListenerPath:  "/run/agent",
		Syscalls:      []specs.LinuxSyscall{{Names: names, Action: action, ErrnoRet: errnoRet}},
	}
}

func value(n uint) *uint { return &n }

// getpgid is a call that the Go runtime never makes.
const getpgid = unix.SYS_GETPGID

func TestActionsThatReturnAreSeenAsErrno(t *testing.T) {
	tests := []struct {
		name   string
		action specs.LinuxSeccompAction
		ret    *uint
		want   unix.Errno
	}{
		{"allow changes nothing", specs.ActAllow, nil, 0},
		{"log lets the call through", specs.ActLog, nil, 0},
		{"errno is EPERM by default", specs.ActErrno, nil, unix.EPERM},
		{"errno is what the rule says", specs.ActErrno, value(95), unix.EOPNOTSUPP},
		{"errno 0 is success without the call", specs.ActErrno, value(0), 0},
		{"the largest errno arrives", specs.ActErrno, value(4094), 4094},
		{"trace without a tracer is ENOSYS", specs.ActTrace, nil, unix.ENOSYS},
		{"trace with a message of 16 bits is ENOSYS too", specs.ActTrace, value(65535), unix.ENOSYS},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Compile(rule(tt.action, tt.ret, "getpgid"), IgnoreUnknown)
			if err != nil {
				t.Fatal(err)
			}
			if got := errnos(t, f, call{nr: getpgid})[0]; got != tt.want {
				t.Errorf("got errno %d, want %d", got, tt.want)
			}
		})
	}
}

func TestKillEndsTheProcessOrTheThread(t *testing.T) {
	c := call{nr: getpgid}.text()
	for _, action := range []specs.LinuxSeccompAction{specs.ActKill, specs.ActKillThread} {
		if o := under(t, rule(action, nil, "getpgid"), "thread", c); strings.TrimSpace(o.stdout) != "alive" {
			t.Errorf("%s: the other thread should live: %+v", action, o)
		}
	}
	o := under(t, rule(specs.ActKillProcess, nil, "getpgid"), "thread", c)
	if !o.status.Signaled() || o.status.Signal() != unix.SIGSYS {
		t.Errorf("kill process: %+v", o)
	}
}

func TestTrapRaisesASignalThatCanBeHandled(t *testing.T) {
	o := under(t, rule(specs.ActTrap, nil, "getpgid"), "call", call{nr: getpgid}.text())
	// The handler is the Go runtime's: it prints the signal and exits with 2.
	if !o.status.Exited() || o.status.ExitStatus() != 2 || !strings.Contains(o.stderr, "SIGSYS: bad system call") {
		t.Errorf("the handler did not run: %+v", o)
	}
}

func TestNotifyAsksTheListener(t *testing.T) {
	p := rule(specs.ActNotify, nil, "getpgid")
	p.Flags = []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagWaitKillableRecv}
	f, err := Compile(p, IgnoreUnknown)
	if err != nil {
		t.Fatal(err)
	}
	if !f.Notifies() {
		t.Fatalf("flags %#x", f.Flags)
	}
	o := underFilter(t, f, "notify", call{nr: getpgid, args: [6]uint64{41}}.text())
	if strings.TrimSpace(o.stdout) != "42" {
		t.Errorf("the listener's answer did not arrive: %+v", o)
	}
}

// operatorTests are conditions on the third argument.
var operatorTests = []struct {
	op          specs.LinuxSeccompOperator
	value, two  uint64
	match, pass []uint64
}{
	{specs.OpEqualTo, 7, 0, []uint64{7}, []uint64{6, 8, 7 | 1<<32}},
	{specs.OpEqualTo, 1<<40 | 7, 0, []uint64{1<<40 | 7}, []uint64{7, 1 << 40, 1<<41 | 7}},
	{specs.OpNotEqual, 7, 0, []uint64{6, 7 | 1<<32}, []uint64{7}},
	{specs.OpNotEqual, 1 << 63, 0, []uint64{0, 1<<63 | 1}, []uint64{1 << 63}},
	{specs.OpLessThan, 7, 0, []uint64{0, 6}, []uint64{7, 8, 1 << 32}},
	{specs.OpLessThan, 1 << 32, 0, []uint64{7, 1<<32 - 1}, []uint64{1 << 32, 1<<33 | 1}},
	{specs.OpLessEqual, 7, 0, []uint64{0, 7}, []uint64{8, 1 << 32}},
	{specs.OpLessEqual, 1<<32 | 5, 0, []uint64{9, 1<<32 | 5}, []uint64{1<<32 | 6, 1 << 33}},
	{specs.OpGreaterThan, 7, 0, []uint64{8, 1 << 32}, []uint64{0, 7}},
	{specs.OpGreaterThan, 1<<32 | 5, 0, []uint64{1<<32 | 6, 1 << 33}, []uint64{9, 1<<32 | 5}},
	{specs.OpGreaterEqual, 7, 0, []uint64{7, 1 << 63}, []uint64{6}},
	{specs.OpGreaterEqual, 1<<32 | 5, 0, []uint64{1<<32 | 5, 1 << 33}, []uint64{9, 1<<32 | 4}},
	{specs.OpMaskedEqual, 0xf0, 0x50, []uint64{0x50, 0x15f | 1<<40}, []uint64{0x60, 0}},
	{specs.OpMaskedEqual, 0xff << 32, 0x12 << 32, []uint64{0x12 << 32, 0x12<<32 | 99}, []uint64{0x13 << 32, 0x12}},
}

func TestOperatorsCompareAllSixtyFourBits(t *testing.T) {
	for _, tt := range operatorTests {
		t.Run(fmt.Sprintf("%s %#x", tt.op, tt.value), func(t *testing.T) {
			p := rule(specs.ActErrno, value(95), "getpgid")
			p.Syscalls[0].Args = []specs.LinuxSeccompArg{{Index: 2, Value: tt.value, ValueTwo: tt.two, Op: tt.op}}
			f, err := Compile(p, IgnoreUnknown)
			if err != nil {
				t.Fatal(err)
			}
			var calls []call
			for _, arg := range append(tt.match[:len(tt.match):len(tt.match)], tt.pass...) {
				calls = append(calls, call{nr: getpgid, args: [6]uint64{0, 0, arg}})
			}
			for i, got := range errnos(t, f, calls...) {
				want := unix.Errno(0)
				if i < len(tt.match) {
					want = unix.EOPNOTSUPP
				}
				if got != want {
					t.Errorf("argument %#x: errno %d, want %d", calls[i].args[2], got, want)
				}
			}
		})
	}
}

func TestConditionsOnOneArgumentAreAlternativesAndOthersAllHold(t *testing.T) {
	eq := func(index uint, v uint64) specs.LinuxSeccompArg {
		return specs.LinuxSeccompArg{Index: index, Value: v, Op: specs.OpEqualTo}
	}
	tests := []struct {
		name string
		args []specs.LinuxSeccompArg
		call [6]uint64
		want unix.Errno
	}{
		{"both hold", []specs.LinuxSeccompArg{eq(2, 1), eq(3, 2)}, [6]uint64{2: 1, 3: 2}, unix.EOPNOTSUPP},
		{"one of two holds", []specs.LinuxSeccompArg{eq(2, 1), eq(3, 2)}, [6]uint64{2: 1, 3: 3}, 0},
		{"first alternative", []specs.LinuxSeccompArg{eq(2, 1), eq(2, 2)}, [6]uint64{2: 1}, unix.EOPNOTSUPP},
		{"second alternative", []specs.LinuxSeccompArg{eq(2, 1), eq(2, 2)}, [6]uint64{2: 2}, unix.EOPNOTSUPP},
		{"no alternative", []specs.LinuxSeccompArg{eq(2, 1), eq(2, 2)}, [6]uint64{2: 3}, 0},
		{"the same twice", []specs.LinuxSeccompArg{eq(2, 1), eq(2, 1)}, [6]uint64{2: 1}, unix.EOPNOTSUPP},
		{"a repeated argument makes all alternatives", []specs.LinuxSeccompArg{eq(2, 1), eq(2, 2), eq(3, 9)}, [6]uint64{3: 9}, unix.EOPNOTSUPP},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := rule(specs.ActErrno, value(95), "getpgid")
			p.Syscalls[0].Args = tt.args
			f, err := Compile(p, IgnoreUnknown)
			if err != nil {
				t.Fatal(err)
			}
			if got := errnos(t, f, call{nr: getpgid, args: tt.call})[0]; got != tt.want {
				t.Errorf("errno %d, want %d", got, tt.want)
			}
		})
	}
}

func TestDockersProfileAnswersENOSYSOnlyToNewerCalls(t *testing.T) {
	f, err := Compile(dockerProfile(t), IgnoreUnknown)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		nr   uint32
		want unix.Errno
	}{
		{"allowed", getpgid, 0},
		{"denied", unix.SYS_KEXEC_LOAD, unix.EPERM},
		{"clone3, for which the profile says so", unix.SYS_CLONE3, unix.ENOSYS},
		{"newer than the profile", 900, unix.ENOSYS},
		{"no number at all", 1<<30 - 1, unix.ENOSYS},
		{"newer in the x32 table", x32Bit + 900, unix.ENOSYS},
		{"denied in the x32 table", x32Bit + 528, unix.EPERM},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if runtime.GOARCH != "amd64" {
				t.Skip("the numbers are those of x86-64")
			}
			if got := errnos(t, f, call{nr: tt.nr})[0]; got != tt.want {
				t.Errorf("errno %d, want %d", got, tt.want)
			}
		})
	}
}

func TestDockersProfileCoversThirtyTwoBitPrograms(t *testing.T) {
	f, err := Compile(dockerProfile(t), IgnoreUnknown)
	if err != nil {
		t.Fatal(err)
	}
	for nr, want := range map[uint32]unix.Errno{
		20:  0, // getpid returns a number, so the program exits with 0
		283: unix.EPERM,
		900: unix.ENOSYS,
	} {
		program := filepath.Join(t.TempDir(), "i386")
		if err := os.WriteFile(program, elf386(nr), 0o755); err != nil {
			t.Fatal(err)
		}
		o := underFilter(t, f, "exec", program)
		if strings.Contains(o.stderr, "exec format error") {
			t.Skip("the kernel has no 32-bit emulation")
		}
		if got := unix.Errno(o.status.ExitStatus()); !o.status.Exited() || got != want {
			t.Errorf("call %d: %+v, want errno %d", nr, o, want)
		}
	}
}

// elf386 is a 32-bit program that makes one call and exits with its errno.
func elf386(nr uint32) []byte {
	const base, header = 0x08048000, 52 + 32
	code := []byte{
		0xb8, byte(nr), byte(nr >> 8), byte(nr >> 16), byte(nr >> 24), // mov eax, nr
		0xcd, 0x80, // int 0x80
		0x31, 0xdb, // xor ebx, ebx
		0x85, 0xc0, // test eax, eax
		0x79, 0x04, // jns over the next two
		0xf7, 0xd8, // neg eax
		0x89, 0xc3, // mov ebx, eax
		0xb8, 1, 0, 0, 0, // mov eax, 1 (exit)
		0xcd, 0x80, // int 0x80
	}
	b := append([]byte("\x7fELF\x01\x01\x01"), make([]byte, 9)...)
	le16 := func(v ...uint16) {
		for _, x := range v {
			b = append(b, byte(x), byte(x>>8))
		}
	}
	le32 := func(v ...uint32) {
		for _, x := range v {
			le16(uint16(x), uint16(x>>16))
		}
	}
	le16(2, 3)                                    // executable, i386
	le32(1, base+header, 52, 0, 0)                // version, entry, program headers, none of the rest
	le16(52, 32, 1, 0, 0, 0)                      // sizes and counts
	size := uint32(header + len(code))            // one segment: the whole file,
	le32(1, 0, base, base, size, size, 5, 0x1000) // readable and executable
	return append(b, code...)
}
