package cgroup

import (
	"math"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/internal/fault"
)

// What the kernel holds.
const (
	maxPids       = 1 << 22        // PID_MAX_LIMIT, Linux 6.18
	maxSwappiness = 200            // since Linux 5.8
	maxDevice     = 1<<32 - 1      // what the device controllers compare with
	minQuota      = 1000           // 1 ms, min_cfs_quota_period
	minPeriod     = 1000           // the same
	maxPeriod     = 1_000_000      // 1 s, max_cfs_quota_period
	maxQuota      = 1<<44 - 1      // max_cfs_runtime in microseconds
	maxInterface  = 15             // IFNAMSIZ without the NUL
	minWeight     = 10             // of blkio and BFQ
	maxWeight     = 1000           // the same
	legacyMinus1  = math.MaxUint64 // swappiness -1, as engines write "leave it"
)

// Validate returns every value of linux.resources that no hierarchy of any
// version takes, as a fault.InvalidError. It looks at the document only: see
// Foresee.
func Validate(r *specs.LinuxResources) error { return new(validator).validate(r) }

// ValidateUpdate is Validate for Update: what r does not name may be there
// already.
func ValidateUpdate(r *specs.LinuxResources) error {
	return (&validator{inUse: true}).validate(r)
}

// validator collects problems.
type validator struct {
	problems fault.InvalidError
	// inUse says that there are values beside those that are looked at.
	inUse bool
}

func (v *validator) validate(r *specs.LinuxResources) error {
	if r == nil {
		return nil
	}
	v.pids(r.Pids)
	v.memory(r.Memory)
	v.cpu(r.CPU)
	v.blockIO(r.BlockIO)
	v.hugepages(r.HugepageLimits)
	v.network(r.Network)
	v.rdma(r.Rdma)
	v.unified(r.Unified)
	v.devices(r.Devices)
	return v.problems.Err()
}

// refuse reports the value of a property below linux.resources.
func (v *validator) refuse(field, format string, args ...any) {
	v.problems.Add("linux.resources."+field, format, args...)
}

func index(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }

func (v *validator) pids(p *specs.LinuxPids) {
	if p != nil && (deref(p.Limit) < -1 || deref(p.Limit) > maxPids) {
		v.refuse("pids.limit", "%d is not from 0 to %d, the most that the kernel has (-1 is no limit)", *p.Limit, maxPids)
	}
}

func (v *validator) memory(m *specs.LinuxMemory) {
	if m == nil {
		return
	}
	for _, l := range [...]struct {
		field string
		value *int64
	}{
		{"limit", m.Limit}, {"reservation", m.Reservation}, {"swap", m.Swap}, {"kernelTCP", m.KernelTCP},
	} {
		if deref(l.value) < -1 {
			v.refuse("memory."+l.field, "%d is not a number of bytes, or -1 for no limit", *l.value)
		}
	}
	if deref(m.Swap) > 0 && deref(m.Limit) == 0 && !v.inUse {
		v.refuse("memory.swap", "needs memory.limit; it is the limit of memory and swap together")
	}
	if swap, limit := deref(m.Swap), deref(m.Limit); swap > 0 && limit > 0 && swap < limit {
		v.refuse("memory.swap", "%d is below memory.limit, %d; it is the limit of memory and swap together", swap, limit)
	}
	if s := m.Swappiness; s != nil && *s > maxSwappiness && *s != legacyMinus1 {
		v.refuse("memory.swappiness", "%d is not from 0 to %d", *s, maxSwappiness)
	}
}

func (v *validator) cpu(c *specs.LinuxCPU) {
	if c == nil {
		return
	}
	if q := deref(c.Quota); q > 0 && (q < minQuota || q > maxQuota) {
		v.refuse("cpu.quota", "%d is not from %d to %d microseconds (-1 is no limit)", q, minQuota, int64(maxQuota))
	}
	if p := deref(c.Period); p != 0 && (p < minPeriod || p > maxPeriod) {
		v.refuse("cpu.period", "%d is not from %d to %d microseconds", p, minPeriod, maxPeriod)
	}
	if q := deref(c.Quota); q > 0 && deref(c.Burst) > uint64(q) {
		v.refuse("cpu.burst", "%d is above cpu.quota, %d", *c.Burst, q)
	}
	v.realtime(c)
	if i := deref(c.Idle); i != 0 && i != 1 {
		v.refuse("cpu.idle", "%d is neither 0 nor 1", i)
	}
	for _, l := range [...]struct{ field, value string }{{"cpu.cpus", c.Cpus}, {"cpu.mems", c.Mems}} {
		if _, err := mask(l.value); err != nil {
			v.refuse(l.field, "%q is not a list of numbers and ranges such as 0-3,7", l.value)
		}
	}
}

