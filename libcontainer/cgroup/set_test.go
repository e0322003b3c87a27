package cgroup

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func ptr[T any](v T) *T { return &v }

// onV1 runs f on a cgroup whose controllers are in v1.
func onV1(t *testing.T, f func(scene)) {
	t.Helper()
	sys, ok := systems(t)["v1 alone"]
	if !ok {
		t.Skip("SKIP: no cgroup v1 hierarchy is mounted")
	}
	c := newCgroup(t, sys, testPath(t))
	create(t, c)
	f(scene{t, c})
}

func content(t *testing.T, c *Cgroup, controller, file string) string {
	t.Helper()
	b, err := os.ReadFile(c.controller(controller).dir() + "/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func TestSetWritesEachLimitToItsFile(t *testing.T) {
	onV1(t, func(sc scene) {
		t, c := sc.t, sc.c
		for _, tt := range []struct {
			name             string
			r                specs.LinuxResources
			controller, file string
			want             string
		}{
			{"pids", specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr(int64(9))}}, "pids", "pids.max", "9"},
			{"pids unlimited", specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr(int64(-1))}}, "pids", "pids.max", "max"},
			{"no more pids", specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr(int64(0))}}, "pids", "pids.max", "0"},
			{"shares", specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: ptr(uint64(512))}}, "cpu", "cpu.shares", "512"},
			{"quota", specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptr(int64(30000)), Period: ptr(uint64(60000))}}, "cpu", "cpu.cfs_quota_us", "30000"},
			{"period", specs.LinuxResources{CPU: &specs.LinuxCPU{Period: ptr(uint64(70000))}}, "cpu", "cpu.cfs_period_us", "70000"},
			{"burst", specs.LinuxResources{CPU: &specs.LinuxCPU{Burst: ptr(uint64(1000))}}, "cpu", "cpu.cfs_burst_us", "1000"},
			{"no quota", specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptr(int64(-1))}}, "cpu", "cpu.cfs_quota_us", "-1"},
			{"cpus", specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "0"}}, "cpuset", "cpuset.cpus", "0"},
			{"mems", specs.LinuxResources{CPU: &specs.LinuxCPU{Mems: "0"}}, "cpuset", "cpuset.mems", "0"},
			{"limit with swap", specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(1 << 23)), Swap: ptr(int64(1 << 24))}}, "memory", "memory.memsw.limit_in_bytes", "16777216"},
			{"both higher than the ones before", specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(1 << 25)), Swap: ptr(int64(1 << 26))}}, "memory", "memory.limit_in_bytes", "33554432"},
			{"both lower again", specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(1 << 23)), Swap: ptr(int64(1 << 24))}}, "memory", "memory.memsw.limit_in_bytes", "16777216"},
			{"no limit lifts swap as well", specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(-1))}}, "memory", "memory.memsw.limit_in_bytes", "9223372036854771712"},
			{"reservation", specs.LinuxResources{Memory: &specs.LinuxMemory{Reservation: ptr(int64(1 << 20))}}, "memory", "memory.soft_limit_in_bytes", "1048576"},
			{"swappiness", specs.LinuxResources{Memory: &specs.LinuxMemory{Swappiness: ptr(uint64(0))}}, "memory", "memory.swappiness", "0"},
			//nolint:staticcheck // deprecated is what it is tested for
			{"ignored kernel limit", specs.LinuxResources{Memory: &specs.LinuxMemory{Kernel: ptr(int64(5))}}, "memory", "memory.swappiness", "0"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				if err := c.Set(&tt.r); err != nil {
					t.Fatal(err)
				}
				if got := content(t, c, tt.controller, tt.file); got != tt.want {
					t.Errorf("%s is %q, want %q", tt.file, got, tt.want)
				}
			})
		}
	})
}

func TestALimitGoesToV2WhereItsControllerIs(t *testing.T) {
	sys := systems(t)["as mounted"]
	probe, err := newOn(sys, Config{Path: testPath(t)})
	if err != nil {
		t.Fatal(err)
	}
	u := probe.unified()
	if u == nil || probe.controller("hugetlb") != u || !hasWord(u.Mount+"/cgroup.controllers", "hugetlb") {
		t.Skip("SKIP: the hugetlb controller is not in v2 here")
	}
	c := newCgroup(t, sys, testPath(t)+"/below")
	create(t, c)
	err = c.Set(&specs.LinuxResources{
		HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "2MB", Limit: 4 << 20}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"hugetlb.2MB.max", "hugetlb.2MB.rsvd.max"} {
		if got := content(t, c, "hugetlb", file); got != "4194304" {
			t.Errorf("%s is %q", file, got)
		}
	}
	if err := c.Set(&specs.LinuxResources{Unified: map[string]string{"hugetlb.2MB.max": "2097152"}}); err != nil {
		t.Fatal(err)
	}
	if got := content(t, c, "hugetlb", "hugetlb.2MB.max"); got != "2097152" {
		t.Errorf("set as a unified resource it is %q", got)
	}
	s, err := c.Stats()
	if err != nil || !slices.ContainsFunc(s.Hugetlb, func(h HugetlbStats) bool { return h.PageSize == "2MB" }) {
		t.Errorf("Stats: %+v %v", s, err)
	}
}

