package cgroup

import (
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// diceResources are limits of all kinds, some of which contradict each other.
func diceResources(r *rand.Rand) *specs.LinuxResources {
	size := func() *int64 {
		return []*int64{nil, nil, ptr(int64(-1)), ptr(int64(1 << 20)), ptr(int64(1 << 24)), ptr(int64(1 << 26))}[r.IntN(6)]
	}
	micros := func() *int64 {
		return []*int64{nil, nil, ptr(int64(-1)), ptr(int64(5000)), ptr(int64(50000)), ptr(int64(500000))}[r.IntN(6)]
	}
	positive := func(n *int64) *uint64 {
		if n == nil || *n < 0 {
			return nil
		}
		return ptr(uint64(*n))
	}
	devices := [][]specs.LinuxDeviceCgroup{
		nil, nil,
		{{Allow: true}},
		{{Allow: true, Type: "c", Major: ptr(int64(1)), Minor: ptr(int64(11)), Access: "rw"}},
		{{Allow: true, Type: "c", Major: ptr(int64(1)), Access: "r"}, {Allow: true, Type: "b", Access: "m"}},
	}
	return &specs.LinuxResources{
		Memory:  &specs.LinuxMemory{Limit: size(), Swap: size(), Reservation: size()},
		Pids:    &specs.LinuxPids{Limit: micros()},
		Devices: devices[r.IntN(len(devices))],
		CPU: &specs.LinuxCPU{
			Quota: micros(), Period: positive(micros()), Burst: positive(micros()), Shares: positive(micros()),
			Idle: []*int64{nil, ptr(int64(0)), ptr(int64(1))}[r.IntN(3)], Cpus: []string{"", "0", "0-1", "99"}[r.IntN(4)],
		},
		HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: []string{"2MB", "2MB", "3MB"}[r.IntN(3)], Limit: 1 << 21 * uint64(r.IntN(3))}},
	}
}

// possible leaves out what no value could be set of here.
func (c *Cgroup) possible(r *specs.LinuxResources) *specs.LinuxResources {
	has := func(controller string) bool {
		h := c.controller(controller)
		return h != nil && (!h.v2() || h.offers(controller))
	}
	if !has("memory") {
		r.Memory = nil
	}
	if !has("pids") {
		r.Pids = nil
	}
	if !has("cpu") {
		r.CPU = nil
	}
	if !has("hugetlb") {
		r.HugepageLimits = nil
	}
	return r
}

// writableFiles returns what the files with limits have.
func writableFiles(t *testing.T, c *Cgroup) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, h := range c.rec.Hierarchies {
		entries, err := os.ReadDir(h.dir())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil || info.Mode().Perm()&0o200 == 0 && e.Name() != "devices.list" || strings.Contains(e.Name(), "usage") ||
				strings.Contains(e.Name(), "pressure") || strings.Contains(e.Name(), "failcnt") {
				continue
			}
			if text, err := readFile(h.dir() + "/" + e.Name()); err == nil {
				lines := strings.Split(text, "\n")
				slices.Sort(lines)
				all[h.dir()+"/"+e.Name()] = strings.Join(lines, "\n")
			}
		}
		if h.v2() {
			all["programs"] = utoa(uint64(len(programs(t, h.dir()))))
		}
	}
	return all
}

func TestNoUpdateThatFailsChangesAnything(t *testing.T) {
	onEach(t, func(sc scene) {
		t, c := sc.t, sc.c
		create(t, c)
		if err := c.SetDevices(nil); err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(1, 2))
		refused := 0
		for range 150 {
			resources := c.possible(diceResources(r))
			before := writableFiles(t, c)
			if c.Update(resources, func(error) {}) == nil {
				continue
			}
			refused++
			if after := writableFiles(t, c); !maps.Equal(before, after) {
				for file := range before {
					if before[file] != after[file] {
						t.Errorf("%s: %q became %q", file, before[file], after[file])
					}
				}
				t.Fatalf("after %+v %+v %+v", resources.Memory, resources.CPU, resources)
			}
		}
		if refused == 0 && !c.controller("cpu").v2() || refused > 149 {
			t.Errorf("%d of 150 were refused", refused)
		}
	})
}
