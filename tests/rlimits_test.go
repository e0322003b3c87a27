package tests

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func limits(l ...specs.POSIXRlimit) edit {
	return func(s *specs.Spec) { s.Process.Rlimits = l }
}

// showLimits makes the process one that shows its limits. The probe would not
// do: the Go runtime changes that of open files.
func showLimits(s *specs.Spec) { s.Process.Args = []string{"/bin/cat", "/proc/self/limits"} }

// parseLimits returns soft and hard limit by name.
func parseLimits(text string) map[string]string {
	out := make(map[string]string)
	const nameWidth = 26
	for line := range strings.Lines(text) {
		if len(line) > nameWidth {
			if f := strings.Fields(line[nameWidth:]); len(f) >= 2 {
				out[strings.TrimSpace(line[:nameWidth])] = f[0] + " " + f[1]
			}
		}
	}
	return out
}

// withShell is a bundle that needs the programs of busybox.
func (h *host) withShell(edits ...edit) *bundle {
	h.t.Helper()
	if suite.busybox == "" {
		lacks(h.t, "the program busybox")
	}
	return h.newBundle(nil, edits...)
}

//proves:process.rlimits[].type process.rlimits[].soft process.rlimits[].hard
//proves:config.md#posix-process:3 config.md#posix-process:4 config.md#posix-process:5 config.md#posix-process:6
//proves:config.md#posix-process:7
func TestLimitsAreThoseOfTheConfiguration(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	own := parseLimits(readFile(t, "/proc/self/limits"))
	var all []specs.POSIXRlimit
	want := make(map[string]string)
	for name, l := range map[string]specs.POSIXRlimit{
		//proves:process.rlimits[].type=RLIMIT_CPU process.rlimits[].type=RLIMIT_FSIZE process.rlimits[].type=RLIMIT_DATA
		"Max cpu time":  {Type: "RLIMIT_CPU", Soft: 100, Hard: 200},
		"Max file size": {Type: "RLIMIT_FSIZE", Soft: 1 << 30, Hard: 1 << 40},
		"Max data size": {Type: "RLIMIT_DATA", Soft: 5 << 20, Hard: 6 << 20},
		//proves:process.rlimits[].type=RLIMIT_STACK process.rlimits[].type=RLIMIT_CORE process.rlimits[].type=RLIMIT_RSS
		"Max stack size":     {Type: "RLIMIT_STACK", Soft: 1 << 20, Hard: 2 << 20},
		"Max core file size": {Type: "RLIMIT_CORE", Soft: 0, Hard: unlimited},
		"Max resident set":   {Type: "RLIMIT_RSS", Soft: 7 << 20, Hard: unlimited},
		//proves:process.rlimits[].type=RLIMIT_NPROC process.rlimits[].type=RLIMIT_NOFILE process.rlimits[].type=RLIMIT_MEMLOCK
		"Max processes":     {Type: "RLIMIT_NPROC", Soft: 50, Hard: 60},
		"Max open files":    {Type: "RLIMIT_NOFILE", Soft: 300, Hard: 400},
		"Max locked memory": {Type: "RLIMIT_MEMLOCK", Soft: 0, Hard: 4096},
		//proves:process.rlimits[].type=RLIMIT_AS process.rlimits[].type=RLIMIT_LOCKS process.rlimits[].type=RLIMIT_SIGPENDING
		"Max address space":   {Type: "RLIMIT_AS", Soft: 1 << 30, Hard: unlimited},
		"Max file locks":      {Type: "RLIMIT_LOCKS", Soft: 8, Hard: 9},
		"Max pending signals": {Type: "RLIMIT_SIGPENDING", Soft: 10, Hard: 11},
		//proves:process.rlimits[].type=RLIMIT_MSGQUEUE process.rlimits[].type=RLIMIT_RTTIME
		"Max msgqueue size":    {Type: "RLIMIT_MSGQUEUE", Soft: 10, Hard: 20},
		"Max realtime timeout": {Type: "RLIMIT_RTTIME", Soft: 12, Hard: unlimited},
		//proves:process.rlimits[].type=RLIMIT_NICE process.rlimits[].type=RLIMIT_RTPRIO
		"Max nice priority":     lowered("RLIMIT_NICE", own["Max nice priority"]),
		"Max realtime priority": lowered("RLIMIT_RTPRIO", own["Max realtime priority"]),
	} {
		all = append(all, l)
		want[name] = limitText(l.Soft) + " " + limitText(l.Hard)
	}
	equal(t, "number of limits", len(all), 16)
	b := h.withShell(showLimits, limits(all...))
	seen := parseLimits(h.must("run", "--bundle", b.dir, newID()))
	for name := range want {
		equal(t, name, seen[name], want[name])
	}
}

