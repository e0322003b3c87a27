package seccomp

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// accepted reports what the kernel says of a program: a process of its own puts
// itself under it, and may not live long enough to say so.
func accepted(t *testing.T, program []byte) bool {
	t.Helper()
	o := underFilter(t, &Filter{Program: program}, "load")
	return !strings.Contains(o.stderr, "invalid argument")
}

func TestCheckProgramAgreesWithTheKernel(t *testing.T) {
	allowed := ret(allow)
	op := func(code uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: k} }
	tests := []struct {
		name string
		code []unix.SockFilter
		want string
	}{
		{"a return", []unix.SockFilter{allowed}, ""},
		{"what was computed", []unix.SockFilter{op(unix.BPF_LD|unix.BPF_IMM, allow), op(unix.BPF_RET|unix.BPF_A, 0)}, ""},
		{"the last word", []unix.SockFilter{load(60), allowed}, ""},
		{"beyond it", []unix.SockFilter{load(64), allowed}, "instruction 0: loads offset 64"},
		{"across words", []unix.SockFilter{load(2), allowed}, "instruction 0: loads offset 2"},
		{"a byte", []unix.SockFilter{op(unix.BPF_LD|unix.BPF_B|unix.BPF_ABS, 0), allowed}, "instruction 0: not an instruction"},
		{"from a register", []unix.SockFilter{op(unix.BPF_LD|unix.BPF_W|unix.BPF_IND, 0), allowed}, "instruction 0: not an instruction"},
		{"the length", []unix.SockFilter{op(unix.BPF_LD|unix.BPF_W|unix.BPF_LEN, 0), op(unix.BPF_LDX|unix.BPF_W|unix.BPF_LEN, 0), allowed}, ""},
		{"a word stored", []unix.SockFilter{op(unix.BPF_ST, 15), op(unix.BPF_LDX|unix.BPF_MEM, 15), allowed}, ""},
		{"a word not stored", []unix.SockFilter{op(unix.BPF_ST, 1), op(unix.BPF_LD|unix.BPF_MEM, 2), allowed}, "instruction 1: loads word 2"},
		{"a word stored on one way", []unix.SockFilter{
			jumpIf(unix.BPF_JEQ, 0, 1, 0), op(unix.BPF_ST, 1), op(unix.BPF_LD|unix.BPF_MEM, 1), allowed,
		}, "instruction 2: loads word 1"},
		{"a word stored on both", []unix.SockFilter{
			op(unix.BPF_STX, 1), jumpIf(unix.BPF_JEQ, 0, 1, 0), op(unix.BPF_ST, 1), op(unix.BPF_LD|unix.BPF_MEM, 1), allowed,
		}, ""},
		{"a word too many", []unix.SockFilter{op(unix.BPF_ST, 16), allowed}, "instruction 0: stores word 16"},
		{"division by 0", []unix.SockFilter{op(unix.BPF_ALU|unix.BPF_DIV|unix.BPF_K, 0), allowed}, "instruction 0: divides by 0"},
		{"division by what may be 0", []unix.SockFilter{op(unix.BPF_LDX|unix.BPF_IMM, 1), op(unix.BPF_ALU|unix.BPF_DIV|unix.BPF_X, 0), allowed}, ""},
		{"a shift of 31", []unix.SockFilter{op(unix.BPF_ALU|unix.BPF_LSH|unix.BPF_K, 31), allowed}, ""},
		{"a shift of 32", []unix.SockFilter{op(unix.BPF_ALU|unix.BPF_RSH|unix.BPF_K, 32), allowed}, "instruction 0: shifts by 32"},
		{"a remainder", []unix.SockFilter{op(unix.BPF_ALU|unix.BPF_MOD|unix.BPF_K, 3), allowed}, "instruction 0: not an instruction"},
		{"all other arithmetic", []unix.SockFilter{
			op(unix.BPF_ALU|unix.BPF_ADD|unix.BPF_X, 0), op(unix.BPF_ALU|unix.BPF_SUB|unix.BPF_K, 1), op(unix.BPF_ALU|unix.BPF_MUL|unix.BPF_X, 0),
			op(unix.BPF_ALU|unix.BPF_OR|unix.BPF_K, 1), op(unix.BPF_ALU|unix.BPF_AND|unix.BPF_X, 0), op(unix.BPF_ALU|unix.BPF_XOR|unix.BPF_K, 1),
			op(unix.BPF_ALU|unix.BPF_NEG, 0), op(unix.BPF_MISC|unix.BPF_TAX, 0), op(unix.BPF_MISC|unix.BPF_TXA, 0), allowed,
		}, ""},
		{"a jump to the end", []unix.SockFilter{jump(1), allowed, allowed}, ""},
		{"a jump beyond", []unix.SockFilter{jump(1), allowed}, "instruction 0: jumps to instruction 2 of 2"},
		{"a jump around the world", []unix.SockFilter{op(unix.BPF_JMP|unix.BPF_JA, 0xffffffff), allowed}, "instruction 0: jumps to"},
		{"a condition beyond", []unix.SockFilter{jumpIf(unix.BPF_JSET, 1, 0, 1), allowed}, "instruction 0: jumps to instruction 2 of 2"},
		{"a condition of no kind", []unix.SockFilter{op(unix.BPF_JMP|0x50, 0), allowed}, "instruction 0: not an instruction"},
		{"no end", []unix.SockFilter{allowed, load(0)}, "instruction 1: the last one does not return"},
		{"bits that no code has", []unix.SockFilter{op(0x100|unix.BPF_ALU|unix.BPF_ADD, 0), allowed}, "instruction 0: not an instruction"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			program := encode(tt.code...)
			err := CheckProgram(program)
			if (err == nil) != (tt.want == "") || err != nil && !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if got := accepted(t, program); got != (err == nil) {
				t.Errorf("the kernel accepts it: %v, but: %v", got, err)
			}
		})
	}
}

