package cgroup

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/internal/fault"
)

// Update changes what r names of linux.resources, for a cgroup in use, and
// leaves the rest as it is. It does all or nothing: the error says which file
// refused which value and what is in use, and what was written before that is
// taken back. The kernel's files are the only record of the limits; whoever
// asks next asks them. Under systemd the unit is told as well.
//
// Device rules replace those before, without a moment in which a device is
// denied that both allow. Rules that say no more than that nothing is allowed
// are those that engines begin every list with, and change nothing.
func (c *Cgroup) Update(r *specs.LinuxResources, warn func(error)) error {
	if c.core() == nil {
		return fault.New("change", "linux.resources", ErrNoCgroup)
	}
	u := *c
	u.journal = &journal{}
	u.warn = warn
	defer u.journal.close()
	err := u.update(r)
	if err == nil {
		return nil
	}
	if undone := u.journal.undo(); undone != nil {
		return fmt.Errorf("%w; %w", err, undone)
	}
	return err
}

func (c *Cgroup) update(r *specs.LinuxResources) error {
	full, err := c.complete(r)
	if err != nil {
		return err
	}
	if err := c.apply(full); err != nil || c.rec.Driver != Systemd {
		return err
	}
	// What the kernel accepts, systemd will; what systemd makes of it, in
	// whole percents, is then made right.
	if err := c.setUnitProperties(full); err != nil {
		return err
	}
	again := *c
	again.journal, again.warn = nil, func(error) {}
	return again.writeAll(full)
}

// apply writes what is in r, what can be undone before what cannot.
func (c *Cgroup) apply(r *specs.LinuxResources) error {
	if err := c.checkMemory(r); err != nil {
		return err
	}
	setters := c.setters()
	last := len(setters) - 1
	for _, set := range append(setters[:last:last], c.updateDevices, setters[last]) {
		if err := set(r); err != nil {
			return err
		}
	}
	return nil
}

// complete adds what a value of r means together with one that r does not name.
func (c *Cgroup) complete(r *specs.LinuxResources) (*specs.LinuxResources, error) {
	full := *r
	if r.Memory != nil {
		m := *r.Memory
		full.Memory = &m
		if k := c.knobs("memory"); k.v2() {
			if err := completeMemory(k, &full); err != nil {
				return nil, err
			}
		}
	}
	return &full, nil
}

// completeMemory keeps what memory.swap is: the limit of memory and swap
// together, where v2 has one of swap alone. So a new limit of memory is made up for
// with swap, as on v1, and has to come with memory.swap where it is above the sum:
// that is what "docker update --memory" is documented to do.
//
// Where no swap is allowed, there is no sum to keep: none is then allowed with any
// limit of memory. The kubelet says it so, with "memory.swap.max": "0" in unified
// and without memory.swap, when it makes a container and when it resizes one; and
// who forbade swap must not get any for having less memory. (No limit of memory is
// none of swap: see swapV2.) What unified names itself is left to it.
func completeMemory(k knobs, r *specs.LinuxResources) error {
	m := r.Memory
	limit, swap := deref(m.Limit), deref(m.Swap)
	switch {
	case swap > 0 && limit == 0:
		now := k.limitWith(r, "memory.max")
		m.Limit = &now
	case limit > 0 && swap == 0 && !k.leaves(r, "memory.max") && !k.leaves(r, "memory.swap.max"):
		memory, only := limitOf(k.text("memory.max")), limitOf(k.text("memory.swap.max"))
		if memory == -1 || only <= 0 {
			return nil
		}
		sum := memory + only
		if sum < limit {
			return fault.Newf("set linux.resources.memory.limit", strconv.FormatInt(limit, 10),
				"memory and swap together are limited to %d", sum).WithHint("memory.swap has to be set with it")
		}
		m.Swap = &sum
	}
	return nil
}

// limitWith is the limit of memory that there is with r.
func (k knobs) limitWith(r *specs.LinuxResources, file string) int64 {
	if !k.leaves(r, file) {
		return limitOf(k.text(file))
	}
	if v, ok := unifiedNumber(file, r.Unified[file]); ok && v <= math.MaxInt64 {
		return int64(v)
	}
	return -1
}

// limitOf parses a limit of v2. None, or no such file, is -1.
func limitOf(content string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(content), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// bandwidth completes a quota or a period with the one that is in use: systemd
// has to know the share that they make together.
func (c *Cgroup) bandwidth(p *specs.LinuxCPU) (quota int64, period uint64) {
	quota, period = deref(p.Quota), deref(p.Period)
	if quota == 0 && period == 0 {
		return 0, 0
	}
	k := c.knobs("cpu")
	now := k.text("cpu.cfs_quota_us") + " " + k.text("cpu.cfs_period_us")
	if k.v2() {
		now = k.text("cpu.max")
	}
	f := append(strings.Fields(now), "", "")
	if quota == 0 {
		quota = limitOf(f[0])
	}
	if period == 0 {
		period = number(f[1])
	}
	return quota, period
}

// updateDevices replaces the device rules, if there are any that allow
// something.
func (c *Cgroup) updateDevices(r *specs.LinuxResources) error {
	if !slices.ContainsFunc(r.Devices, func(d specs.LinuxDeviceCgroup) bool { return d.Allow || d.Type != "" && d.Type != "a" }) {
		return nil
	}
	list, err := compileDevices(r.Devices)
	if err != nil {
		return err
	}
	h := c.controller("devices")
	switch {
	case h == nil:
		return fault.New("set", "linux.resources.devices", errNoController)
	case h.v2():
		return list.replace(h.dir(), c.journal)
	}
	return list.amend(h.dir(), c.journal)
}
