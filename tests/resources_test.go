package tests

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// ifV1 is v where version 1 has the controller, and nothing where the version
// that has it knows no such limit.
func ifV1[T any](controller string, v T) *T {
	if onV2(controller) {
		return nil
	}
	return &v
}

func TestLimitsAreInTheFilesOfTheKernel(t *testing.T) {
	h := newHost(t)
	c := h.start(nil, resources(specs.LinuxResources{
		Memory: &specs.LinuxMemory{
			Limit: pointer(int64(64 << 20)), Reservation: pointer(int64(32 << 20)), Swap: pointer(int64(96 << 20)),
			Swappiness: ifV1("memory", uint64(11)), KernelTCP: ifV1("memory", int64(1<<20)),
			DisableOOMKiller: ifV1("memory", true),
		},
		CPU: &specs.LinuxCPU{
			Shares: pointer(uint64(512)), Quota: pointer(int64(50000)), Period: pointer(uint64(200000)), Burst: pointer(uint64(10000)),
			RealtimeRuntime: ifV1("cpu", int64(1000)), RealtimePeriod: ifV1("cpu", uint64(500000)), Cpus: "0", Mems: "0",
		},
		Pids: &specs.LinuxPids{Limit: pointer(int64(77))},
	}))
	for name, k := range map[string]knob{
		//proves:linux.resources.memory.limit linux.resources.memory.reservation linux.resources.memory.swap
		"memory":      {"memory", "memory.limit_in_bytes", "67108864", "memory.max", "67108864"},
		"reservation": {"memory", "memory.soft_limit_in_bytes", "33554432", "memory.low", "33554432"},
		// With memory in v1, and without it in v2.
		"swap": {"memory", "memory.memsw.limit_in_bytes", "100663296", "memory.swap.max", "33554432"},
		//proves:linux.resources.memory.swappiness linux.resources.memory.kernelTCP linux.resources.memory.disableOOMKiller
		"swappiness":       {controller: "memory", v1: "memory.swappiness", inV1: "11"},
		"kernelTCP":        {controller: "memory", v1: "memory.kmem.tcp.limit_in_bytes", inV1: "1048576"},
		"disableOOMKiller": {controller: "memory", v1: "memory.oom_control", inV1: "oom_kill_disable 1\nunder_oom 0\noom_kill 0"},
		//proves:linux.resources.cpu.shares linux.resources.cpu.quota linux.resources.cpu.period linux.resources.cpu.burst
		"shares": {"cpu", "cpu.shares", "512", "cpu.weight", "59"},
		"quota":  {"cpu", "cpu.cfs_quota_us", "50000", "cpu.max", "50000 200000"},
		"period": {"cpu", "cpu.cfs_period_us", "200000", "cpu.max", "50000 200000"},
		"burst":  {"cpu", "cpu.cfs_burst_us", "10000", "cpu.max.burst", "10000"},
		//proves:linux.resources.cpu.realtimeRuntime linux.resources.cpu.realtimePeriod
		"realtimeRuntime": {controller: "cpu", v1: "cpu.rt_runtime_us", inV1: "1000"},
		"realtimePeriod":  {controller: "cpu", v1: "cpu.rt_period_us", inV1: "500000"},
		//proves:linux.resources.cpu.cpus linux.resources.cpu.mems
		"cpus": {"cpuset", "cpuset.cpus", "0", "cpuset.cpus", "0"},
		"mems": {"cpuset", "cpuset.mems", "0", "cpuset.mems", "0"},
		//proves:linux.resources.pids.limit
		"pids": {"pids", "pids.max", "77", "pids.max", "77"},
	} {
		t.Run(name, func(t *testing.T) { k.check(t, c) })
	}
}

