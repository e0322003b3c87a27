package cgroup

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func cpuTime(t *testing.T, pid int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(b))[13:15], " ")
}

func TestAFrozenProcessDoesNotRunAndAThawedOneDoes(t *testing.T) {
	onEach(t, func(sc scene) {
		t, c := sc.t, sc.c
		create(t, c)
		cmd := start(t, c, "while :; do :; done")
		expect := func(want FreezerState) {
			t.Helper()
			if got, err := c.State(); err != nil || got != want {
				t.Fatalf("State: %v %v, want %v", got, err, want)
			}
		}
		expect(Thawed)
		if err := c.Freeze(); err != nil {
			t.Fatal(err)
		}
		expect(Frozen)
		time.Sleep(50 * time.Millisecond) // it counts as frozen on its way to sleep
		before := cpuTime(t, cmd.Process.Pid)
		time.Sleep(50 * time.Millisecond)
		if after := cpuTime(t, cmd.Process.Pid); after != before {
			t.Errorf("it ran while frozen: %s, then %s", before, after)
		}
		if err := c.Thaw(); err != nil {
			t.Fatal(err)
		}
		expect(Thawed)
		for deadline := time.Now().Add(5 * time.Second); cpuTime(t, cmd.Process.Pid) == before; {
			if time.Now().After(deadline) {
				t.Fatal("it does not run after the thaw")
			}
		}
	})
}

func TestEnsureUnusedRefusesAFrozenCgroup(t *testing.T) {
	onEach(t, func(sc scene) {
		t, c := sc.t, sc.c
		if err := c.EnsureUnused(); err != nil {
			t.Fatalf("one that does not exist: %v", err)
		}
		create(t, c)
		if err := c.EnsureUnused(); err != nil {
			t.Fatalf("an empty one: %v", err)
		}
		if err := c.Freeze(); err != nil {
			t.Fatal(err)
		}
		if err := c.EnsureUnused(); err == nil || !strings.Contains(err.Error(), "frozen") {
			t.Errorf("got %v", err)
		}
	})
}

func TestACgroupThatSomebodyElseMakesMeanwhileIsNotUsed(t *testing.T) {
	onEach(t, func(sc scene) {
		t, c := sc.t, sc.c
		other := *c
		other.rec = c.Record()
		for _, x := range []*Cgroup{c, &other} {
			if err := x.EnsureUnused(); err != nil {
				t.Fatal(err)
			}
		}
		create(t, &other)
		if err := c.Create(); err == nil || !strings.Contains(err.Error(), "file exists") {
			t.Errorf("Create: %v", err)
		}
		cmd := start(t, &other, "sleep 1000")
		c.Withdraw()
		if pids, err := other.Procs(); err != nil || len(pids) != 1 || pids[0] != cmd.Process.Pid {
			t.Errorf("Procs: %v %v, want %d", pids, err, cmd.Process.Pid)
		}
		if err := other.Kill(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestWithdrawTakesAwayWhatWasMade(t *testing.T) {
	onEach(t, func(sc scene) {
		t, c := sc.t, sc.c
		create(t, c)
		c.Withdraw()
		if got := leftovers(c); len(got) != 0 {
			t.Errorf("left %v", got)
		}
		c.Withdraw()
	})
}

func TestKillLeavesNothingOfAForkingCrowdAlsoWhenFrozen(t *testing.T) {
	for _, frozen := range []string{"running", "frozen"} {
		t.Run(frozen, func(t *testing.T) {
			onEach(t, func(sc scene) {
				t, c := sc.t, sc.c
				create(t, c)
				start(t, c, "while :; do /bin/true & done")
				if frozen == "frozen" {
					if err := c.Freeze(); err != nil {
						t.Fatal(err)
					}
				}
				if err := c.Kill(); err != nil {
					t.Fatal(err)
				}
				// No wait: Remove has to.
				if err := c.Remove(); err != nil {
					t.Fatal(err)
				}
				if got := leftovers(c); len(got) != 0 {
					t.Errorf("left %v", got)
				}
			})
		})
	}
}

// intoSub makes a cgroup of this name in each hierarchy where a process can join
// one at once, and returns how.
func intoSub(t *testing.T, c *Cgroup, name string) (subs []Sub) {
	t.Helper()
	for _, h := range c.rec.Hierarchies {
		if hasField(h.Controllers, "cpuset") { // would need its own inheritance
			subs = append(subs, Sub{"cpuset", "."})
			continue
		}
		if err := os.Mkdir(h.dir()+"/"+name, 0o755); err != nil {
			t.Fatal(err)
		}
		if !h.v2() {
			subs = append(subs, Sub{strings.TrimPrefix(h.Controllers, "name="), name})
		}
	}
	if c.unified() != nil {
		subs = append([]Sub{{Path: name}}, subs...)
	}
	return subs
}

func TestProcessesBelowAreFrozenAndKilledToo(t *testing.T) {
	onEach(t, func(sc scene) {
		t, c := sc.t, sc.c
		create(t, c)
		above, below := start(t, c, "while :; do :; done"), start(t, c, "while :; do :; done", intoSub(t, c, "sub")...)
		if err := c.Freeze(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond) // they count as frozen on their way to sleep
		for _, cmd := range []*exec.Cmd{above, below} {
			before := cpuTime(t, cmd.Process.Pid)
			time.Sleep(30 * time.Millisecond)
			if after := cpuTime(t, cmd.Process.Pid); after != before {
				t.Errorf("it ran while frozen: %s, then %s", before, after)
			}
		}
		if err := c.Kill(); err != nil {
			t.Fatal(err)
		}
		for _, cmd := range []*exec.Cmd{above, below} {
			if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
				t.Errorf("got %v", err)
			}
		}
		if err := c.Remove(); err != nil {
			t.Fatal(err)
		}
		if got := leftovers(c); len(got) != 0 {
			t.Errorf("left %v", got)
		}
	})
}

func TestWhatAContainerHasFrozenItselfIsKilled(t *testing.T) {
	onEach(t, func(sc scene) {
		t, c := sc.t, sc.c
		create(t, c)
		cmd := start(t, c, "while :; do :; done", intoSub(t, c, "sub")...)
		for _, h := range c.rec.Hierarchies {
			file, value := h.dir()+"/sub/freezer.state", "FROZEN"
			if h.v2() {
				file, value = h.dir()+"/sub/cgroup.freeze", "1"
			} else if !hasField(h.Controllers, "freezer") {
				continue
			}
			if err := writeFile(file, value); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
			t.Errorf("got %v", err)
		}
	})
}
