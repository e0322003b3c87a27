package cgroup

import (
	"errors"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// mkdirTries bounds how often Create starts again because somebody removed a
// parent directory between two mkdir calls, as Remove of a sibling does.
const mkdirTries = 100

// Create makes the cgroup in each hierarchy. A cgroup that exists is used as
// it is: ask EnsureUnused first. Under systemd it does nothing, since a scope
// cannot exist without a process: Adopt creates it. After an error, Withdraw
// takes away what was made.
func (c *Cgroup) Create() error {
	if c.rec.Driver != Cgroupfs {
		return nil
	}
	return c.makeDirs()
}

func (c *Cgroup) makeDirs() error {
	var lost []error
	defer func() { c.goWithout(lost) }()
	for i := 0; i < len(c.rec.Hierarchies); i++ {
		h := &c.rec.Hierarchies[i]
		err := h.create()
		if err == nil {
			continue
		}
		if !c.dispensable(h, err) {
			return c.wanted(err)
		}
		lost = append(lost, err)
		c.rec.Hierarchies = slices.Delete(c.rec.Hierarchies, i, i+1)
		i--
	}
	// systemd gives its units what it manages, and would take back more.
	if c.onlyV2() && c.rec.Driver == Cgroupfs {
		c.unified().enableAll()
	}
	return nil
}

// dispensable reports whether the container can do without h. The v1 named
// hierarchies have no controller, and a container that itself runs in one
// often has them read-only.
func (c *Cgroup) dispensable(h *Hierarchy, err error) bool {
	f, ok := err.(*fault.Error) //nolint:errorlint // create returns nothing else
	if !ok || !denied(f.Cause) {
		return false
	}
	return c.mayGoWithout(h)
}

// wanted is the error of who could go without the cgroup, had it no path.
func (c *Cgroup) wanted(err error) error {
	f, ok := err.(*fault.Error) //nolint:errorlint // see dispensable
	if ok && denied(f.Cause) && c.devices == Tolerate && f.Hint == "" {
		return f.WithHint("linux.cgroupsPath asks for it: without a path, there would be limits of its own only where they can be")
	}
	return err
}

// mayGoWithout reports whether it may be missing if the caller is refused it.
func (c *Cgroup) mayGoWithout(h *Hierarchy) bool {
	return c.unwritable == Tolerate || strings.HasPrefix(h.Controllers, "name=")
}

// surrender leaves out the hierarchies that Create would leave out, so that
// nobody counts on their directories meanwhile: Mounts does.
func (c *Cgroup) surrender() {
	var lost []error
	c.rec.Hierarchies = slices.DeleteFunc(c.rec.Hierarchies, func(h Hierarchy) bool {
		if !c.mayGoWithout(&h) {
			return false
		}
		err := h.creatable()
		if err == nil || !c.dispensable(&h, err) {
			return false
		}
		lost = append(lost, err)
		return true
	})
	c.goWithout(lost)
}

// goWithout says, in one warning, which hierarchies are left out.
func (c *Cgroup) goWithout(lost []error) {
	if len(lost) == 0 {
		return
	}
	first, _ := lost[0].(*fault.Error) //nolint:errorlint // see dispensable
	where := "there"
	if n := len(lost) - 1; n > 0 {
		where = "as in " + strconv.Itoa(n) + " other hierarchies: there"
	}
	c.warn(fault.New(first.Op, first.Object, first.Cause).
		WithHint("%s the container stays in the caller's cgroup, without limits of its own", where))
}

// create makes the directory and gives it what a process needs to enter.
func (h *Hierarchy) create() error {
	if err := h.mkdir(); err != nil {
		return err
	}
	if hasField(h.Controllers, "cpuset") {
		return h.inheritCpuset(h.Path)
	}
	return nil
}

// mkdir makes the directory, and its parents where they are missing.
func (h *Hierarchy) mkdir() error {
	for range mkdirTries {
		err := unix.Mkdir(h.dir(), 0o755)
		if errors.Is(err, unix.ENOENT) {
			if err := h.mkParents(); err != nil {
				return err
			}
			continue
		}
		if h.absent && errors.Is(err, unix.EEXIST) {
			return fault.New("create cgroup", h.dir(), err).WithHint("it was not there a moment ago: it is somebody else's")
		}
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fault.New("create cgroup", h.dir(), err)
		}
		h.absent = false
		return nil
	}
	return fault.New("create cgroup", h.dir(), unix.ENOENT).
		WithHint("its parents are being removed all the time")
}

