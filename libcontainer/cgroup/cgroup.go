// Package cgroup is the control group of one container: one type over cgroup
// v1, v2, the hybrid of both, and none at all, driven through the filesystem
// or by systemd. No caller can ask which of them it is.
//
// Two rules make hybrid and pure machines the same code:
//
//   - What concerns processes (joining, listing, freezing, killing, waiting
//     until they are gone) is done in the v2 hierarchy wherever there is one,
//     because only v2 does it atomically and with notification. A machine
//     without v2 uses the v1 freezer.
//   - What concerns resources is done in the hierarchy that has the
//     controller: the v1 one where it is mounted, else v2.
//
// The life of a value is New (no side effect, so that the Record can be stored
// first), Create, Join or Adopt, Set and SetDevices, and Remove, which may
// follow any prefix of the others, also in another process through Load.
//
// It refuses the root of a hierarchy as a container's cgroup, paths that leave
// it, and device rules that a v1 kernel would accept and not enforce. It does
// not decide whether a limit is a good idea.
package cgroup

import (
	"errors"
	"slices"

	"hull/internal/fault"
	"hull/internal/record"
)

// Driver says who owns the cgroup directories.
type Driver int

const (
	// Cgroupfs has hull make and remove the directories itself.
	Cgroupfs Driver = iota
	// Systemd leaves them to a transient unit of systemd.
	Systemd
	// Disabled leaves the container in the cgroups of its creator. Every
	// operation succeeds and does nothing, except those that return
	// ErrNoCgroup.
	Disabled
)

// Unwritable says what to do where the caller may not write the hierarchies.
type Unwritable int

const (
	// Fail returns the error.
	Fail Unwritable = iota
	// Tolerate goes on without that hierarchy and reports it through
	// Config.Warn. It holds only for a cgroup whose path nobody asked for
	// (Config.Path is empty); limits in a hierarchy so lost are errors. Device
	// rules that may not be set are tolerated whatever the path: who may not
	// set them may not make or open devices beyond his own either.
	Tolerate
)

// ErrNoCgroup is the cause when an operation needs a cgroup and the container
// has none, by choice or for lack of privilege.
var ErrNoCgroup = errors.New("the container has no cgroup of its own")

// Config is what a cgroup is made from.
type Config struct {
	// Driver says who makes the directories.
	Driver Driver
	// ID is the container's ID. It names the cgroup where Path does not.
	ID string
	// Path is linux.cgroupsPath as written. Cgroupfs: an absolute path is
	// below the mount of each hierarchy, a relative one below the cgroup of
	// this process (on v2: next to it, since a v2 cgroup with processes
	// cannot give controllers to its children); empty is the relative path
	// ID. Systemd: slice:prefix:name; empty is :hull:ID.
	Path string
	// Bus is the private socket of the service manager that Systemd asks.
	// Empty is the system's; a user's is $XDG_RUNTIME_DIR/systemd/private.
	Bus string
	// Properties are set on the unit of Systemd beyond those that follow from
	// the resources; they win.
	Properties []Property
	// Subgroup is a cgroup below the unit's that the container lives in, with
	// Systemd; its limits are there as well. Empty is the unit's own.
	Subgroup string
	// Leaf is a cgroup below all that, for Sink. Both are as CleanBelow
	// returns them.
	Leaf string
	// Unwritable is the policy for hierarchies that cannot be written.
	Unwritable Unwritable
	// Warn receives what was tolerated. Nil drops it.
	Warn func(error)
}

// Record is what a container's state must keep so that another process can
// Load the cgroup. It is complete after New; Create adds Hierarchy.Made.
type Record struct {
	Driver      Driver
	Unit        string
	Slice       string
	Bus         string
	Hierarchies []Hierarchy
}

// Hierarchy is the container's cgroup in one mounted cgroup tree.
type Hierarchy struct {
	// Controllers is the list of /proc/PID/cgroup: "cpu,cpuacct",
	// "name=systemd", or empty for v2.
	Controllers string
	// Mount is where the tree is mounted.
	Mount string
	// Path is the cgroup below Mount; it is absolute, clean and never "/".
	Path string
	// Made is how many of the parents of Path, counted from Path upwards,
	// Create had to make, or reached up to.
	Made int
	// absent says that it was not there, so that whoever made it meanwhile is
	// somebody else, with processes of his own.
	absent bool
}

