package tests

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestRunPassesOutputAndExitStatus(t *testing.T) {
	h := newHost(t)
	h.leavesNothing()
	for name, tt := range map[string]struct {
		commands []string
		want     int
	}{
		"success":           {[]string{"pid"}, 0},
		"an exit status":    {[]string{"pid", "exit=7"}, 7},
		"status 255 itself": {[]string{"pid", "exit=255"}, 255},
	} {
		t.Run(name, func(t *testing.T) {
			b := h.newBundle(tt.commands)
			r := h.try("run", "--bundle", b.dir, newID())
			if r.status != tt.want {
				t.Errorf("status %d, want %d\n%s", r.status, tt.want, r.stderr)
			}
			if !strings.Contains(r.stdout, `"pid":1`) {
				t.Errorf("output %q", r.stdout)
			}
		})
	}
}

func TestRunEndsWith128AndTheSignalThatKilledTheProgram(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for signal, want := range map[string]int{"TERM": 143, "KILL": 137, "USR1": 138, "SEGV": 139, "HUP": 129} {
		// Pid 1 of a namespace ignores what it does not handle.
		b := h.newBundle(nil, dropNamespace(specs.PIDNamespace), shell("kill -"+signal+" $$; sleep 5"))
		if r := h.try("run", "--bundle", b.dir, newID()); r.status != want {
			t.Errorf("%s: status %d, want %d: %s", signal, r.status, want, r.stderr)
		}
	}
}

// Not in parallel with others: each 64 KiB has to wait for a processor three times.
func TestRunPassesStdinAndALotOfOutput(t *testing.T) {
	h := newHost(t)
	b := h.newBundle(nil, shell("cat"))
	cmd := h.command("run", "--bundle", b.dir, newID())
	in := bytes.Repeat([]byte("0123456789abcdef"), 64<<20/16)
	cmd.Stdin = bytes.NewReader(in)
	out := sha256.New()
	cmd.Stdout = out
	if r := h.finish(cmd); r.status != 0 {
		t.Fatal(r.stderr)
	}
	want := sha256.Sum256(in)
	if !bytes.Equal(out.Sum(nil), want[:]) {
		t.Error("64 MB came back changed")
	}
}

func TestRunKeepsStdoutAndStderrApart(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle(nil, shell("echo out; echo err >&2"))
	r := h.try("run", "--bundle", b.dir, newID())
	equal(t, "streams", []string{r.stdout, r.stderr}, []string{"out\n", "err\n"})
}

// What a foreground run or exec does not pass on: what is about itself (its own
// children, its own broken pipe, its own Go scheduler), and the size of a terminal
// that the program does not have.
func withheld() []unix.Signal {
	return []unix.Signal{unix.SIGCHLD, unix.SIGPIPE, unix.SIGURG, unix.SIGWINCH}
}

// Those of job control as well; here no shell does it, and the runtime goes on. The
// program is in a session of its own, where they stop it only if it wants to
// (setpgid(2), "orphaned").
func TestRunAndExecForwardEverySignalToTheProgram(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"run", "exec"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			var cmd *exec.Cmd
			if command == "run" {
				b := h.newBundle(nil, awaiting(15))
				cmd = h.command("run", "--bundle", b.dir, newID())
			} else {
				cmd = h.command("exec", h.start(nil).id, "/probe", "await=15")
			}
			out := h.startCommand(cmd)
			awaitText(t, out, "ready\n")
			said := "ready\n"
			send := func(sig unix.Signal) {
				if err := cmd.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
			}
			for _, sig := range withheld() {
				send(sig)
			}
			for _, sig := range handled() {
				if slices.Contains(withheld(), sig) || sig == unix.SIGTERM {
					continue
				}
				send(sig)
				said += fmt.Sprintf("%d\n", int(sig))
				awaitText(t, out, said)
			}
			send(unix.SIGTERM)
			_ = cmd.Wait()
			equal(t, "what arrived", readFile(t, out), said+"15\n")
			equal(t, "exit status", cmd.ProcessState.ExitCode(), 15)
		})
	}
}

