//go:build engines

package engines

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// soakWorkers is how many commands of the engine run at a time.
const soakWorkers = 4

// A great many containers at once, some of which always come and go. Environment:
// SOAK_CONTAINERS, by default 20, and SOAK_DURATION, by default 10 s for each of
// the runtimes.
func TestSoakOfContainerd(t *testing.T) {
	ours, reference := runtimes(t, debians.programs...)
	containers, err := strconv.Atoi(cmp.Or(os.Getenv("SOAK_CONTAINERS"), "20"))
	if err != nil {
		t.Fatal(err)
	}
	duration, err := time.ParseDuration(cmp.Or(os.Getenv("SOAK_DURATION"), "10s"))
	if err != nil {
		t.Fatal(err)
	}
	errs, costs := map[string]error{}, map[string]map[string]float64{}
	for _, binary := range []string{ours, reference} {
		if binary == reference && onlyFailures() && errs[ours] == nil {
			return
		}
		name := filepath.Base(binary)
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, binary)
			errs[binary] = attempt(func() {
				costs[binary] = newSoak(h, name, containers).run(t, duration)
			})
		})
	}
	judge(t, errs[ours], errs[reference])
	for _, operation := range operations {
		if own, other := costs[ours][operation], costs[reference][operation]; other > 0 && own > other {
			t.Errorf("%s takes %.2f ms of processor time, and %.2f with the reference runtime", operation, own, other)
		}
	}
}

// soak is containers of an engine in a house.
type soak struct {
	*engine
	binary     string // what containerd takes for the runtime
	containers int
	commands   atomic.Int64
	slowest    atomic.Int64
}

func newSoak(h *house, runtime string, containers int) *soak {
	return &soak{engine: debians.open(h, runtime), binary: h.putStopwatch(runtime), containers: containers}
}

