package cli

import (
	"strconv"
	"strings"

	"hull/libcontainer"
)

// stats is what a container uses, in the shape of runc's types/events.go: engines
// decode it.
type stats struct {
	CPU        cpuStats                 `json:"cpu"`
	Cpuset     cpusetStats              `json:"cpuset"`
	Memory     memoryStats              `json:"memory"`
	Pids       pidsStats                `json:"pids"`
	Blkio      blkioStats               `json:"blkio"`
	Hugetlb    map[string]hugetlbStats  `json:"hugetlb"`
	Rdma       *rdmaStats               `json:"rdma,omitempty"` // runc knows it, and does not tell
	IntelRdt   rdtStats                 `json:"intel_rdt"`
	Interfaces []libcontainer.Interface `json:"network_interfaces"`
}

type pressureLine struct {
	Avg10  float64 `json:"avg10"`
	Avg60  float64 `json:"avg60"`
	Avg300 float64 `json:"avg300"`
	Total  uint64  `json:"total"`
}

type pressure struct {
	Some pressureLine `json:"some"`
	Full pressureLine `json:"full"`
}

type cpuStats struct {
	Usage      cpuUsage   `json:"usage"`
	Throttling throttling `json:"throttling"`
	PSI        *pressure  `json:"psi,omitempty"`
}

// cpuUsage is in nanoseconds.
type cpuUsage struct {
	Total        uint64   `json:"total,omitempty"`
	PerCPU       []uint64 `json:"percpu,omitempty"`
	PerCPUKernel []uint64 `json:"percpu_kernel,omitempty"`
	PerCPUUser   []uint64 `json:"percpu_user,omitempty"`
	Kernel       uint64   `json:"kernel"`
	User         uint64   `json:"user"`
}

type throttling struct {
	Periods          uint64 `json:"periods,omitempty"`
	ThrottledPeriods uint64 `json:"throttledPeriods,omitempty"`
	ThrottledTime    uint64 `json:"throttledTime,omitempty"`
}

type cpusetStats struct {
	CPUs                  []uint16 `json:"cpus,omitempty"`
	CPUExclusive          uint64   `json:"cpu_exclusive"`
	Mems                  []uint16 `json:"mems,omitempty"`
	MemHardwall           uint64   `json:"mem_hardwall"`
	MemExclusive          uint64   `json:"mem_exclusive"`
	MemoryMigrate         uint64   `json:"memory_migrate"`
	MemorySpreadPage      uint64   `json:"memory_spread_page"`
	MemorySpreadSlab      uint64   `json:"memory_spread_slab"`
	MemoryPressure        uint64   `json:"memory_pressure"`
	SchedLoadBalance      uint64   `json:"sched_load_balance"`
	SchedRelaxDomainLevel int64    `json:"sched_relax_domain_level"`
}

type memoryStats struct {
	Cache     uint64            `json:"cache,omitempty"`
	Usage     memoryEntry       `json:"usage"`
	Swap      memoryEntry       `json:"swap"`
	Kernel    memoryEntry       `json:"kernel"`
	KernelTCP memoryEntry       `json:"kernelTCP"`
	Raw       map[string]uint64 `json:"raw,omitempty"`
	PSI       *pressure         `json:"psi,omitempty"`
}

// memoryEntry has the fields of cgroup.MemoryUsage.
type memoryEntry struct {
	Usage    uint64 `json:"usage,omitempty"`
	Max      uint64 `json:"max,omitempty"`
	Limit    uint64 `json:"limit"`
	Failures uint64 `json:"failcnt"`
}

type pidsStats struct {
	Current uint64 `json:"current,omitempty"`
	Limit   uint64 `json:"limit,omitempty"`
}

type blkioStats struct {
	ServiceBytes []blkioEntry `json:"ioServiceBytesRecursive,omitempty"`
	Serviced     []blkioEntry `json:"ioServicedRecursive,omitempty"`
	Queued       []blkioEntry `json:"ioQueueRecursive,omitempty"`
	ServiceTime  []blkioEntry `json:"ioServiceTimeRecursive,omitempty"`
	WaitTime     []blkioEntry `json:"ioWaitTimeRecursive,omitempty"`
	Merged       []blkioEntry `json:"ioMergedRecursive,omitempty"`
	Time         []blkioEntry `json:"ioTimeRecursive,omitempty"`
	Sectors      []blkioEntry `json:"sectorsRecursive,omitempty"`
	PSI          *pressure    `json:"psi,omitempty"`
}

