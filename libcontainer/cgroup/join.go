package cgroup

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/linux"
)

// Join is how a new process gets into the cgroup. Where the kernel allows it,
// without the lock that moving a process takes: writing cgroup.procs locks
// out every fork on the machine for an RCU grace period, in each hierarchy.
type Join struct {
	// Into is the v2 cgroup for clone3(2) with CLONE_INTO_CGROUP, or nil.
	Into *os.File
	// Tasks are the v1 `tasks` files, and after Written the cgroup.procs of
	// v2. The process writes "0" to each while
	// it has one thread: the move of a single thread by itself takes no
	// global lock (kernel 5.4).
	Tasks []*os.File
	// Adopt says that the parent has to call Cgroup.Adopt as soon as the
	// process exists: under systemd, the scope begins with it.
	Adopt bool
}

// Close closes the descriptors.
func (j Join) Close() {
	if j.Into != nil {
		_ = j.Into.Close()
	}
	for _, f := range j.Tasks {
		_ = f.Close()
	}
}

// Written returns j for a process that is in another user namespace by the time
// it gets there: clone3(2) asks whether the caller may write to the cgroup,
// which a mapped root may not, but a write is judged by who opened the file
// (kernel commit 1756d7994ad8, in every maintained series).
func (j Join) Written() (Join, error) {
	if j.Into == nil {
		return j, nil
	}
	name := j.Into.Name() + "/cgroup.procs"
	fd, err := unix.Openat(int(j.Into.Fd()), "cgroup.procs", unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return j, fault.New("open cgroup", name, err)
	}
	_ = j.Into.Close()
	j.Into, j.Tasks = nil, append(j.Tasks, os.NewFile(uintptr(fd), name))
	return j, nil
}

// Sub is a cgroup below the container's.
type Sub struct {
	// Controllers restricts it to the v1 hierarchies that have one of them,
	// as "cpu,memory". Empty means every hierarchy.
	Controllers string
	// Path is relative to the container's cgroup.
	Path string
}

// Join opens the cgroup for a new process.
func (c *Cgroup) Join() (Join, error) { return c.JoinAt(nil) }

// JoinAt is Join for existing cgroups below the container's; for each
// hierarchy the last of subs that concerns it counts. A path that leads out of
// the container's cgroup is refused by the kernel (RESOLVE_BENEATH).
func (c *Cgroup) JoinAt(subs []Sub) (Join, error) {
	var j Join
	if c.rec.Driver == Systemd && len(subs) == 0 {
		j.Adopt = true
		return j, nil
	}
	for i := range c.rec.Hierarchies {
		h := &c.rec.Hierarchies[i]
		f, err := h.open(h.sub(subs))
		if err != nil {
			j.Close()
			return Join{}, err
		}
		if h.v2() {
			j.Into = f
		} else {
			j.Tasks = append(j.Tasks, f)
		}
	}
	return j, nil
}

// sub returns the path of subs for h.
func (h *Hierarchy) sub(subs []Sub) string {
	p := "."
	for _, s := range subs {
		if s.Controllers == "" {
			p = s.Path
			continue
		}
		for name := range strings.SplitSeq(s.Controllers, ",") {
			if !h.v2() && hasField(strings.TrimPrefix(h.Controllers, "name="), name) {
				p = s.Path
			}
		}
	}
	return p
}

// open opens what Join hands out: the directory on v2, `tasks` on v1.
func (h *Hierarchy) open(sub string) (*os.File, error) {
	dir, flags := h.dir(), unix.O_DIRECTORY|unix.O_RDONLY
	name := sub
	if !h.v2() {
		name, flags = sub+"/tasks", unix.O_WRONLY
	}
	if sub == "." { // no container-given path: one plain open will do
		p := dir
		if !h.v2() {
			p += "/tasks"
		}
		fd, err := openFile(p, flags)
		if err != nil {
			return nil, fault.New("open cgroup", p, err)
		}
		return os.NewFile(uintptr(fd), p), nil
	}
	fd, err := openBeneath(dir, name, flags)
	if err != nil {
		return nil, fault.New("open cgroup", dir+"/"+name, err)
	}
	return os.NewFile(uintptr(fd), dir+"/"+name), nil
}

// openBeneath opens name, which must stay within dir.
func openBeneath(dir, name string, flags int) (fd int, err error) {
	top, err := openFile(dir, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return -1, err
	}
	defer linux.CloseFD(top)
	how := unix.OpenHow{
		Flags:   uint64(flags) | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV,
	}
	err = retry(func() error {
		fd, err = unix.Openat2(top, name, &how)
		// The kernel asks to try again when a rename crossed its walk.
		if errors.Is(err, unix.EAGAIN) {
			return unix.EINTR
		}
		return err
	})
	return fd, err
}

// Adopt moves the process pid, with all its threads, into the cgroup: the
// parent's way, for a kernel or a manager that does not let the child go by
// itself. Under systemd it starts the unit with pid as its first process.
func (c *Cgroup) Adopt(pid int) error {
	if c.rec.Driver == Systemd {
		if err := c.startUnit(pid); err != nil {
			return err
		}
		if err := c.makeDirs(); err != nil {
			return err
		}
	}
	for i := range c.rec.Hierarchies {
		file := c.rec.Hierarchies[i].dir() + "/cgroup.procs"
		if err := writeFile(file, strconv.Itoa(pid)); err != nil {
			return fault.New("move process "+strconv.Itoa(pid)+" to", file, err)
		}
	}
	return nil
}
