package cgroup

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// setMemory applies linux.resources.memory. v1 kernels since 5.16 take a value
// for kernel and forget it, and since 5.11 every cgroup accounts what is below
// it: both are worth a warning there, and what v2 has no counterpart for is an
// error (config-linux.md, "Unified").
func (c *Cgroup) setMemory(r *specs.LinuxResources) error {
	if m := r.Memory; m != nil {
		k := c.knobs("memory")
		c.warnIgnored(k, m)
		set := setMemoryV1
		if k.v2() {
			set = setMemoryV2
		}
		if err := set(k, r); err != nil {
			return err
		}
	}
	return c.setUnifiedMemory(r)
}

func (c *Cgroup) warnIgnored(k knobs, m *specs.LinuxMemory) {
	//nolint:staticcheck // deprecated in the spec, and found in configurations
	if limit := deref(m.Kernel); limit > 0 && !k.v2() {
		c.warn(fault.Newf("set linux.resources.memory.kernel", strconv.FormatInt(limit, 10),
			"ignored: kernel memory counts for memory.limit, and Linux has no limit of its own for it"))
	}
	if m.UseHierarchy != nil && !*m.UseHierarchy {
		c.warn(fault.Newf("set linux.resources.memory.useHierarchy", "false",
			"ignored: the memory of a cgroup includes that of those below it, always (Linux 5.11)"))
	}
}

func setMemoryV1(k knobs, r *specs.LinuxResources) error {
	m := r.Memory
	var limits, others list
	limits.addInt("memory.limit", "memory.limit_in_bytes", m.Limit)
	if memsw := swapV1(k, m); memsw != 0 {
		limits.addInt("memory.swap", "memory.memsw.limit_in_bytes", &memsw)
	}
	if err := k.settle(limits); err != nil {
		return err
	}
	others.addInt("memory.reservation", "memory.soft_limit_in_bytes", m.Reservation)
	others.addInt("memory.kernelTCP", "memory.kmem.tcp.limit_in_bytes", m.KernelTCP)
	if m.DisableOOMKiller != nil && *m.DisableOOMKiller {
		others.add("memory.disableOOMKiller", "memory.oom_control", "1")
	}
	if s := m.Swappiness; s != nil && int64(*s) != -1 {
		others.add("memory.swappiness", "memory.swappiness", strconv.FormatUint(*s, 10))
	}
	return k.settle(others)
}

// swapV1 returns the limit of memory and swap together. Lifting the memory
// limit lifts it as well, since it could otherwise not be reached.
func swapV1(k knobs, m *specs.LinuxMemory) int64 {
	swap, limit := deref(m.Swap), deref(m.Limit)
	if swap != 0 && swap != -1 {
		return swap
	}
	if swap == 0 && limit != -1 {
		return 0
	}
	// A kernel without swap accounting has nothing to lift.
	if _, err := k.read("memory.memsw.limit_in_bytes"); errors.Is(err, unix.ENOENT) {
		return 0
	}
	return -1
}

func setMemoryV2(k knobs, r *specs.LinuxResources) error {
	m := r.Memory
	if err := k.writeEach(onlyMemoryV1(m)); err != nil {
		return err
	}
	swap, err := swapV2(m)
	if err != nil {
		return err
	}
	var l list
	// Without swap there is nothing to forbid and nothing to lift.
	if swap != "" && (swap != "max" && swap != "0" || k.has("memory.swap.max")) {
		l.add("memory.swap", "memory.swap.max", swap)
	}
	if m.Limit != nil && *m.Limit != 0 {
		l.add("memory.limit", "memory.max", orMax(*m.Limit))
	}
	if m.Reservation != nil && *m.Reservation != 0 {
		l.add("memory.reservation", "memory.low", orMax(*m.Reservation))
	}
	return k.settle(slices.DeleteFunc(l, func(s setting) bool { return k.leaves(r, s.file) }))
}

// onlyMemoryV1 lists what v2 has no file for, if it asks for something.
func onlyMemoryV1(m *specs.LinuxMemory) list {
	var l list
	if deref(m.DisableOOMKiller) {
		l.add("memory.disableOOMKiller", "", "true")
	}
	if s := m.Swappiness; s != nil && int64(*s) != -1 {
		l.add("memory.swappiness", "", strconv.FormatUint(*s, 10))
	}
	//nolint:staticcheck // deprecated in the spec, and found in configurations
	if m.Kernel != nil && *m.Kernel != -1 {
		l.addInt("memory.kernel", "", m.Kernel)
	}
	if m.KernelTCP != nil && *m.KernelTCP != -1 {
		l.addInt("memory.kernelTCP", "", m.KernelTCP)
	}
	return l
}

// swapV2 converts memory.swap, which is memory and swap together, into the
// limit of swap alone; empty leaves it.
func swapV2(m *specs.LinuxMemory) (string, error) {
	swap, limit := deref(m.Swap), deref(m.Limit)
	switch {
	case swap == -1, swap == 0 && limit == -1:
		return "max", nil
	case swap == 0:
		return "", nil
	case limit == -1:
		return strconv.FormatInt(swap, 10), nil
	case limit <= 0:
		return "", fault.Newf("set linux.resources.memory.swap", strconv.FormatInt(swap, 10),
			"memory.limit must be set with it").WithHint("it is the limit of memory and swap together")
	case swap < limit:
		return "", fault.Newf("set linux.resources.memory.swap", strconv.FormatInt(swap, 10),
			"it is less than memory.limit").WithHint("it is the limit of memory and swap together")
	}
	return strconv.FormatInt(swap-limit, 10), nil
}

// checkMemory refuses limits for which the kernel would kill.
func (c *Cgroup) checkMemory(r *specs.LinuxResources) error {
	m := r.Memory
	if m == nil {
		return nil
	}
	// Somebody who means megabytes writes such limits.
	if limit := deref(m.Limit); limit > 0 && limit < int64(os.Getpagesize()) {
		return fault.Newf("set linux.resources.memory.limit", strconv.FormatInt(limit, 10),
			"it is less than a page of memory").WithHint("it is in bytes")
	}
	return checkUsage(c.knobs("memory"), r)
}

// checkUsage refuses a limit that is already exceeded, if the user wants that:
// v2 would accept it and kill what is above.
func checkUsage(k knobs, r *specs.LinuxResources) error {
	m := r.Memory
	if m.CheckBeforeUpdate == nil || !*m.CheckBeforeUpdate || !k.v2() {
		return nil
	}
	// A cgroup without the controller has used nothing yet.
	content := k.text("memory.current")
	usage, _ := strconv.ParseInt(strings.TrimSpace(content), 10, 64)
	for _, l := range [...]struct {
		field, file string
		v           int64
	}{{"memory.limit", "memory.max", deref(m.Limit)}, {"memory.swap", "memory.swap.max", deref(m.Swap)}} {
		if l.v > 0 && l.v <= usage && !k.leaves(r, l.file) {
			return fault.Newf("set linux.resources."+l.field, strconv.FormatInt(l.v, 10),
				"%d bytes are in use", usage).WithHint("memory.checkBeforeUpdate is set")
		}
	}
	return nil
}

func (k knobs) has(file string) bool {
	_, err := k.read(file)
	return err == nil
}

func orMax(v int64) string {
	if v == -1 {
		return "max"
	}
	return strconv.FormatInt(v, 10)
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