//proves:config-linux.md#pids:1
func TestSpecialValuesOfLimitsMeanWhatTheSpecSays(t *testing.T) {
	h := newHost(t)
	unlimited := "9223372036854771712" // of a page counter, in v1
	for name, tt := range map[string]struct {
		resources specs.LinuxResources
		knobs     []knob
	}{
		//proves:linux.resources.cpu.idle
		"idle": {
			specs.LinuxResources{CPU: &specs.LinuxCPU{Idle: pointer(int64(1)), Shares: ifV2("cpu", uint64(512))}},
			[]knob{{"cpu", "cpu.idle", "1", "cpu.idle", "1"}},
		},
		//proves:linux.resources.cpu.quota linux.resources.cpu.shares
		"no quota, the most shares": {
			specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: pointer(int64(-1)), Shares: pointer(uint64(262144))}},
			[]knob{{"cpu", "cpu.cfs_quota_us", "-1", "cpu.max", "max 100000"}, {"cpu", "cpu.shares", "262144", "cpu.weight", "10000"}},
		},
		//proves:linux.resources.cpu.period
		"the default of shares, and a period alone": {
			specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: pointer(uint64(1024)), Period: pointer(uint64(50000))}},
			[]knob{{"cpu", "cpu.shares", "1024", "cpu.weight", "100"}, {"cpu", "cpu.cfs_period_us", "50000", "cpu.max", "max 50000"}},
		},
		//proves:linux.resources.memory.limit linux.resources.memory.swap
		"no limit of memory and swap": {
			specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: pointer(int64(-1)), Swap: pointer(int64(-1))}},
			[]knob{
				{"memory", "memory.limit_in_bytes", unlimited, "memory.max", "max"},
				{"memory", "memory.memsw.limit_in_bytes", unlimited, "memory.swap.max", "max"},
			},
		},
		"no swap": {
			specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: pointer(int64(64 << 20)), Swap: pointer(int64(64 << 20))}},
			[]knob{{"memory", "memory.memsw.limit_in_bytes", "67108864", "memory.swap.max", "0"}},
		},
		"any swap beyond a limit of memory": {
			specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: pointer(int64(64 << 20)), Swap: pointer(int64(-1))}},
			[]knob{
				{"memory", "memory.limit_in_bytes", "67108864", "memory.max", "67108864"},
				{"memory", "memory.memsw.limit_in_bytes", unlimited, "memory.swap.max", "max"},
			},
		},
		//proves:linux.resources.pids.limit
		"no limit of pids": {specs.LinuxResources{Pids: &specs.LinuxPids{Limit: pointer(int64(-1))}}, []knob{{"pids", "pids.max", "max", "pids.max", "max"}}},
		"no pid at all":    {specs.LinuxResources{Pids: &specs.LinuxPids{Limit: pointer(int64(0))}}, []knob{{"pids", "pids.max", "0", "pids.max", "0"}}},
		"pids without it":  {specs.LinuxResources{Pids: &specs.LinuxPids{}}, []knob{{"pids", "pids.max", "max", "pids.max", defaultPids(t)}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// A shell: the probe's threads would be too many.
			h := &host{t: t, root: h.root}
			c := h.create(h.newBundle(nil, shell("exec sleep 100"), resources(tt.resources)))
			h.must("start", c.id)
			for _, k := range tt.knobs {
				k.check(t, c)
			}
		})
	}
}

