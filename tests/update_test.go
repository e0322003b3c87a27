package tests

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// limitFiles are the files with limits, by controller, of both versions.
func limitFiles() map[string][]string {
	return map[string][]string{
		"memory": {
			"memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.soft_limit_in_bytes", "memory.swappiness",
			"memory.max", "memory.swap.max", "memory.low", "memory.high",
		},
		"cpu": {
			"cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.cfs_burst_us", "cpu.rt_runtime_us", "cpu.idle",
			"cpu.weight", "cpu.max", "cpu.max.burst",
		},
		"cpuset":  {"cpuset.cpus", "cpuset.mems", "cpuset.cpus.effective", "cpuset.mems.effective"},
		"pids":    {"pids.max"},
		"hugetlb": {"hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.rsvd.limit_in_bytes", "hugetlb.2MB.max", "hugetlb.2MB.rsvd.max"},
		"blkio":   {"blkio.throttle.read_bps_device"},
		"io":      {"io.max", "io.bfq.weight"},
		"devices": {"devices.list"},
	}
}

// limits returns what the files have.
func (c *container) limits() map[string]string {
	c.h.t.Helper()
	now := map[string]string{}
	defer func() {
		// On v2 an empty list and a full one are the same.
		for _, file := range limitFiles()["cpuset"][:2] {
			if _, ok := now[file+".effective"]; ok {
				delete(now, file)
			}
		}
	}()
	for controller, files := range limitFiles() {
		if !hasController(controller) {
			continue
		}
		for _, file := range files {
			if b, err := os.ReadFile(filepath.Join(c.cgroup(controller), file)); err == nil {
				now[file] = settled(file, string(b))
			}
		}
	}
	return now
}

// changes checks which limits are others than before, and what they are.
func (c *container) changes(before, want map[string]string) {
	c.h.t.Helper()
	now := c.limits()
	for file, value := range before {
		if w, ok := want[file]; ok {
			value = settled(file, w)
		}
		if now[file] != value {
			c.h.t.Errorf("%s is %q, want %q", file, now[file], value)
		}
	}
}

// update runs the command with the text as its standard input.
func (c *container) update(stdin string, args ...string) result {
	c.h.t.Helper()
	cmd := c.h.command(append([]string{"update"}, append(args, c.id)...)...)
	cmd.Stdin = strings.NewReader(stdin)
	return c.h.finish(cmd)
}

func (c *container) mustUpdate(stdin string, args ...string) {
	c.h.t.Helper()
	if r := c.update(stdin, args...); r.status != 0 || r.stdout+r.stderr != "" {
		c.h.t.Errorf("update %v: status %d\n%s%s", args, r.status, r.stdout, r.stderr)
	}
}

type files = map[string]string

const noLimitV1 = "9223372036854771712" // of a page counter

