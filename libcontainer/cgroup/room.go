package cgroup

import (
	"math"
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

// tight returns the hierarchies whose limits, according to r, an init stage
// would not fit into. The limit of pids is not among them: Set gives it when the
// threads are there, and what is there may exceed it.
func (c *Cgroup) tight(r *specs.LinuxResources) []*Hierarchy {
	if r == nil {
		return nil
	}
	limit := int64(math.MaxInt64)
	if r.Memory != nil && deref(r.Memory.Limit) > 0 {
		limit = *r.Memory.Limit
	}
	for _, file := range [...]string{"memory.max", "memory.high"} {
		if v, err := strconv.ParseInt(r.Unified[file], 10, 64); err == nil {
			limit = min(limit, v)
		}
	}
	if h := c.controller("memory"); h != nil && limit < initMemory {
		return []*Hierarchy{h}
	}
	return nil
}

// crowded returns the hierarchies that have no room for an init stage now.
func (c *Cgroup) crowded() (list []*Hierarchy) {
	memory, pids := c.knobs("memory"), c.knobs("pids")
	if memory.short(initMemory, memory.pick("memory.limit_in_bytes", "memory.max"), memory.pick("memory.usage_in_bytes", "memory.current")) {
		list = append(list, memory.h)
	}
	if !slices.Contains(list, pids.h) && pids.short(initTasks, "pids.max", "pids.current") {
		list = append(list, pids.h)
	}
	return list
}

// short reports whether less than need is left of a limit.
func (k knobs) short(need int64, limit, usage string) bool {
	most := limitOf(k.text(limit))
	return most != -1 && most-int64(k.number(usage)) < need
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
