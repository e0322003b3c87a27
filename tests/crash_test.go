package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// atEachMoment calls crash with delays after which a command is killed: they go from
// its start to well after its end.
func atEachMoment(crash func(delay time.Duration)) { atMoments(60, 20*time.Millisecond, crash) }

// atMoments calls crash with so many delays below span, in equal steps.
func atMoments(count int, span time.Duration, crash func(delay time.Duration)) {
	count = fewer(count)
	for i := range count {
		crash(paced(span) * time.Duration(i) / time.Duration(count))
	}
}

// crash starts a command and kills what victim chooses of it after the delay.
func (h *host) crash(delay time.Duration, victim func(runtime int) int, args ...string) {
	h.t.Helper()
	cmd := h.command(args...)
	// Not the pipes of a buffer: a container that survives holds them open.
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	time.Sleep(delay)
	if pid := victim(cmd.Process.Pid); pid > 0 {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	_ = cmd.Wait()
}

func itself(runtime int) int { return runtime }

// sweepAndCheck is what a user does after a crash.
func (h *host) sweepAndCheck(delay time.Duration, id string, b *bundle) {
	h.t.Helper()
	if r := h.try("delete", "--force", id); r.status != 0 || r.stderr != "" {
		h.t.Errorf("delete --force after %v: status %d: %s", delay, r.status, r.stderr)
	}
	h.nothingRemains(id, b)
}

func TestNothingRemainsOfACreateThatIsKilled(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	// A profile takes time to compile.
	b := h.newBundle([]string{"sleep"}, withFilter(&specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow,
		Syscalls:      []specs.LinuxSyscall{{Names: []string{"reboot"}, Action: specs.ActErrno}},
	}))
	atEachMoment(func(delay time.Duration) {
		id := newID()
		h.crash(delay, itself, "create", "--bundle", b.dir, id)
		h.sweepAndCheck(delay, id, b)
	})
}

func TestNothingRemainsOfACreateWithoutACgroupThatIsKilled(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"sleep"}, func(s *specs.Spec) { s.Linux.Resources = nil })
	atEachMoment(func(delay time.Duration) {
		id := newID()
		h.crash(delay, itself, "--cgroup-manager", "disabled", "create", "--bundle", b.dir, id)
		h.sweepAndCheck(delay, id, b)
	})
}

func TestNothingRemainsOfACreateWhoseInitIsKilled(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"sleep"})
	init := func(runtime int) int {
		if children := childrenOf(t, runtime); len(children) > 0 {
			return children[len(children)-1]
		}
		return 0
	}
	atEachMoment(func(delay time.Duration) {
		id := newID()
		h.crash(delay, init, "create", "--bundle", b.dir, id)
		h.sweepAndCheck(delay, id, b)
	})
}

// What is cut off counts as stopped, although its init may wait to be started.
func TestDeleteWithoutForceLeavesNothingOfACreateThatIsKilledAtItsEnd(t *testing.T) {
	t.Parallel()
	for _, manager := range []string{"cgroupfs", "disabled"} {
		t.Run(manager, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.flags = []string{"--cgroup-manager", manager}
			id := newID()
			// Who saves the record then waits for somebody to read it.
			b := h.newBundle([]string{"sleep"}, func(s *specs.Spec) {
				s.Linux.Resources = nil
				s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "mkfifo " + h.root + "/" + id + "/.record"}}}}
			})
			cmd := h.command("create", "--bundle", b.dir, id)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "create is at its end", func() bool { return waitsIn(cmd.Process.Pid, "wait_for_partner") })
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			equal(t, "status", h.state(id).Status, specs.StateStopped)
			h.must("delete", id)
			h.nothingRemains(id, b)
		})
	}
}

// waitsIn reports whether a thread of a process sleeps in a function of the kernel.
func waitsIn(pid int, function string) bool {
	places, _ := filepath.Glob(procPath(pid, "task/*/wchan"))
	for _, place := range places {
		if text, err := os.ReadFile(place); err == nil && strings.Contains(string(text), function) {
			return true
		}
	}
	return false
}

