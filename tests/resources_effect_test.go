package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// That a limit holds, seen by what a process in the container gets.

//proves:linux.resources.cpu.cpus
func TestCPUsetConfinesTheProcess(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	needController(t, "cpuset")
	type scheduling struct{ Cpus int }
	s := h.probe([]string{"scheduler", "status=Mems_allowed_list"}, resources(specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "0", Mems: "0"}}))
	equal(t, "cpus", get[scheduling](t, s, "scheduler").Cpus, 1)
	equal(t, "memory nodes", get[string](t, s, "status=Mems_allowed_list"), "0")
}

//proves:linux.resources.cpu.quota linux.resources.cpu.period
func TestAQuotaOfCPUTimeIsNotExceeded(t *testing.T) {
	t.Parallel()
	needController(t, "cpu")
	s := newHost(t).probe([]string{"burn=400"}, resources(specs.LinuxResources{CPU: &specs.LinuxCPU{
		Quota: pointer(int64(4000)), Period: pointer(uint64(20000)),
	}}))
	if share := get[float64](t, s, "burn=400"); share > 0.5 {
		t.Errorf("the process got %.2f of a CPU, and its quota is 0.2", share)
	}
}

//proves:linux.resources.cpu.realtimeRuntime
func TestRealtimeSchedulingTakesARuntime(t *testing.T) {
	t.Parallel()
	if onV2("cpu") {
		lacks(t, "the cpu controller of cgroup v1")
	}
	h := newHost(t)
	limit := func(runtime *int64) edit {
		return resources(specs.LinuxResources{CPU: &specs.LinuxCPU{RealtimeRuntime: runtime}})
	}
	get[string](t, h.probe([]string{"realtime"}, allCapabilities, limit(pointer(int64(1000)))), "realtime")
	if text := h.probe([]string{"realtime"}, allCapabilities, limit(nil)).failure("realtime"); text != "operation not permitted" {
		t.Errorf("without a runtime: %q", text)
	}
}

//proves:linux.resources.memory.limit linux.resources.memory.swap
func TestAProcessBeyondItsMemoryIsKilled(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	limit := resources(specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: pointer(int64(64 << 20)), Swap: pointer(int64(64 << 20))}})
	get[string](t, h.probe([]string{"allocate=16"}, limit), "allocate=16")
	b := h.newBundle([]string{"allocate=256"}, limit)
	if r := h.try("run", "--bundle", b.dir, newID()); r.status != 128+9 {
		t.Errorf("status %d, want that of SIGKILL\n%s%s", r.status, r.stdout, r.stderr)
	}
}

//proves:linux.resources.memory.disableOOMKiller
func TestWithoutTheOOMKillerAProcessBeyondItsMemoryWaits(t *testing.T) {
	t.Parallel()
	if onV2("memory") {
		lacks(t, "the memory controller of cgroup v1")
	}
	h := newHost(t)
	c := h.start([]string{"allocate=256"}, resources(specs.LinuxResources{Memory: &specs.LinuxMemory{
		Limit: pointer(int64(32 << 20)), DisableOOMKiller: pointer(true),
	}}))
	dir := c.cgroup("memory")
	eventually(t, "the process waits for memory", func() bool {
		return strings.Contains(readFile(t, dir+"/memory.oom_control"), "under_oom 1")
	})
	equal(t, "status", h.state(c.id).Status, specs.StateRunning)
	h.must("delete", "--force", c.id)
}

//proves:linux.resources.pids.limit
func TestAForkBombIsStopped(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	type forked struct {
		Children int
		Stopped  string
	}
	seen := get[forked](t, h.probe([]string{"fork=60"}, resources(specs.LinuxResources{Pids: &specs.LinuxPids{Limit: pointer(int64(30))}})), "fork=60")
	if seen.Children >= 30 || !strings.Contains(seen.Stopped, "resource temporarily unavailable") {
		t.Errorf("%+v", seen)
	}
	seen = get[forked](t, h.probe([]string{"fork=60"}, resources(specs.LinuxResources{Pids: &specs.LinuxPids{Limit: pointer(int64(-1))}})), "fork=60")
	equal(t, "without a limit", seen.Children, 60)
}

