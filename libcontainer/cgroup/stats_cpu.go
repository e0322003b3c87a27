package cgroup

import (
	"strings"

	"golang.org/x/sys/unix"
)

// userHZ is the unit of cpuacct.stat; the kernel's ABI fixes it (USER_HZ).
const userHZ = 100

func (c *Cgroup) statCPU(s *CPUStats) {
	if k := c.knobs("cpuacct"); k.v2() {
		statCPUV2(k.text("cpu.stat"), s)
	} else {
		statCPUAcct(k, s)
		quota := c.knobs("cpu").text("cpu.stat")
		s.Periods = value(quota, "nr_periods")
		s.ThrottledPeriods = value(quota, "nr_throttled")
		s.ThrottledTime = value(quota, "throttled_time")
		s.BurstPeriods = value(quota, "nr_bursts")
		s.BurstTime = value(quota, "burst_time")
	}
	k := c.knobs("cpuset")
	s.Cpus = strings.TrimSpace(k.text(k.pick("cpuset.cpus", "cpuset.cpus.effective")))
	s.Mems = strings.TrimSpace(k.text(k.pick("cpuset.mems", "cpuset.mems.effective")))
	if k.h != nil && !k.v2() {
		s.Cpuset = statCpusetFlags(k)
	}
	s.Pressure = c.pressure("cpu.pressure")
}

func statCpusetFlags(k knobs) (f CpusetFlags) {
	for name, to := range map[string]*uint64{
		"cpu_exclusive": &f.CPUExclusive, "mem_hardwall": &f.MemHardwall, "mem_exclusive": &f.MemExclusive,
		"memory_migrate": &f.MemoryMigrate, "memory_spread_page": &f.MemorySpreadPage, "memory_spread_slab": &f.MemorySpreadSlab,
		"memory_pressure": &f.MemoryPressure, "sched_load_balance": &f.SchedLoadBalance,
	} {
		*to = k.number("cpuset." + name)
	}
	f.SchedRelaxDomainLevel = limitOf(k.text("cpuset.sched_relax_domain_level"))
	return f
}

func statCPUV2(stat string, s *CPUStats) {
	const usec = 1000
	s.Total = value(stat, "usage_usec") * usec
	s.User = value(stat, "user_usec") * usec
	s.Kernel = value(stat, "system_usec") * usec
	s.Periods = value(stat, "nr_periods")
	s.ThrottledPeriods = value(stat, "nr_throttled")
	s.ThrottledTime = value(stat, "throttled_usec") * usec
	s.BurstPeriods = value(stat, "nr_bursts")
	s.BurstTime = value(stat, "burst_usec") * usec
}

func statCPUAcct(k knobs, s *CPUStats) {
	const tick = 1_000_000_000 / userHZ
	s.Total = k.number("cpuacct.usage")
	stat := k.text("cpuacct.stat")
	s.User = value(stat, "user") * tick
	s.Kernel = value(stat, "system") * tick
	for f := range strings.FieldsSeq(k.text("cpuacct.usage_percpu")) {
		s.PerCPU = append(s.PerCPU, number(f))
	}
	// A header, and then a line per CPU: number, user, system.
	for line := range strings.Lines(k.text("cpuacct.usage_all")) {
		f := strings.Fields(line)
		if len(f) != 3 || f[0] == "cpu" {
			continue
		}
		s.PerCPUUser = append(s.PerCPUUser, number(f[1]))
		s.PerCPUKernel = append(s.PerCPUKernel, number(f[2]))
	}
}

