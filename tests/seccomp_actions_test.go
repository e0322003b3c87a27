package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	docker "github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// inRule is a profile that allows everything but what one rule says of
// getpgid(2).
func inRule(t *testing.T, action specs.LinuxSeccompAction, errno *uint) *specs.LinuxSeccomp {
	t.Helper()
	return filter(action, errno)
}

// byDefault is a profile whose rules allow what the probe needs, and whose
// default action getpgid(2) gets.
func byDefault(t *testing.T, action specs.LinuxSeccompAction, errno *uint) *specs.LinuxSeccomp {
	t.Helper()
	usual, err := docker.GetDefaultProfile(&specs.Spec{Process: &specs.Process{
		Capabilities: &specs.LinuxCapabilities{Bounding: []string{"CAP_SYS_ADMIN"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"ptrace", "clone3", "clone"}
	for _, rule := range usual.Syscalls {
		for _, name := range rule.Names {
			if rule.Action == specs.ActAllow && len(rule.Args) == 0 && name != getpgid {
				names = append(names, name)
			}
		}
	}
	return &specs.LinuxSeccomp{
		DefaultAction: action, DefaultErrnoRet: errno,
		Syscalls: []specs.LinuxSyscall{{Names: names, Action: specs.ActAllow}},
	}
}

// places are where a profile can have an action.
var places = map[string]func(*testing.T, specs.LinuxSeccompAction, *uint) *specs.LinuxSeccomp{
	"in a rule": inRule, "by default": byDefault,
}

// called is what the probe says of call.
type called struct {
	Value uint64
	Errno unix.Errno
}

const makeGetpgid = "call=121:0"

func TestActionsThatReturnDecideWhatASystemCallReturns(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for place, profile := range places {
		for name, tt := range map[string]struct {
			action specs.LinuxSeccompAction
			ret    *uint
			want   unix.Errno
		}{
			//proves:linux.seccomp.defaultAction=SCMP_ACT_ALLOW linux.seccomp.syscalls[].action=SCMP_ACT_ALLOW
			"allow makes the call": {specs.ActAllow, nil, 0},
			//proves:linux.seccomp.defaultAction=SCMP_ACT_ERRNO linux.seccomp.syscalls[].action=SCMP_ACT_ERRNO
			//proves:linux.seccomp.defaultErrnoRet linux.seccomp.syscalls[].errnoRet
			"errno is EPERM if nothing is said":    {specs.ActErrno, nil, unix.EPERM},
			"errno is what is said":                {specs.ActErrno, pointer(uint(unix.EXFULL)), unix.EXFULL},
			"errno 0 is success without the call":  {specs.ActErrno, pointer(uint(0)), 0},
			"the largest errno arrives as it is":   {specs.ActErrno, pointer(uint(4094)), 4094},
			"trace without a tracer is no call":    {specs.ActTrace, nil, unix.ENOSYS},
			"trace with a message is no call more": {specs.ActTrace, pointer(uint(7)), unix.ENOSYS},
		} {
			t.Run(name+", "+place, func(t *testing.T) {
				h := &host{t: t, root: h.root}
				s := h.probe([]string{makeGetpgid, "status=Seccomp"}, withFilter(profile(t, tt.action, tt.ret)))
				got := get[called](t, s, makeGetpgid)
				equal(t, "errno", got.Errno, tt.want)
				// The call gives the process group; a filter that only says so gives 0.
				if made := got.Value != 0; got.Errno == 0 && made != (tt.action == specs.ActAllow) {
					t.Errorf("the value is %d", got.Value)
				}
				equal(t, "mode", get[string](t, s, "status=Seccomp"), "2")
			})
		}
	}
}

func TestKillEndsTheThreadOrTheProcess(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for place, profile := range places {
		for _, tt := range []struct {
			action  specs.LinuxSeccompAction
			process bool
		}{
			//proves:linux.seccomp.defaultAction=SCMP_ACT_KILL linux.seccomp.syscalls[].action=SCMP_ACT_KILL
			{specs.ActKill, false},
			//proves:linux.seccomp.defaultAction=SCMP_ACT_KILL_THREAD linux.seccomp.syscalls[].action=SCMP_ACT_KILL_THREAD
			{specs.ActKillThread, false},
			//proves:linux.seccomp.defaultAction=SCMP_ACT_KILL_PROCESS linux.seccomp.syscalls[].action=SCMP_ACT_KILL_PROCESS
			{specs.ActKillProcess, true},
		} {
			t.Run(string(tt.action)+", "+place, func(t *testing.T) {
				h := &host{t: t, root: h.root}
				b := h.newBundle([]string{"threadcall=121:0", "exit=7"}, withFilter(profile(t, tt.action, nil)))
				r := h.try("run", "--bundle", b.dir, newID())
				if tt.process {
					equal(t, "status", r.status, 128+int(unix.SIGSYS))
					return
				}
				equal(t, "status", r.status, 7)
				equal(t, "thread", get[string](t, parseSight(t, r.stdout), "threadcall=121:0"), "the thread is gone")
			})
		}
	}
}

// traced is what the probe's tracer sees.
type traced struct {
	Message                      int
	Signal, Code, Errno, Syscall int
	Output                       string
}

func TestTraceTellsATracer(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for place, profile := range places {
		for name, tt := range map[string]struct {
			ret  *uint
			want int
		}{
			//proves:linux.seccomp.defaultAction=SCMP_ACT_TRACE linux.seccomp.syscalls[].action=SCMP_ACT_TRACE
			//proves:linux.seccomp.defaultErrnoRet linux.seccomp.syscalls[].errnoRet
			"EPERM if nothing is said": {nil, int(unix.EPERM)},
			"what is said":             {pointer(uint(4711)), 4711},
			"all of its 16 bits":       {pointer(uint(65535)), 65535},
		} {
			t.Run(name+", "+place, func(t *testing.T) {
				h := &host{t: t, root: h.root}
				s := h.probe([]string{"traced=121:0"}, withFilter(profile(t, specs.ActTrace, tt.ret)), withCapabilities("CAP_SYS_PTRACE"))
				got := get[traced](t, s, "traced=121:0")
				equal(t, "message", got.Message, tt.want)
				if !strings.Contains(got.Output, `"Errno":0`) {
					t.Errorf("the tracer let the call be made, which says %s", got.Output)
				}
			})
		}
	}
}

func TestTrapRaisesSIGSYSThatTellsTheCall(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for place, profile := range places {
		t.Run(place, func(t *testing.T) {
			//proves:linux.seccomp.defaultAction=SCMP_ACT_TRAP linux.seccomp.syscalls[].action=SCMP_ACT_TRAP
			h := &host{t: t, root: h.root}
			s := h.probe([]string{"traced=121:0"}, withFilter(profile(t, specs.ActTrap, nil)))
			const sysSeccomp = 1 // SYS_SECCOMP of sigaction(2)
			got := get[traced](t, s, "traced=121:0")
			equal(t, "siginfo", []int{got.Signal, got.Code, got.Errno, got.Syscall}, []int{int(unix.SIGSYS), sysSeccomp, 0, 121})
		})
	}
}

// kernelLog returns a reader of what the kernel logs from now on.
func kernelLog(t *testing.T) func() string {
	t.Helper()
	if _, err := os.Stat("/proc/self/loginuid"); err != nil {
		lacks(t, "an audit subsystem")
	}
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		lacks(t, "/dev/kmsg: "+err.Error())
	}
	t.Cleanup(func() { unix.Close(fd) })
	if _, err := unix.Seek(fd, 0, unix.SEEK_END); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	return func() string {
		record := make([]byte, 8192)
		for {
			n, err := unix.Read(fd, record)
			if err != nil && err != unix.EPIPE { // EPIPE: some are lost
				return text.String()
			}
			text.Write(record[:max(n, 0)])
		}
	}
}

func TestLogAndTheFlagLogWriteToTheAuditLog(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	if slices.Contains(strings.Fields(readFile(t, "/proc/cmdline")), "audit=0") {
		lacks(t, "the kernel's auditing, which audit=0 turns off")
	}
	withFlag := func(_ *testing.T, f *specs.LinuxSeccomp) *specs.LinuxSeccomp {
		f.Flags = []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagLog}
		return f
	}
	for i, tt := range []struct {
		name    string
		profile *specs.LinuxSeccomp
		errno   unix.Errno
		code    string
	}{
		//proves:linux.seccomp.syscalls[].action=SCMP_ACT_LOG
		{"log in a rule", inRule(t, specs.ActLog, nil), 0, "0x7ffc0000"},
		//proves:linux.seccomp.defaultAction=SCMP_ACT_LOG
		{"log by default", byDefault(t, specs.ActLog, nil), 0, "0x7ffc0000"},
		//proves:linux.seccomp.flags=SECCOMP_FILTER_FLAG_LOG
		{"the flag, and an errno", withFlag(t, inRule(t, specs.ActErrno, pointer(uint(5)))), 5, "0x50000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, log := &host{t: t, root: h.root}, kernelLog(t)
			name := fmt.Sprintf("probe-%d-%d", os.Getpid()%10000, i) // comm has 15 bytes
			b := h.newBundle(nil, withFilter(tt.profile))
			linkFile(t, suite.probe, b.path("rootfs/"+name))
			b.config.Process.Args = []string{"/" + name, makeGetpgid}
			b.save(t)
			// The kernel may drop messages, ten in five seconds being its limit.
			eventually(t, "the kernel logs the call", func() bool {
				equal(t, "errno", get[called](t, h.run(b), makeGetpgid).Errno, tt.errno)
				for line := range strings.Lines(log()) {
					if strings.Contains(line, `comm="`+name+`"`) && strings.Contains(line, "syscall=121 ") {
						if !strings.Contains(line, "code="+tt.code) {
							t.Errorf("not code %s: %s", tt.code, line)
						}
						return true
					}
				}
				return false
			})
		})
	}
}

// loads returns the seccomp(2) calls that load a filter while a container runs.
func (h *host) loads(b *bundle) []string {
	h.t.Helper()
	strace := needTool(h.t, "strace")
	out := filepath.Join(h.t.TempDir(), "trace")
	cmd := h.command("run", "--bundle", b.dir, newID())
	cmd.Args = append([]string{strace, "-f", "-qq", "-e", "trace=seccomp", "-o", out}, cmd.Args...)
	cmd.Path = strace
	if r := h.finish(cmd); r.status != 0 {
		h.t.Fatalf("status %d\n%s", r.status, r.stderr)
	}
	var calls []string
	for line := range strings.Lines(readFile(h.t, out)) {
		if strings.Contains(line, "SECCOMP_SET_MODE_FILTER") && strings.Contains(line, "len=") {
			calls = append(calls, strings.TrimSpace(line))
		}
	}
	return calls
}

func TestFlagsOfAFilterAreGivenToTheKernel(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for name, tt := range map[string]struct {
		flags []specs.LinuxSeccompFlag
		want  string
	}{
		//proves:linux.seccomp.flags linux.seccomp.flags=SECCOMP_FILTER_FLAG_SPEC_ALLOW linux.seccomp.flags=SECCOMP_FILTER_FLAG_LOG
		"speculation stays if nothing is said": {nil, "SECCOMP_FILTER_FLAG_SPEC_ALLOW"},
		"none if the list is empty":            {[]specs.LinuxSeccompFlag{}, "0"},
		"speculation":                          {[]specs.LinuxSeccompFlag{specs.LinuxSeccompFlagSpecAllow}, "SECCOMP_FILTER_FLAG_SPEC_ALLOW"},
		"log":                                  {[]specs.LinuxSeccompFlag{specs.LinuxSeccompFlagLog}, "SECCOMP_FILTER_FLAG_LOG"},
		"both": {
			[]specs.LinuxSeccompFlag{specs.LinuxSeccompFlagSpecAllow, specs.LinuxSeccompFlagLog},
			"SECCOMP_FILTER_FLAG_LOG|SECCOMP_FILTER_FLAG_SPEC_ALLOW",
		},
		// It would put the threads of init under a filter that is made for the
		// program, which has none of them: execve(2) ends them.
		//proves:linux.seccomp.flags=SECCOMP_FILTER_FLAG_TSYNC
		"that of all threads is left out": {
			[]specs.LinuxSeccompFlag{"SECCOMP_FILTER_FLAG_TSYNC", specs.LinuxSeccompFlagLog}, "SECCOMP_FILTER_FLAG_LOG",
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			f := filter(specs.ActErrno, nil)
			f.Flags = tt.flags
			b := h.newBundle([]string{"status=Seccomp"}, withFilter(f))
			if tt.flags != nil && len(tt.flags) == 0 {
				// Go's encoder drops an empty list.
				text := strings.Replace(readFile(t, b.path("config.json")), `"seccomp": {`, `"seccomp": {"flags": [],`, 1)
				if err := os.WriteFile(b.path("config.json"), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			calls := h.loads(b)
			if len(calls) != 1 || !strings.Contains(calls[0], "(SECCOMP_SET_MODE_FILTER, "+tt.want+", {len=") {
				t.Errorf("flags are not %s: %q", tt.want, calls)
			}
		})
	}
}
