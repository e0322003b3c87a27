package tests

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// What linux.resources.unified says of a file that other limits are about as well.

// needUnifiedMemory skips where memory is not in cgroup v2.
func needUnifiedMemory(t *testing.T) {
	t.Helper()
	if !onV2("memory") {
		lacks(t, "the memory controller on cgroup v2")
	}
}

// has compares files of the container's v2 cgroup.
func (c *container) has(t *testing.T, want files) {
	t.Helper()
	for file, value := range want {
		equal(t, file, strings.TrimSpace(readFile(t, c.cgroup("")+"/"+file)), value)
	}
}

// keeps is has, also when systemd, if it has made the cgroup, writes all that it
// knows.
func (c *container) keeps(t *testing.T, want files) {
	t.Helper()
	c.has(t, want)
	if bySystemd() {
		reloadSystemd(t)
		c.has(t, want)
	}
}

func reloadSystemd(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("systemctl", "daemon-reload").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// As the kubelet makes containers, and resizes them.
//
//proves:linux.resources.unified.* linux.resources.memory.limit
func TestAContainerWithoutSwapStaysSoWhenItsMemoryIsResized(t *testing.T) {
	needUnifiedMemory(t)
	h := newHost(t)
	c := h.start(nil, resources(specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: pointer(int64(64 << 20))}, Unified: map[string]string{"memory.swap.max": "0"},
	}))
	c.keeps(t, files{"memory.max": "67108864", "memory.swap.max": "0"})
	const noSwap = `, "unified": {"memory.swap.max": "0"}}`
	for _, step := range []struct {
		stdin     string
		args      []string
		max, swap string
	}{
		{`{"memory": {"limit": 134217728}` + noSwap, nil, "134217728", "0"},
		{`{"memory": {"limit": 33554432}` + noSwap, nil, "33554432", "0"},
		// There is nothing to make up for with swap.
		{`{"memory": {"limit": 100663296}}`, nil, "100663296", "0"},
		{"", []string{"--memory", "48M"}, "50331648", "0"},
		// unified knows what it wants.
		{`{"memory": {"limit": 67108864, "swap": 134217728}, "unified": {"memory.swap.max": "16M"}}`, nil, "67108864", "16777216"},
		{`{"memory": {"limit": 134217728}, "unified": {"memory.swap.max": "8388608"}}`, nil, "134217728", "8388608"},
		{`{"memory": {"swap": 201326592}, "unified": {"memory.max": "96M"}}`, nil, "100663296", "100663296"},
	} {
		args := step.args
		if args == nil {
			args = []string{"-r", "-"}
		}
		c.mustUpdate(step.stdin, args...)
		c.has(t, files{"memory.max": step.max, "memory.swap.max": step.swap})
	}
	c.keeps(t, files{"memory.max": "100663296", "memory.swap.max": "100663296"})
	// Some swap is another matter: the sum that docker has set is to be set with it.
	h.refuses([]string{"--memory 268435456", "memory.swap has to be set with it"}, "update", "--memory", "256M", c.id)
}

//proves:linux.resources.unified.*
func TestUnifiedWinsOverOtherLimitsOfTheSameFile(t *testing.T) {
	needUnifiedMemory(t)
	h := newHost(t)
	c := h.start(nil, resources(specs.LinuxResources{
		// Of a mebibyte, init would be killed.
		Memory: &specs.LinuxMemory{Limit: pointer(int64(1 << 20)), Swap: pointer(int64(2 << 20)), Reservation: pointer(int64(1 << 20))},
		Pids:   &specs.LinuxPids{Limit: pointer(int64(0))},
		CPU:    &specs.LinuxCPU{Shares: pointer(uint64(512)), Quota: pointer(int64(20000)), Cpus: "0"},
		Unified: map[string]string{
			"memory.max": "128M", "memory.swap.max": "0", "memory.low": "32m", "memory.high": "0x6000000",
			"pids.max": "60", "cpu.weight": "77", "cpu.max": "50000 100000",
		},
	}))
	c.keeps(t, files{
		"memory.max": "134217728", "memory.swap.max": "0", "memory.low": "33554432", "memory.high": "100663296",
		"pids.max": "60", "cpu.weight": "77", "cpu.max": "50000 100000",
	})
	c.mustUpdate(`{"memory": {"limit": 1048576, "reservation": 4096}, "pids": {"limit": 1}, "cpu": {"shares": 2},
		"unified": {"memory.max": "64M", "memory.low": "16M", "pids.max": "50", "cpu.weight": "88"}}`, "-r", "-")
	c.keeps(t, files{"memory.max": "67108864", "memory.swap.max": "0", "memory.low": "16777216", "pids.max": "50", "cpu.weight": "88"})
	// It is no container that was killed.
	equal(t, "status", h.state(c.id).Status, specs.StateRunning)
}

