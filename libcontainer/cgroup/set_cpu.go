package cgroup

import (
	"math"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/internal/fault"
)

// The range of cpu.shares; the kernel silently moves a value into it.
const (
	minShares = 2
	maxShares = 1 << 18
)

func (c *Cgroup) setCPU(r *specs.LinuxResources) error {
	p := r.CPU
	if p == nil {
		return nil
	}
	k := c.knobs("cpu")
	var l list
	idle, field := k.idle(r)
	if idle != nil {
		l.add(field, "cpu.idle", strconv.FormatInt(*idle, 10))
	}
	shares := deref(p.Shares)
	if deref(idle) == 1 {
		shares = 0 // what is idle has no weight to set, on either version
	}
	if k.v2() {
		return setCPUV2(k, p, l, shares)
	}
	if s := deref(p.Shares); s != 0 && (s < minShares || s > maxShares) {
		return fault.Newf("set linux.resources.cpu.shares", strconv.FormatUint(s, 10),
			"it must be between %d and %d", minShares, maxShares)
	}
	l.addUint("cpu.shares", "cpu.shares", &shares)
	l.addUint("cpu.period", "cpu.cfs_period_us", p.Period)
	l.addInt("cpu.quota", "cpu.cfs_quota_us", p.Quota)
	if p.Burst != nil {
		l.add("cpu.burst", "cpu.cfs_burst_us", strconv.FormatUint(*p.Burst, 10))
	}
	l.addUint("cpu.realtimePeriod", "cpu.rt_period_us", p.RealtimePeriod)
	l.addInt("cpu.realtimeRuntime", "cpu.rt_runtime_us", p.RealtimeRuntime)
	return k.settle(l)
}

func setCPUV2(k knobs, p *specs.LinuxCPU, l list, shares uint64) error {
	if shares != 0 {
		l.add("cpu.shares", "cpu.weight", strconv.FormatUint(weight(shares), 10))
	}
	if quota, period := deref(p.Quota), deref(p.Period); quota != 0 || period != 0 {
		field := "cpu.quota"
		if quota == 0 {
			field = "cpu.period"
		}
		l.add(field, "cpu.max", cpuMax(k, quota, period))
	}
	if p.Burst != nil {
		l.add("cpu.burst", "cpu.max.burst", strconv.FormatUint(*p.Burst, 10))
	}
	l.addUint("cpu.realtimePeriod", "", p.RealtimePeriod)
	l.addInt("cpu.realtimeRuntime", "", p.RealtimeRuntime)
	return k.settle(l)
}

// cpuMax returns the value of cpu.max. The kernel keeps a period that is not
// given; a quota that is not given is kept here.
func cpuMax(k knobs, quota int64, period uint64) string {
	limit := "max"
	switch {
	case quota > 0:
		limit = strconv.FormatInt(quota, 10)
	case quota == 0:
		if now, err := k.read("cpu.max"); err == nil {
			if f := strings.Fields(now); len(f) > 0 {
				limit = f[0]
			}
		}
	}
	if period == 0 {
		return limit
	}
	return limit + " " + strconv.FormatUint(period, 10)
}

// weight converts cpu.shares, 2 to 262144 with the default 1024, to
// cpu.weight, 1 to 10000 with the default 100: the curve through these three
// points that runtimes have agreed on (kubernetes/kubernetes#131216).
func weight(shares uint64) uint64 {
	if shares <= minShares {
		return 1
	}
	if shares >= maxShares {
		return 10000
	}
	l := math.Log2(float64(shares))
	return uint64(math.Ceil(math.Pow(10, (l*l+125*l)/612-7.0/34)))
}
