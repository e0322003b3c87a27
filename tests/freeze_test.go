package tests

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// freezers runs a test with the freezer of the machine and, where it has that of
// v1 as well, with that alone.
func freezers(t *testing.T, test func(h *host)) {
	t.Helper()
	t.Run("as it is", func(t *testing.T) { test(newHost(t)) })
	t.Run("of v1", func(t *testing.T) {
		if onlyV2() || !hasController("freezer") {
			lacks(t, "the freezer of cgroup v1")
		}
		h := newHost(t)
		h.through = []string{"unshare", "--mount", "sh", "-c", `umount "$0" 2>/dev/null; exec "$@"`, unifiedMount()}
		test(h)
	})
}

// freezer is the directory of the cgroup that the container is frozen by.
func (c *container) freezer() string {
	c.h.t.Helper()
	if len(c.h.through) > 0 {
		return c.cgroup("freezer")
	}
	return c.cgroup("")
}

// frozen reports whether a cgroup is to be.
func frozen(dir string) bool {
	for _, file := range []string{"cgroup.freeze", "freezer.self_freezing"} {
		if b, err := os.ReadFile(filepath.Join(dir, file)); err == nil && string(b) == "1\n" {
			return true
		}
	}
	return false
}

// divided is a container with a process in a cgroup below its own. That and init
// do something all the time, and not much.
func divided(h *host) (c *container, below int, sub string) {
	t := h.t
	t.Helper()
	needBusybox(t)
	c = h.create(h.newBundle(nil, dropNamespace(specs.PIDNamespace), shell("(while :; do sleep 0.01; done) & while :; do sleep 0.01; done")))
	h.must("start", c.id)
	eventually(t, "there is a child", func() bool { return len(childrenOf(t, c.pid)) > 0 })
	below = slices.Min(childrenOf(t, c.pid)) // the first
	sub = filepath.Join(c.freezer(), "below", "further")
	if err := os.MkdirAll(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(sub+"/cgroup.procs", []byte(strconv.Itoa(below)), 0); err != nil {
		t.Fatal(err)
	}
	return c, below, sub
}

func TestPauseIsForProcessesInCgroupsBelow(t *testing.T) {
	freezers(t, func(h *host) {
		t := h.t
		c, below, _ := divided(h)
		used := func(pid int) string { return readFile(t, procPath(pid, "schedstat")) }
		h.must("pause", c.id)
		equal(t, "the cgroup is frozen", frozen(c.freezer()), true)
		time.Sleep(20 * time.Millisecond) // they count as frozen on their way to sleep
		for _, pid := range []int{c.pid, below} {
			before := used(pid)
			time.Sleep(30 * time.Millisecond)
			equal(t, "what a paused process has used", used(pid), before)
		}
		before := used(below)
		h.must("resume", c.id)
		eventually(t, "it runs again", func() bool { return used(below) != before })
	})
}

func TestAPausedContainerEndsAtOnce(t *testing.T) {
	for _, command := range [][]string{{"delete", "--force"}, {"kill"}} {
		t.Run(command[0], func(t *testing.T) {
			freezers(t, func(h *host) {
				c, below, sub := divided(h)
				dir := c.freezer()
				h.must("pause", c.id)
				begin := time.Now()
				h.must(slices.Concat(command, []string{c.id}, map[string][]string{"kill": {"KILL"}}[command[0]])...)
				eventually(t, "its processes end", func() bool { return !alive(c.pid) && !alive(below) })
				if took := time.Since(begin); took > atMost(8) {
					t.Errorf("it took %v", took)
				}
				if command[0] == "kill" {
					equal(t, "status", h.state(c.id).Status, specs.StateStopped)
					h.must("delete", c.id)
				}
				if fileExists(sub) || fileExists(dir) {
					t.Errorf("%s is left", dir)
				}
			})
		})
	}
}

// interrupted starts the runtime and kills it after a while.
func (h *host) interrupted(after time.Duration, args ...string) {
	h.t.Helper()
	cmd := h.command(args...)
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	time.Sleep(after)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// attempts are when the runtime is killed: before, while and after it does what
// it is for, however fast the machine is.
func attempts(usual time.Duration) (all []time.Duration) {
	count := fewer(12)
	for i := range count {
		all = append(all, usual*6/5*time.Duration(i)/time.Duration(count))
	}
	return all
}

// lasting returns how long the command takes.
func (h *host) lasting(args ...string) time.Duration {
	h.t.Helper()
	begin := time.Now()
	h.must(args...)
	return time.Since(begin)
}

func TestAPauseThatIsKilledHasHappenedOrNot(t *testing.T) {
	freezers(t, func(h *host) {
		t := h.t
		c, _, _ := divided(h)
		usual := h.lasting("pause", c.id)
		h.must("resume", c.id)
		for _, after := range attempts(usual) {
			h.interrupted(after, "pause", c.id)
			switch status := h.state(c.id).Status; status {
			case "paused":
				h.must("resume", c.id)
			case specs.StateRunning:
				h.must("pause", c.id)
				h.must("resume", c.id)
			default:
				t.Fatalf("after %v it is %s", after, status)
			}
			equal(t, "the cgroup is frozen", frozen(c.freezer()), false)
		}
		h.interrupted(usual/2, "pause", c.id)
		h.must("delete", "--force", c.id)
	})
}

func TestADeleteThatIsKilledFreezesNothing(t *testing.T) {
	freezers(t, func(h *host) {
		t := h.t
		c, _, _ := divided(h)
		for _, after := range attempts(h.lasting("delete", "--force", c.id)) {
			c, below, _ := divided(h)
			dir := c.freezer()
			h.interrupted(after, "delete", "--force", c.id)
			equal(t, "the cgroup is frozen", frozen(dir), false)
			h.must("delete", "--force", c.id)
			if alive(c.pid) || alive(below) || fileExists(dir) {
				t.Fatalf("killed after %v it leaves something", after)
			}
		}
	})
}
