package cgroup

import (
	"os"
	"slices"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/internal/fault"
)

// What an init stage may take of a cgroup before it executes the program, with
// a margin: it is the Go runtime that takes it, and execve(2) gives it back.
const (
	initMemory = 4 << 20
	initTasks  = 12
)

// tight returns the hierarchies that an init stage would not fit into: with the
// limits of r, or with those above, as of a pod. The cgroup's own limit of pids is
// not among them: Set gives it when the threads are there, and what is there may
// exceed it.
func (c *Cgroup) tight(r *specs.LinuxResources) (list []*Hierarchy) {
	if k := c.knobs("memory"); k.h != nil && k.memoryLimit(r) < initMemory {
		list = append(list, k.h)
	}
	return c.addFull(list, func(h *Hierarchy) []string { return above(h.Path) })
}

// memoryLimit is how much memory r allows.
func (k knobs) memoryLimit(r *specs.LinuxResources) uint64 {
	limit := Unlimited
	if r == nil {
		return limit
	}
	if r.Memory != nil && deref(r.Memory.Limit) > 0 && !k.leaves(r, "memory.max") {
		limit = uint64(*r.Memory.Limit)
	}
	for _, file := range [...]string{"memory.max", "memory.high"} {
		if v, ok := unifiedNumber(file, r.Unified[file]); ok {
			limit = min(limit, v)
		}
	}
	return limit
}

// crowded returns the hierarchies that have no room for an init stage now.
func (c *Cgroup) crowded() []*Hierarchy {
	return c.addFull(nil, func(h *Hierarchy) []string { return append(above(h.Path), h.Path) })
}

// above are the cgroups above p that can be seen: the root of the mount, which has
// limits if it is not the root of all, is "".
func above(p string) []string { return append(ancestors(p), "") }

// addFull adds the hierarchies in which a cgroup has no room for an init stage.
func (c *Cgroup) addFull(list []*Hierarchy, cgroups func(*Hierarchy) []string) []*Hierarchy {
	memory, pids := c.controller("memory"), c.controller("pids")
	if memory != nil && !slices.Contains(list, memory) && slices.ContainsFunc(cgroups(memory), memory.lacksMemory) {
		list = append(list, memory)
	}
	if pids != nil && !slices.Contains(list, pids) && slices.ContainsFunc(cgroups(pids), pids.lacksPids) {
		list = append(list, pids)
	}
	return list
}

// lacksMemory reports whether the cgroup p has less than initMemory left. What the
// kernel has of files, and nobody has used lately, it gives back.
func (h *Hierarchy) lacksMemory(p string) bool {
	limit, usage, idle := "/memory.max", "/memory.current", "inactive_file"
	if !h.v2() {
		limit, usage, idle = "/memory.limit_in_bytes", "/memory.usage_in_bytes", "total_inactive_file"
	}
	left, limited := h.left(p, limit, usage)
	if !limited || left >= initMemory {
		return false
	}
	stat, _ := readFile(h.Mount + p + "/memory.stat")
	return left+int64(value(stat, idle)) < initMemory
}

// lacksPids reports whether the cgroup p has less than initTasks left.
func (h *Hierarchy) lacksPids(p string) bool {
	left, limited := h.left(p, "/pids.max", "/pids.current")
	return limited && left < initTasks
}

// checkPids returns an error if a cgroup above takes no more processes. A move into it
// would be possible, and more than whoever set the limit wants.
func (c *Cgroup) checkPids() error {
	h := c.controller("pids")
	if h == nil {
		return nil
	}
	for _, p := range above(h.Path) {
		if left, limited := h.left(p, "/pids.max", "/pids.current"); limited && left <= 0 {
			return fault.Newf("use cgroup", h.dir(), "%s has as many processes as its pids.max allows", h.Mount+p)
		}
	}
	return nil
}

// noLimitV1 is less than what v1 has for no limit of memory, a number of pages.
const noLimitV1 = 1 << 62

// left is what remains of a limit, if there is one.
func (h *Hierarchy) left(p, limit, usage string) (left int64, limited bool) {
	text, err := readFile(h.Mount + p + limit)
	most := limitOf(text)
	if err != nil || most == -1 || most >= noLimitV1 {
		return 0, false
	}
	used, err := readFile(h.Mount + p + usage)
	if err != nil {
		return 0, false
	}
	return most - limitOf(used), true
}

// leave opens what the first process leaves its cgroup by, once it is the root
// of its namespace: for the caller's own, in the hierarchies without room. Who
// may not have it so has to fit in.
func (c *Cgroup) leave(tight []*Hierarchy) (files []*os.File, err error) {
	trees, err := c.system.trees()
	if err != nil {
		return nil, err
	}
	for _, h := range tight {
		for _, t := range trees {
			if t.controllers != h.Controllers {
				continue
			}
			own := Hierarchy{Controllers: h.Controllers, Mount: t.mount, Path: t.own}
			f, err := own.open(".", own.joinFile(OtherCredentials))
			if err != nil {
				closeAll(files)
				return nil, err
			}
			files = append(files, f)
		}
	}
	return files, nil
}

// settle returns a Join.Settle that moves a process by these cgroup.procs.
func settle(files []*os.File) func(int) error {
	return func(pid int) error {
		for _, f := range files {
			if _, err := f.WriteString(strconv.Itoa(pid)); err != nil {
				return fault.New("move process "+strconv.Itoa(pid)+" to", f.Name(), err)
			}
		}
		return nil
	}
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
