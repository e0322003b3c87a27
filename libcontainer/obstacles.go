package libcontainer

import (
	"fmt"
	"maps"
	"slices"

	"hull/internal/linux"
	"hull/libcontainer/cgroup"
)

// Obstacles says what may keep the container from doing what is asked of it, a
// sentence each: processes that cannot run or are not collected, a frozen cgroup
// above, a bundle or root that is gone. As a rule there are none. It is a look at
// what moves: a process that reads from a disk sleeps in the kernel as well. It waits
// for nothing, so that of a bundle on a filesystem of somebody else's it may say less.
func (c *Container) Obstacles() []string {
	var o obstacles
	o.find("bundle", c.record.Bundle)
	o.find("root", c.record.Rootfs)
	above := c.cgroup.FrozenAbove()
	if above {
		o.add("a cgroup above the container's is frozen, so that its processes do not run")
	}
	own, err := c.cgroup.State()
	for _, pid := range c.examined() {
		if !above && (err != nil || own == cgroup.Thawed) {
			o.examine(pid) // frozen, all seem to sleep in the kernel
		}
		o.examineChildren(pid)
	}
	if p, err := linux.Stat(c.record.PID); err == nil && !p.Alive() && p.StartTime == c.record.StartTime {
		o.uncollected(c.record.PID, p)
	}
	return o
}

// maxExamined bounds what Obstacles costs in a container of many processes.
const maxExamined = 256

// examined are the processes that Obstacles looks at.
func (c *Container) examined() []int {
	if c.hasCgroup() {
		pids, err := c.cgroup.Procs()
		if err != nil {
			return nil
		}
		return pids[:min(len(pids), maxExamined)]
	}
	if c.record.PID == 0 {
		return nil
	}
	family, err := c.family()
	if err != nil {
		return nil
	}
	pids := slices.Sorted(maps.Keys(family))
	return pids[:min(len(pids), maxExamined)]
}

// sleeper returns a process of the container that sleeps in the kernel.
func (c *Container) sleeper() (pid int, p linux.Process, found bool) {
	for _, pid := range c.examined() {
		if p, err := linux.Stat(pid); err == nil && p.State == 'D' {
			return pid, p, true
		}
	}
	return 0, p, false
}

type obstacles []string

func (o *obstacles) add(format string, args ...any) { *o = append(*o, fmt.Sprintf(format, args...)) }

func (o *obstacles) find(what, path string) {
	if path == "" {
		return // creation was cut off before it was known
	}
	if err := lookUp(path); err != nil {
		o.add("the %s %s cannot be found: %v", what, path, err)
	}
}

func (o *obstacles) examine(pid int) {
	p, err := linux.Stat(pid)
	if err != nil {
		return // it has ended
	}
	switch p.State {
	case 'D':
		o.add("process %d (%s) sleeps in the kernel%s, and no signal wakes it but perhaps SIGKILL", pid, p.Name, waitsIn(pid))
	case 'T':
		o.add("process %d (%s) is stopped by a signal, until SIGCONT", pid, p.Name)
	case 't':
		o.add("process %d (%s) is stopped by its tracer", pid, p.Name)
	}
}

func (o *obstacles) examineChildren(pid int) {
	for _, child := range linux.Children(pid) {
		if z, err := linux.Stat(child); err == nil && !z.Alive() {
			o.uncollected(child, z)
		}
	}
}

func (o *obstacles) uncollected(pid int, p linux.Process) {
	o.add("process %d (%s) has ended, and its parent, process %d, does not collect it", pid, p.Name, p.Parent)
}

func waitsIn(pid int) string {
	if name := linux.WaitsIn(pid); name != "" {
		return " (" + name + ")"
	}
	return ""
}