const unlimited = ^uint64(0)

func limitText(value uint64) string {
	if value == unlimited {
		return "unlimited"
	}
	return strconv.FormatUint(value, 10)
}

// lowered is a limit that this process may set: mostly it has 0 itself, and takes
// a privilege for more.
func lowered(kind, own string) specs.POSIXRlimit {
	hard, err := strconv.ParseUint(strings.TrimSpace(own[strings.IndexByte(own, ' '):]), 10, 64)
	if err != nil || hard > 3 {
		hard = 3
	}
	return specs.POSIXRlimit{Type: kind, Soft: hard / 2, Hard: hard}
}

// Limits are in force only once init needs no more itself.
func TestALimitMayBeBelowWhatInitNeeds(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	//proves:process.rlimits[].type=RLIMIT_NOFILE process.rlimits[].type=RLIMIT_NPROC
	for _, l := range []specs.POSIXRlimit{
		{Type: "RLIMIT_NOFILE", Soft: 3, Hard: 3},
		{Type: "RLIMIT_NOFILE"},
		{Type: "RLIMIT_NPROC", Soft: 1, Hard: 1},
		{Type: "RLIMIT_AS", Soft: 8 << 20, Hard: 8 << 20},
		{Type: "RLIMIT_FSIZE"},
		{Type: "RLIMIT_DATA", Soft: 1 << 20, Hard: 1 << 20},
		{Type: "RLIMIT_STACK", Soft: 64 << 10, Hard: 64 << 10},
		{Type: "RLIMIT_MEMLOCK"},
	} {
		notifying := filter(specs.ActNotify, nil)
		notifying.ListenerPath = newAgent(t).path
		for name, f := range map[string]*specs.LinuxSeccomp{"no filter": nil, "a filter that notifies": notifying} {
			b := h.withShell(limits(l), withFilter(f), func(s *specs.Spec) {
				s.Process.Args = []string{"/bin/true"}
				s.Process.User.UID = 54321 // RLIMIT_NPROC counts all processes of a user
			})
			cmd := h.command("run", "--preserve-fds", "2", "--bundle", b.dir, newID())
			null := openNull(t)
			cmd.ExtraFiles = []*os.File{null, null}
			if r := h.finish(cmd); r.status != 0 {
				t.Errorf("%v, %s: status %d, %q", l, name, r.status, r.stderr)
			}
		}
	}
}

func openNull(t *testing.T) *os.File {
	t.Helper()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { null.Close() })
	return null
}

// TestLimitsAreThoseOfTheProcess has hooks that could not do with them what they do
// (config.md, "POSIX process": "setting resource limits for the process").
//
//proves:process.rlimits[].soft hooks.startContainer
func TestLimitsAreThoseOfTheProcess(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, l := range []specs.POSIXRlimit{
		{Type: "RLIMIT_NOFILE", Soft: 3, Hard: 3},
		{Type: "RLIMIT_FSIZE", Soft: 100, Hard: 100},
		{Type: "RLIMIT_AS", Soft: 8 << 20, Hard: 8 << 20},
	} {
		b := h.withShell(limits(l), func(s *specs.Spec) {
			s.Root.Readonly = false
			s.Annotations = map[string]string{"long": strings.Repeat("x", 10_000)}
			s.Process.Args = []string{"/bin/true"}
			s.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "cat > /state"}}}}
		})
		h.must("run", "--bundle", b.dir, newID())
		if text := readFile(t, b.dir+"/rootfs/state"); len(text) < 10_000 || !strings.HasSuffix(text, "}") {
			t.Errorf("%v: the hook got a state of %d bytes", l, len(text))
		}
	}
}