//proves:linux.resources.pids.limit config-linux.md#pids:1
func TestALimitOfNoPidsLeavesInitAlone(t *testing.T) {
	t.Parallel()
	needBusybox(t)
	h := newHost(t)
	b := h.newBundle(nil, shell("echo init; (echo child); echo end"), resources(specs.LinuxResources{Pids: &specs.LinuxPids{Limit: pointer(int64(0))}}))
	r := h.try("run", "--bundle", b.dir, newID())
	if r.stdout != "init\n" || !strings.Contains(r.stderr, "can't fork") {
		t.Errorf("status %d\n%s%s", r.status, r.stdout, r.stderr)
	}
}

func needBusybox(t *testing.T) {
	t.Helper()
	if suite.busybox == "" {
		lacks(t, "busybox")
	}
}

// loop is a loop device: a block device that a test can slow down.
type loop struct {
	path         string
	major, minor int64
}

func newLoop(t *testing.T) loop {
	t.Helper()
	tool := needTool(t, "losetup")
	image := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(image, make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, "--find", "--show", image).Output()
	if err != nil {
		lacks(t, "loop devices")
	}
	path := strings.TrimSpace(string(out))
	t.Cleanup(func() { _ = exec.Command(tool, "--detach", path).Run() })
	major, minor, _ := strings.Cut(strings.TrimSpace(readFile(t, "/sys/block/"+filepath.Base(path)+"/dev")), ":")
	return loop{path, number(t, major), number(t, minor)}
}

// give lets the container use the device.
func (l loop) give(s *specs.Spec) {
	s.Linux.Devices = append(s.Linux.Devices, specs.LinuxDevice{Path: "/dev/loop", Type: "b", Major: l.major, Minor: l.minor})
	s.Linux.Resources.Devices = []specs.LinuxDeviceCgroup{{Allow: true, Type: "b", Major: &l.major, Minor: &l.minor, Access: "rw"}}
}

func (l loop) throttle(rate uint64) []specs.LinuxThrottleDevice {
	return []specs.LinuxThrottleDevice{throttled(l.major, l.minor, rate)}
}

func (l loop) String() string {
	return strconv.FormatInt(l.major, 10) + ":" + strconv.FormatInt(l.minor, 10)
}

// blkio is the controller of block devices, by its name on this machine.
func blkio(t *testing.T) string {
	t.Helper()
	if hasController("blkio") {
		return "blkio"
	}
	needController(t, "io")
	return "io"
}

//proves:linux.resources.devices[].type=b config-linux.md#block-io:3 config-linux.md#block-io:4 config-linux.md#block-io:5 config-linux.md#block-io:6
func TestThrottledDevicesAreSlow(t *testing.T) {
	h := newHost(t)
	l, controller := newLoop(t), blkio(t)
	const slow = 250 * time.Millisecond
	for name, tt := range map[string]struct {
		limit   specs.LinuxBlockIO
		command string
		knob    knob
	}{
		//proves:linux.resources.blockIO.throttleReadBpsDevice[].rate linux.resources.blockIO.throttleReadBpsDevice[].major
		//proves:linux.resources.blockIO.throttleReadBpsDevice[].minor
		"bytes read": {
			specs.LinuxBlockIO{ThrottleReadBpsDevice: l.throttle(512 << 10)},
			"direct=read:/dev/loop:2:131072",
			knob{v1: "blkio.throttle.read_bps_device", inV1: l.String() + " 524288", inV2: l.String() + " rbps=524288 wbps=max riops=max wiops=max"},
		},
		//proves:linux.resources.blockIO.throttleWriteBpsDevice[].rate linux.resources.blockIO.throttleWriteBpsDevice[].major
		//proves:linux.resources.blockIO.throttleWriteBpsDevice[].minor
		"bytes written": {
			specs.LinuxBlockIO{ThrottleWriteBpsDevice: l.throttle(512 << 10)},
			"direct=write:/dev/loop:2:131072",
			knob{v1: "blkio.throttle.write_bps_device", inV1: l.String() + " 524288", inV2: l.String() + " rbps=max wbps=524288 riops=max wiops=max"},
		},
		//proves:linux.resources.blockIO.throttleReadIOPSDevice[].rate linux.resources.blockIO.throttleReadIOPSDevice[].major
		//proves:linux.resources.blockIO.throttleReadIOPSDevice[].minor
		"reads": {
			specs.LinuxBlockIO{ThrottleReadIOPSDevice: l.throttle(20)},
			"direct=read:/dev/loop:10:4096",
			knob{v1: "blkio.throttle.read_iops_device", inV1: l.String() + " 20", inV2: l.String() + " rbps=max wbps=max riops=20 wiops=max"},
		},
		//proves:linux.resources.blockIO.throttleWriteIOPSDevice[].rate linux.resources.blockIO.throttleWriteIOPSDevice[].major
		//proves:linux.resources.blockIO.throttleWriteIOPSDevice[].minor
		"writes": {
			specs.LinuxBlockIO{ThrottleWriteIOPSDevice: l.throttle(20)},
			"direct=write:/dev/loop:10:4096",
			knob{v1: "blkio.throttle.write_iops_device", inV1: l.String() + " 20", inV2: l.String() + " rbps=max wbps=max riops=max wiops=20"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &host{t: t, root: h.root}
			c := h.start([]string{tt.command}, l.give, func(s *specs.Spec) { s.Linux.Resources.BlockIO = &tt.limit })
			if took := get[int64](t, c.see(), tt.command); took < slow.Milliseconds() {
				t.Errorf("it took %d ms", took)
			}
			tt.knob.controller, tt.knob.v2 = controller, "io.max"
			tt.knob.check(t, c)
		})
	}
}

