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

// Join is how a new process gets into the cgroup. Where the kernel allows it,
// without the lock that moving a process takes: writing cgroup.procs locks
// out every fork on the machine for an RCU grace period, in each hierarchy.
type Join struct {
	// Into is the v2 cgroup for clone3(2) with CLONE_INTO_CGROUP, or nil.
	Into *os.File
	// Tasks are the v1 `tasks` files, and v2's cgroup.procs for a process
	// that cannot be cloned into it. The process writes "0" to each while
	// it has one thread: the move of a single thread by itself takes no
	// global lock (kernel 5.4).
	Tasks []*os.File
	// Leave are such files of the caller's own cgroup: the process writes "0"
	// to each once it has its cgroup namespace, and is back after Settle.
	Leave []*os.File
	// Stay keeps another process of the caller's in the cgroup until Settle:
	// systemd forgets a scope that has none.
	Stay bool
	// Adopt, unless nil, has to be called with the process as soon as it
	// exists: it is for a service manager to bring it in.
	Adopt func(pid int) error
	// Settle, unless nil, has to be called when the process is about to
	// execute: it is kept out of what has no room for an init stage. Such a
	// move takes the lock that the other ways do without, some 10 ms.
	Settle func(pid int) error

	late []*os.File
}

// Close closes the descriptors.
func (j Join) Close() {
	if j.Into != nil {
		_ = j.Into.Close()
	}
	closeAll(j.Tasks)
	closeAll(j.Leave)
	closeAll(j.late)
}

// Sub is a cgroup below the container's.
type Sub struct {
	// Controllers restricts it to the v1 hierarchies that have one of them,
	// as "cpu,memory". Empty means every hierarchy.
	Controllers string
	// Path is relative to the container's cgroup.
	Path string
}

// Credentials are those with which a process will enter the cgroup.
type Credentials int

const (
	// OwnCredentials are the caller's: clone3(2) may go into the cgroup.
	OwnCredentials Credentials = iota
	// OtherCredentials are of another user namespace, from which the kernel
	// allows no clone into the cgroup. The process writes to a cgroup.procs
	// that the caller opened instead, which counts with the caller's rights
	// (kernel 5.16, commit e57457641613 "cgroup: Use open-time credentials
	// for process migraton perm checks").
	OtherCredentials
)

// Join opens the cgroup for its first process; r are the limits that it is
// going to have.
func (c *Cgroup) Join(as Credentials, r *specs.LinuxResources) (j Join, err error) {
	tight := c.tight(r)
	if len(tight) > 0 {
		if err := c.checkPids(); err != nil {
			return j, err
		}
	}
	if c.rec.Driver == Systemd {
		j = Join{Adopt: c.Adopt, Stay: len(tight) > 0 && c.onlyV2()}
	} else if j, err = c.open(nil, 0, as, nil); err != nil {
		return j, err
	}
	if len(tight) == 0 {
		return j, nil
	}
	if j.Leave, err = c.leave(tight); err != nil {
		if denied(err) && c.unwritable == Tolerate {
			return j, nil // it has to fit in
		}
		j.Close()
		return Join{}, err
	}
	j.Settle = func(pid int) error {
		for _, h := range tight {
			if err := c.move(pid, h); err != nil {
				return err
			}
		}
		return nil
	}
	return j, nil
}

// JoinAt opens the cgroup for a further process, beside init or in cgroups
// below the container's; for each hierarchy the last of subs that concerns it
// counts. A path that leads out of the container's cgroup is refused, by the
// kernel too (RESOLVE_BENEATH).
func (c *Cgroup) JoinAt(subs []Sub, init int, as Credentials) (Join, error) {
	if err := c.checkSubs(subs); err != nil {
		return Join{}, err
	}
	crowded := c.crowded()
	if c.rec.Driver == Systemd && c.rec.Bus != systemManager {
		attach := func(pid int) error { return c.attach(pid, subs, init) }
		if len(crowded) > 0 {
			return Join{Settle: attach}, nil
		}
		return Join{Adopt: attach}, nil
	}
	return c.open(subs, init, as, crowded)
}

// open opens the cgroup for a process that comes late into some hierarchies.
func (c *Cgroup) open(subs []Sub, init int, as Credentials, late []*Hierarchy) (Join, error) {
	var j Join
	for i := range c.rec.Hierarchies {
		h := &c.rec.Hierarchies[i]
		file := h.joinFile(as)
		isLate := slices.Contains(late, h)
		if isLate {
			file = "/cgroup.procs"
		}
		f, err := h.open(h.sub(subs, init), file)
		if err != nil {
			j.Close()
			return Join{}, err
		}
		switch {
		case isLate:
			j.late = append(j.late, f)
		case file == "":
			j.Into = f
		default:
			j.Tasks = append(j.Tasks, f)
		}
	}
	if len(j.late) > 0 {
		j.Settle = settle(j.late)
	}
	return j, nil
}