func TestUpdateChangesWhatItNamesAndNothingElse(t *testing.T) {
	h := newHost(t)
	steps := []struct {
		args []string
		want files
	}{
		{[]string{"--memory", "64M", "--memory-swap", "96m"}, files{
			"memory.limit_in_bytes": "67108864", "memory.memsw.limit_in_bytes": "100663296", "memory.max": "67108864", "memory.swap.max": "33554432",
		}},
		// The sum stays what it is.
		{[]string{"--memory", "81920k"}, files{"memory.limit_in_bytes": "83886080", "memory.max": "83886080", "memory.swap.max": "16777216"}},
		{[]string{"--memory-swap", "128MiB"}, files{"memory.memsw.limit_in_bytes": "134217728", "memory.swap.max": "50331648"}},
		// Both up, and both down: the kernel of v1 minds the order.
		{[]string{"--memory", "1.5g", "--memory-swap", "2G"}, files{
			"memory.limit_in_bytes": "1610612736", "memory.memsw.limit_in_bytes": "2147483648", "memory.max": "1610612736", "memory.swap.max": "536870912",
		}},
		{[]string{"--memory", "67108864", "--memory-swap", "67108864"}, files{
			"memory.limit_in_bytes": "67108864", "memory.memsw.limit_in_bytes": "67108864", "memory.max": "67108864", "memory.swap.max": "0",
		}},
		{[]string{"--memory-swap", "-1"}, files{"memory.memsw.limit_in_bytes": noLimitV1, "memory.swap.max": "max"}},
		{[]string{"--memory-swap", "96M"}, files{"memory.memsw.limit_in_bytes": "100663296", "memory.swap.max": "33554432"}},
		{[]string{"--memory", "-1"}, files{"memory.limit_in_bytes": noLimitV1, "memory.memsw.limit_in_bytes": noLimitV1, "memory.max": "max", "memory.swap.max": "max"}},
		{[]string{"--memory-reservation", "32M"}, files{"memory.soft_limit_in_bytes": "33554432", "memory.low": "33554432"}},
		{[]string{"--memory-reservation=-1"}, files{"memory.soft_limit_in_bytes": noLimitV1, "memory.low": "max"}},
		{[]string{"--pids-limit", "77"}, files{"pids.max": "77"}},
		{[]string{"--pids-limit", "-1"}, files{"pids.max": "max"}},
		{[]string{"--pids-limit", "0"}, files{"pids.max": "0"}},
		{[]string{"--cpu-share", "512"}, files{"cpu.shares": "512", "cpu.weight": "59"}},
		{[]string{"--cpu-quota", "50000"}, files{"cpu.cfs_quota_us": "50000", "cpu.max": "50000 100000"}},
		{[]string{"--cpu-period", "200000"}, files{"cpu.cfs_period_us": "200000", "cpu.max": "50000 200000"}},
		{[]string{"--cpu-burst", "10000"}, files{"cpu.cfs_burst_us": "10000", "cpu.max.burst": "10000"}},
		{[]string{"--cpu-burst", "0"}, files{"cpu.cfs_burst_us": "0", "cpu.max.burst": "0"}},
		{[]string{"--cpu-quota", "-1"}, files{"cpu.cfs_quota_us": "-1", "cpu.max": "max 200000"}},
		{[]string{"--cpuset-cpus", "0", "--cpuset-mems", "0"}, files{"cpuset.cpus": "0", "cpuset.mems": "0", "cpuset.cpus.effective": "0", "cpuset.mems.effective": "0"}},
		{[]string{"--cpu-idle", "1"}, files{"cpu.idle": "1", "cpu.shares": "3", "cpu.weight": "1"}},
		// The kernel gives what is not idle any more the shares of a new one.
		{[]string{"--cpu-idle", "0"}, files{"cpu.idle": "0", "cpu.shares": "1024", "cpu.weight": "100"}},
		{nil, nil},
	}
	if !onV2("cpu") {
		steps = append(steps, struct {
			args []string
			want files
		}{[]string{"--cpu-rt-runtime", "1000", "--cpu-rt-period", "500000"}, files{"cpu.rt_runtime_us": "1000"}})
	}
	c := h.start(nil)
	for _, step := range steps {
		t.Run(strings.Join(step.args, " "), func(t *testing.T) {
			c := &container{h: &host{t: t, root: h.root}, id: c.id, pid: c.pid}
			before := c.limits()
			c.mustUpdate("", step.args...)
			c.changes(before, step.want)
		})
	}
}

func TestUpdateIsForContainersThatHaveNotStopped(t *testing.T) {
	t.Parallel()
	for status, bring := range statuses() {
		t.Run(status, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			c := bring(h)
			if status == "stopped" {
				h.refuses([]string{"update " + c.id, "container not running"}, "update", "--pids-limit", "99", c.id)
				return
			}
			c.mustUpdate("", "--pids-limit", "99", "--memory", "256M")
			knob{"pids", "pids.max", "99", "pids.max", "99"}.check(t, c)
			knob{"memory", "memory.limit_in_bytes", "268435456", "memory.max", "268435456"}.check(t, c)
			equal(t, "status", string(h.state(c.id).Status), status)
			if status == "paused" {
				h.must("resume", c.id)
			}
			if status == "created" {
				h.must("start", c.id)
			}
			// The limits are still those after that.
			equal(t, "status after that", h.state(c.id).Status, specs.StateRunning)
			knob{"pids", "pids.max", "99", "pids.max", "99"}.check(t, c)
		})
	}
}