// run returns what an operation has cost, as report does.
func (s *soak) run(t *testing.T, duration time.Duration) map[string]float64 {
	t.Helper()
	s.fill(0) // what containerd makes once, and keeps
	s.exec(0)
	s.empty(0)
	before := s.things()
	begin, used := time.Now(), s.processorTime()
	s.each(s.fill)
	filled := time.Since(begin)
	if got := len(strings.Fields(s.must("tasks", "ls", "-q"))); got != s.containers {
		fail("%d containers run, want %d", got, s.containers)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("%d containers in %.1f s; churned for %v, seed %d", s.containers, filled.Seconds(), duration, seed)
	err := attempt(func() {
		s.churn(duration, seed)
		s.each(s.empty)
	})
	t.Logf("%d commands of ctr, %d at a time, of which the slowest took %.1f s; processor time of the whole house: %.1f s",
		s.commands.Load(), soakWorkers, time.Duration(s.slowest.Load()).Seconds(), (s.processorTime() - used).Seconds())
	cost := s.report(t)
	if err != nil {
		fail("%v", err)
	}
	s.compare(before)
	return cost
}

// churn lets each worker do with its containers what chance says.
func (s *soak) churn(duration time.Duration, seed uint64) {
	deadline := time.Now().Add(duration)
	s.workers(func(w int) {
		chance := rand.New(rand.NewPCG(seed, uint64(w)))
		own := (s.containers - w + soakWorkers - 1) / soakWorkers
		for own > 0 && time.Now().Before(deadline) {
			n := w + soakWorkers*chance.IntN(own)
			if chance.IntN(2) == 0 {
				s.exec(n)
				continue
			}
			s.empty(n)
			s.fill(n)
		}
	})
}

// each does something for all containers.
func (s *soak) each(do func(n int)) {
	s.workers(func(w int) {
		for n := w; n < s.containers; n += soakWorkers {
			do(n)
		}
	})
}

// workers runs soakWorkers attempts at a time, and fails as they do.
func (s *soak) workers(do func(w int)) {
	var group sync.WaitGroup
	errs := make([]error, soakWorkers)
	for w := range soakWorkers {
		group.Go(func() { errs[w] = attempt(func() { do(w) }) })
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		fail("%v", err)
	}
}

func soakName(n int) string { return "soak-" + strconv.Itoa(n) }

// ctr runs a command of the engine, which has an end: see patience.
func (s *soak) ctr(args ...string) result {
	begin := time.Now()
	r := s.try(args...)
	s.commands.Add(1)
	took := int64(time.Since(begin))
	for slowest := s.slowest.Load(); took > slowest && !s.slowest.CompareAndSwap(slowest, took); slowest = s.slowest.Load() {
	}
	return r
}

// fill runs a container that goes on for longer than any soak.
func (s *soak) fill(n int) {
	s.ctr("run", "--runc-binary="+s.binary, "--detach", "--null-io", image, soakName(n), "sleep", "1000000").ok()
}

// exec probes a container: the status is 7 only in there. The program lives until
// its time has been read, and prints nothing, which ctr may lose on a loaded machine.
func (s *soak) exec(n int) {
	r := s.ctr("tasks", "exec", "--exec-id=probe", soakName(n), "sh", "-c", "[ $(cat /proc/1/comm) = sleep ] && sleep 0.1 && exit 7")
	want("the status of "+soakName(n)+": "+r.stderr, r.status, 7)
}

// empty kills a container and deletes what there is of it.
func (s *soak) empty(n int) {
	s.ctr("tasks", "rm", "--force", soakName(n))
	s.ctr("containers", "rm", soakName(n)).ok()
}

// things are what containers might leave in the house, by kind.
func (s *soak) things() map[string]string {
	daemon := s.house.must("pgrep", "-x", "containerd")
	return map[string]string{
		"processes": s.house.must("ps", "-e", "-o", "comm="),
		// The parent of their cgroups stays with one runtime, and with the other if
		// who made it was not the last.
		"cgroups":             s.house.must("find", "/sys/fs/cgroup/", "-type", "d", "!", "-name", "default"),
		"mounts":              s.house.must("cut", "-d", " ", "-f", "5", "/proc/self/mountinfo"),
		"state":               s.house.must("find", "/run", "/tmp", "/var/tmp", "/var/lib/containerd/io.containerd.runtime.v2.task"),
		"snapshots":           s.must("snapshots", "ls"),
		"files of containerd": s.house.must("find", "/proc/"+daemon+"/fd", "-type", "l", "-printf", "%l\n"),
	}
}

// compare fails unless there is again what there was: containerd closes the last
// connections a moment later.
func (s *soak) compare(before map[string]string) {
	var left []string
	err := attempt(func() {
		eventually("nothing is left", func() bool {
			left = nil
			for kind, now := range s.things() {
				left = append(left, more(kind, before[kind], now)...)
			}
			return len(left) == 0
		})
	})
	if err != nil {
		fail("%v\n%s", err, strings.Join(left, "\n"))
	}
}

// more are the lines that now has and before has not.
func more(kind, before, now string) (left []string) {
	old := strings.Split(before, "\n")
	for line := range strings.SplitSeq(now, "\n") {
		if i := slices.Index(old, line); i >= 0 {
			old = slices.Delete(old, i, i+1)
		} else {
			left = append(left, kind+": "+line)
		}
	}
	return left
}

// processorTime is what all processes of the house have used.
func (s *soak) processorTime() time.Duration {
	text := s.house.must("sh", "-c", "cat /sys/fs/cgroup/cpuacct/cpuacct.usage 2>/dev/null || sed -n 's/usage_usec \\(.*\\)/\\1000/p' /sys/fs/cgroup/cpu.stat")
	used, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		fail("the processor time of the house: %v", err)
	}
	return time.Duration(used)
}

// report says what the runtime has taken, and returns what a call of each operation
// costs: milliseconds of processor time.
func (s *soak) report(t *testing.T) map[string]float64 {
	t.Helper()
	cost := map[string]float64{}
	taken := s.readStopwatch()
	t.Logf("%-8s %7s %10s %10s %10s   ms of processor time, mean", s.runtime, "calls", "call", "started", "both")
	for _, operation := range operations {
		u := taken[operation]
		if len(u.call) == 0 {
			fail("%s was never called", operation)
		}
		call, started := mean(u.call), mean(u.started)
		t.Logf("%-8s %7d %10.2f %10.2f %10.2f", operation, len(u.call), call, started, call+started)
		cost[operation] = call + started
	}
	return cost
}