// blkioEntry has the fields of cgroup.IOEntry.
type blkioEntry struct {
	Major uint64 `json:"major,omitempty"`
	Minor uint64 `json:"minor,omitempty"`
	Op    string `json:"op,omitempty"`
	Value uint64 `json:"value,omitempty"`
}

type hugetlbStats struct {
	Usage   uint64 `json:"usage,omitempty"`
	Max     uint64 `json:"max,omitempty"`
	Failcnt uint64 `json:"failcnt"`
}

// rdmaStats has the names of the library that runc reads them with.
type rdmaStats struct {
	Limit   []rdmaEntry `json:"rdma_limit,omitempty"`
	Current []rdmaEntry `json:"rdma_current,omitempty"`
}

type rdmaEntry struct {
	Device  string `json:"device,omitempty"`
	Handles uint64 `json:"hca_handles,omitempty"`
	Objects uint64 `json:"hca_objects,omitempty"`
}

func newStats(s *libcontainer.Stats) *stats {
	return &stats{
		CPU: cpuStats{
			Usage:      cpuUsage{s.CPU.Total, s.CPU.PerCPU, s.CPU.PerCPUKernel, s.CPU.PerCPUUser, s.CPU.Kernel, s.CPU.User},
			Throttling: throttling{s.CPU.Periods, s.CPU.ThrottledPeriods, s.CPU.ThrottledTime},
			PSI:        newPressure(s.CPU.Pressure),
		},
		Cpuset: newCpuset(s),
		Memory: memoryStats{
			Cache: s.Memory.Cache, Usage: memoryEntry(s.Memory.Memory), Swap: memoryEntry(s.Memory.Swap),
			Kernel: memoryEntry(s.Memory.Kernel), KernelTCP: memoryEntry(s.Memory.KernelTCP),
			Raw: s.Memory.Raw, PSI: newPressure(s.Memory.Pressure),
		},
		Pids:       pidsStats(s.Pids),
		Blkio:      newBlkio(s),
		Hugetlb:    newHugetlb(s),
		Rdma:       newRdma(s),
		IntelRdt:   newRdt(s.RDT),
		Interfaces: s.Interfaces,
	}
}

func newPressure(p *libcontainer.Pressure) *pressure {
	if p == nil {
		return nil
	}
	return &pressure{pressureLine(p.Some), pressureLine(p.Full)}
}

func newCpuset(s *libcontainer.Stats) cpusetStats {
	f := s.CPU.Cpuset
	return cpusetStats{
		numbers(s.CPU.Cpus), f.CPUExclusive, numbers(s.CPU.Mems), f.MemHardwall, f.MemExclusive, f.MemoryMigrate,
		f.MemorySpreadPage, f.MemorySpreadSlab, f.MemoryPressure, f.SchedLoadBalance, f.SchedRelaxDomainLevel,
	}
}

// numbers lists those of a list such as 0-3,7.
func numbers(list string) []uint16 {
	var all []uint16
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err1 := strconv.ParseUint(from, 10, 16)
		last, err2 := strconv.ParseUint(to, 10, 16)
		if err1 != nil || err2 != nil {
			continue
		}
		for n := first; n <= last; n++ {
			all = append(all, uint16(n))
		}
	}
	return all
}

func newBlkio(s *libcontainer.Stats) blkioStats {
	io := &s.IO
	return blkioStats{
		ServiceBytes: entries(io.ServiceBytes), Serviced: entries(io.Serviced), Queued: entries(io.Queued),
		ServiceTime: entries(io.ServiceTime), WaitTime: entries(io.WaitTime), Merged: entries(io.Merged),
		Time: entries(io.Time), Sectors: entries(io.Sectors), PSI: newPressure(io.Pressure),
	}
}

func entries(list []libcontainer.IOEntry) []blkioEntry {
	all := make([]blkioEntry, len(list))
	for i, e := range list {
		all[i] = blkioEntry(e)
	}
	return all
}

func newHugetlb(s *libcontainer.Stats) map[string]hugetlbStats {
	all := make(map[string]hugetlbStats, len(s.Hugetlb))
	for _, h := range s.Hugetlb {
		all[h.PageSize] = hugetlbStats{h.Usage, h.Max, h.Failures}
	}
	return all
}

func newRdma(s *libcontainer.Stats) *rdmaStats {
	if len(s.Rdma) == 0 {
		return nil
	}
	var all rdmaStats
	for _, r := range s.Rdma {
		all.Limit = append(all.Limit, rdmaEntry{r.Device, r.HandlesLimit, r.ObjectsLimit})
		all.Current = append(all.Current, rdmaEntry{r.Device, r.Handles, r.Objects})
	}
	return &all
}
