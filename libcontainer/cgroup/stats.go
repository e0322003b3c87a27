package cgroup

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// Unlimited is a limit that is not set.
const Unlimited = ^uint64(0)

// Stats is what the cgroup and everything below it use. What the kernel does
// not count is zero or nil.
type Stats struct {
	CPU     CPUStats
	Memory  MemoryStats
	Pids    PidsStats
	IO      IOStats
	Hugetlb []HugetlbStats
	Rdma    []RdmaStats
	Misc    []MiscStats
}

// CPUStats counts CPU time, in nanoseconds.
type CPUStats struct {
	Total, User, Kernel uint64
	// PerCPU, PerCPUUser and PerCPUKernel have one element per CPU (v1).
	PerCPU, PerCPUUser, PerCPUKernel []uint64
	// Periods is how often the quota was renewed, ThrottledPeriods how often
	// it had been used up, ThrottledTime for how long in sum.
	Periods, ThrottledPeriods, ThrottledTime uint64
	// BurstPeriods is how often more than the quota was used, BurstTime how
	// much more in sum.
	BurstPeriods, BurstTime uint64
	// Cpus and Mems are the cpuset, as the kernel writes a list: "0-3,7".
	Cpus, Mems string
	Cpuset     CpusetFlags
	Pressure   *Pressure
}

// CpusetFlags are the other files of a v1 cpuset (cpusets(7)).
type CpusetFlags struct {
	CPUExclusive, MemHardwall, MemExclusive uint64
	MemoryMigrate                           uint64
	MemorySpreadPage, MemorySpreadSlab      uint64
	MemoryPressure, SchedLoadBalance        uint64
	SchedRelaxDomainLevel                   int64
}

// MemoryUsage is one kind of memory, in bytes.
type MemoryUsage struct {
	Usage, Max, Limit uint64
	// Failures is how often the limit was hit.
	Failures uint64
}

// MemoryStats counts memory, in bytes.
type MemoryStats struct {
	Memory MemoryUsage
	// Swap is memory and swap together, SwapOnly swap alone.
	Swap, SwapOnly MemoryUsage
	Kernel         MemoryUsage
	KernelTCP      MemoryUsage
	// Cache is the page cache.
	Cache uint64
	// Hierarchical is whether sub-cgroups are counted.
	Hierarchical bool
	// Raw is memory.stat.
	Raw      map[string]uint64
	Pressure *Pressure
}

// PidsStats counts tasks. Limit is 0 if there is none.
type PidsStats struct{ Current, Limit uint64 }

// IOEntry is one counter of one block device.
type IOEntry struct {
	Major, Minor uint64
	Op           string // "Read", "Write", "Sync", ..., or empty
	Value        uint64
}

// IOStats counts block I/O, including that of sub-cgroups where the kernel
// does so.
type IOStats struct {
	ServiceBytes, Serviced, Queued, ServiceTime []IOEntry
	WaitTime, Merged, Time, Sectors             []IOEntry
	Pressure                                    *Pressure
}

// HugetlbStats counts huge pages of one size, in bytes.
type HugetlbStats struct {
	PageSize             string // "2MB"
	Usage, Max, Failures uint64
}

// RdmaStats counts the objects of one RDMA device.
type RdmaStats struct {
	Device                     string
	Handles, Objects           uint64
	HandlesLimit, ObjectsLimit uint64
}

// MiscStats counts one resource of the misc controller.
type MiscStats struct {
	Name          string
	Usage, Events uint64
}

// Pressure is the share of time in which tasks waited for a resource.
type Pressure struct{ Some, Full PressureLine }

// PressureLine has the shares of the last 10, 60 and 300 seconds, in percent,
// and the sum since the beginning, in microseconds.
type PressureLine struct {
	Avg10, Avg60, Avg300 float64
	Total                uint64
}

// Stats reads what the cgroup uses. A controller that is not there is left
// out; a cgroup that is not there is an error.
func (c *Cgroup) Stats() (*Stats, error) {
	h := c.core()
	if h == nil {
		return nil, fault.New("read the statistics of", "the cgroup", ErrNoCgroup)
	}
	if err := unix.Access(h.dir(), unix.F_OK); err != nil {
		return nil, fault.New("read the statistics of", h.dir(), err)
	}
	s := &Stats{}
	c.statCPU(&s.CPU)
	c.statMemory(&s.Memory)
	c.statPids(&s.Pids)
	c.statIO(&s.IO)
	s.Hugetlb = c.statHugetlb()
	s.Rdma = c.statRdma()
	s.Misc = c.statMisc()
	return s, nil
}

