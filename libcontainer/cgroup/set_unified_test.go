package cgroup

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestNumbersOfUnifiedAreReadAsTheKernelDoes(t *testing.T) {
	for _, tt := range []struct {
		file, text string
		want       uint64
		ok         bool
	}{
		{"memory.max", "512M", 512 << 20, true},
		{"memory.max", " 512m\n", 512 << 20, true},
		{"memory.high", "1K", 1 << 10, true},
		{"memory.low", "3g", 3 << 30, true},
		{"memory.min", "2T", 2 << 40, true},
		{"memory.swap.max", "1P", 1 << 50, true},
		{"memory.max", "1e", 1 << 60, true},
		{"memory.max", "16E", 0, false},
		{"memory.max", "0x10", 16, true},
		{"memory.max", "0x1e", 30, true},
		{"memory.max", "0x10K", 16 << 10, true},
		{"memory.max", "010", 8, true},
		{"memory.max", "max", Unlimited, true},
		{"memory.max", "max\n5M\n", 5 << 20, true},
		{"memory.max", "5MB", 0, false},
		{"memory.max", "M", 0, false},
		{"memory.max", "", 0, false},
		{"memory.max", "-1", 0, false},
		{"pids.max", "5K", 0, false},
		{"pids.max", "0", 0, true},
		{"cpu.weight", "77", 77, true},
	} {
		if got, ok := unifiedNumber(tt.file, tt.text); got != tt.want || ok != tt.ok {
			t.Errorf("%s=%q: %d %v, want %d %v", tt.file, tt.text, got, ok, tt.want, tt.ok)
		}
	}
}

func TestLimitsOfMemoryAndPidsComeLateWhoeverNamesThem(t *testing.T) {
	r := &specs.LinuxResources{
		Memory: &specs.LinuxMemory{}, Pids: &specs.LinuxPids{}, CPU: &specs.LinuxCPU{}, Devices: make([]specs.LinuxDeviceCgroup, 1),
		Unified: map[string]string{"memory.max": "1", "memory.swap.max": "2", "pids.max": "3", "cpu.weight": "4", "cgroup.max.depth": "5"},
	}
	early, late := Split(r)
	if early.Memory != nil || early.Pids != nil || early.CPU != r.CPU || early.Devices != nil || late.Memory != r.Memory || late.Pids != r.Pids || late.CPU != nil {
		t.Errorf("%+v, then %+v", early, late)
	}
	names := func(m map[string]string) string { return strings.Join(slices.Sorted(maps.Keys(m)), " ") }
	if first, last := names(early.Unified), names(late.Unified); first != "cgroup.max.depth cpu.weight" || last != "memory.max memory.swap.max pids.max" {
		t.Errorf("%s, then %s", first, last)
	}
	if early, late = Split(&specs.LinuxResources{}); early.Unified != nil || late.Unified != nil {
		t.Errorf("%+v, then %+v", early, late)
	}
}

func TestInitHasTheRoomThatUnifiedLeaves(t *testing.T) {
	memory := func(n int64) *specs.LinuxMemory { return &specs.LinuxMemory{Limit: &n} }
	for name, tt := range map[string]struct {
		memory  *specs.LinuxMemory
		unified map[string]string
		want    uint64
	}{
		"none":                        {nil, nil, Unlimited},
		"typed":                       {memory(5), nil, 5},
		"unified, with a suffix":      {nil, map[string]string{"memory.max": "512K"}, 512 << 10},
		"both":                        {memory(5), map[string]string{"memory.max": "7"}, 7},
		"typed, and when to throttle": {memory(5), map[string]string{"memory.high": "7", "memory.max": "max"}, 7},
	} {
		k := knobs{name: "memory", h: &Hierarchy{}}
		if got := k.memoryLimit(&specs.LinuxResources{Memory: tt.memory, Unified: tt.unified}); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}

func TestAnEmptyValueOfUnifiedIsWritten(t *testing.T) {
	onEach(t, func(sc scene) {
		t, c := sc.t, sc.c
		create(t, c)
		if c.unified() == nil {
			return
		}
		for file, want := range map[string]error{"cgroup.max.depth": unix.EINVAL, "cgroup.nonesuch": unix.ENOENT} {
			if err := c.Set(&specs.LinuxResources{Unified: map[string]string{file: ""}}); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", file, err, want)
			}
		}
	})
	for _, value := range []string{"", "\n"} {
		err := Validate(&specs.LinuxResources{Unified: map[string]string{"memory.max": value, "hugetlb.2MB.max": value, "cpuset.cpus": value}})
		const want = "linux.resources.unified.hugetlb.2MB.max: must have a value (the kernel takes none for 0); " +
			"linux.resources.unified.memory.max: must have a value (the kernel takes none for 0)"
		if err == nil || err.Error() != want {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestSharesOfWhatIsIdleAreNotWrittenOnV1(t *testing.T) {
	onV1(t, func(sc scene) {
		t, c := sc.t, sc.c
		for _, step := range []struct {
			idle, shares int64
			want         string
		}{{1, 512, "1 3"}, {1, 600, "1 3"}, {0, 700, "0 700"}, {1, 800, "1 3"}} {
			r := &specs.LinuxResources{CPU: &specs.LinuxCPU{Idle: &step.idle, Shares: ptr(uint64(step.shares))}}
			if err := c.Set(r); err != nil {
				t.Fatalf("%+v: %v", step, err)
			}
			if got := content(t, c, "cpu", "cpu.idle") + " " + content(t, c, "cpu", "cpu.shares"); got != step.want {
				t.Errorf("%+v: %s", step, got)
			}
		}
	})
}