func TestAValueThatTheKernelRefusesChangesNothing(t *testing.T) {
	h := newHost(t)
	c := h.start(nil, resources(specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: pointer(int64(128 << 20)), Swap: pointer(int64(192 << 20))},
		CPU:    &specs.LinuxCPU{Shares: pointer(uint64(700)), Quota: pointer(int64(50000)), Period: pointer(uint64(100000)), Burst: pointer(uint64(20000))},
		Pids:   &specs.LinuxPids{Limit: pointer(int64(200))},
	}))
	others := []string{"--pids-limit", "20", "--cpu-period", "200000", "--memory-reservation", "16M"}
	for name, tt := range map[string]struct {
		args  []string
		words []string
	}{
		"a CPU that there is not": {
			[]string{"--memory", "64M", "--cpuset-cpus", "99"},
			[]string{"set --cpuset-cpus cpuset.cpus=99: ", "it stays "},
		},
		"a memory node that there is not": {[]string{"--memory", "64M", "--cpuset-cpus", "0", "--cpuset-mems", "63"}, []string{"--cpuset-mems", "cpuset.mems=63"}},
		"less swap than memory":           {[]string{"--memory", "256M"}, []string{"--memory", "268435456"}},
		"a quota below the burst":         {[]string{"--cpu-share", "300", "--cpu-quota", "10000"}, []string{"--cpu-quota", "10000"}},
		"idle for a moment":               {[]string{"--cpu-idle", "1", "--cpuset-cpus", "99"}, []string{"cpuset.cpus=99"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := &container{h: &host{t: t, root: h.root}, id: c.id, pid: c.pid}
			before := c.limits()
			args := slices.Concat([]string{"update"}, others, tt.args, []string{c.id})
			c.h.refuses(tt.words, args...)
			c.changes(before, nil)
		})
	}
	// And then a good one.
	c.mustUpdate("", append(others, "--memory", "64M", "--memory-swap", "64M")...)
	c.changes(c.limits(), files{"pids.max": "20", "cpu.cfs_period_us": "200000", "cpu.max": "50000 200000", "memory.limit_in_bytes": "67108864", "memory.max": "67108864"})
}

func TestMemoryThatIsInUseIsNotTakenAway(t *testing.T) {
	h := newHost(t)
	needBusybox(t)
	c := h.start(nil)
	h.must("exec", c.id, "/bin/dd", "if=/dev/zero", "of=/dev/shm/held", "bs=1M", "count=48")
	before := c.limits()
	if onV2("memory") {
		// Without being asked to look, v2 takes it and kills, as with runc.
		r := c.update(`{"memory": {"limit": 16777216, "checkBeforeUpdate": true}, "pids": {"limit": 9}}`, "-r", "-")
		if r.status == 0 || !strings.Contains(r.stderr, "linux.resources.memory.limit 16777216") || !strings.Contains(r.stderr, "bytes are in use") {
			t.Errorf("status %d: %s", r.status, r.stderr)
		}
	} else {
		h.refuses([]string{"--memory memory.limit_in_bytes=16777216: device or resource busy", "bytes are in use; it stays max"},
			"update", "--pids-limit", "9", "--memory", "16M", "--memory-swap", "16M", c.id)
	}
	c.changes(before, nil)
	equal(t, "status", h.state(c.id).Status, specs.StateRunning)
}

