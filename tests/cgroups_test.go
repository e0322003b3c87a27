package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func cgroupsPath(path string) edit {
	return func(s *specs.Spec) { s.Linux.CgroupsPath = path }
}

func resources(r specs.LinuxResources) edit {
	return func(s *specs.Spec) { *s.Linux.Resources = r }
}

func TestTheCgroupIsWhereTheConfigurationPutsIt(t *testing.T) {
	h := newHost(t)
	own := cgroupOf(t, os.Getpid(), "memory")
	name := newID()
	for title, tt := range map[string]struct{ path, want string }{
		"an absolute path":                    {"/" + name + "-a/b", "/sys/fs/cgroup/memory/" + name + "-a/b"},
		"a relative path, below the caller's": {name + "-r/b", own + "/" + name + "-r/b"},
		"an empty path, the container's ID":   {"", own + "/ID"},
		"a path that climbs is cut off":       {"../../" + name + "-c", own + "/" + name + "-c"},
	} {
		t.Run(title, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			h.leavesNothing()
			c := h.start(nil, cgroupsPath(tt.path))
			equal(t, "cgroup", c.cgroup("memory"), strings.Replace(tt.want, "ID", c.id, 1))
			for _, controller := range []string{"pids", "devices", "freezer", "name=systemd", ""} {
				dir := c.cgroup(controller)
				if !strings.HasSuffix(dir, strings.TrimPrefix(filepath.Base(tt.want), "ID")) {
					t.Errorf("%q: %s", controller, dir)
				}
				if procs := strings.Fields(readFile(t, dir+"/cgroup.procs")); len(procs) != 1 {
					t.Errorf("%s has the processes %v", dir, procs)
				}
			}
			dir := c.cgroup("memory")
			h.must("delete", "--force", c.id)
			if _, err := os.Stat(dir); err == nil {
				t.Errorf("%s is left", dir)
			}
			removeCgroups(name)
		})
	}
}

// removeCgroups takes away the intermediate ones, which are the test's own.
func removeCgroups(name string) {
	for _, depth := range []string{"*/", "*/*/", "*/*/*/"} {
		dirs, _ := filepath.Glob("/sys/fs/cgroup/" + depth + name + "-*")
		for _, d := range dirs {
			_ = os.Remove(d)
		}
	}
}

func TestCgroupsThatWereThereBeforeStay(t *testing.T) {
	h := newHost(t)
	name := newID()
	parent := "/sys/fs/cgroup/pids/" + name + "-parent"
	if err := os.Mkdir(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	defer removeCgroups(name)
	c := h.start(nil, cgroupsPath("/"+name+"-parent/child"))
	h.must("delete", "--force", c.id)
	if _, err := os.Stat(parent); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(parent + "/child"); err == nil {
		t.Error("the container's own is left")
	}
}

func TestACgroupWithProcessesIsNotShared(t *testing.T) {
	h := newHost(t)
	name := newID()
	defer removeCgroups(name)
	a := h.start(nil, cgroupsPath("/"+name+"-used"))
	h.refuses([]string{name + "-used"}, "run", "--bundle", h.newBundle([]string{"pid"}, cgroupsPath("/"+name+"-used")).dir, newID())
	equal(t, "the first", h.state(a.id).Status, specs.StateRunning)
	if _, err := os.Stat(a.cgroup("pids")); err != nil {
		t.Error(err)
	}
}

func TestLimitsAreInTheFilesOfTheKernel(t *testing.T) {
	h := newHost(t)
	c := h.start(nil, resources(specs.LinuxResources{
		Memory: &specs.LinuxMemory{
			Limit: pointer(int64(64 << 20)), Reservation: pointer(int64(32 << 20)), Swap: pointer(int64(96 << 20)),
			Swappiness: pointer(uint64(11)),
		},
		CPU: &specs.LinuxCPU{
			Shares: pointer(uint64(512)), Quota: pointer(int64(50000)), Period: pointer(uint64(200000)), Cpus: "0", Mems: "0",
		},
		Pids: &specs.LinuxPids{Limit: pointer(int64(77))},
	}))
	for file, want := range map[string]string{
		"memory/memory.limit_in_bytes":       "67108864",
		"memory/memory.soft_limit_in_bytes":  "33554432",
		"memory/memory.memsw.limit_in_bytes": "100663296",
		"memory/memory.swappiness":           "11",
		"cpu/cpu.shares":                     "512",
		"cpu/cpu.cfs_quota_us":               "50000",
		"cpu/cpu.cfs_period_us":              "200000",
		"cpuset/cpuset.cpus":                 "0",
		"cpuset/cpuset.mems":                 "0",
		"pids/pids.max":                      "77",
	} {
		t.Run(file, func(t *testing.T) {
			controller, name := filepath.Split(file)
			controller = strings.TrimSuffix(controller, "/")
			if !hasController(controller) {
				lacks(t, "the "+controller+" controller of cgroup v1")
			}
			equal(t, file, strings.TrimSpace(readFile(t, filepath.Join(c.cgroup(controller), name))), want)
		})
	}
}

func TestBlockIOLimitsAreInTheFilesOfTheKernel(t *testing.T) {
	h := newHost(t)
	// The disk that holds the temporary files, whatever it is.
	major, minor, ok := strings.Cut(firstDisk(t), ":")
	if !ok || !hasController("blkio") {
		lacks(t, "a disk, or the blkio controller of cgroup v1")
	}
	device := specs.LinuxThrottleDevice{Rate: 1 << 20}
	device.Major, device.Minor = number(t, major), number(t, minor)
	c := h.start(nil, resources(specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{
		ThrottleReadBpsDevice: []specs.LinuxThrottleDevice{device}, ThrottleWriteIOPSDevice: []specs.LinuxThrottleDevice{device},
	}}))
	want := major + ":" + minor + " 1048576"
	for _, file := range []string{"blkio.throttle.read_bps_device", "blkio.throttle.write_iops_device"} {
		equal(t, file, strings.TrimSpace(readFile(t, c.cgroup("blkio")+"/"+file)), want)
	}
}