// SIGPROF and the first real-time signal, of which os/signal knows nothing; the
// latter would end the runtime.
func TestRunAndExecForwardWhatTheGoRuntimeHides(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"run", "exec"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			var cmd *exec.Cmd
			if command == "run" {
				cmd = h.command("run", "--bundle", h.newBundle(nil, shell(listing)).dir, newID())
			} else {
				cmd = h.command("exec", h.start(nil).id, "/bin/sh", "-c", listing)
			}
			out := h.startCommand(cmd)
			said := "ready\n"
			awaitText(t, out, said)
			for _, sig := range append(hidden(), unix.SIGTERM) {
				if err := cmd.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
				if sig != unix.SIGTERM {
					said += fmt.Sprintf("%d\n", int(sig))
					awaitText(t, out, said)
				}
			}
			_ = cmd.Wait()
			equal(t, "exit status", cmd.ProcessState.ExitCode(), 15)
		})
	}
}

// Orphans of a container that has no init of its own are hull's to reap, unless the
// host's init shall do it.
func TestOrphansOfTheContainerAreReapedByHullUnlessTheHostsInitShall(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args  []string
		hulls bool
	}{
		{[]string{"run"}, true},
		{[]string{"run", "--no-subreaper"}, false},
		{[]string{"run", "-no-subreaper"}, false},
		{[]string{"exec"}, false},
		{[]string{"exec", "--no-subreaper"}, false},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			const orphan = "(sleep 3 & echo $!); sleep 100"
			var cmd *exec.Cmd
			if tt.args[0] == "run" {
				b := h.newBundle(nil, dropNamespace(specs.PIDNamespace), shell(orphan))
				cmd = h.command(append(tt.args, "--bundle", b.dir, newID())...)
			} else {
				cmd = h.command(append(tt.args, h.start(nil, dropNamespace(specs.PIDNamespace)).id, "/bin/sh", "-c", orphan)...)
			}
			out := h.startCommand(cmd)
			awaitText(t, out, "\n")
			pid := int(number(t, strings.TrimSpace(readFile(t, out))))
			isHulls := func() bool { return slices.Contains(childrenOf(t, cmd.Process.Pid), pid) }
			if tt.hulls {
				eventually(t, "the orphan is hull's", isHulls)
				eventually(t, "the orphan is reaped", func() bool { return !fileExists(procPath(pid, "")) })
			} else {
				eventually(t, "the orphan ends", func() bool {
					if isHulls() {
						t.Fatal("the orphan is hull's")
					}
					text, err := os.ReadFile(procPath(pid, "stat"))
					return err != nil || strings.Contains(string(text), ") Z ")
				})
			}
		})
	}
}

func TestRunDetachedLeavesTheContainerRunning(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"sleep"})
	id, file := newID(), filepath.Join(t.TempDir(), "pid")
	h.must("run", "-d", "--pid-file", file, "--bundle", b.dir, id)
	s := h.state(id)
	text, err := os.ReadFile(file)
	equal(t, "pid file", string(text), strconv.Itoa(s.Pid))
	equal(t, "status", s.Status, specs.StateRunning)
	if err != nil {
		t.Error(err)
	}
}

func TestRunDeletesTheContainerUnlessItIsToBeKept(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"exit=3"})
	id := newID()
	if r := h.try("run", "--bundle", b.dir, id); r.status != 3 {
		t.Errorf("status %d", r.status)
	}
	h.refuses([]string{"does not exist"}, "state", id)
	if r := h.try("run", "--keep", "--bundle", b.dir, id); r.status != 3 {
		t.Errorf("status %d", r.status)
	}
	equal(t, "status", h.state(id).Status, specs.StateStopped)
	h.must("delete", id)
	h.nothingRemains(id, b)
}

func TestRunReapsWhatTheContainerOrphans(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	// Without a pid namespace, orphans go to the runtime, a subreaper.
	b := h.newBundle(nil, dropNamespace(specs.PIDNamespace), shell(
		"for i in 1 2 3 4 5; do (sleep 0.2 & sleep 0 &) ; done; echo ready; sleep 100"))
	id := newID()
	cmd := h.command("run", "--bundle", b.dir, id)
	out := h.startCommand(cmd)
	awaitText(t, out, "ready")
	eventually(t, "only the container's init is left of the children", func() bool {
		return len(childrenOf(t, cmd.Process.Pid)) == 1
	})
	h.must("kill", id, "KILL")
	_ = cmd.Wait()
	equal(t, "exit status", cmd.ProcessState.ExitCode(), 137)
}

