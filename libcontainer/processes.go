package libcontainer

import (
	"maps"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/linux"
)

// Processes returns the pids, as the caller's pid namespace has them, of all
// processes of the container. Without a cgroup they are those of its pid namespace;
// if it has none of its own either, they are what can be known, and a warning says
// so.
func (c *Container) Processes() ([]int, error) {
	if c.hasCgroup() {
		return c.cgroup.Procs()
	}
	family, err := c.family()
	if err != nil {
		return nil, err
	}
	if c.record.SharesPIDs && len(family) > 0 {
		c.runtime.warn(fault.Newf("list the processes of", c.record.ID,
			"it has neither a cgroup nor a pid namespace of its own: of those whose parent has ended nothing is known"))
	}
	return slices.Sorted(maps.Keys(family)), nil
}

func (c *Container) hasCgroup() bool { return len(c.cgroup.Record().Hierarchies) > 0 }

// family returns init, its descendants, and who else is in a pid namespace that
// is the container's own.
func (c *Container) family() (map[int]linux.Process, error) {
	init := c.record.PID
	all, err := linux.Processes()
	if err != nil {
		return nil, fault.New("list", "processes", err)
	}
	family := make(map[int]linux.Process)
	if p, ok := all[init]; !ok || !p.Alive() || p.StartTime != c.record.StartTime {
		return family, nil
	}
	own := ""
	if !c.record.SharesPIDs {
		own = pidNamespace(init)
	}
	for pid, p := range all {
		if p.Alive() && (descends(all, pid, init) || own != "" && pidNamespace(pid) == own) {
			family[pid] = p
		}
	}
	return family, nil
}

// descends reports whether pid is ancestor, or has it among its parents. The
// processes were not read all at once: there may be loops.
func descends(all map[int]linux.Process, pid, ancestor int) bool {
	for range len(all) {
		if pid == ancestor {
			return true
		}
		p, ok := all[pid]
		if !ok {
			return false
		}
		pid = p.Parent
	}
	return false
}

// pidNamespace names the pid namespace of a process; "" if that is not to be known.
func pidNamespace(pid int) string {
	name, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/ns/pid")
	if err != nil {
		return ""
	}
	return name
}

// killAll sends SIGKILL to all processes of the container, and does not wait for
// them to end. Init is left out where there is no cgroup.
func (c *Container) killAll() error {
	if unborn, err := c.unborn(); unborn || err != nil {
		return err
	}
	if c.hasCgroup() || !c.record.SharesPIDs {
		return c.cgroup.Kill()
	}
	// Who is stopped makes no more children, and keeps those that it has.
	stopped := make(map[int]linux.Process)
	for before := -1; before < len(stopped); {
		before = len(stopped)
		family, err := c.family()
		if err != nil {
			return err
		}
		for pid, p := range family {
			if _, ok := stopped[pid]; !ok {
				stopped[pid] = p
				signalProcess(pid, p, unix.SIGSTOP)
			}
		}
	}
	delete(stopped, c.record.PID)
	for pid, p := range stopped {
		signalProcess(pid, p, unix.SIGKILL)
	}
	return nil
}

// signalProcess sends sig to a process unless it has ended.
func signalProcess(pid int, p linux.Process, sig unix.Signal) {
	fd, err := linux.OpenProcess(pid)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if now, err := linux.Stat(pid); err == nil && now.StartTime == p.StartTime {
		_ = unix.PidfdSendSignal(fd, sig, nil, 0)
	}
}