func TestWeightsOfBlockIOAreInTheFilesOfTheKernel(t *testing.T) {
	h := newHost(t)
	l, controller := newLoop(t), blkio(t)
	// Weights of single devices are those of its scheduler BFQ.
	scheduler := "/sys/block/" + filepath.Base(l.path) + "/queue/scheduler"
	if err := os.WriteFile(scheduler, []byte("bfq"), 0); err != nil {
		lacks(t, "the I/O scheduler BFQ")
	}
	device := specs.LinuxWeightDevice{Weight: pointer(uint16(300))}
	device.Major, device.Minor = l.major, l.minor
	c := h.start(nil, resources(specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{
		Weight: pointer(uint16(500)), WeightDevice: []specs.LinuxWeightDevice{device},
	}}))
	//proves:linux.resources.blockIO.weight
	knob{controller, "blkio.bfq.weight", "500", "io.bfq.weight", "default 500\n" + l.String() + " 300"}.check(t, c)
	//proves:linux.resources.blockIO.weightDevice[].weight
	//proves:linux.resources.blockIO.weightDevice[].major linux.resources.blockIO.weightDevice[].minor
	knob{controller, "blkio.bfq.weight_device", "default 500\n" + l.String() + " 300", "io.bfq.weight", "default 500\n" + l.String() + " 300"}.check(t, c)
}

//proves:linux.resources.blockIO.leafWeight linux.resources.blockIO.weightDevice[].leafWeight
func TestLeafWeightsWentWithTheirScheduler(t *testing.T) {
	h := newHost(t)
	blkio(t)
	device := specs.LinuxWeightDevice{LeafWeight: pointer(uint16(300))}
	for field, limit := range map[string]specs.LinuxBlockIO{
		"blockIO.leafWeight":                 {LeafWeight: pointer(uint16(300))},
		"blockIO.weightDevice[0].leafWeight": {WeightDevice: []specs.LinuxWeightDevice{device}},
	} {
		t.Run(field, func(t *testing.T) {
			(&host{t: t, root: h.root}).fails([]string{"linux.resources." + field, "300"}, resources(specs.LinuxResources{BlockIO: &limit}))
		})
	}
}

// hugePages makes sure that the machine has some to give away.
func hugePages(t *testing.T, count int) {
	t.Helper()
	needRoot(t)
	needController(t, "hugetlb")
	const file = "/proc/sys/vm/nr_hugepages"
	before := readFile(t, file)
	if err := os.WriteFile(file, []byte(strconv.Itoa(int(number(t, strings.TrimSpace(before)))+count)), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.WriteFile(file, []byte(before), 0) })
	if after := strings.TrimSpace(readFile(t, file)); after < strings.TrimSpace(before) || after == "0" {
		lacks(t, "memory for huge pages")
	}
}