func TestACreateWhoseInitIsKilledFailsAndCleansUpItself(t *testing.T) {
	t.Parallel()
	h, d := newHost(t), newDiary(t)
	b := h.newBundle([]string{"sleep"}, func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{d.hook("createRuntime", "sleep=20")}}
	})
	id := newID()
	cmd := h.command("create", "--bundle", b.dir, id)
	out := h.startCommand(cmd)
	eventually(t, "the hook runs", func() bool { return len(d.names()) == 1 })
	_ = unix.Kill(d.read()[0].state(t).Pid, unix.SIGKILL)
	_ = cmd.Wait()
	equal(t, "exit status", cmd.ProcessState.ExitCode(), 1)
	awaitText(t, out, "SIGKILL")
	h.nothingRemains(id, b)
}

func TestNothingRemainsOfAStartThatIsKilled(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"sleep"})
	atEachMoment(func(delay time.Duration) {
		id := newID()
		h.quietly("create", "--bundle", b.dir, id)
		h.crash(delay/2, itself, "start", id)
		if s := h.state(id).Status; s != specs.StateCreated && s != specs.StateRunning {
			t.Errorf("after %v: status %s", delay/2, s)
		}
		h.sweepAndCheck(delay, id, b)
	})
}

func TestNothingRemainsOfADeleteThatIsKilled(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"sleep"})
	atEachMoment(func(delay time.Duration) {
		id := newID()
		h.quietly("run", "--detach", "--bundle", b.dir, id)
		h.crash(delay, itself, "delete", "--force", id)
		h.sweepAndCheck(delay, id, b)
	})
}

func TestAnExecThatIsKilledHarmsNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"sleep"})
	id := newID()
	h.quietly("run", "--detach", "--bundle", b.dir, id)
	pid := h.state(id).Pid
	atEachMoment(func(delay time.Duration) {
		h.crash(delay, itself, "exec", id, "/bin/true")
	})
	eventually(t, "only init is left", func() bool {
		var pids []int
		decodeStrictly(t, h.must("ps", "--format", "json", id), &pids)
		return len(pids) == 1 && pids[0] == pid
	})
	h.sweepAndCheck(0, id, b)
}

// A container that cannot have the cgroup that it asks for never takes it away from
// who is in it, whenever its creation is cut off.
func TestACreationThatIsRefusedItsCgroupHarmsNobodyThere(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	name := newID()
	path := "/" + name
	if bySystemd() {
		path = ":hull:" + name
	}
	inside := func(s *specs.Spec) { s.Linux.CgroupsPath = path }
	victim := h.start(nil, inside)
	b := h.newBundle([]string{"sleep"}, inside)
	dir := victim.cgroup("")
	lives := func(when string) {
		t.Helper()
		if !alive(victim.pid) || !fileExists(dir) {
			t.Fatalf("%s: the container that was there first is not there any more", when)
		}
	}
	id := newID()
	h.refuses([]string{"use cgroup", name, "it is not empty"}, "create", "--bundle", b.dir, id)
	h.nothingRemains(id, b)
	atMoments(50, 8*time.Millisecond, func(delay time.Duration) {
		id := newID()
		h.crash(delay, itself, "create", "--bundle", b.dir, id)
		_ = h.command("delete", "--force", id).Run()
		lives(delay.String())
	})
	for range fewer(40) {
		id := newID()
		create := h.command("create", "--bundle", b.dir, id)
		if err := create.Start(); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			_ = h.command("delete", "--force", id).Run()
		}
		_ = create.Wait()
		_ = h.command("delete", "--force", id).Run()
		lives("at the same time")
	}
}

// quietly runs the runtime, which has to succeed, without pipes that a
// container would hold open.
func (h *host) quietly(args ...string) {
	h.t.Helper()
	if err := h.command(args...).Run(); err != nil {
		h.t.Fatalf("%v: %v", args, err)
	}
}