// Walk reads or writes r as a section of the container's record.
func (r *Record) Walk(w *record.Walker) {
	driver := int(r.Driver)
	w.Int("cgroup.driver", &driver)
	r.Driver = Driver(driver)
	w.String("cgroup.unit", &r.Unit)
	w.String("cgroup.slice", &r.Slice)
	w.String("cgroup.bus", &r.Bus)
	record.List(w, "cgroup.hierarchies", &r.Hierarchies, func(w *record.Walker, h *Hierarchy) {
		w.String("- controllers", &h.Controllers)
		w.String("  mount", &h.Mount)
		w.String("  path", &h.Path)
		w.Int("  made", &h.Made)
	})
}

// Cgroup is the control group of one container. It holds no descriptors and
// may be dropped at any time; it is not safe for concurrent use.
type Cgroup struct {
	rec        Record
	properties []Property
	// subgroup is set while the cgroup is being created.
	subgroup, leaf string
	unwritable     Unwritable
	devices        Unwritable
	warn           func(error)
	system         system
	foreseen       *foreseen
	journal        *journal
	// hangs says that systemd has not answered in time before: it gets hangTimeout.
	hangs bool
}

// New resolves the paths of cfg. It has no side effect on the system. Of the
// hierarchies that are not needed (see Tolerate), those that cannot be written
// are left out.
func New(cfg Config) (*Cgroup, error) { return newOn(standardSystem(), cfg) }

func newOn(sys system, cfg Config) (*Cgroup, error) {
	c := &Cgroup{rec: Record{Driver: cfg.Driver}, properties: cfg.Properties, devices: cfg.Unwritable, warn: cfg.Warn, system: sys}
	if c.warn == nil {
		c.warn = func(error) {}
	}
	if cfg.Path == "" {
		c.unwritable = cfg.Unwritable
	}
	var err error
	switch cfg.Driver {
	case Disabled:
	case Systemd:
		err = c.resolveUnit(cfg)
	case Cgroupfs:
		err = c.resolvePaths(cfg)
	default:
		err = fault.Newf("use cgroup driver", "", "unknown driver %d", cfg.Driver)
	}
	if err == nil && cfg.Leaf != "" {
		err = c.useLeaf(cfg.Leaf)
	}
	if err != nil {
		return nil, err
	}
	if cfg.Driver == Cgroupfs {
		c.surrender()
	}
	return c, nil
}

// Load returns the cgroup that r describes. It checks r, since what is removed
// and killed by it depends on nothing else, and touches nothing.
func Load(r Record) (*Cgroup, error) {
	for _, h := range r.Hierarchies {
		if err := checkPath(h.Path); err != nil {
			return nil, fault.New("load cgroup record", h.Path, err)
		}
		if h.Mount == "" || h.Mount[0] != '/' {
			return nil, fault.Newf("load cgroup record", h.Mount, "the mount point must be absolute")
		}
	}
	r.Hierarchies = slices.Clone(r.Hierarchies)
	return &Cgroup{rec: r, warn: func(error) {}, system: standardSystem()}, nil
}

// Record returns what Load needs.
func (c *Cgroup) Record() Record {
	r := c.rec
	r.Hierarchies = slices.Clone(r.Hierarchies)
	return r
}

// dir is the directory of the cgroup.
func (h *Hierarchy) dir() string { return h.Mount + h.Path }

// v2 tells a cgroup2 tree from a v1 one.
func (h *Hierarchy) v2() bool { return h.Controllers == "" }

// unified returns the v2 cgroup, or nil.
func (c *Cgroup) unified() *Hierarchy {
	for i := range c.rec.Hierarchies {
		if h := &c.rec.Hierarchies[i]; h.v2() {
			return h
		}
	}
	return nil
}

// controller returns where the controller's files are: in the v1 hierarchy
// that has it, else in v2, which may or may not have it. Nil: nowhere.
func (c *Cgroup) controller(name string) *Hierarchy {
	for i := range c.rec.Hierarchies {
		if h := &c.rec.Hierarchies[i]; !h.v2() && hasField(h.Controllers, name) {
			return h
		}
	}
	return c.unified()
}

// core returns the hierarchy for what concerns processes: v2, else the v1
// freezer, else any. Nil: the container has no cgroup.
func (c *Cgroup) core() *Hierarchy {
	if u := c.unified(); u != nil {
		return u
	}
	if h := c.controller("freezer"); h != nil {
		return h
	}
	if len(c.rec.Hierarchies) > 0 {
		return &c.rec.Hierarchies[0]
	}
	return nil
}