func (v *validator) realtime(c *specs.LinuxCPU) {
	if p := deref(c.RealtimePeriod); p != 0 && deref(c.RealtimeRuntime) > 0 && uint64(*c.RealtimeRuntime) > p {
		v.refuse("cpu.realtimeRuntime", "%d is above cpu.realtimePeriod, %d", *c.RealtimeRuntime, p)
	}
	if r := deref(c.RealtimeRuntime); r < -1 {
		v.refuse("cpu.realtimeRuntime", "%d is not a number of microseconds, or -1 for no limit", r)
	}
}

func (v *validator) blockIO(b *specs.LinuxBlockIO) {
	if b == nil {
		return
	}
	v.weight("blockIO.weight", b.Weight)
	v.weight("blockIO.leafWeight", b.LeafWeight)
	for i, d := range b.WeightDevice {
		field := index("blockIO.weightDevice", i)
		v.weight(field+".weight", d.Weight)
		v.weight(field+".leafWeight", d.LeafWeight)
		if d.Weight == nil && d.LeafWeight == nil {
			v.refuse(field, "must have weight or leafWeight")
		}
		v.device(field, d.LinuxBlockIODevice)
	}
	for _, t := range throttles(b) {
		for i, d := range t.devices {
			v.device(index(t.field, i), d.LinuxBlockIODevice)
		}
	}
}

// weight refuses what neither blkio nor BFQ takes; 0 leaves the weight as it is.
func (v *validator) weight(field string, w *uint16) {
	if w := deref(w); w != 0 && (w < minWeight || w > maxWeight) {
		v.refuse(field, "%d is not from %d to %d", w, minWeight, maxWeight)
	}
}

func (v *validator) device(field string, d specs.LinuxBlockIODevice) {
	if d.Major < 0 || d.Major > maxDevice {
		v.refuse(field+".major", "%d is not the number of a device", d.Major)
	}
	if d.Minor < 0 || d.Minor > maxDevice {
		v.refuse(field+".minor", "%d is not the number of a device", d.Minor)
	}
}

func (v *validator) hugepages(limits []specs.LinuxHugepageLimit) {
	for i, l := range limits {
		number, unit := strings.TrimRight(l.Pagesize, "BGKM"), strings.TrimLeft(l.Pagesize, "0123456789")
		_, err := strconv.ParseUint(number, 10, 32)
		if err != nil || number[0] == '0' || unit != "KB" && unit != "MB" && unit != "GB" {
			v.refuse(index("hugepageLimits", i)+".pageSize", `%q is not a size such as "64KB", "2MB" or "1GB"`, l.Pagesize)
		}
	}
}

func (v *validator) network(n *specs.LinuxNetwork) {
	if n == nil {
		return
	}
	for i, p := range n.Priorities {
		if !isWord(p.Name) || len(p.Name) > maxInterface {
			v.refuse(index("network.priorities", i)+".name", "%q is not the name of a network device (1 to %d bytes without blank and slash)", p.Name, maxInterface)
		}
	}
}

func (v *validator) rdma(limits map[string]specs.LinuxRdma) {
	for _, device := range sortedKeys(limits) {
		if !isWord(device) {
			v.refuse("rdma", "%q is not the name of a device", device)
		} else if limits[device].HcaHandles == nil && limits[device].HcaObjects == nil {
			v.refuse("rdma."+device, "must have hcaHandles or hcaObjects")
		}
	}
}

func (v *validator) unified(files map[string]string) {
	for _, file := range sortedKeys(files) {
		controller, parameter, _ := strings.Cut(file, ".")
		if controller == "" || parameter == "" || !isWord(file) {
			v.refuse("unified", "%q is not a file name of the form controller.parameter", file)
		}
		// The kernel would kill for it.
		if strings.TrimSpace(files[file]) == "" && (controller == "memory" || controller == "hugetlb") {
			v.refuse("unified."+file, "must have a value (the kernel takes none for 0)")
		}
	}
}

// isWord reports whether s can be a word of a line, and the name of a file.
func isWord(s string) bool {
	return s != "" && len(s) <= maxName && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '/' || r == 0x7f })
}

// devices refuses rules that the device controllers cannot enforce.
func (v *validator) devices(rules []specs.LinuxDeviceCgroup) {
	if _, err := compileDevices(rules); err != nil {
		v.problems = append(v.problems, err)
	}
}