func TestUpdatedLimitsAreInForce(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	type forked struct{ Children int }
	c.mustUpdate("", "--memory", "64M", "--memory-swap", "64M")
	if r := h.try("exec", c.id, "/probe", "allocate=256"); r.status != 128+9 {
		t.Errorf("a process with too much memory: status %d\n%s", r.status, r.stderr)
	}
	c.mustUpdate("", "--memory", "-1")
	get[string](t, c.exec("allocate=256"), "allocate=256")
	c.mustUpdate("", "--pids-limit", "40")
	if n := get[forked](t, c.exec("fork=60"), "fork=60").Children; n >= 40 {
		t.Errorf("%d children with a limit of 40", n)
	}
	c.mustUpdate("", "--pids-limit", "-1", "--cpu-quota", "4000", "--cpu-period", "20000")
	if share := get[float64](t, c.exec("burn=400"), "burn=400"); share > 0.5 {
		t.Errorf("the process got %.2f of a CPU, and its quota is 0.2", share)
	}
	c.mustUpdate("", "--cpuset-cpus", "0")
	equal(t, "CPUs", get[struct{ Cpus int }](t, c.exec("scheduler"), "scheduler").Cpus, 1)
}

func TestUpdateReadsWhatEnginesWrite(t *testing.T) {
	h := newHost(t)
	c := h.start(nil)
	file := filepath.Join(t.TempDir(), "resources.json")
	writeFile(t, file, `{"pids": {"limit": 11}}`)
	const docker = `{"memory":{"limit":134217728,"reservation":0,"swap":268435456,"kernel":0},` +
		`"cpu":{"shares":0,"quota":70000,"period":100000},"pids":{"limit":77},"blockIO":{"weight":0}}`
	const cri = `{"devices":[{"allow":false,"access":"rwm"}],"memory":{"limit":201326592,"swap":201326592},"cpu":{"shares":204,"quota":20000,"period":100000}}`
	for _, tt := range []struct {
		name, stdin string
		args        []string
		want        files
	}{
		{"docker", docker, []string{"--resources", "-"}, files{
			"memory.limit_in_bytes": "134217728", "memory.memsw.limit_in_bytes": "268435456", "memory.max": "134217728", "memory.swap.max": "134217728",
			"cpu.cfs_quota_us": "70000", "cpu.max": "70000 100000", "pids.max": "77",
		}},
		{"CRI, which does not mean its rule", cri, []string{"--resources=-"}, files{
			"memory.limit_in_bytes": "201326592", "memory.memsw.limit_in_bytes": "201326592", "memory.max": "201326592", "memory.swap.max": "0",
			"cpu.cfs_quota_us": "20000", "cpu.max": "20000 100000", "cpu.shares": "204", "cpu.weight": "29",
		}},
		{"a file", "", []string{"-r", file}, files{"pids.max": "11"}},
		{"nothing", "{}", []string{"-r", "-"}, nil},
		{"huge pages", `{"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]}`, []string{"-r", "-"}, files{
			"hugetlb.2MB.limit_in_bytes": "4194304", "hugetlb.2MB.rsvd.limit_in_bytes": "4194304", "hugetlb.2MB.max": "4194304", "hugetlb.2MB.rsvd.max": "4194304",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &container{h: &host{t: t, root: h.root}, id: c.id, pid: c.pid}
			before := c.limits()
			c.mustUpdate(tt.stdin, tt.args...)
			c.changes(before, tt.want)
			get[string](t, c.exec("open=/dev/null"), "open=/dev/null")
		})
	}
	// Flags beside a file are ignored, with a word.
	r := c.update(`{}`, "--pids-limit", "12", "-r", "-", "--kernel-memory", "5m")
	if r.status != 0 || !strings.Contains(r.stderr, "--pids-limit 12: ignored") || !strings.Contains(r.stderr, "--kernel-memory 5m: ignored") {
		t.Errorf("status %d: %s", r.status, r.stderr)
	}
	knob{"pids", "pids.max", "11", "pids.max", "11"}.check(t, c)
}