func TestRunEndsWithTheProgramThoughItsChildrenLive(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"spawn=forever", "exit=4"}, dropNamespace(specs.PIDNamespace))
	id := newID()
	if r := h.try("run", "--bundle", b.dir, id); r.status != 4 {
		t.Errorf("status %d: %s", r.status, r.stderr)
	}
	h.nothingRemains(id, b)
}

func TestAContainerOutlivesARunThatIsKilledAndCanBeDeleted(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid", "sleep"})
	id := newID()
	cmd := h.command("run", "--bundle", b.dir, id)
	awaitText(t, h.startCommand(cmd), `"pid":1`)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	equal(t, "status", h.state(id).Status, specs.StateRunning)
	h.must("delete", "--force", id)
	h.nothingRemains(id, b)
}

func TestASignalDuringCreateEndsRunAndLeavesNothing(t *testing.T) {
	t.Parallel()
	h, d := newHost(t), newDiary(t)
	b := h.newBundle([]string{"sleep"}, func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{d.hook("createRuntime", "sleep=3")}}
	})
	id := newID()
	cmd := h.command("run", "--bundle", b.dir, id)
	h.startCommand(cmd)
	eventually(t, "the hook runs", func() bool { return len(d.names()) == 1 })
	if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if cmd.ProcessState.ExitCode() == 0 {
		t.Error("run succeeded")
	}
	h.nothingRemains(id, b)
}

// Those that end a program end the creation; any other waits, however often it comes.
func TestASignalThatIsRepeatedDuringCreateReachesTheProgramAndIsForwardedOn(t *testing.T) {
	t.Parallel()
	h, d := newHost(t), newDiary(t)
	b := h.newBundle(nil, awaiting(15), func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{d.hook("createRuntime", "sleep=1")}}
	})
	cmd := h.command("run", "--bundle", b.dir, newID())
	out := h.startCommand(cmd)
	eventually(t, "the hook runs", func() bool { return len(d.names()) == 1 })
	send := func(sig unix.Signal) {
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	const realTime = unix.Signal(40)
	for _, sig := range []unix.Signal{unix.SIGUSR1, realTime} {
		for range 2 {
			send(sig)
			time.Sleep(50 * time.Millisecond)
		}
	}
	awaitText(t, out, "ready\n")
	arrived := func() int { return strings.Count(readFile(t, out), "10\n") }
	before := arrived() // none of those that came early, as a rule: a program has to be ready
	send(unix.SIGUSR1)
	eventually(t, "it is forwarded again", func() bool { return arrived() > before })
	send(unix.SIGTERM)
	_ = cmd.Wait()
	equal(t, "exit status", cmd.ProcessState.ExitCode(), 15)
}

// The container is gone by then, and the hook goes with its runtime.
func TestASignalThatIsRepeatedEndsARunWhosePoststopHookDoesNotEnd(t *testing.T) {
	t.Parallel()
	for _, sig := range []unix.Signal{unix.SIGINT, unix.SIGTERM} {
		t.Run(unix.SignalName(sig), func(t *testing.T) {
			t.Parallel()
			h, d := newHost(t), newDiary(t)
			b := h.newBundle([]string{"pid"}, func(s *specs.Spec) {
				s.Hooks = &specs.Hooks{Poststop: []specs.Hook{d.hook("poststop", "sleep=30")}}
			})
			id := newID()
			cmd := h.command("run", "--bundle", b.dir, id)
			h.startCommand(cmd)
			eventually(t, "the hook runs", func() bool { return len(d.names()) == 1 })
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_ = cmd.Wait()
			}()
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			select {
			case <-ended:
				t.Fatal("the first signal ends it")
			case <-time.After(200 * time.Millisecond):
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			select {
			case <-ended:
			case <-time.After(atMost(5)):
				_ = cmd.Process.Kill()
				t.Fatal("it does not end")
			}
			status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
			if !ok || status.Signal() != sig {
				t.Errorf("it ended with %v", cmd.ProcessState)
			}
			h.nothingRemains(id, b)
		})
	}
}