// defaultPids is pids.max where nobody sets it: systemd has a default for what it makes.
func defaultPids(t *testing.T) string {
	t.Helper()
	if !bySystemd() {
		return "max"
	}
	out, err := exec.Command("systemctl", "show", "--property=DefaultTasksMax", "--value").Output()
	if err != nil {
		t.Fatalf("systemctl show: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// ifV2 is v where version 2 has the controller.
func ifV2[T any](controller string, v T) *T {
	if !onV2(controller) {
		return nil
	}
	return &v
}

//proves:linux.resources.memory.kernel linux.resources.memory.useHierarchy
func TestLimitsThatLinuxHasNoMoreAreAWarning(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	//nolint:staticcheck // deprecated, and engines write them
	b := h.newBundle([]string{"pid"}, resources(specs.LinuxResources{Memory: &specs.LinuxMemory{
		Kernel: ifV1("memory", int64(16<<20)), UseHierarchy: pointer(false),
	}}))
	r := h.try("run", "--bundle", b.dir, newID())
	want := map[string]bool{"linux.resources.memory.useHierarchy false: ignored": true, "linux.resources.memory.kernel 16777216: ignored": !onV2("memory")}
	for text, said := range want {
		if r.status != 0 || strings.Contains(r.stderr, text) != said {
			t.Errorf("status %d: %q is said: %v\n%s", r.status, text, !said, r.stderr)
		}
	}
	//nolint:staticcheck // as above
	silent := h.newBundle([]string{"pid"}, resources(specs.LinuxResources{Memory: &specs.LinuxMemory{
		Kernel: pointer(int64(-1)), KernelTCP: pointer(int64(-1)), UseHierarchy: pointer(true),
	}}))
	if r := h.try("run", "--bundle", silent.dir, newID()); r.status != 0 || r.stderr != "" {
		t.Errorf("status %d\n%s", r.status, r.stderr)
	}
}

//proves:linux.resources.memory.kernel linux.resources.memory.kernelTCP linux.resources.memory.swappiness
//proves:linux.resources.memory.disableOOMKiller linux.resources.cpu.realtimeRuntime
//proves:linux.resources.cpu.realtimePeriod linux.resources.blockIO.leafWeight linux.resources.network.classID
//proves:linux.resources.network.priorities config-linux.md#example:1
func TestLimitsThatOnlyVersion1HasAreRefusedOnVersion2(t *testing.T) {
	if !onlyV2() {
		lacks(t, "cgroup v2 alone")
	}
	h := newHost(t)
	for field, r := range map[string]specs.LinuxResources{
		"memory.kernel":           {Memory: &specs.LinuxMemory{Kernel: pointer(int64(1 << 20))}}, //nolint:staticcheck // deprecated
		"memory.kernelTCP":        {Memory: &specs.LinuxMemory{KernelTCP: pointer(int64(1 << 20))}},
		"memory.swappiness":       {Memory: &specs.LinuxMemory{Swappiness: pointer(uint64(10))}},
		"memory.disableOOMKiller": {Memory: &specs.LinuxMemory{DisableOOMKiller: pointer(true)}},
		"cpu.realtimeRuntime":     {CPU: &specs.LinuxCPU{RealtimeRuntime: pointer(int64(1000))}},
		"cpu.realtimePeriod":      {CPU: &specs.LinuxCPU{RealtimePeriod: pointer(uint64(500000))}},
		"blockIO.leafWeight":      {BlockIO: &specs.LinuxBlockIO{LeafWeight: pointer(uint16(100))}},
		"network.classID":         {Network: &specs.LinuxNetwork{ClassID: pointer(uint32(1))}},
		"network.priorities[0]":   {Network: &specs.LinuxNetwork{Priorities: []specs.LinuxInterfacePriority{{Name: "lo", Priority: 1}}}},
	} {
		t.Run(field, func(t *testing.T) {
			(&host{t: t, root: h.root}).fails([]string{"linux.resources." + field, "only cgroup v1 has this limit"}, resources(r))
		})
	}
}

//proves:linux.resources.rdma.*.hcaHandles linux.resources.rdma.*.hcaObjects
//proves:config-linux.md#unified:3
func TestLimitsThatTheKernelRefusesAreNamed(t *testing.T) {
	h := newHost(t)
	for name, tt := range map[string]struct {
		resources specs.LinuxResources
		words     []string
	}{
		"a cpu that does not exist": {specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "999"}}, []string{"linux.resources.cpu.cpus", "999"}},
		"a list that is none":       {specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "x"}}, []string{"linux.resources.cpu.cpus", "x"}},
		"a quota that is too small": {
			specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: pointer(int64(5))}},
			[]string{"linux.resources.cpu.quota", "5", "from 1000 to"},
		},
		"a burst above the quota": {
			specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: pointer(int64(5000)), Burst: pointer(uint64(6000))}},
			[]string{"linux.resources.cpu.burst", "6000"},
		},
		//proves:linux.resources.memory.swap
		"swap below memory": {
			specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: pointer(int64(64 << 20)), Swap: pointer(int64(32 << 20))}},
			[]string{"linux.resources.memory.swap", "33554432", "memory and swap together"},
		},
		"less memory than any program needs": {
			specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: pointer(int64(4096))}},
			[]string{"start", "out-of-memory killer", "linux.resources.memory.limit", "too small"},
		},
		//proves:linux.resources.unified.*
		//proves:config-linux.md#unified:3
		"a unified file of none": {specs.LinuxResources{Unified: map[string]string{"cake.max": "1"}}, []string{"linux.resources.unified.cake.max", "cake controller"}},
		"a unified value of none": {
			specs.LinuxResources{Unified: map[string]string{"cgroup.max.depth": "deep"}},
			[]string{"linux.resources.unified.cgroup.max.depth", "deep", "invalid argument"},
		},
		"a unified path that leads elsewhere": {
			specs.LinuxResources{Unified: map[string]string{"../cgroup.procs": "1"}}, []string{"linux.resources.unified", "../cgroup.procs"},
		},
		"a unified path that leads below": {
			specs.LinuxResources{Unified: map[string]string{"sub/pids.max": "1"}}, []string{"linux.resources.unified", "sub/pids.max"},
		},
		"a device rule of no type":     {specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Type: "x", Access: "r"}}}, []string{"linux.resources.devices[0].type", "x"}},
		"a device rule without access": {specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Type: "c"}}}, []string{"linux.resources.devices[0].access"}},
		//proves:linux.resources.hugepageLimits[].pageSize
		"huge pages of no size": {
			specs.LinuxResources{HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "3MB", Limit: 1}}},
			[]string{"linux.resources.hugepageLimits[0]", "hugetlb.3MB", "2MB"},
		},
		//proves:linux.resources.rdma.*.hcaHandles linux.resources.rdma.*.hcaObjects
		"an rdma device of none": {
			specs.LinuxResources{Rdma: map[string]specs.LinuxRdma{"mlx9_9": {HcaHandles: pointer(uint32(3)), HcaObjects: pointer(uint32(4))}}},
			[]string{"linux.resources.rdma.mlx9_9", "hca_handle=3 hca_object=4"},
		},
		"a block device of none": {
			specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{ThrottleReadBpsDevice: []specs.LinuxThrottleDevice{throttled(250, 250, 1000)}}},
			[]string{"linux.resources.blockIO.throttleReadBpsDevice[0]", "250:250", "no such device", "no block device of this number"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			(&host{t: t, root: h.root}).fails(tt.words, resources(tt.resources))
		})
	}
}