//proves:linux.resources.unified.*
func TestLimitsThatInitDoesNotFitIntoMayBeUnified(t *testing.T) {
	needBusybox(t)
	needUnifiedMemory(t)
	h := newHost(t)
	b := h.newBundle(nil, args("/bin/true"), resources(specs.LinuxResources{
		Unified: map[string]string{"memory.max": "640K", "memory.swap.max": "0", "pids.max": "1"},
	}))
	if r := h.try("run", "--bundle", b.dir, newID()); r.status != 0 || r.stderr != "" {
		t.Errorf("status %d: %s", r.status, r.stderr)
	}
}

//proves:linux.resources.unified.*
func TestWhatUnifiedSaysSystemdKnows(t *testing.T) {
	h := newSystemdHost(t)
	needUnifiedMemory(t)
	rows := map[string]struct {
		unified    files
		files      files
		properties files
	}{
		"no more tasks": {files{"pids.max": "0"}, files{"pids.max": "0"}, files{"TasksMax": "1"}},
		"sizes with a suffix": {
			files{"memory.max": "512M", "memory.high": "400m", "memory.low": "8K", "memory.min": "4k", "memory.swap.max": "1G"},
			files{"memory.max": "536870912", "memory.high": "419430400", "memory.low": "8192", "memory.min": "4096", "memory.swap.max": "1073741824"},
			files{"MemoryMax": "536870912", "MemoryHigh": "419430400", "MemoryLow": "8192", "MemoryMin": "4096", "MemorySwapMax": "1073741824"},
		},
		"idle": {files{"cpu.idle": "1"}, files{"cpu.idle": "1"}, files{"CPUWeight": "idle"}},
		// The period of the other limits goes with a quota that has none.
		"a quota":  {files{"cpu.max": "50000"}, files{"cpu.max": "50000 200000"}, files{"CPUQuotaPerSecUSec": "250ms", "CPUQuotaPeriodUSec": "200ms"}},
		"not idle": {files{"cpu.idle": "0", "cpu.weight": "33"}, files{"cpu.idle": "0", "cpu.weight": "33"}, files{"CPUWeight": "33"}},
	}
	created := map[string]*container{}
	for name, row := range rows {
		// Not started: a program may need more tasks than none.
		created[name] = h.create(h.newBundle([]string{"sleep"}, resources(specs.LinuxResources{
			CPU: &specs.LinuxCPU{Period: pointer(uint64(200000))}, Unified: row.unified,
		})))
	}
	check := func(when string) {
		t.Helper()
		for name, c := range created {
			for property, want := range rows[name].properties {
				equal(t, name+" "+when+": "+property, unit(t, "hull-"+c.id+".scope", property), want)
			}
			// It has written the files by now, before it answered.
			for file, want := range rows[name].files {
				equal(t, name+" "+when+": "+file, strings.TrimSpace(readFile(t, c.cgroup("")+"/"+file)), want)
			}
		}
	}
	check("at first")
	// When a property is changed, systemd writes all that it knows; it has no 0.
	for _, c := range created {
		if out, err := exec.Command("systemctl", "set-property", "--runtime", "hull-"+c.id+".scope", "MemoryZSwapMax=1M").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	rows["no more tasks"].files["pids.max"] = "1"
	check("as systemd writes it")
}

//proves:linux.resources.unified.*
func TestAnEmptyUnifiedValueIsNotForgotten(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.fails([]string{"linux.resources.unified.cgroup.max.depth", "invalid argument"},
		resources(specs.LinuxResources{Unified: map[string]string{"cgroup.max.depth": ""}}))
	h.fails([]string{"linux.resources.unified.cgroup.nonesuch", "no such file"},
		resources(specs.LinuxResources{Unified: map[string]string{"cgroup.nonesuch": ""}}))
	h.fails([]string{"linux.resources.unified.memory.max: must have a value"},
		resources(specs.LinuxResources{Unified: map[string]string{"memory.max": ""}}))
}

//proves:linux.resources.cpu.idle linux.resources.cpu.shares
func TestAContainerThatIsIdleMayHaveShares(t *testing.T) {
	t.Parallel()
	needController(t, "cpu")
	h := newHost(t)
	limits := func(idle int64, shares uint64) edit {
		return resources(specs.LinuxResources{CPU: &specs.LinuxCPU{Idle: &idle, Shares: &shares}})
	}
	c := h.start(nil, limits(1, 512))
	check := func(idle, shares, weight string) {
		t.Helper()
		knob{"cpu", "cpu.idle", idle, "cpu.idle", idle}.check(t, c)
		knob{"cpu", "cpu.shares", shares, "cpu.weight", weight}.check(t, c)
	}
	check("1", "3", "1")
	c.mustUpdate(`{"cpu": {"idle": 1, "shares": 700}}`, "-r", "-")
	check("1", "3", "1")
	c.mustUpdate(`{"cpu": {"idle": 0, "shares": 512}}`, "-r", "-")
	check("0", "512", "59")
	c.mustUpdate(`{"cpu": {"idle": 1, "shares": 700}}`, "-r", "-")
	check("1", "3", "1")
}
