package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// flat returns a number of a file with a name and a number on each line, or with
// nothing but the number.
func flat(t *testing.T, dir, v1, v2, controller, key string) uint64 {
	t.Helper()
	file := v1
	if onV2(controller) {
		file = v2
	}
	for line := range strings.Lines(readFile(t, filepath.Join(dir, file))) {
		f := strings.Fields(line)
		if key == "" || len(f) == 2 && f[0] == key {
			n, err := strconv.ParseUint(f[len(f)-1], 10, 64)
			if f[len(f)-1] == "max" {
				n, err = 1<<64-1, nil
			}
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("%s/%s has no %q", dir, file, key)
	return 0
}

func TestStatsAreWhatTheKernelCounts(t *testing.T) {
	h := newHost(t)
	limits := specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: pointer(int64(128 << 20)), Swap: pointer(int64(192 << 20))},
		CPU:    &specs.LinuxCPU{Quota: pointer(int64(20000)), Period: pointer(uint64(100000)), Cpus: "0"},
		Pids:   &specs.LinuxPids{Limit: pointer(int64(123))},
	}
	if hasController("hugetlb") { // which v2 turns on for a limit
		limits.HugepageLimits = []specs.LinuxHugepageLimit{{Pagesize: "2MB", Limit: 4 << 20}}
	}
	c := h.start([]string{"allocate=8", "burn=150"}, resources(limits))
	c.see()
	h.must("pause", c.id) // so that they count no more
	memory, cpu, pids := c.cgroup("memory"), c.cgroup("cpu"), c.cgroup("pids")
	// But for the period that ends meanwhile.
	periods := func() uint64 { return flat(t, cpu, "cpu.stat", "cpu.stat", "cpu", "nr_periods") }
	first := periods()
	s := c.stats()
	if n, last := s.CPU.Throttling.Periods, periods(); n < first || n > last {
		t.Errorf("%d periods, want %d to %d", n, first, last)
	}
	for name, of := range map[string]struct{ got, want uint64 }{
		"memory.usage":             {s.Memory.Usage.Usage, flat(t, memory, "memory.usage_in_bytes", "memory.current", "memory", "")},
		"memory.limit":             {s.Memory.Usage.Limit, 128 << 20},
		"memory.max":               {s.Memory.Usage.Max, flat(t, memory, "memory.max_usage_in_bytes", "memory.peak", "memory", "")},
		"memory.swap.limit":        {s.Memory.Swap.Limit, 192 << 20},
		"memory.cache":             {s.Memory.Cache, flat(t, memory, "memory.stat", "memory.stat", "memory", map[bool]string{true: "file", false: "cache"}[onV2("memory")])},
		"memory.raw.pgfault":       {s.Memory.Raw["pgfault"], flat(t, memory, "memory.stat", "memory.stat", "memory", "pgfault")},
		"pids.current":             {s.Pids.Current, flat(t, pids, "pids.current", "pids.current", "pids", "")},
		"pids.limit":               {s.Pids.Limit, 123},
		"throttling.throttled":     {s.CPU.Throttling.ThrottledPeriods, flat(t, cpu, "cpu.stat", "cpu.stat", "cpu", "nr_throttled")},
		"throttling.throttledTime": {s.CPU.Throttling.ThrottledTime, throttledTime(t, cpu)},
		"cpu.usage.total":          {s.CPU.Usage.Total, cpuTime(t, c)},
	} {
		equal(t, name, of.got, of.want)
	}
	if s.CPU.Usage.Total < 10e6 || s.Pids.Current == 0 || s.Memory.Usage.Usage == 0 {
		t.Errorf("too little: %+v %+v %+v", s.CPU, s.Pids, s.Memory.Usage)
	}
	equal(t, "CPUs", s.Cpuset.CPUs, []int{0})
	equal(t, "memory nodes", s.Cpuset.Mems[0], 0)
	if s.IntelRdt == nil {
		t.Error("intel_rdt is not there")
	}
	if hasController("hugetlb") && s.Hugetlb["2MB"] == nil {
		t.Errorf("huge pages: %v", s.Hugetlb)
	}
	checkPressure(t, c, s)
}