// The kernel refuses such a limit in v1 by itself, and in v2 takes it and kills.
//
//proves:linux.resources.memory.checkBeforeUpdate config-linux.md#memory:3
func TestALimitBelowWhatIsInUseIsRefusedIfThatIsAskedFor(t *testing.T) {
	t.Parallel()
	if !onV2("memory") {
		lacks(t, "the memory controller on cgroup v2")
	}
	h := newHost(t)
	limit := func(check *bool) edit {
		return resources(specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: pointer(int64(4096)), CheckBeforeUpdate: check}})
	}
	const said = "memory.checkBeforeUpdate is set"
	h.fails([]string{"linux.resources.memory.limit 4096", "bytes are in use", said}, limit(pointer(true)))
	for _, check := range []*bool{nil, pointer(false)} {
		r := h.try("run", "--bundle", h.newBundle([]string{"pid"}, limit(check)).dir, newID())
		if r.status == 0 || strings.Contains(r.stderr, said) {
			t.Errorf("it is not the kernel that ends it: status %d, %s", r.status, r.stderr)
		}
	}
}

func throttled(major, minor int64, rate uint64) specs.LinuxThrottleDevice {
	d := specs.LinuxThrottleDevice{Rate: rate}
	d.Major, d.Minor = major, minor
	return d
}