func hasWord(file, word string) bool {
	s, err := readFile(file)
	return err == nil && slices.Contains(strings.Fields(s), word)
}

func TestSetNamesThePathTheFileAndTheValue(t *testing.T) {
	onV1(t, func(sc scene) {
		t, c := sc.t, sc.c
		for _, tt := range []struct {
			name string
			r    specs.LinuxResources
			want string
		}{
			{
				"a value that the kernel refuses",
				specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "4000"}},
				"set linux.resources.cpu.cpus cpuset.cpus=4000: ",
			},
			{
				"swap below memory",
				specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(1 << 24)), Swap: ptr(int64(1 << 23))}},
				"set linux.resources.memory.swap memory.memsw.limit_in_bytes=8388608: invalid argument",
			},
			{
				"a controller that is nowhere",
				specs.LinuxResources{Network: &specs.LinuxNetwork{ClassID: ptr(uint32(7))}},
				"set linux.resources.network.classID 7: no hierarchy with this controller",
			},
			{
				"a list element",
				specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{ThrottleReadBpsDevice: []specs.LinuxThrottleDevice{
					{LinuxBlockIODevice: specs.LinuxBlockIODevice{Major: 999, Minor: 1}, Rate: 5},
				}}},
				"set linux.resources.blockIO.throttleReadBpsDevice[0] blkio.throttle.read_bps_device=999:1 5: ",
			},
			{
				"shares that the kernel would change",
				specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: ptr(uint64(1))}},
				"set linux.resources.cpu.shares 1: it must be between 2 and 262144",
			},
			{
				"a unified file without v2",
				specs.LinuxResources{Unified: map[string]string{"memory.max": "1"}},
				"set linux.resources.unified.memory.max 1: no hierarchy with this controller",
			},
			{
				"a unified file elsewhere",
				specs.LinuxResources{Unified: map[string]string{"../cgroup.procs": "1"}},
				"set linux.resources.unified ../cgroup.procs: the key must be a file name",
			},
		} {
			t.Run(tt.name, func(t *testing.T) {
				err := c.Set(&tt.r)
				if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
					t.Errorf("got  %v\nwant %s", err, tt.want)
				}
			})
		}
	})
}

func TestSwapV2IsWhatMemoryDoesNotTake(t *testing.T) {
	for _, tt := range []struct {
		name        string
		limit, swap int64
		want        string
	}{
		{"nothing", 0, 0, ""},
		{"only memory", 10, 0, ""},
		{"both", 10, 15, "5"},
		{"no swap", 10, 10, "0"},
		{"unlimited swap", 10, -1, "max"},
		{"unlimited memory", -1, 0, "max"},
		{"unlimited memory, some swap", -1, 5, "5"},
		{"swap alone", 0, 5, "error"},
		{"swap below memory", 10, 5, "error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := swapV2(&specs.LinuxMemory{Limit: &tt.limit, Swap: &tt.swap})
			if err != nil {
				got = "error"
			}
			if got != tt.want {
				t.Errorf("got %q (%v), want %q", got, err, tt.want)
			}
		})
	}
}

func TestWeightGoesThroughTheAgreedPoints(t *testing.T) {
	for shares, want := range map[uint64]uint64{2: 1, 1024: 100, 262144: 10000, 1: 1, 1 << 20: 10000} {
		if got := weight(shares); got != want {
			t.Errorf("%d: got %d, want %d", shares, got, want)
		}
	}
}

func TestOutOfMemoryKillsAreCountedAndMemoryIsMeasured(t *testing.T) {
	onV1(t, func(sc scene) {
		t, c := sc.t, sc.c
		// swap stays out of it: the kernel's failcnt counts only the limit
		// that is hit first, and not every kernel has one for swap.
		if err := c.Set(&specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(16 << 20)), Swappiness: ptr(uint64(0))}}); err != nil {
			t.Fatal(err)
		}
		if n, err := c.OOMKills(); n != 0 || err != nil {
			t.Fatalf("before: %d %v", n, err)
		}
		cmd := start(t, c, "exec 2>/dev/null; head -c 100000000 /dev/zero | tail -c 90000000")
		_ = cmd.Wait()
		if n, err := c.OOMKills(); n == 0 || err != nil {
			t.Errorf("OOMKills: %d %v", n, err)
		}
		s, err := c.Stats()
		if err != nil {
			t.Fatal(err)
		}
		if s.Memory.Memory.Limit != 16<<20 || s.Memory.Memory.Max < 8<<20 ||
			s.Memory.Memory.Failures == 0 || len(s.Memory.Raw) == 0 {
			t.Errorf("Memory: %+v", s.Memory.Memory)
		}
		if s.CPU.Total == 0 || len(s.CPU.PerCPU) == 0 || s.CPU.Cpus == "" {
			t.Errorf("CPU: %+v", s.CPU)
		}
	})
}