func (h *Hierarchy) mkParents() error {
	for i, p := range slices.Backward(ancestors(h.Path)) {
		switch err := unix.Mkdir(h.Mount+p, 0o755); err {
		case nil:
			h.Made = max(h.Made, i+1)
		case unix.EEXIST:
		case unix.ENOENT: // removed again: mkdir starts over
			return nil
		default:
			return fault.New("create cgroup", h.Mount+p, err)
		}
	}
	return nil
}

// ancestors lists the cgroups above p without the root, nearest first.
func ancestors(p string) []string {
	var as []string
	for a := path.Dir(p); a != "/"; a = path.Dir(a) {
		as = append(as, a)
	}
	return as
}

// inheritCpuset gives a v1 cpuset the CPUs and memory nodes of its parent. A
// new one has none, and then no process can enter it (cpusets(7)). Parents
// that somebody made and left empty are filled as well.
func (h *Hierarchy) inheritCpuset(p string) error {
	for _, file := range [...]string{"/cpuset.cpus", "/cpuset.mems"} {
		if _, err := h.fillCpuset(p, file); err != nil {
			return err
		}
	}
	return nil
}

// fillCpuset returns the value of a cpuset file, after taking it over from the
// parent if there is none.
func (h *Hierarchy) fillCpuset(p, file string) (string, error) {
	name := h.Mount + p + file
	v, err := readFile(name)
	if err != nil {
		return "", fault.New("read", name, err)
	}
	if strings.TrimSpace(v) != "" || p == "/" {
		return v, nil
	}
	if v, err = h.fillCpuset(path.Dir(p), file); err != nil {
		return "", err
	}
	if err := writeFile(name, v); err != nil {
		return "", fault.New("inherit cpuset into", name, err)
	}
	return v, nil
}

// enableAll gives the v2 cgroup every controller that its mount offers. What
// cannot be given, for instance because a parent has processes, is missed only
// if a limit needs it, and Set then says so.
func (h *Hierarchy) enableAll() {
	have, _ := readFile(h.dir() + "/cgroup.controllers")
	offered, _ := readFile(h.Mount + "/cgroup.controllers")
	if have != offered {
		h.enable(strings.Fields(offered))
	}
}

// enable turns the controllers on in each parent, from the mount downwards.
func (h *Hierarchy) enable(controllers []string) {
	for _, p := range slices.Backward(above(h.Path)) {
		h.enableIn(p, controllers)
	}
}

// enableIn turns the controllers on for the children of the cgroup p.
func (h *Hierarchy) enableIn(p string, controllers []string) {
	file := h.Mount + p + "/cgroup.subtree_control"
	if len(controllers) == 0 || h.isOccupied(p) || writeFile(file, "+"+strings.Join(controllers, " +")) == nil {
		return
	}
	for _, c := range controllers {
		_ = writeFile(file, "+"+c)
	}
}

// isOccupied reports whether processes in the cgroup p are in the way of controllers
// below it. The kernel refuses most of them; with the others, p would become the root
// of a threaded subtree, and a cgroup below it could not be entered (cgroups(7), "No
// internal processes" and "Cgroups v2 thread mode"). The root of all, which has no
// type, is exempt.
func (h *Hierarchy) isOccupied(p string) bool {
	if _, err := readFile(h.Mount + p + "/cgroup.type"); err != nil {
		return false
	}
	pids, _ := readFile(h.Mount + p + "/cgroup.procs")
	return pids != ""
}

// enableWithin turns on, in so many parents of the cgroup, all controllers that
// they have. What cannot be given is missed only if a limit needs it.
func (h *Hierarchy) enableWithin(levels int) {
	for _, p := range slices.Backward(ancestors(h.Path)[:levels]) {
		if have, err := readFile(h.Mount + p + "/cgroup.controllers"); err == nil {
			h.enableIn(p, strings.Fields(have))
		}
	}
}