func TestWhatIsWrongWithAnUpdateIsNamed(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	before := c.limits()
	for stdin, words := range map[string][]string{
		``:                                  {"load -: linux.resources: line 1"},
		`null`:                              {"linux.resources: must be an object"},
		`{"cpu": {"quota": "1"}}`:           {"linux.resources.cpu.quota: must be an integer"},
		`{"cpu": {"quota": 5, "burst": 7}}`: {"linux.resources.cpu.quota: 5 is not from"},
		`{"pids": {"limit": -7}, "cpu": {"cpus": "x"}}`:                                                  {"linux.resources.pids.limit", "linux.resources.cpu.cpus"},
		`{"devices": [{"allow": true, "type": "z"}]}`:                                                    {"linux.resources.devices[0].type"},
		`{"memory": {"limit": 67108864, "swap": 1048576}}`:                                               {"linux.resources.memory.swap: 1048576 is below"},
		`{"blockIO": {"weightDevice": [{"major": 1, "minor": 2}]}, "unified": {"memory/max": "\u0000"}}`: {"NUL"},
	} {
		r := c.update(stdin, "-r", "-")
		if r.status == 0 {
			t.Errorf("%s is taken", stdin)
		}
		for _, w := range words {
			if !strings.Contains(r.stderr, w) {
				t.Errorf("%s: the error lacks %q: %s", stdin, w, r.stderr)
			}
		}
	}
	for _, tt := range []struct{ flag, value, word string }{
		{"--memory", "5x", "not a size"},
		{"--memory", "-5", "not a size"},
		{"--memory-swap", "1.5.5m", "not a size"},
		{"--cpu-share", "-1", "invalid syntax"},
		{"--cpu-quota", "10", "--cpu-quota: 10 is not from 1000"},
		{"--cpu-period", "10", "--cpu-period: 10 is not from 1000"},
		{"--cpu-idle", "2", "--cpu-idle: 2 is neither 0 nor 1"},
		{"--cpuset-cpus", "a-b", "--cpuset-cpus"},
		{"--blkio-weight", "5", "--blkio-weight: 5 is not from 10 to 1000"},
		{"--blkio-weight", "70000", "value out of range"},
		{"--pids-limit", "4194305", "--pids-limit: 4194305 is not from 0"},
		{"--resources", "/nonexistent/file", "open /nonexistent/file: no such file or directory"},
	} {
		h.refuses([]string{tt.flag, tt.word}[max(0, strings.Index("/", tt.value[:1])+1):], "update", tt.flag, tt.value, c.id)
	}
	h.refuses([]string{`"update" requires exactly 1 argument`}, "update")
	h.refuses([]string{"does not exist"}, "update", "--memory", "5m", "nobody")
	c.changes(before, nil)
	if resctrlMount(t) == "" {
		h.refuses([]string{"--l3-cache-schema", "without linux.intelRdt"}, "update", "--l3-cache-schema", "L3:0=f", "--pids-limit", "5", c.id)
	}
	h.refuses([]string{"--mem-bw-schema: must be one line that starts with MB:"}, "update", "--mem-bw-schema", "L3:0=f", "--pids-limit", "5", c.id)
	c.changes(before, nil)
}

func TestUpdatesAtATimeAreOneAfterTheOther(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	done := make(chan result, 12)
	for i := range cap(done) {
		cmd := h.command("update", "--pids-limit", "50", "--cpu-share", "500", "--memory", "64M", c.id)
		if i%2 == 0 {
			cmd = h.command("update", "--pids-limit", "60", "--cpu-share", "600", "--cpuset-cpus", "99", c.id)
		}
		go func() { done <- h.finish(cmd) }()
	}
	failed := 0
	for range cap(done) {
		if r := <-done; r.status != 0 {
			failed++
		}
	}
	equal(t, "failures", failed, cap(done)/2)
	knob{"pids", "pids.max", "50", "pids.max", "50"}.check(t, c)
	knob{"cpu", "cpu.shares", "500", "cpu.weight", "58"}.check(t, c)
}