func TestStatsCountProcesses(t *testing.T) {
	onEach(t, func(sc scene) {
		t, c := sc.t, sc.c
		if _, err := c.Stats(); err == nil {
			t.Error("a cgroup that does not exist has statistics")
		}
		create(t, c)
		start(t, c, "sleep 1000")
		s, err := c.Stats()
		if err != nil || s.Pids.Current == 0 {
			t.Errorf("got %+v %v", s, err)
		}
		if c.unified() != nil && s.CPU.Pressure == nil {
			t.Error("no pressure")
		}
	})
}

func TestOnlyAllowedDevicesCanBeOpened(t *testing.T) {
	if _, err := os.Stat("/dev/kmsg"); err != nil {
		t.Skip("SKIP: no /dev/kmsg to be denied")
	}
	attempt := func(t *testing.T, c *Cgroup, rules []specs.LinuxDeviceCgroup) string {
		t.Helper()
		if err := c.SetDevices(rules); err != nil {
			t.Fatal(err)
		}
		cmd := start(t, c, `exec 2>/dev/null; n=0; : </dev/null && n=$((n+1)); : </dev/kmsg && n=$((n+2)); : >/dev/kmsg && n=$((n+4)); exit $n`)
		err := cmd.Wait()
		if exit, ok := err.(*exec.ExitError); ok { //nolint:errorlint // Wait returns it bare
			return []string{"none", "null", "kmsg", "null, kmsg", "write", "null, write", "kmsg, write", "all"}[exit.ExitCode()&7]
		}
		return "none"
	}
	kmsg := func(access string, allow bool) specs.LinuxDeviceCgroup {
		return specs.LinuxDeviceCgroup{Allow: allow, Type: "c", Major: ptr(int64(1)), Minor: ptr(int64(11)), Access: access}
	}
	all := func(allow bool) specs.LinuxDeviceCgroup {
		return specs.LinuxDeviceCgroup{Allow: allow, Access: "rwm"}
	}
	onEach(t, func(sc scene) {
		t, c := sc.t, sc.c
		create(t, c)
		for _, tt := range []struct {
			name  string
			rules []specs.LinuxDeviceCgroup
			want  string
		}{
			{"the default", nil, "null"},
			{"everything denied", []specs.LinuxDeviceCgroup{all(false)}, "null"},
			{"one more", []specs.LinuxDeviceCgroup{all(false), kmsg("rw", true)}, "all"},
			{"one more to read", []specs.LinuxDeviceCgroup{all(false), kmsg("rw", true), kmsg("w", false)}, "null, kmsg"},
			{"everything", []specs.LinuxDeviceCgroup{all(true)}, "all"},
			{"everything but one", []specs.LinuxDeviceCgroup{all(true), kmsg("rwm", false)}, "null"},
			{"everything but writing one", []specs.LinuxDeviceCgroup{all(true), kmsg("w", false)}, "null, kmsg"},
			{"the default again", nil, "null"},
		} {
			if got := attempt(t, c, tt.rules); got != tt.want {
				t.Errorf("%s: could open %s, want %s", tt.name, got, tt.want)
			}
		}
	})
}

func TestDeviceRulesThatCannotBeEnforcedAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rules []specs.LinuxDeviceCgroup
		want  string
	}{
		{
			"a hole in a wider rule",
			[]specs.LinuxDeviceCgroup{
				{Allow: true, Type: "c", Major: ptr(int64(1)), Access: "rwm"},
				{Type: "c", Major: ptr(int64(1)), Minor: ptr(int64(3)), Access: "w"},
			},
			"linux.resources.devices[1]: cannot deny c 1:3 w: an earlier rule allows c 1:* rwm, and a part of it cannot be taken back",
		},
		{"no access", []specs.LinuxDeviceCgroup{{Type: "c"}}, `linux.resources.devices[0].access: "" is not made of r, w and m`},
		{"an unknown access", []specs.LinuxDeviceCgroup{{Type: "c", Access: "rx"}}, `linux.resources.devices[0].access: "rx" is not made of r, w and m`},
		{"an unknown type", []specs.LinuxDeviceCgroup{{Type: "p", Access: "r"}}, `linux.resources.devices[0].type: unknown type "p" (one of a, b, c)`},
		{"a number too large", []specs.LinuxDeviceCgroup{{Type: "c", Access: "r", Major: ptr(int64(1 << 40))}}, "linux.resources.devices[0].major: 1099511627776 is not from 0 to 4294967295 (-1 is all)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := compileDevices(tt.rules); err == nil || err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}