// cpuTime is what the kernel has counted, in nanoseconds.
func cpuTime(t *testing.T, c *container) uint64 {
	t.Helper()
	if onlyV2() {
		return 1000 * flat(t, c.cgroup(""), "", "cpu.stat", "", "usage_usec")
	}
	return flat(t, c.cgroup("cpuacct"), "cpuacct.usage", "", "cpuacct", "")
}

func throttledTime(t *testing.T, dir string) uint64 {
	t.Helper()
	if onV2("cpu") {
		return 1000 * flat(t, dir, "", "cpu.stat", "cpu", "throttled_usec")
	}
	return flat(t, dir, "cpu.stat", "", "cpu", "throttled_time")
}

// checkPressure compares the shares of time that were waited for something.
func checkPressure(t *testing.T, c *container, s *usage) {
	t.Helper()
	for file, got := range map[string]*stalls{"cpu.pressure": s.CPU.PSI, "memory.pressure": s.Memory.PSI, "io.pressure": s.Blkio.PSI} {
		b, err := os.ReadFile(filepath.Join(c.cgroup(""), file))
		if (err == nil) != (got != nil) {
			t.Errorf("%s: %v, %+v", file, err, got)
		}
		if err != nil || got == nil {
			continue
		}
		if want := " total=" + strconv.FormatUint(got.Some.Total, 10) + "\n"; !strings.Contains(string(b), want) {
			t.Errorf("%s: %q lacks %q", file, b, want)
		}
	}
}

func TestStatsHaveWhatWasReadAndWritten(t *testing.T) {
	h := newHost(t)
	l := newLoop(t)
	blkio(t)
	c := h.start([]string{"direct=write:/dev/loop:4:65536"}, l.give)
	get[int64](t, c.see(), "direct=write:/dev/loop:4:65536")
	s := c.stats()
	find := func(all []blkioUsage) (n uint64) {
		for _, e := range all {
			if e.Major == uint64(l.major) && e.Minor == uint64(l.minor) && e.Op == "Write" {
				n += e.Value
			}
		}
		return n
	}
	equal(t, "bytes", find(s.Blkio.Bytes), uint64(4*65536))
	if n := find(s.Blkio.Count); n < 4 {
		t.Errorf("%d requests", n)
	}
}

