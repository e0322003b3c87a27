package tests

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// elf returns a program of nothing but code, for a machine of <elf.h>.
func elf(machine uint16, code []byte) []byte {
	const i386, base = 3, 0x400000
	le := binary.LittleEndian
	class, header, entry := byte(2), 64, 56
	if machine == i386 {
		class, header, entry = 1, 52, 32
	}
	begin := uint64(base + header + entry)
	size := uint64(header + entry + len(code))
	word := func(b []byte, v uint64) []byte {
		if machine == i386 {
			return le.AppendUint32(b, uint32(v))
		}
		return le.AppendUint64(b, v)
	}
	b := append([]byte{0x7f, 'E', 'L', 'F', class, 1, 1}, make([]byte, 9)...)
	b = le.AppendUint16(le.AppendUint16(b, 2), machine) // ET_EXEC
	b = le.AppendUint32(b, 1)
	b = word(word(word(b, begin), uint64(header)), 0)
	b = le.AppendUint32(b, 0)
	for _, v := range []int{header, entry, 1, 0, 0, 0} {
		b = le.AppendUint16(b, uint16(v))
	}
	// One segment (PT_LOAD): the whole file, readable and executable.
	b = le.AppendUint32(b, 1)
	if machine == i386 {
		for _, v := range []uint64{0, base, base, size, size, 5, 0x1000} {
			b = le.AppendUint32(b, uint32(v))
		}
	} else {
		b = le.AppendUint32(b, 5)
		for _, v := range []uint64{0, base, base, size, size, 0x1000} {
			b = le.AppendUint64(b, v)
		}
	}
	return append(b, code...)
}

// exitsWith42 is an x86-64 program that makes the given system calls without
// arguments, and then exit(2).
func exitsWith42(numbers ...byte) []byte {
	var code []byte
	for _, n := range numbers {
		code = append(code, 0xb8, n, 0, 0, 0, 0x0f, 0x05) // mov eax, n; syscall
	}
	return elf(62, append(code,
		0xbf, 42, 0, 0, 0, // mov edi, 42
		0xb8, 60, 0, 0, 0, // mov eax, 60
		0x0f, 0x05, // syscall
	))
}

// exitsWithErrno is an x86 program that makes a system call without arguments
// and exits with its errno, or 0.
func exitsWithErrno(number uint16) []byte {
	return elf(3, []byte{
		0xb8, byte(number), byte(number >> 8), 0, 0, // mov eax, number
		0x31, 0xdb, // xor ebx, ebx
		0xcd, 0x80, // int 0x80
		0x85, 0xc0, // test eax, eax
		0x79, 0x04, // jns over the next two
		0xf7, 0xd8, // neg eax
		0x89, 0xc3, // mov ebx, eax
		0xb8, 1, 0, 0, 0, // mov eax, 1 (exit)
		0xcd, 0x80, // int 0x80
	})
}

// tiny is a bundle whose program /tiny is the given file.
func (h *host) tiny(program []byte, edits ...edit) *bundle {
	h.t.Helper()
	b := h.newBundle(nil, append(edits, onlyX86(h.t))...)
	if err := os.WriteFile(b.path("rootfs/tiny"), program, 0o755); err != nil {
		h.t.Fatal(err)
	}
	b.config.Process.Args = []string{"/tiny"}
	b.save(h.t)
	return b
}

//proves:linux.seccomp linux.seccomp.defaultAction=SCMP_ACT_KILL_PROCESS
func TestAProfileNeedAllowWhatTheProgramDoesAndNothingMore(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	strict := withFilter(&specs.LinuxSeccomp{
		DefaultAction: specs.ActKillProcess,
		Syscalls:      []specs.LinuxSyscall{{Names: []string{"execve", "exit"}, Action: specs.ActAllow}},
	})
	asUser := func(s *specs.Spec) { s.Process.User = specs.User{UID: 1000, GID: 1000} }
	hooks := func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/probe", Args: []string{"probe", "pid"}}}}
	}
	for name, edits := range map[string][]edit{
		"with no_new_privs":                  {noNewPrivileges(true)},
		"without":                            {noNewPrivileges(false)},
		"without, as a user":                 {noNewPrivileges(false), asUser},
		"without, and no capabilities":       {noNewPrivileges(false), withCapabilities()},
		"without, and all capabilities":      {noNewPrivileges(false), allCapabilities},
		"with an ambient capability":         {noNewPrivileges(false), asUser, withAmbient("CAP_KILL")},
		"without, and a startContainer hook": {noNewPrivileges(false), hooks},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			b := h.tiny(exitsWith42(), append(edits, strict)...)
			r := h.try("run", "--bundle", b.dir, newID())
			if r.status != 42 {
				t.Errorf("status %d\n%s", r.status, r.stderr)
			}
		})
	}
	for name, nnp := range map[string]bool{"exec with no_new_privs": true, "exec without": false} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			b := h.tiny(exitsWith42(), strict, noNewPrivileges(nnp))
			if err := os.WriteFile(b.path("rootfs/more"), exitsWith42(unix.SYS_GETPID), 0o755); err != nil {
				t.Fatal(err)
			}
			c := h.create(b)
			r := h.try("exec", c.id, "/tiny")
			equal(t, "status", []any{r.status, r.stderr}, []any{42, ""})
			r = h.try("exec", c.id, "/more")
			equal(t, "status of a program that does more", r.status, 128+int(unix.SIGSYS))
		})
	}
}