// checkSubs checks that there are the hierarchies that subs are about, and that
// no path climbs.
func (c *Cgroup) checkSubs(subs []Sub) error {
	for _, s := range subs {
		object := strings.TrimPrefix(s.Controllers+":"+s.Path, ":")
		_, err := CleanBelow(s.Path)
		if err == nil && len(c.rec.Hierarchies) == 0 {
			err = ErrNoCgroup
		}
		if err != nil {
			return fault.New("use cgroup", object, err)
		}
		for name := range strings.SplitSeq(s.Controllers, ",") {
			known := slices.ContainsFunc(c.rec.Hierarchies, func(h Hierarchy) bool { return h.has(name) })
			if s.Controllers != "" && !known {
				return fault.Newf("use cgroup", object, "the container is in no cgroup v1 hierarchy of a controller %q", name)
			}
		}
	}
	return nil
}

// has reports whether h is the cgroup v1 hierarchy of a controller.
func (h *Hierarchy) has(name string) bool {
	return !h.v2() && name != "" && hasField(strings.TrimPrefix(h.Controllers, "name="), name)
}

// beside returns where below h a process can join. v2 lets none into a cgroup
// that gives controllers to those below it (cgroups(7), "no internal processes"
// rule), as that of a container does that manages its own: there it is where
// init has gone.
func (h *Hierarchy) beside(init int) string {
	if !h.v2() {
		return "."
	}
	if given, err := readFile(h.dir() + "/cgroup.subtree_control"); err != nil || strings.TrimSpace(given) == "" {
		return "."
	}
	content, _ := readFile("/proc/" + strconv.Itoa(init) + "/cgroup")
	for line := range strings.Lines(content) {
		own, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::")
		if below, found := strings.CutPrefix(own, h.Path+"/"); ok && found {
			return below
		}
	}
	return "."
}

// sub returns the path of subs for h, or where init is if they have none.
func (h *Hierarchy) sub(subs []Sub, init int) string {
	p := h.named(subs)
	if p == "." && init > 0 {
		return h.beside(init)
	}
	return p
}

// named returns the path of subs for h.
func (h *Hierarchy) named(subs []Sub) string {
	p := "."
	for _, s := range subs {
		if s.Controllers == "" {
			p = s.Path
			continue
		}
		for name := range strings.SplitSeq(s.Controllers, ",") {
			if h.has(name) {
				p = s.Path
			}
		}
	}
	return p
}

// joinFile is what a process with these credentials joins by: a file to write
// to, or the directory itself for CLONE_INTO_CGROUP.
func (h *Hierarchy) joinFile(as Credentials) string {
	switch {
	case !h.v2():
		return "/tasks"
	case as == OtherCredentials:
		return "/cgroup.procs"
	}
	return ""
}

// open opens what Join hands out: the file, or the directory if it is empty.
func (h *Hierarchy) open(sub, file string) (*os.File, error) {
	dir, flags := h.dir(), unix.O_WRONLY
	if file == "" {
		flags = unix.O_DIRECTORY | unix.O_RDONLY
	}
	name := sub + file
	if sub == "." { // no container-given path: one plain open will do
		p := dir + file
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
	defer unix.Close(top)
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
// parent's way, for a manager that does not let the child go by itself. Under systemd it starts the unit with pid as its first process.
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
		if err := c.move(pid, &c.rec.Hierarchies[i]); err != nil {
			return err
		}
	}
	if u := c.unified(); u != nil && c.subgroup != "" {
		u.enableWithin(strings.Count(c.subgroup, "/") + 1)
	}
	return nil
}

// trims is how often a directory may vanish before a process is in it.
const trims = 20

// move puts a process into the cgroup of one hierarchy. A systemd that has just
// started a unit removes directories of v1 controllers that the unit does not
// use, if they are empty.
func (c *Cgroup) move(pid int, h *Hierarchy) error {
	file := h.dir() + "/cgroup.procs"
	err := writeFile(file, strconv.Itoa(pid))
	for range trims {
		if c.rec.Driver != Systemd || !errors.Is(err, unix.ENOENT) {
			break
		}
		if err := c.makeDirs(); err != nil {
			return err
		}
		err = writeFile(file, strconv.Itoa(pid))
	}
	if err != nil {
		return fault.New("move process "+strconv.Itoa(pid)+" to", file, err)
	}
	return nil
}