func (c *Cgroup) statMemory(s *MemoryStats) {
	k := c.knobs("memory")
	stat := k.text("memory.stat")
	s.Raw = make(map[string]uint64, strings.Count(stat, "\n"))
	for line := range strings.Lines(stat) {
		if key, v, ok := strings.Cut(line, " "); ok {
			s.Raw[key] = number(v)
		}
	}
	s.Pressure = c.pressure("memory.pressure")
	if k.v2() {
		statMemoryV2(k, s)
		return
	}
	s.Cache = s.Raw["cache"]
	s.Memory = memoryV1(k, "memory.")
	s.Swap = memoryV1(k, "memory.memsw.")
	if s.Swap.Usage > s.Memory.Usage {
		s.SwapOnly.Usage = s.Swap.Usage - s.Memory.Usage
	}
	s.Kernel = memoryV1(k, "memory.kmem.")
	s.KernelTCP = memoryV1(k, "memory.kmem.tcp.")
	s.Hierarchical = k.number("memory.use_hierarchy") == 1
}

func memoryV1(k knobs, prefix string) MemoryUsage {
	return MemoryUsage{
		Usage:    k.number(prefix + "usage_in_bytes"),
		Max:      k.number(prefix + "max_usage_in_bytes"),
		Limit:    k.number(prefix + "limit_in_bytes"),
		Failures: k.number(prefix + "failcnt"),
	}
}

func statMemoryV2(k knobs, s *MemoryStats) {
	s.Cache = s.Raw["file"]
	s.Hierarchical = true
	s.Memory = MemoryUsage{
		Usage:    k.number("memory.current"),
		Max:      k.number("memory.peak"),
		Limit:    k.number("memory.max"),
		Failures: value(k.text("memory.events"), "max"),
	}
	s.SwapOnly = MemoryUsage{
		Usage:    k.number("memory.swap.current"),
		Max:      k.number("memory.swap.peak"),
		Limit:    k.number("memory.swap.max"),
		Failures: value(k.text("memory.swap.events"), "max"),
	}
	// As v1 counts it, so that readers need not know the version.
	s.Swap.Usage = s.Memory.Usage + s.SwapOnly.Usage
	s.Swap.Limit = Unlimited
	if s.Memory.Limit != Unlimited && s.SwapOnly.Limit != Unlimited {
		s.Swap.Limit = s.Memory.Limit + s.SwapOnly.Limit
	}
	s.Kernel.Usage = s.Raw["kernel"]
	s.KernelTCP.Usage = s.Raw["sock"]
}

func (c *Cgroup) statHugetlb() []HugetlbStats {
	k := c.knobs("hugetlb")
	if k.h == nil {
		return nil
	}
	sizes, err := pageSizes()
	if err != nil {
		return nil
	}
	var all []HugetlbStats
	for _, size := range sizes {
		prefix := "hugetlb." + size
		if k.has(prefix + ".rsvd" + k.pick(".usage_in_bytes", ".current")) {
			prefix += ".rsvd"
		} else if !k.has(prefix + k.pick(".usage_in_bytes", ".current")) {
			continue
		}
		s := HugetlbStats{PageSize: size}
		if k.v2() {
			s.Usage = k.number(prefix + ".current")
			s.Failures = value(k.text("hugetlb."+size+".events"), "max")
		} else {
			s.Usage = k.number(prefix + ".usage_in_bytes")
			s.Max = k.number(prefix + ".max_usage_in_bytes")
			s.Failures = k.number(prefix + ".failcnt")
		}
		all = append(all, s)
	}
	return all
}

// pageSizes returns the sizes of huge pages as the controller names them.
func pageSizes() ([]string, error) {
	const dir = "/sys/kernel/mm/hugepages"
	fd, err := openFile(dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	buf := make([]byte, 4096)
	n, err := unix.ReadDirent(fd, buf)
	if err != nil {
		return nil, err
	}
	_, _, names := unix.ParseDirent(buf[:n], -1, nil)
	var sizes []string
	for _, name := range names {
		if kb, ok := strings.CutPrefix(name, "hugepages-"); ok {
			sizes = append(sizes, pageSize(number(strings.TrimSuffix(kb, "kB"))))
		}
	}
	return sizes, nil
}

func pageSize(kb uint64) string {
	switch {
	case kb >= 1<<20:
		return utoa(kb>>20) + "GB"
	case kb >= 1<<10:
		return utoa(kb>>10) + "MB"
	}
	return utoa(kb) + "KB"
}