func firstDisk(t *testing.T) string {
	t.Helper()
	disks, _ := filepath.Glob("/sys/block/[vsn]*/dev")
	if len(disks) == 0 {
		return ""
	}
	return strings.TrimSpace(readFile(t, disks[0]))
}

func TestCPUsetConfinesTheProcess(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	if !hasController("cpuset") {
		lacks(t, "the cpuset controller of cgroup v1")
	}
	type scheduling struct{ Cpus int }
	s := h.probe([]string{"scheduler"}, resources(specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "0"}}))
	equal(t, "cpus", get[scheduling](t, s, "scheduler").Cpus, 1)
}

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

func TestLimitsThatTheKernelRefusesAreNamed(t *testing.T) {
	h := newHost(t)
	for name, tt := range map[string]struct {
		resources specs.LinuxResources
		words     []string
	}{
		"a cpu that does not exist": {specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "999"}}, []string{"linux.resources.cpu.cpus", "999"}},
		"a list that is none":       {specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "x"}}, []string{"linux.resources.cpu.cpus", "x"}},
		"a quota that is too small": {specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: pointer(int64(5))}}, []string{"linux.resources.cpu.quota", "5 is not from 1000"}},
		"swap below memory":         {specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: pointer(int64(64 << 20)), Swap: pointer(int64(32 << 20))}}, []string{"linux.resources.memory.swap", "below memory.limit"}},
		"a unified file of none":    {specs.LinuxResources{Unified: map[string]string{"cake.max": "1"}}, []string{"linux.resources.unified.cake.max"}},
		"a unified path that leads elsewhere": {
			specs.LinuxResources{Unified: map[string]string{"../cgroup.procs": "1"}}, []string{"linux.resources.unified", "../cgroup.procs"},
		},
		"a device rule of no type":     {specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Type: "x", Access: "r"}}}, []string{"linux.resources.devices[0].type", "x"}},
		"a device rule without access": {specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Type: "c"}}}, []string{"linux.resources.devices[0].access"}},
		"huge pages of no size": {
			specs.LinuxResources{HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "3MB", Limit: 1}}}, []string{"linux.resources.hugepageLimits[0]"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			(&host{t: t, root: h.root}).fails(tt.words, resources(tt.resources))
		})
	}
	t.Run("the root of the hierarchy", func(t *testing.T) {
		(&host{t: t, root: h.root}).fails([]string{"linux.cgroupsPath", "root of the hierarchy"}, cgroupsPath("/"))
	})
}

func TestUnifiedFilesAreWrittenOnTheHybridHierarchy(t *testing.T) {
	h := newHost(t)
	const file = "hugetlb.2MB.max"
	if controllers, err := os.ReadFile("/sys/fs/cgroup/unified/cgroup.controllers"); err != nil || !strings.Contains(string(controllers), "hugetlb") {
		lacks(t, "the hugetlb controller on cgroup v2")
	}
	c := h.start(nil, resources(specs.LinuxResources{
		Unified:        map[string]string{file: "4194304"},
		HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "1GB", Limit: 1 << 30}},
	}))
	equal(t, file, strings.TrimSpace(readFile(t, c.cgroup("")+"/"+file)), "4194304")
	equal(t, "1GB", strings.TrimSpace(readFile(t, c.cgroup("")+"/hugetlb.1GB.max")), "1073741824")
}

func TestTheCgroupMountShowsTheContainersOwn(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for name, edits := range map[string][]edit{"shared namespace": nil, "own namespace": {addNamespace(specs.CgroupNamespace, "")}} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			s := h.probe([]string{"read=/sys/fs/cgroup/pids/cgroup.procs", "read=/sys/fs/cgroup/memory/cgroup.procs", "mkdir=/sys/fs/cgroup/pids/x"}, edits...)
			equal(t, "pids", get[string](t, s, "read=/sys/fs/cgroup/pids/cgroup.procs"), "1\n")
			equal(t, "memory", get[string](t, s, "read=/sys/fs/cgroup/memory/cgroup.procs"), "1\n")
			if !strings.Contains(s.failure("mkdir=/sys/fs/cgroup/pids/x"), "read-only file system") {
				t.Errorf("a cgroup was made: %q", s.failure("mkdir=/sys/fs/cgroup/pids/x"))
			}
		})
	}
}