func withAmbient(name string) edit {
	return func(s *specs.Spec) {
		list := []string{name}
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: list, Permitted: list, Effective: list, Inheritable: list, Ambient: list}
	}
}

func TestAnInitThatWaitsForItsFilterHoldsOneCapabilityMoreAndDoesNotUseIt(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for name, tt := range map[string]struct {
		nnp       bool
		permitted string
	}{
		"with no_new_privs": {true, "0000000000000020"},
		"without":           {false, "0000000000200020"}, // CAP_SYS_ADMIN, for seccomp(2)
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			fields := []string{"status=CapPrm", "status=CapEff", "status=CapBnd"}
			c := h.create(h.newBundle(append(fields, "sleep"), withFilter(filter(specs.ActErrno, nil)), noNewPrivileges(tt.nnp), withCapabilities("CAP_KILL")))
			equal(t, "permitted", hostStatus(t, c.pid, "CapPrm"), tt.permitted)
			equal(t, "effective", hostStatus(t, c.pid, "CapEff"), "0000000000000020")
			h.must("start", c.id)
			for _, f := range fields {
				equal(t, "of the program: "+f, get[string](t, c.see(), f), "0000000000000020")
			}
		})
	}
}

func TestX86ProgramsAreUnderTheFilterIfTheProfileSaysSo(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	const getpgid, getppid = 132, 64 // of x86
	for name, tt := range map[string]struct {
		archs  []specs.Arch
		number uint16
		want   int
	}{
		//proves:linux.seccomp.architectures linux.seccomp.architectures=SCMP_ARCH_X86
		"covered":                 {[]specs.Arch{specs.ArchX86}, getpgid, int(unix.EXFULL)},
		"covered, another call":   {[]specs.Arch{specs.ArchX86_64, specs.ArchX86}, getppid, 0},
		"of an unlisted one, all": {[]specs.Arch{specs.ArchX86_64}, getppid, 128 + int(unix.SIGSYS)},
		"without a list, all":     {nil, getppid, 128 + int(unix.SIGSYS)},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			f := filter(specs.ActErrno, pointer(uint(unix.EXFULL)))
			f.Architectures = tt.archs
			b := h.tiny(exitsWithErrno(tt.number), withFilter(f))
			r := h.try("run", "--bundle", b.dir, newID())
			if r.status != tt.want {
				t.Errorf("status %d, want %d: %s", r.status, tt.want, r.stderr)
			}
		})
	}
}

func TestNumbersOfX32AreATableOfTheirOwn(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	const native, x32 = "call=121:0", "call=0x40000079:0"
	//proves:linux.seccomp.architectures=SCMP_ARCH_X86_64 linux.seccomp.architectures=SCMP_ARCH_X32
	for name, archs := range map[string][]specs.Arch{
		"both":                             {specs.ArchX86_64, specs.ArchX32},
		"the native one is always covered": {specs.ArchX32},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			f := filter(specs.ActErrno, pointer(uint(unix.EXFULL)))
			f.Architectures = archs
			s := h.probe([]string{native, x32}, onlyX86(t), withFilter(f))
			equal(t, "errno", []unix.Errno{get[called](t, s, native).Errno, get[called](t, s, x32).Errno}, []unix.Errno{unix.EXFULL, unix.EXFULL})
		})
	}
	t.Run("unlisted, it ends the thread", func(t *testing.T) {
		h := &host{t: t, root: h.root}
		f := filter(specs.ActErrno, pointer(uint(unix.EXFULL)))
		f.Architectures = []specs.Arch{specs.ArchX86_64}
		const thread = "threadcall=0x40000079:0"
		s := h.probe([]string{native, thread}, onlyX86(t), withFilter(f))
		equal(t, "errno", get[called](t, s, native).Errno, unix.EXFULL)
		equal(t, "x32", get[string](t, s, thread), "the thread is gone")
	})
}

// onlyX86 skips a test that has numbers or code of that processor.
func onlyX86(t *testing.T) edit {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		lacks(t, "an x86 processor")
	}
	return func(*specs.Spec) {}
}

// hostStatus returns a field of /proc/PID/status.
func hostStatus(t *testing.T, pid int, name string) string {
	t.Helper()
	for line := range strings.Lines(readFile(t, fmt.Sprintf("/proc/%d/status", pid))) {
		if k, v, ok := strings.Cut(line, ":"); ok && k == name {
			return strings.TrimSpace(v)
		}
	}
	t.Fatalf("no field %s of process %d", name, pid)
	return ""
}