// OOMKills returns how many processes of the cgroup were killed for lack of
// memory. It is 0 without a memory controller.
func (c *Cgroup) OOMKills() (uint64, error) {
	k := c.knobs("memory")
	if k.h == nil {
		return 0, nil
	}
	file := k.pick("memory.oom_control", "memory.events")
	content, err := k.read(file)
	if err != nil {
		return 0, ignoreGone("read", k.h.dir()+"/"+file, err)
	}
	return value(content, "oom_kill"), nil
}

func (c *Cgroup) statPids(s *PidsStats) {
	k := c.knobs("pids")
	s.Current = k.number("pids.current")
	if limit := k.number("pids.max"); limit != Unlimited {
		s.Limit = limit
	}
	if s.Current == 0 { // no controller
		if pids, err := c.Procs(); err == nil {
			s.Current = uint64(len(pids))
		}
	}
}

func (c *Cgroup) statRdma() []RdmaStats {
	k := c.knobs("rdma")
	current, limit := k.text("rdma.current"), k.text("rdma.max")
	var all []RdmaStats
	for line := range strings.Lines(current) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		s := RdmaStats{Device: f[0]}
		s.Handles, s.Objects = rdmaFields(f[1:])
		for line := range strings.Lines(limit) {
			if f := strings.Fields(line); len(f) > 0 && f[0] == s.Device {
				s.HandlesLimit, s.ObjectsLimit = rdmaFields(f[1:])
			}
		}
		all = append(all, s)
	}
	return all
}

func rdmaFields(fields []string) (handles, objects uint64) {
	for _, f := range fields {
		switch k, v, _ := strings.Cut(f, "="); k {
		case "hca_handle":
			handles = number(v)
		case "hca_object":
			objects = number(v)
		}
	}
	return handles, objects
}

func (c *Cgroup) statMisc() []MiscStats {
	k := c.knobs("misc")
	current, events := k.text("misc.current"), k.text("misc.events")
	var all []MiscStats
	for line := range strings.Lines(current) {
		if f := strings.Fields(line); len(f) == 2 {
			all = append(all, MiscStats{Name: f[0], Usage: number(f[1]), Events: value(events, f[0]+".max")})
		}
	}
	return all
}

// text returns the content of a file, or nothing if it is not there.
func (k knobs) text(file string) string {
	s, _ := k.read(file)
	return s
}

// number returns the number in a file, or 0 if it is not there.
func (k knobs) number(file string) uint64 { return number(k.text(file)) }

// number parses what the kernel writes: "max" is Unlimited, and a counter that
// has slipped below zero is zero.
func number(s string) uint64 {
	s = strings.TrimSpace(s)
	if s == "max" {
		return Unlimited
	}
	n, _ := strconv.ParseUint(s, 10, 64)
	return n
}

// pressure parses a file of the form
//
//	some avg10=0.00 avg60=0.00 avg300=0.00 total=0
//	full avg10=0.00 avg60=0.00 avg300=0.00 total=0
func (c *Cgroup) pressure(file string) *Pressure {
	u := c.unified()
	if u == nil {
		return nil
	}
	content, err := readFile(u.dir() + "/" + file)
	if err != nil {
		return nil
	}
	var p Pressure
	for line := range strings.Lines(content) {
		f := strings.Fields(line)
		switch {
		case len(f) == 0:
		case f[0] == "some":
			p.Some = pressureLine(f[1:])
		case f[0] == "full":
			p.Full = pressureLine(f[1:])
		}
	}
	return &p
}

func pressureLine(fields []string) PressureLine {
	var l PressureLine
	for _, f := range fields {
		k, v, _ := strings.Cut(f, "=")
		switch k {
		case "avg10":
			l.Avg10, _ = strconv.ParseFloat(v, 64)
		case "avg60":
			l.Avg60, _ = strconv.ParseFloat(v, 64)
		case "avg300":
			l.Avg300, _ = strconv.ParseFloat(v, 64)
		case "total":
			l.Total = number(v)
		}
	}
	return l
}
