package libcontainer

import (
	"hull/libcontainer/rdt"
	"hull/state"
)

// planResctrl works out linux.intelRdt before anything of the container exists.
func (n *creation) planResctrl() error {
	if n.spec.Linux == nil || n.spec.Linux.IntelRdt == nil {
		return nil
	}
	mount, err := rdt.MountPoint()
	if err == nil {
		n.resctrl, err = rdt.Plan(mount, n.id, n.spec.Linux.IntelRdt)
	}
	return err
}

// makeResctrl makes the place that the record names already.
func (n *creation) makeResctrl() error {
	if n.resctrl == nil {
		return nil
	}
	n.undo = append(n.undo, func() { n.tolerate(n.resctrl.Undo()) })
	return n.resctrl.Make()
}

// resctrlRecord is what exec and delete have to know of linux.intelRdt.
func (n *creation) resctrlRecord() (r state.Resctrl) {
	if n.resctrl != nil {
		r = state.Resctrl(n.resctrl.Place())
	}
	return r
}

// resctrl is where the container's processes are.
func (c *Container) resctrl() rdt.Place { return rdt.Place(c.record.Resctrl) }