// TestAUserWithTooManyProcessesIsNamed has two processes of a user that may have one,
// of which the second was none too many when it became his, and a third (execve(2),
// EAGAIN).
//
//proves:process.rlimits[].type=RLIMIT_NPROC
func TestAUserWithTooManyProcessesIsNamed(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	single := func(s *specs.Spec) {
		limits(specs.POSIXRlimit{Type: "RLIMIT_NPROC", Soft: 1, Hard: 1})(s)
		s.Process.User.UID = 54322
		s.Process.Args = []string{"/bin/sleep", "1000"}
	}
	for range 2 {
		h.must("run", "--detach", "--bundle", h.withShell(single).dir, newID())
	}
	h.refuses([]string{"/bin/sleep", "resource temporarily unavailable", "RLIMIT_NPROC"},
		"run", "--detach", "--bundle", h.withShell(single).dir, newID())
}

// largeEnvironment is an edit that makes init need another 4 MiB of memory, by which
// the heap of a Go program grows. A quarter of the stack is what it may take.
func largeEnvironment(s *specs.Spec) {
	for i := range 40 {
		s.Process.Env = append(s.Process.Env, fmt.Sprint("VARIABLE", i, "=", strings.Repeat("x", 120_000)))
	}
	limits(specs.POSIXRlimit{Type: "RLIMIT_STACK", Soft: 40 << 20, Hard: 50 << 20})(s)
}

// TestALimitOfMemoryDoesNotHoldInitUp has init need more memory than it may map, at
// the latest where it hands the environment to the program.
//
//proves:process.rlimits[].type=RLIMIT_AS process.rlimits[].type=RLIMIT_STACK
func TestALimitOfMemoryDoesNotHoldInitUp(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for name, filtered := range map[string]func(*testing.T) edit{
		"no filter": func(*testing.T) edit { return withFilter(nil) },
		"a filter":  func(*testing.T) edit { return withFilter(filter(specs.ActErrno, nil)) },
		"a filter that notifies": func(t *testing.T) edit {
			t.Helper()
			f := filter(specs.ActNotify, nil)
			f.ListenerPath = newAgent(t).path
			return withFilter(f)
		},
		"a filter that kills a thread": func(*testing.T) edit { return withFilter(filter(specs.ActKillThread, nil)) },
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			spacious := func(s *specs.Spec) {
				largeEnvironment(s)
				s.Process.Rlimits = append(s.Process.Rlimits, specs.POSIXRlimit{Type: "RLIMIT_AS", Soft: 60 << 20, Hard: 70 << 20})
			}
			limited := func(text string) {
				seen := parseLimits(text)
				equal(t, "address space", seen["Max address space"], "62914560 73400320")
				equal(t, "stack", seen["Max stack size"], "41943040 52428800")
			}
			limited(h.must("run", "--bundle", h.withShell(filtered(t), spacious, showLimits).dir, newID()))

			id := newID()
			h.must("run", "--detach", "--bundle", h.withShell(filtered(t), spacious, func(s *specs.Spec) {
				s.Process.Args = []string{"/bin/sleep", "1000"}
			}).dir, id)
			limited(h.must("exec", id, "/bin/cat", "/proc/self/limits"))
			h.must("delete", "--force", id)
		})
	}
}

// TestAnUnexecutableProgramIsReportedUnderALimitOfMemory has execve(2) fail, after
// which init goes on under the limit.
func TestAnUnexecutableProgramIsReportedUnderALimitOfMemory(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.withShell(limits(specs.POSIXRlimit{Type: "RLIMIT_AS", Soft: 1 << 20, Hard: 1 << 20}), func(s *specs.Spec) {
		s.Process.Args = []string{"/text"}
	})
	if err := os.WriteFile(b.dir+"/rootfs/text", []byte("no program"), 0o755); err != nil {
		t.Fatal(err)
	}
	h.refuses([]string{"/text", "exec format error"}, "run", "--bundle", b.dir, newID())
}

