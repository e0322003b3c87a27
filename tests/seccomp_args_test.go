package tests

import (
	"fmt"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// getpgidWith is the probe's command for getpgid(2) with six arguments, of which
// the kernel looks at the low half of the first.
func getpgidWith(args [6]uint64) string {
	return fmt.Sprintf("call=121:%d,%d,%d,%d,%d,%d", args[0], args[1], args[2], args[3], args[4], args[5])
}

// matched says of calls with these arguments whether the filter got hold of
// them: its action is an errno that the call itself never gives.
func (h *host) matched(f *specs.LinuxSeccomp, calls [][6]uint64) []bool {
	h.t.Helper()
	commands := make([]string, len(calls))
	for i, c := range calls {
		commands[i] = getpgidWith(c)
	}
	s := h.probe(commands, withFilter(f))
	out := make([]bool, len(calls))
	for i, c := range commands {
		out[i] = get[called](h.t, s, c).Errno == unix.EXFULL
	}
	return out
}

func withArgs(args ...specs.LinuxSeccompArg) *specs.LinuxSeccomp {
	f := filter(specs.ActErrno, pointer(uint(unix.EXFULL)))
	f.Syscalls[0].Args = args
	return f
}

func TestOperatorsCompareAllBitsOfAnArgument(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, tt := range []struct {
		op         specs.LinuxSeccompOperator
		value, two uint64
		yes, no    []uint64
	}{
		//proves:linux.seccomp.syscalls[].args linux.seccomp.syscalls[].args[].op linux.seccomp.syscalls[].args[].value
		//proves:linux.seccomp.syscalls[].args[].op=SCMP_CMP_EQ linux.seccomp.syscalls[].args[].op=SCMP_CMP_NE
		{specs.OpEqualTo, 1<<40 | 7, 0, []uint64{1<<40 | 7}, []uint64{7, 1 << 40, 1<<41 | 7}},
		{specs.OpNotEqual, 1<<40 | 7, 0, []uint64{7, 1 << 40, 1<<41 | 7}, []uint64{1<<40 | 7}},
		//proves:linux.seccomp.syscalls[].args[].op=SCMP_CMP_LT linux.seccomp.syscalls[].args[].op=SCMP_CMP_LE
		{specs.OpLessThan, 1<<32 | 7, 0, []uint64{0, 8, 1<<32 | 6}, []uint64{1<<32 | 7, 1<<32 | 8, 1 << 33}},
		{specs.OpLessEqual, 1<<32 | 7, 0, []uint64{0, 8, 1<<32 | 7}, []uint64{1<<32 | 8, 1 << 33, 1 << 63}},
		//proves:linux.seccomp.syscalls[].args[].op=SCMP_CMP_GT linux.seccomp.syscalls[].args[].op=SCMP_CMP_GE
		{specs.OpGreaterThan, 1<<32 | 7, 0, []uint64{1<<32 | 8, 1 << 33, ^uint64(0)}, []uint64{1<<32 | 7, 8, 0}},
		{specs.OpGreaterEqual, 1<<32 | 7, 0, []uint64{1<<32 | 7, 1 << 33, 1 << 63}, []uint64{1<<32 | 6, 8, 0}},
		//proves:linux.seccomp.syscalls[].args[].op=SCMP_CMP_MASKED_EQ linux.seccomp.syscalls[].args[].valueTwo
		{specs.OpMaskedEqual, 0xf0, 0x50, []uint64{0x50, 0x15f | 1<<40}, []uint64{0x60, 0x10, 0}},
		{specs.OpMaskedEqual, 0xff << 32, 0x12 << 32, []uint64{0x12 << 32, 0x12<<32 | 99}, []uint64{0x13 << 32, 0x12}},
		{specs.OpMaskedEqual, 1 << 63, 0, []uint64{0, 1<<63 - 1}, []uint64{1 << 63, ^uint64(0)}},
	} {
		t.Run(fmt.Sprintf("%s %#x", tt.op, tt.value), func(t *testing.T) {
			h := &host{t: t, root: h.root}
			var calls [][6]uint64
			for _, v := range append(append([]uint64{}, tt.yes...), tt.no...) {
				calls = append(calls, [6]uint64{2: v})
			}
			got := h.matched(withArgs(specs.LinuxSeccompArg{Index: 2, Value: tt.value, ValueTwo: tt.two, Op: tt.op}), calls)
			for i := range calls {
				if want := i < len(tt.yes); got[i] != want {
					t.Errorf("argument %#x: %v, want %v", calls[i][2], got[i], want)
				}
			}
		})
	}
}

//proves:linux.seccomp.syscalls[].args[].index
func TestEachOfTheSixArgumentsCanBeCompared(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for index := range uint(6) {
		t.Run(fmt.Sprint(index), func(t *testing.T) {
			h := &host{t: t, root: h.root}
			f := withArgs(specs.LinuxSeccompArg{Index: index, Value: 1 << 33, Op: specs.OpEqualTo})
			calls := make([][6]uint64, 6)
			want := make([]bool, 6)
			for i := range calls {
				calls[i][i] = 1 << 33
				want[i] = uint(i) == index
			}
			equal(t, "matches", h.matched(f, calls), want)
		})
	}
}

//proves:linux.seccomp.syscalls linux.seccomp.syscalls[].names linux.seccomp.syscalls[].args
func TestConditionsOfARuleAllHoldAndRulesAreAlternatives(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	is := func(index uint, v uint64) specs.LinuxSeccompArg {
		return specs.LinuxSeccompArg{Index: index, Value: v, Op: specs.OpEqualTo}
	}
	type rules = [][]specs.LinuxSeccompArg
	for name, tt := range map[string]struct {
		rules   rules
		yes, no [][6]uint64
	}{
		"two conditions": {
			rules{{is(2, 1), is(3, 2)}},
			[][6]uint64{{2: 1, 3: 2}},
			[][6]uint64{{2: 1}, {3: 2}, {2: 2, 3: 1}},
		},
		"a range": { // two ends on one argument would be alternatives in one rule
			rules{{{Index: 2, Value: 8, Op: specs.OpGreaterEqual}, is(3, 0)}},
			[][6]uint64{{2: 8}, {2: 9}},
			[][6]uint64{{2: 7}, {2: 8, 3: 1}},
		},
		"six conditions": {
			rules{{is(0, 0), is(1, 1), is(2, 2), is(3, 3), is(4, 4), is(5, 5)}},
			[][6]uint64{{0, 1, 2, 3, 4, 5}},
			[][6]uint64{{0, 1, 2, 3, 4, 6}, {0, 2, 2, 3, 4, 5}},
		},
		"two rules": {
			rules{{is(2, 1)}, {is(3, 2)}},
			[][6]uint64{{2: 1}, {3: 2}, {2: 1, 3: 2}},
			[][6]uint64{{2: 2}, {3: 1}},
		},
		"two rules on one argument": {
			rules{{is(2, 1)}, {is(2, 2)}},
			[][6]uint64{{2: 1}, {2: 2}},
			[][6]uint64{{2: 3}},
		},
		"a rule twice": {
			rules{{is(2, 1)}, {is(2, 1)}},
			[][6]uint64{{2: 1}},
			[][6]uint64{{2: 2}},
		},
		"one argument twice in a rule": { // as other runtimes have it: alternatives
			rules{{is(2, 1), is(2, 2)}},
			[][6]uint64{{2: 1}, {2: 2}},
			[][6]uint64{{2: 3}},
		},
		"one with conditions, one without": {
			rules{{is(2, 1)}, nil},
			[][6]uint64{{2: 1}, {2: 2}},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			f := filter(specs.ActErrno, pointer(uint(unix.EXFULL)))
			rule := f.Syscalls[0]
			f.Syscalls = nil
			for _, args := range tt.rules {
				rule.Args = args
				f.Syscalls = append(f.Syscalls, rule)
			}
			calls := append(append([][6]uint64{}, tt.yes...), tt.no...)
			for i, got := range h.matched(f, calls) {
				if want := i < len(tt.yes); got != want {
					t.Errorf("%v: %v, want %v", calls[i], got, want)
				}
			}
		})
	}
}

