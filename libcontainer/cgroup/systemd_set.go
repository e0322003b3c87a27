package cgroup

import (
	"errors"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/internal/dbus"
	"hull/internal/fault"
)

// setUnitProperties tells systemd the limits that it manages itself. It would
// otherwise put back its own idea of them whenever it is reloaded. The files
// are then written as without systemd, with all precision.
func (c *Cgroup) setUnitProperties(r *specs.LinuxResources) error {
	cpus, mems, err := cpusetMasks(r.CPU)
	if err != nil {
		return err
	}
	properties := func(w *dbus.Writer) {
		c.memoryProperties(w, r.Memory)
		c.cpuProperties(w, r.CPU)
		maskProperty(w, "AllowedCPUs", cpus)
		maskProperty(w, "AllowedMemoryNodes", mems)
		if r.Pids != nil && r.Pids.Limit != nil {
			numberProperty(w, "TasksMax", tasksMax(*r.Pids.Limit))
		}
		if b := r.BlockIO; b != nil && deref(b.Weight) != 0 && c.knobs("io").v2() {
			numberProperty(w, "IOWeight", uint64(ioWeight(*b.Weight)))
		}
		unifiedProperties(w, r.Unified)
	}
	return c.talk("SetUnitProperties", func(conn *dbus.Conn) error {
		if err := c.tellUnit(conn, properties); err != nil {
			return err
		}
		if r.CPU == nil || deref(r.CPU.Idle) != 1 || !c.knobs("cpu").v2() {
			return nil
		}
		return c.makeIdle(conn)
	})
}

// makeIdle tells systemd what cpu.idle is to it: a weight of 0, from systemd 252 on.
// Who does not know it does not know the file either, and leaves it alone.
func (c *Cgroup) makeIdle(conn *dbus.Conn) error {
	err := c.tellUnit(conn, func(w *dbus.Writer) { numberProperty(w, "CPUWeight", 0) })
	if refused := (*dbus.Error)(nil); errors.As(err, &refused) {
		return nil
	}
	return err
}

// tellUnit sets properties of the unit, and returns when systemd has written
// them to the files: it does before it looks for the next message.
func (c *Cgroup) tellUnit(conn *dbus.Conn, properties func(*dbus.Writer)) error {
	w := &dbus.Writer{}
	w.String(c.rec.Unit)
	w.Bool(true) // until the next boot
	w.Array(8, func() { properties(w) })
	if _, err := c.callManager(conn, "SetUnitProperties", "sba(sv)", w); err != nil {
		return err
	}
	_, err := conn.Call(dbus.Method{
		Destination: systemdName, Path: systemdPath, Interface: "org.freedesktop.DBus.Peer", Member: "Ping",
	}, "", &dbus.Writer{})
	if err != nil {
		return c.explainCall("Ping", err)
	}
	return nil
}

func tasksMax(limit int64) uint64 {
	switch {
	case limit < 0:
		return Unlimited
	case limit == 0:
		return 1 // systemd has no 0
	}
	return uint64(limit)
}

func (c *Cgroup) memoryProperties(w *dbus.Writer, m *specs.LinuxMemory) {
	if m == nil {
		return
	}
	limit := "MemoryLimit" // its name where memory is in v1
	if c.knobs("memory").v2() {
		limit = "MemoryMax"
		if v := deref(m.Reservation); v != 0 {
			numberProperty(w, "MemoryLow", uint64(v))
		}
		if swap, err := swapV2(m); err == nil && swap != "" { // else: setMemory says what is wrong
			numberProperty(w, "MemorySwapMax", number(swap))
		}
	}
	if v := deref(m.Limit); v != 0 {
		numberProperty(w, limit, uint64(v)) // -1 is infinity
	}
}

func (c *Cgroup) cpuProperties(w *dbus.Writer, p *specs.LinuxCPU) {
	if p == nil {
		return
	}
	switch k, shares := c.knobs("cpu"), deref(p.Shares); {
	case shares != 0 && k.v2():
		numberProperty(w, "CPUWeight", weight(shares))
	case shares != 0:
		numberProperty(w, "CPUShares", shares)
	case p.Idle != nil && *p.Idle == 0 && k.v2(): // else it would be idle for systemd
		if now := k.number("cpu.weight"); now != 0 {
			numberProperty(w, "CPUWeight", now)
		}
	}
	quota, period := c.bandwidth(p)
	if period != 0 {
		numberProperty(w, "CPUQuotaPeriodUSec", period)
	}
	if quota != 0 {
		numberProperty(w, "CPUQuotaPerSecUSec", quotaPerSecond(quota, period))
	}
}