func TestStatsHaveTheInterfacesOfTheContainer(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	ip := needTool(t, "ip")
	c := h.start(nil)
	if n := len(c.stats().Interfaces); n != 0 {
		t.Errorf("%d interfaces beside lo", n)
	}
	inside := func(args ...string) {
		t.Helper()
		enter := append([]string{"--net=" + procPath(c.pid, "ns/net"), ip}, args...)
		if out, err := exec.Command(needTool(t, "nsenter"), enter...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	inside("link", "add", "left", "type", "veth", "peer", "name", "right")
	inside("link", "set", "left", "up")
	inside("link", "set", "right", "up")
	eventually(t, "something goes over the link", func() bool {
		all := c.stats().Interfaces
		return len(all) == 2 && all[0].TxPackets > 0 && all[1].RxPackets > 0 && all[0].TxBytes > 0
	})
	host := h.start(nil, dropNamespace(specs.NetworkNamespace))
	if n := len(host.stats().Interfaces); n != 0 {
		t.Errorf("%d interfaces of the host", n)
	}
}

func TestEventsGoOnUntilTheContainerStops(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, way := range [][]string{{"kill", "ID", "KILL"}, {"delete", "--force", "ID"}} {
		c := h.start(nil)
		s := c.events("--interval", "20ms")
		eventually(t, "there are some", func() bool { return s.count("stats") >= 3 })
		way[slices.Index(way, "ID")] = c.id
		h.must(way...)
		s.end()
		equal(t, "times out of memory", s.count("oom"), 0)
		for _, o := range parseOccasions(t, readFile(t, s.file)) {
			if o.ID != c.id || o.Data == nil || o.Data.Pids.Current == 0 {
				t.Errorf("%+v", o)
			}
		}
	}
	// The end is told though the interval is not over.
	c := h.start(nil)
	s := c.events()
	time.Sleep(50 * time.Millisecond)
	h.must("kill", c.id, "KILL")
	s.end()
	equal(t, "what was told", readFile(t, s.file), "")
}

func TestEventsTellThatMemoryRanOut(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	limit := func(s *specs.Spec) {
		s.Linux.Resources.Memory = &specs.LinuxMemory{Limit: pointer(int64(48 << 20)), Swap: pointer(int64(48 << 20))}
	}
	t.Run("for a process beside init", func(t *testing.T) {
		t.Parallel()
		h := &host{t: t, root: h.root}
		c := h.start(nil, limit)
		s := c.events("--interval", "50ms").watching()
		for want := 1; want <= 2; want++ {
			if r := h.try("exec", c.id, "/probe", "allocate=256"); r.status != 128+9 {
				t.Fatalf("status %d\n%s", r.status, r.stderr)
			}
			eventually(t, "it is told", func() bool { return s.count("oom") >= want })
		}
		if text := readFile(t, s.file); !strings.Contains(text, `{"type":"oom","id":"`+c.id+`"}`+"\n") {
			t.Errorf("the line is another: %s", text)
		}
		h.must("delete", "--force", c.id)
		s.end()
	})
	t.Run("for init", func(t *testing.T) {
		t.Parallel()
		h := &host{t: t, root: h.root}
		b := h.newBundle(nil, limit, shell("while [ ! -e /dev/shm/go ]; do sleep 0.01; done; exec /probe allocate=256"))
		said := ""
		told := func() bool {
			c := h.create(b)
			h.must("start", c.id)
			s := c.events("--interval", "50ms").watching()
			h.must("exec", c.id, "/bin/touch", "/dev/shm/go")
			h.awaitStatus(c.id, specs.StateStopped)
			// On v1 the removal of the cgroup is told like an OOM: one at a time.
			s.end()
			h.must("delete", c.id)
			said = readFile(t, s.file)
			return s.count("oom") > 0
		}
		// systemd removes the scope with its last process, sometimes before its file
		// of events can be read.
		tries := 1
		if bySystemd() {
			tries = 4
		}
		for ; tries > 0 && !told(); tries-- {
		}
		if tries == 0 {
			t.Errorf("it is not told: %s", said)
		}
	})
	t.Run("for one that waits", func(t *testing.T) {
		t.Parallel()
		if onV2("memory") {
			lacks(t, "the memory controller of cgroup v1")
		}
		h := &host{t: t, root: h.root}
		c := h.start(nil, limit, func(s *specs.Spec) { s.Linux.Resources.Memory.DisableOOMKiller = pointer(true) })
		s := c.events("--interval", "50ms").watching()
		h.startCommand(h.command("exec", c.id, "/probe", "allocate=256"))
		eventually(t, "it is told", func() bool { return s.count("oom") > 0 })
		h.must("delete", "--force", c.id)
		s.end()
	})
}

func TestEventsAreOfContainersThatHaveNotStopped(t *testing.T) {
	t.Parallel()
	for status, bring := range statuses() {
		t.Run(status, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			c := bring(h)
			if status == "stopped" {
				for _, args := range [][]string{{"events", c.id}, {"events", "--stats", c.id}} {
					h.refuses([]string{c.id, "container not running"}, args...)
				}
				return
			}
			if n := c.stats().Pids.Current; n == 0 {
				t.Error("no process")
			}
			c.events("--interval", "20ms").watching()
		})
	}
}

func TestEventsRefuseWhatIsNoInterval(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	for interval, word := range map[string]string{"0s": "must be greater than 0", "-1s": "must be greater than 0", "x": "invalid duration", "5": "missing unit"} {
		h.refuses([]string{word}, "events", "--interval="+interval, c.id)
	}
	h.refuses([]string{`"events" requires exactly 1 argument`}, "events")
	h.refuses([]string{"does not exist"}, "events", "nobody")
}