//proves:linux.resources.hugepageLimits[].pageSize linux.resources.hugepageLimits[].limit
//proves:config-linux.md#huge-page-limits:1 config-linux.md#huge-page-limits:2
func TestHugePagesAreLimitedWhenTheyAreReserved(t *testing.T) {
	hugePages(t, 3)
	h := newHost(t)
	c := h.start([]string{"hugepages=1", "hugepages=2"}, resources(specs.LinuxResources{
		HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "2MB", Limit: 2 << 20}},
	}))
	for _, name := range []string{"hugetlb.2MB", "hugetlb.2MB.rsvd"} {
		knob{"hugetlb", name + ".limit_in_bytes", "2097152", name + ".max", "2097152"}.check(t, c)
	}
	s := c.see()
	get[string](t, s, "hugepages=1")
	// Not SIGBUS later, when they are touched.
	equal(t, "two pages", s.failure("hugepages=2"), "cannot allocate memory")
}

//proves:linux.resources.unified linux.resources.unified.* config-linux.md#unified:1 config-linux.md#unified:2
func TestUnifiedFilesAreWrittenOnV2(t *testing.T) {
	h := newHost(t)
	unified := map[string]string{"cgroup.max.descendants": "7"}
	for _, of := range []struct{ controller, file, value string }{
		{"hugetlb", "hugetlb.2MB.max", "4194304"},
		{"memory", "memory.high", "67108864"},
		{"memory", "memory.swap.max", "1048576"},
		{"pids", "pids.max", "88"},
		{"cpu", "cpu.weight", "33"},
		{"cpu", "cpu.max", "50000 100000"},
		{"cpuset", "cpuset.cpus", "0"},
	} {
		if onV2(of.controller) {
			unified[of.file] = of.value
		}
	}
	c := h.start(nil, resources(specs.LinuxResources{Unified: unified}))
	for file, want := range unified {
		equal(t, file, strings.TrimSpace(readFile(t, c.cgroup("")+"/"+file)), want)
	}
}

//proves:linux.resources.unified.*
func TestAUnifiedValueOfSeveralLinesIsSeveralCommands(t *testing.T) {
	if !onV2("io") {
		lacks(t, "the io controller on cgroup v2")
	}
	h := newHost(t)
	a, b := newLoop(t), newLoop(t)
	c := h.start(nil, resources(specs.LinuxResources{Unified: map[string]string{
		"io.max": a.String() + " rbps=1048576\n" + b.String() + " wiops=120",
	}}))
	text := readFile(t, c.cgroup("io")+"/io.max")
	for _, want := range []string{a.String() + " rbps=1048576 ", b.String() + " rbps=max wbps=max riops=max wiops=120"} {
		if !strings.Contains(text, want) {
			t.Errorf("io.max lacks %q:\n%s", want, text)
		}
	}
}

// On a machine with both versions, controllers of v2 are used beside those of v1.
//
//proves:linux.resources.unified.* linux.resources.hugepageLimits[].pageSize
func TestControllersOfBothVersionsAreUsedTogether(t *testing.T) {
	if onlyV2() || !onV2("hugetlb") {
		lacks(t, "a hugetlb controller on v2 beside v1")
	}
	h := newHost(t)
	c := h.start(nil, resources(specs.LinuxResources{
		Unified:        map[string]string{"hugetlb.2MB.max": "4194304"},
		HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "1GB", Limit: 1 << 30}},
		Pids:           &specs.LinuxPids{Limit: pointer(int64(55))},
	}))
	equal(t, "2MB", strings.TrimSpace(readFile(t, c.cgroup("")+"/hugetlb.2MB.max")), "4194304")
	equal(t, "1GB", strings.TrimSpace(readFile(t, c.cgroup("")+"/hugetlb.1GB.max")), "1073741824")
	equal(t, "pids", strings.TrimSpace(readFile(t, c.cgroup("pids")+"/pids.max")), "55")
}