// unifiedProperties appends what systemd has a property for. A value that is no
// number is left to the kernel, which says what is wrong with it.
func unifiedProperties(w *dbus.Writer, unified map[string]string) {
	names := map[string]string{
		"memory.min": "MemoryMin", "memory.low": "MemoryLow", "memory.high": "MemoryHigh", "memory.max": "MemoryMax",
		"memory.swap.max": "MemorySwapMax", "memory.zswap.max": "MemoryZSwapMax",
		"pids.max": "TasksMax", "cpu.weight": "CPUWeight", "io.weight": "IOWeight",
	}
	for _, file := range sortedKeys(unified) {
		value := strings.TrimPrefix(strings.TrimSpace(unified[file]), "default ")
		switch name := names[file]; {
		case file == "cpuset.cpus" || file == "cpuset.mems":
			if m, err := mask(value); err == nil {
				maskProperty(w, map[string]string{"cpuset.cpus": "AllowedCPUs", "cpuset.mems": "AllowedMemoryNodes"}[file], m)
			}
		case file == "cpu.max":
			bandwidthProperties(w, value)
		case name == "":
		case value == "max":
			numberProperty(w, name, Unlimited)
		default:
			if v, err := strconv.ParseUint(value, 10, 64); err == nil {
				numberProperty(w, name, v)
			}
		}
	}
}

// bandwidthProperties appends what cpu.max says: a quota or max, and a period.
func bandwidthProperties(w *dbus.Writer, value string) {
	quota, period, _ := strings.Cut(value, " ")
	p, _ := strconv.ParseUint(period, 10, 64)
	if p != 0 {
		numberProperty(w, "CPUQuotaPeriodUSec", p)
	}
	if quota == "max" {
		numberProperty(w, "CPUQuotaPerSecUSec", Unlimited)
	} else if q, err := strconv.ParseInt(quota, 10, 64); err == nil && q > 0 {
		numberProperty(w, "CPUQuotaPerSecUSec", quotaPerSecond(q, p))
	}
}

// quotaPerSecond converts a quota to systemd's measure, which it keeps in whole
// percents: rounded up, for the container's share must not be less.
func quotaPerSecond(quota int64, period uint64) uint64 {
	const (
		second        = 1_000_000
		percent       = second / 100
		defaultPeriod = second / 10
	)
	if quota < 0 {
		return Unlimited
	}
	if period == 0 {
		period = defaultPeriod
	}
	perSecond := uint64(quota) * second / period
	return (perSecond + percent - 1) / percent * percent
}

func cpusetMasks(p *specs.LinuxCPU) (cpus, mems []byte, err error) {
	if p == nil {
		return nil, nil, nil
	}
	if cpus, err = mask(p.Cpus); err != nil {
		return nil, nil, fault.New("set linux.resources.cpu.cpus", p.Cpus, err)
	}
	if mems, err = mask(p.Mems); err != nil {
		return nil, nil, fault.New("set linux.resources.cpu.mems", p.Mems, err)
	}
	return cpus, mems, nil
}

// maxMask bounds the numbers in a mask; no kernel has more CPUs.
const maxMask = 1 << 16

// mask turns a list like "0-3,7" into a little-endian set of bits.
func mask(list string) ([]byte, error) {
	var m []byte
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		from, to, ok := strings.Cut(part, "-")
		if !ok {
			to = from
		}
		first, err := strconv.ParseUint(from, 10, 32)
		if err != nil {
			return nil, fault.Newf("", part, "it is not a number or a range")
		}
		last, err := strconv.ParseUint(to, 10, 32)
		if err != nil || last < first || last >= maxMask {
			return nil, fault.Newf("", part, "it is not a number or a range")
		}
		for i := first; i <= last; i++ {
			for uint64(len(m)) <= i/8 {
				m = append(m, 0)
			}
			m[i/8] |= 1 << (i % 8)
		}
	}
	return m, nil
}

func maskProperty(w *dbus.Writer, name string, m []byte) {
	if len(m) > 0 {
		property(w, name, "ay", func() { w.Bytes(m) })
	}
}
