package cgroup

import (
	"cmp"
	"errors"
	"slices"
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
	named := c.unifiedProperties(r)
	typed, err := c.typedProperties(r)
	if err != nil {
		return err
	}
	typed = slices.DeleteFunc(typed, func(p limitProperty) bool { return named.has(p.name) })
	return c.talk("SetUnitProperties", func(conn *dbus.Conn) error {
		err := c.tellUnit(conn, append(slices.Clip(typed), named...))
		if isRefusal(err) && len(named) > 0 {
			err = c.tellApart(conn, typed, named)
		}
		if idle, _ := c.knobs("cpu").idle(r); err != nil || deref(idle) != 1 || !c.knobs("cpu").v2() {
			return err
		}
		// What cpu.idle is to systemd, from 252 on. Who does not know it does not
		// know the file either, and leaves it alone.
		var weight limitProperties
		weight.add("CPUWeight", 0)
		return c.tellIfKnown(conn, weight)
	})
}

// tellApart tells one property after the other of those that follow from a name of
// unified. The file is the kernel's, and a property of that name may be younger than
// this systemd, as MemoryZSwapMax (253), which then leaves the file alone.
func (c *Cgroup) tellApart(conn *dbus.Conn, typed, named limitProperties) error {
	err := c.tellUnit(conn, typed)
	for i := range named {
		if err == nil {
			err = c.tellIfKnown(conn, named[i:i+1])
		}
	}
	return err
}

// tellIfKnown is tellUnit where systemd may refuse.
func (c *Cgroup) tellIfKnown(conn *dbus.Conn, properties limitProperties) error {
	if err := c.tellUnit(conn, properties); !isRefusal(err) {
		return err
	}
	return nil
}

// isRefusal reports whether systemd has answered, and with no.
func isRefusal(err error) bool {
	refused := (*dbus.Error)(nil)
	return errors.As(err, &refused)
}

// tellUnit sets properties of the unit, and returns when systemd has written
// them to the files: it does before it looks for the next message.
func (c *Cgroup) tellUnit(conn *dbus.Conn, properties limitProperties) error {
	w := &dbus.Writer{}
	w.String(c.rec.Unit)
	w.Bool(true) // until the next boot
	w.Array(8, func() {
		for _, p := range properties {
			p.append(w)
		}
	})
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

// typedProperties are those that follow from the properties of linux.resources, but
// unified.
func (c *Cgroup) typedProperties(r *specs.LinuxResources) (l limitProperties, err error) {
	cpus, mems, err := cpusetMasks(r.CPU)
	if err != nil {
		return nil, err
	}
	l = append(c.memoryProperties(r.Memory), c.cpuProperties(r)...)
	l.addMask("AllowedCPUs", cpus)
	l.addMask("AllowedMemoryNodes", mems)
	if r.Pids != nil && r.Pids.Limit != nil {
		limit := Unlimited
		if n := *r.Pids.Limit; n >= 0 {
			limit = uint64(n)
		}
		l.add("TasksMax", limit)
	}
	if b := r.BlockIO; b != nil && deref(b.Weight) != 0 && c.knobs("io").v2() {
		l.add("IOWeight", uint64(ioWeight(*b.Weight)))
	}
	return l, nil
}

func (c *Cgroup) memoryProperties(m *specs.LinuxMemory) (l limitProperties) {
	if m == nil {
		return nil
	}
	limit := "MemoryLimit" // its name where memory is in v1
	if c.knobs("memory").v2() {
		limit = "MemoryMax"
		if v := deref(m.Reservation); v != 0 {
			l.add("MemoryLow", uint64(v))
		}
		if swap, err := swapV2(m); err == nil && swap != "" { // else: setMemory says what is wrong
			l.add("MemorySwapMax", number(swap))
		}
	}
	if v := deref(m.Limit); v != 0 {
		l.add(limit, uint64(v)) // -1 is infinity
	}
	return l
}

func (c *Cgroup) cpuProperties(r *specs.LinuxResources) (l limitProperties) {
	p := cmp.Or(r.CPU, &specs.LinuxCPU{})
	k := c.knobs("cpu")
	idle, _ := k.idle(r)
	switch shares := deref(p.Shares); {
	case shares != 0 && k.v2():
		l.add("CPUWeight", weight(shares))
	case shares != 0:
		l.add("CPUShares", shares)
	case idle != nil && *idle == 0 && k.v2(): // else it would be idle for systemd
		if now := k.number("cpu.weight"); now != 0 {
			l.add("CPUWeight", now)
		}
	}
	quota, period := c.bandwidth(p)
	if period != 0 {
		l.add("CPUQuotaPeriodUSec", period)
	}
	if quota != 0 {
		l.add("CPUQuotaPerSecUSec", quotaPerSecond(quota, period))
	}
	return l
}

// unifiedProperties are what systemd has a property for. A value that is none is
// left to the kernel, which says what is wrong with it.
func (c *Cgroup) unifiedProperties(r *specs.LinuxResources) (l limitProperties) {
	if len(r.Unified) == 0 {
		return nil
	}
	names := map[string]string{
		"memory.min": "MemoryMin", "memory.low": "MemoryLow", "memory.high": "MemoryHigh", "memory.max": "MemoryMax",
		"memory.swap.max": "MemorySwapMax", "memory.zswap.max": "MemoryZSwapMax",
		"pids.max": "TasksMax", "cpu.weight": "CPUWeight", "io.weight": "IOWeight",
		"cpuset.cpus": "AllowedCPUs", "cpuset.mems": "AllowedMemoryNodes",
	}
	for _, file := range sortedKeys(r.Unified) {
		value := strings.TrimPrefix(lastCommand(r.Unified[file]), "default ")
		switch name := names[file]; {
		case file == "cpuset.cpus" || file == "cpuset.mems":
			if m, err := mask(value); err == nil {
				l.addMask(name, m)
			}
		case file == "cpu.max":
			c.addBandwidth(&l, r.CPU, value)
		case name == "":
		default:
			// A weight of 0 is idle to systemd, and nothing to the kernel.
			if v, ok := unifiedNumber(file, value); ok && (v != 0 || name != "CPUWeight") {
				l.add(name, v)
			}
		}
	}
	return l
}

// addBandwidth adds what cpu.max says: a quota or max, and a period, without which
// it is the one that there is, or is going to be.
func (c *Cgroup) addBandwidth(l *limitProperties, typed *specs.LinuxCPU, value string) {
	f := append(strings.Fields(value), "", "")
	period, _ := strconv.ParseUint(f[1], 10, 64)
	if period != 0 {
		l.add("CPUQuotaPeriodUSec", period)
	}
	if f[0] == "max" {
		l.add("CPUQuotaPerSecUSec", Unlimited)
	} else if quota, err := strconv.ParseInt(f[0], 10, 64); err == nil && quota > 0 {
		if period == 0 && typed != nil {
			period = deref(typed.Period)
		}
		_, period = c.bandwidth(&specs.LinuxCPU{Quota: &quota, Period: &period})
		l.add("CPUQuotaPerSecUSec", quotaPerSecond(quota, period))
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