//proves:linux.seccomp.syscalls[].names linux.seccomp
func TestARuleIsForAllOfItsNamesAndThoseThatAreUnknownAreIgnored(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	f := filter(specs.ActErrno, pointer(uint(unix.EXFULL)))
	f.Syscalls[0].Names = []string{"no_such_call", getpgid, getpgid, "getsid", "breakpoint"}
	const getsid, getppid = "call=124:0", "call=110:"
	r := h.try("run", "--bundle", h.newBundle([]string{makeGetpgid, getsid, getppid}, withFilter(f)).dir, newID())
	equal(t, "what is said", []any{r.status, r.stderr}, []any{0, ""})
	s := parseSight(t, r.stdout)
	for command, want := range map[string]unix.Errno{makeGetpgid: unix.EXFULL, getsid: unix.EXFULL, getppid: 0} {
		equal(t, command, get[called](t, s, command).Errno, want)
	}
}

//proves:linux.seccomp.defaultErrnoRet linux.seccomp.syscalls[].errnoRet
func TestAReturnValueIsRefusedForActionsThatHaveNone(t *testing.T) {
	h := newHost(t)
	for _, action := range []specs.LinuxSeccompAction{
		specs.ActKill, specs.ActKillProcess, specs.ActKillThread, specs.ActTrap, specs.ActAllow, specs.ActLog, specs.ActNotify,
	} {
		t.Run(string(action), func(t *testing.T) {
			h := &host{t: t, root: h.root}
			inRule := filter(action, pointer(uint(1)))
			inRule.ListenerPath = "/x"
			h.fails([]string{"linux.seccomp.syscalls[0].errnoRet", string(action)}, withFilter(inRule))
			byDefault := &specs.LinuxSeccomp{DefaultAction: action, DefaultErrnoRet: pointer(uint(1)), ListenerPath: "/x"}
			h.fails([]string{"linux.seccomp.defaultErrnoRet", string(action)}, withFilter(byDefault))
		})
	}
	t.Run("a value out of range", func(t *testing.T) {
		h := &host{t: t, root: h.root}
		h.fails([]string{"linux.seccomp.syscalls[0].errnoRet", "4095", "4094"}, withFilter(filter(specs.ActErrno, pointer(uint(4095)))))
		h.fails([]string{"linux.seccomp.syscalls[0].errnoRet", "65536", "65535"}, withFilter(filter(specs.ActTrace, pointer(uint(65536)))))
	})
}
