package tests

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
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

// handled are the signals that a Go program can be shown: not those that nobody
// can handle, the two that C libraries keep to themselves, that of the Go
// scheduler, and hidden.
func handled() []unix.Signal {
	var all []unix.Signal
	for sig := unix.Signal(1); sig <= 64; sig++ {
		switch sig {
		case unix.SIGKILL, unix.SIGSTOP, unix.SIGURG, 32, 33, unix.SIGPROF, 34:
		default:
			all = append(all, sig)
		}
	}
	return all
}

// hidden are the signals that a Go program is not shown, and listing is a program
// that prints their numbers.
func hidden() []unix.Signal { return []unix.Signal{unix.SIGPROF, 34} }

const listing = "trap 'echo 27' 27; trap 'echo 34' 34; trap 'exit 15' TERM; echo ready; while :; do sleep 0.02; done"

// namesOf are ways to write a signal.
func namesOf(sig unix.Signal) []string {
	names := []string{fmt.Sprint(int(sig))}
	if name := unix.SignalName(sig); name != "" {
		short := strings.TrimPrefix(name, "SIG")
		return append(names, name, short, strings.ToLower(name), strings.ToLower(short))
	}
	for _, name := range []string{fmt.Sprintf("RTMIN+%d", sig-34), fmt.Sprintf("RTMAX-%d", 64-sig)} {
		names = append(names, name, "SIG"+name, strings.ToLower(name))
	}
	return names
}

//proves:runtime.md#kill:3
func TestKillSendsEverySignalByEachOfItsNames(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil, awaiting(int(unix.SIGKILL)))
	c.listsSignals(handled())
	c = h.create(h.newBundle(nil, shell(listing)))
	h.must("start", c.id)
	c.listsSignals(hidden())
}

// listsSignals sends signals to a container that prints their numbers.
func (c *container) listsSignals(signals []unix.Signal) {
	h, t := c.h, c.h.t
	t.Helper()
	awaitText(t, c.out, "ready\n")
	for _, sig := range few(signals) {
		for _, name := range namesOf(sig) {
			if err := os.Truncate(c.out, 0); err != nil {
				t.Fatal(err)
			}
			h.must("kill", c.id, name)
			eventually(t, name+" arrives", func() bool {
				return strings.Trim(readFile(t, c.out), "\x00") == fmt.Sprintf("%d\n", int(sig))
			})
		}
	}
}

// What init ignores or blocks does nothing to it, as anywhere; what nobody can
// ignore reaches init from outside of its pid namespace.
func TestKillOfAnInitThatIgnoresOrBlocksSignals(t *testing.T) {
	t.Parallel()
	for name, edits := range map[string][]edit{
		"ignores": {shell("trap '' TERM INT HUP; echo ready; while :; do sleep 1000; done")},
		"ignores, in the host's pid namespace": {
			dropNamespace(specs.PIDNamespace), shell("trap '' TERM INT HUP; echo ready; while :; do sleep 1000; done"),
		},
		"has no handler for, as the first process of its namespace": {shell("echo ready; exec sleep 1000")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			c := h.create(h.newBundle(nil, edits...))
			h.must("start", c.id)
			awaitText(t, c.out, "ready")
			eventually(t, "it executes what it is to", func() bool { return len(childrenOf(t, c.pid)) == 1 || strings.Contains(name, "no handler") })
			for _, sig := range []string{"TERM", "INT", "HUP"} {
				h.must("kill", c.id, sig)
			}
			h.must("kill", c.id, "STOP")
			eventually(t, "it stops", func() bool { return strings.Contains(readFile(t, procPath(c.pid, "stat")), ") T ") })
			h.must("kill", c.id, "CONT")
			eventually(t, "it goes on", func() bool { return strings.Contains(readFile(t, procPath(c.pid, "stat")), ") S ") })
			equal(t, "status", h.state(c.id).Status, specs.StateRunning)
			h.must("kill", c.id, "KILL")
			h.awaitStatus(c.id, specs.StateStopped)
		})
	}
}

func TestKillOfAPausedContainerEndsItAtOnce(t *testing.T) {
	t.Parallel()
	for name, edits := range map[string][]edit{"": nil, "in the host's pid namespace": {dropNamespace(specs.PIDNamespace)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			c := h.start([]string{"spawn=forever", "pid"}, edits...)
			c.see()
			pids := append(childrenOf(t, c.pid), c.pid)
			h.must("pause", c.id)
			h.must("kill", c.id, "KILL")
			h.awaitStatus(c.id, specs.StateStopped)
			for _, pid := range pids {
				eventually(t, "every process ends", func() bool { return !alive(pid) })
			}
			h.must("delete", c.id)
		})
	}
}

func TestKillRefusesWhatIsNoSignal(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	for _, name := range []string{"65", "-1", "NOPE", "SIG", "SIGSIGTERM", "RTMIN+31", "RTMAX+1", "9x", "0x9", " 9", "4294967305"} {
		h.refuses([]string{"unknown signal", "a number from 0 to 64", "RTMIN+1"}, "kill", "--", c.id, name)
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

// Engines do so when init ends, and wait for what has the container's output open.
func TestKillOfAllReachesWhatTheInitProcessLeftBehind(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c, pids := family(h)
	h.must("kill", c.id, "INT")
	h.awaitStatus(c.id, specs.StateStopped)
	h.refuses([]string{"container not running"}, "kill", c.id, "9")
	h.must("kill", "--all", c.id, "TERM")
	for _, pid := range pids[:3] {
		equal(t, "whether a process that is left lives", alive(pid), true)
	}
	h.must("kill", "--all", c.id, "9")
	for _, pid := range pids {
		eventually(t, "every process ends", func() bool { return !alive(pid) })
	}
	h.must("kill", "--all", c.id, "9")
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
