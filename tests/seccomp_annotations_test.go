package tests

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func withAnnotation(name, value string) edit {
	return func(s *specs.Spec) {
		if s.Annotations == nil {
			s.Annotations = map[string]string{}
		}
		s.Annotations[name] = value
	}
}

const (
	bpfAnnotation      = "run.oci.seccomp_bpf_data"
	receiverAnnotation = "run.oci.seccomp.receiver"
	strictAnnotation   = "run.oci.seccomp_fail_unknown_syscall"
)

// program is classic BPF in base64.
func program(code ...unix.SockFilter) string {
	var b []byte
	for _, i := range code {
		b = binary.NativeEndian.AppendUint16(b, i.Code)
		b = append(b, i.Jt, i.Jf)
		b = binary.NativeEndian.AppendUint32(b, i.K)
	}
	return base64.StdEncoding.EncodeToString(b)
}

func ret(value uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: value}
}

// onGetpgid is a program that returns value for getpgid(2), and else allows.
func onGetpgid(value uint32) string {
	return program(
		unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_GETPGID, Jf: 1},
		ret(value),
		ret(unix.SECCOMP_RET_ALLOW),
	)
}

//proves:annotations.run.oci.seccomp_bpf_data
func TestAProgramTakesThePlaceOfTheProfile(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	raw := withAnnotation(bpfAnnotation, onGetpgid(uint32(unix.SECCOMP_RET_ERRNO)|uint32(unix.EXFULL)))
	// The profile says otherwise of another call, which is then allowed.
	other := filter(specs.ActErrno, nil)
	other.Syscalls[0].Names = []string{"getsid"}
	const getsid = "call=124:0"
	for name, edits := range map[string][]edit{
		"beside a profile":     {withFilter(other)},
		"alone":                {withFilter(nil)},
		"without no_new_privs": {withFilter(nil), noNewPrivileges(false)},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			c := h.start([]string{makeGetpgid, getsid}, append(edits, raw)...)
			for where, s := range map[string]sight{"init": c.see(), "exec": c.exec(makeGetpgid, getsid)} {
				equal(t, where+": getpgid", get[called](t, s, makeGetpgid).Errno, unix.EXFULL)
				equal(t, where+": getsid", get[called](t, s, getsid).Errno, 0)
			}
		})
	}
}

//proves:annotations.run.oci.seccomp_bpf_data
func TestProgramsThatTheKernelWouldRefuseAreRefused(t *testing.T) {
	h := newHost(t)
	allow := ret(unix.SECCOMP_RET_ALLOW)
	long := make([]unix.SockFilter, 4097)
	for i := range long {
		long[i] = allow
	}
	for name, tt := range some(map[string]struct {
		value string
		words []string
	}{
		"not base64":            {"x!", []string{"not base64"}},
		"nothing":               {"", []string{"0 bytes"}},
		"half an instruction":   {base64.StdEncoding.EncodeToString(make([]byte, 12)), []string{"12 bytes", "8 bytes"}},
		"too long":              {program(long...), []string{"4097 instructions", "4096"}},
		"no end":                {program(unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}), []string{"instruction 0", "return"}},
		"a jump out":            {program(unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 9}, allow), []string{"instruction 0", "jumps to instruction 10 of 2"}},
		"a load from elsewhere": {program(unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 64}, allow), []string{"offset 64"}},
		"a packet's byte":       {program(unix.SockFilter{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS}, allow), []string{"code 0x30"}},
		"notify for nobody":     {onGetpgid(unix.SECCOMP_RET_USER_NOTIF), []string{"nobody", "linux.seccomp.listenerPath", receiverAnnotation}},
	}) {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			h.fails(append(tt.words, "annotations."+bpfAnnotation), withAnnotation(bpfAnnotation, tt.value))
		})
	}
}

func TestTheReceiverGetsTheListener(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for name, tt := range map[string]func(a, other *agent) []edit{
		//proves:annotations.run.oci.seccomp.receiver
		"of a profile": func(a, _ *agent) []edit {
			return []edit{withFilter(filter(specs.ActNotify, nil)), withAnnotation(receiverAnnotation, a.path)}
		},
		//proves:annotations.run.oci.seccomp_bpf_data
		"of a program": func(a, _ *agent) []edit {
			return []edit{withAnnotation(bpfAnnotation, onGetpgid(unix.SECCOMP_RET_USER_NOTIF)), withAnnotation(receiverAnnotation, a.path)}
		},
		//proves:linux.seccomp.listenerPath
		"but not if the profile has another": func(a, other *agent) []edit {
			f := filter(specs.ActNotify, nil)
			f.ListenerPath = a.path
			return []edit{withFilter(f), withAnnotation(receiverAnnotation, other.path)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			a, other := newAgent(t), newAgent(t)
			c := h.start([]string{makeGetpgid}, tt(a, other)...)
			equal(t, "errno", get[called](t, c.see(), makeGetpgid).Errno, unix.EXFULL)
			equal(t, "fds", a.state(t).Fds, []string{specs.SeccompFdName})
			equal(t, "errno in an exec", get[called](t, c.exec(makeGetpgid), makeGetpgid).Errno, unix.EXFULL)
			equal(t, "status at exec", a.state(t).State.Status, specs.StateRunning)
			equal(t, "messages to another", len(other.states), 0)
		})
	}
	t.Run("a relative path is refused", func(t *testing.T) {
		h := &host{t: t, root: h.root}
		b := h.newBundle([]string{"pid"}, withFilter(filter(specs.ActNotify, nil)), withAnnotation(receiverAnnotation, "run/agent"))
		h.refuses([]string{"annotations." + receiverAnnotation, `"run/agent"`, "absolute"}, "run", "--bundle", b.dir, newID())
	})
}

//proves:annotations.run.oci.seccomp_fail_unknown_syscall
func TestUnknownSystemCallsAreErrorsOnlyIfAnAnnotationSaysSo(t *testing.T) {
	h := newHost(t)
	f := filter(specs.ActErrno, nil)
	f.Syscalls[0].Names = []string{getpgid, "no_such_call"}
	words := []string{"linux.seccomp.syscalls[0].names[1]", `"no_such_call"`}
	h.probe([]string{"pid"}, withFilter(f), withAnnotation(strictAnnotation, "0"))
	// The filter is cached now, which must not let it through.
	h.probe([]string{"pid"}, withFilter(f))
	h.fails(words, withFilter(f), withAnnotation(strictAnnotation, "1"))
	f.Syscalls[0].Names[1] = "breakpoint" // of another architecture
	r := h.try("run", "--bundle", h.newBundle([]string{makeGetpgid}, withFilter(f), withAnnotation(strictAnnotation, "1")).dir, newID())
	if r.status != 0 || strings.Contains(r.stderr, "breakpoint") {
		t.Errorf("status %d: %s", r.status, r.stderr)
	}
}