func TestAProgramNotifiesIfItSaysSoOrMay(t *testing.T) {
	for want, code := range map[bool][]unix.SockFilter{
		true:  {ret(unix.SECCOMP_RET_USER_NOTIF | 7), ret(allow)},
		false: {ret(unix.SECCOMP_RET_TRACE), ret(allow)},
	} {
		if got := ProgramNotifies(encode(code...)); got != want {
			t.Errorf("%v: %v", code, got)
		}
	}
	if !ProgramNotifies(encode(unix.SockFilter{Code: unix.BPF_RET | unix.BPF_A})) {
		t.Error("what is computed may be anything")
	}
}

// FuzzCheckedProgramsEnd runs what CheckProgram accepts.
func FuzzCheckedProgramsEnd(f *testing.F) {
	f.Add(encode(ret(allow)))
	f.Add(encode(load(0), jumpIf(unix.BPF_JEQ, 1, 0, 1), ret(allow), jump(0), ret(7)))
	f.Fuzz(func(t *testing.T, program []byte) {
		if CheckProgram(program) != nil {
			return
		}
		for _, nr := range []uint32{0, 1, 1 << 30} {
			if _, err := run(program, call{nr: nr}); errors.Is(err, errRanOff) {
				t.Fatalf("% x: %v", program, err)
			}
		}
	})
}

func TestAProgramMayKillAThreadIfItReturnsSoOrWhatItComputed(t *testing.T) {
	for name, tt := range map[string]struct {
		last unix.SockFilter
		want bool
	}{
		"kill the thread":  {ret(unix.SECCOMP_RET_KILL_THREAD), true},
		"what it computed": {unix.SockFilter{Code: unix.BPF_RET | unix.BPF_A}, true},
		"kill the process": {ret(unix.SECCOMP_RET_KILL_PROCESS), false},
		"allow":            {ret(allow), false},
	} {
		if got := ProgramKillsThread(encode(tt.last)); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