// TestADeathUnderALimitOfMemoryIsNotTheProgramsOwn has init die in execve(2), as it
// does by itself where it lacks the memory to say why that failed: the interpreter
// of its program is of a filesystem that does not answer.
func TestADeathUnderALimitOfMemoryIsNotTheProgramsOwn(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	f := newDeadFilesystem(t)
	b := h.newBundle([]string{"pid"}, f.hangs, limits(specs.POSIXRlimit{Type: "RLIMIT_STACK", Soft: 8 << 20, Hard: 8 << 20}),
		func(s *specs.Spec) { s.Process.Args = []string{"/script"} })
	if err := os.WriteFile(b.path("rootfs/script"), []byte("#!/tmp/interpreter\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	id := newID()
	cmd := h.command("run", "--bundle", b.dir, id) // who reaps init must not be faster than hull
	out := h.startCommand(cmd)
	eventually(t, "it is created", func() bool { return strings.Contains(h.try("state", id).stdout, `"created"`) })
	pid := h.state(id).Pid
	eventually(t, "it asks for the interpreter", func() bool {
		return strings.Contains(readFile(t, procPath(pid, "wchan")), "request_wait_answer")
	})
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	f.release()
	_ = cmd.Wait()
	equal(t, "exit status", cmd.ProcessState.ExitCode(), 1)
	awaitText(t, out, "the init process was killed")
	h.nothingRemains(id, b)
}

func TestALimitThatIsNotConfiguredIsTheCallers(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	// Among them the soft limit of open files, which the Go runtime raises in
	// its own process.
	b := h.withShell(showLimits, limits())
	script := `ulimit -S -n 1000 && ulimit -H -n 1500 && ulimit -c 0 && exec "$0" "$@"`
	cmd := h.command("run", "--bundle", b.dir, newID())
	cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", script}, cmd.Args...)
	r := h.finish(cmd)
	if r.status != 0 {
		t.Fatal(r.stderr)
	}
	seen := parseLimits(r.stdout)
	equal(t, "open files", seen["Max open files"], "1000 1500")
	own := parseLimits(readFile(t, "/proc/self/limits"))
	for _, name := range []string{"Max processes", "Max stack size", "Max locked memory", "Max msgqueue size"} {
		equal(t, name, seen[name], own[name])
	}
	equal(t, "core", strings.Fields(seen["Max core file size"])[0], "0")
}

//proves:process.rlimits[].soft process.rlimits[].hard
func TestAnExecHasTheLimitsOfTheConfiguration(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil, limits(specs.POSIXRlimit{Type: "RLIMIT_NOFILE", Soft: 300, Hard: 400}))
	seen := parseLimits(h.must("exec", c.id, "/bin/cat", "/proc/self/limits"))
	equal(t, "open files", seen["Max open files"], "300 400")
}

//proves:config.md#posix-process:1 config.md#posix-process:2 config.md#posix-process:8
func TestLimitsThatCannotBeSetAreRefused(t *testing.T) {
	h := newHost(t)
	h.fails([]string{"process.rlimits[0].type", "RLIMIT_CAKE"}, limits(specs.POSIXRlimit{Type: "RLIMIT_CAKE"}))
	h.fails([]string{"process.rlimits[0].soft", "2", "above the hard limit 1"}, limits(specs.POSIXRlimit{Type: "RLIMIT_CORE", Soft: 2, Hard: 1}))
	h.fails([]string{"process.rlimits[1].type", "rlimits[0]"}, limits(
		specs.POSIXRlimit{Type: "RLIMIT_CORE", Soft: 1, Hard: 1}, specs.POSIXRlimit{Type: "RLIMIT_CORE", Soft: 2, Hard: 2}))
	if hasCapability(t, 24) {
		lacks(t, "the lack of CAP_SYS_RESOURCE")
	}
	h.fails([]string{"process.rlimits", "RLIMIT_MSGQUEUE", "operation not permitted", "CAP_SYS_RESOURCE"},
		limits(specs.POSIXRlimit{Type: "RLIMIT_MSGQUEUE", Soft: 1 << 30, Hard: 1 << 30}))
}
