package tests

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

//proves:runtime.md#kill:3
func TestKillSendsTheSignalHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for name, want := range map[string]int{
		"":         15,
		"1":        1,
		"9":        9,
		"KILL":     9,
		"SIGKILL":  9,
		"sigterm":  15,
		"term":     15,
		"USR1":     10,
		"SIGUSR2":  12,
		"35":       35,
		"RTMIN+1":  35,
		"RTMIN+3":  37,
		"RTMAX-1":  63,
		"SIGRTMAX": 64,
		"WINCH":    28,
	} {
		t.Run("signal "+name, func(t *testing.T) {
			t.Parallel()
			h := &host{t: t, root: h.root}
			c := h.start(nil, awaiting(want))
			if want != 9 {
				awaitText(t, c.out, "ready")
			}
			args := []string{"kill", c.id}
			if name != "" {
				args = append(args, name)
			}
			h.must(args...)
			h.awaitStatus(c.id, specs.StateStopped)
			if want != 9 {
				awaitText(t, c.out, fmt.Sprintf("ready\n%d\n", want))
			}
		})
	}
}

// awaiting makes the probe print the signals that come, until the last.
func awaiting(last int) edit {
	return func(s *specs.Spec) { s.Process.Args = []string{"/probe", fmt.Sprintf("await=%d", last)} }
}

func TestTheFirstRealTimeSignalIsTheOneOfTheLibraries(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	// Pid 1 of a namespace would not die of it, and a Go program neither.
	b := h.newBundle(nil, dropNamespace(specs.PIDNamespace), shell("exec sleep 100"))
	id := newID()
	cmd := h.command("run", "--bundle", b.dir, id)
	h.startCommand(cmd)
	eventually(t, "it runs", func() bool { return h.try("state", id).status == 0 && h.state(id).Status == specs.StateRunning })
	h.must("kill", id, "SIGRTMIN")
	_ = cmd.Wait()
	equal(t, "exit status", cmd.ProcessState.ExitCode(), 128+34)
}

func TestKillRefusesWhatIsNoSignal(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	for _, name := range []string{"65", "-1", "NOPE", "SIG", "SIGSIGTERM", "RTMIN+31", "RTMAX+1", "9x", "0x9", " 9", "4294967305"} {
		h.refuses([]string{"unknown signal"}, "kill", "--", c.id, name)
	}
	equal(t, "status", h.state(c.id).Status, specs.StateRunning)
	h.refuses([]string{`"kill" requires`}, "kill")
	h.refuses([]string{`"kill" requires`}, "kill", c.id, "9", "more")
}

//proves:runtime.md#kill:2
func TestKillOfAStoppedContainerSaysWhatEnginesMatch(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := statuses()["stopped"](h)
	r := h.try("kill", c.id, "15")
	if r.status != 1 || !strings.Contains(r.stderr, "container not running") {
		t.Errorf("status %d: %s", r.status, r.stderr)
	}
	h.must("kill", "--all", c.id, "9")
	h.must("kill", "-a", c.id, "9")
}

func TestKillWithTheAllFlagSendsTheSignal(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil, awaiting(12))
	awaitText(t, c.out, "ready")
	h.must("kill", "--all", c.id, "12")
	h.awaitStatus(c.id, specs.StateStopped)
	awaitText(t, c.out, "12\n")
}

func TestKillByRegexReachesAllThatMatchAndNoOthers(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"sleep"})
	one, two, other := newID()+"-match-a", newID()+"-match-b", newID()
	for _, id := range []string{one, two, other} {
		h.must("run", "--detach", "--bundle", b.dir, id)
	}
	h.must("kill", "--regex", "match-[ab]$", "KILL")
	h.awaitStatus(one, specs.StateStopped)
	h.awaitStatus(two, specs.StateStopped)
	equal(t, "status of the other", h.state(other).Status, specs.StateRunning)
	// Those that have stopped do not make it fail.
	h.must("kill", "--regex", "hull-test", "KILL")
	h.awaitStatus(other, specs.StateStopped)
	h.must("kill", "--regex", "nobody", "KILL")
	h.refuses([]string{"missing closing"}, "kill", "--regex", "(", "KILL")
}

// family is a container without a pid namespace of its own, and with children
// of its init that would outlive it.
func family(h *host) (c *container, pids []int) {
	h.t.Helper()
	c = h.start([]string{"spawn=forever", "spawn=forever", "spawn=forever", "pid"}, dropNamespace(specs.PIDNamespace))
	c.see()
	pids = childrenOf(h.t, c.pid)
	if len(pids) != 3 {
		h.t.Fatalf("children: %v", pids)
	}
	return c, append(pids, c.pid)
}

func TestKillWithKILLEndsAllProcessesThatShareTheHostsPidNamespace(t *testing.T) {
	t.Parallel()
	for _, flags := range [][]string{nil, {"--cgroup-manager", "disabled"}} {
		for _, args := range [][]string{{"kill", "ID", "KILL"}, {"kill", "--all", "ID", "9"}, {"delete", "--force", "ID"}} {
			t.Run(strings.Join(slices.Concat(flags, args), " "), func(t *testing.T) {
				t.Parallel()
				h := newHost(t)
				h.flags = flags
				c, pids := family(h)
				args := slices.Clone(args)
				args[slices.Index(args, "ID")] = c.id
				h.must(args...)
				for _, pid := range pids {
					eventually(t, "every process ends", func() bool { return !alive(pid) })
				}
			})
		}
	}
}

func TestDeleteForceReachesWhatTheInitProcessLeftBehind(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c, pids := family(h)
	h.must("kill", c.id, "INT")
	eventually(t, "init ends", func() bool { return !alive(c.pid) })
	left := 0
	for _, pid := range pids {
		if alive(pid) {
			left++
		}
	}
	equal(t, "survivors", left, 3)
	h.must("delete", "--force", c.id)
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d is alive", pid)
		}
	}
}

func TestDeleteWithoutForceEndsWhatAStoppedContainerLeftBehind(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c, pids := family(h)
	h.must("kill", c.id, "INT")
	h.awaitStatus(c.id, specs.StateStopped)
	h.must("delete", c.id)
	for _, pid := range pids {
		eventually(t, "every process ends", func() bool { return !alive(pid) })
	}
}

func TestProcessesInAPidNamespaceThatIsJoinedEndWithTheirContainerAlone(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"kill", "ID", "KILL"}, {"delete", "--force", "ID"}} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			pod := h.start(nil)
			c := h.start([]string{"spawn=forever", "pid"}, addNamespace(specs.PIDNamespace, procPath(pod.pid, "ns/pid")))
			c.see()
			pids := append(childrenOf(t, c.pid), c.pid)
			equal(t, "processes", len(pids), 2)
			args := slices.Clone(args)
			args[slices.Index(args, "ID")] = c.id
			h.must(args...)
			for _, pid := range pids {
				eventually(t, "every process ends", func() bool { return !alive(pid) })
			}
			equal(t, "status of the other", h.state(pod.id).Status, specs.StateRunning)
		})
	}
}
