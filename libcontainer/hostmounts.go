package libcontainer

import (
	"errors"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/inroot"
	"hull/libcontainer/plan"
	"hull/state"
)

// hostMounts lists what init is going to mount where no mount namespace of its
// own will take it away, together with what is mounted there before: only what
// differs from that is the container's.
func hostMounts(p *plan.Plan) ([]state.HostMount, error) {
	if p.Rootfs.Pivot != plan.ChrootOnly {
		return nil, nil
	}
	root, err := inroot.OpenRoot(p.Rootfs.Path)
	if err != nil {
		return nil, fault.New("open root", p.Rootfs.Path, err)
	}
	defer root.Close()
	var out []state.HostMount
	for i := range p.Mounts {
		m := &p.Mounts[i]
		if m.Kind == plan.Link || m.Kind == plan.Reconfigure {
			continue
		}
		at, err := mountAt(root, m.Target)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return nil, fault.New("look at", m.Name+" "+m.Target, err)
		}
		at.Close()
		out = append(out, state.HostMount{Target: m.Target, Before: at.mount})
	}
	return out, nil
}

// location is a handle, and where it is.
type location struct {
	inroot.Handle
	// mount is the id of the mount that the handle is on, and isRoot tells
	// whether it is what was mounted there.
	mount  uint64
	isRoot bool
}

// mountAt returns what unsafePath is on.
func mountAt(root inroot.Root, unsafePath string) (location, error) {
	h, err := root.Open(unsafePath)
	if err != nil {
		return location{}, err
	}
	var st unix.Statx_t
	if err := unix.Statx(h.FD(), "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st); err != nil {
		h.Close()
		return location{}, err
	}
	// Linux 5.8 has both.
	return location{Handle: h, mount: st.Mnt_id, isRoot: st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0}, nil
}

// unmount takes away what init mounted in a namespace that is not its own. What
// cannot be taken away does not keep the rest.
func (c *Container) unmount() error {
	if len(c.record.HostMounts) == 0 {
		return nil
	}
	root, err := inroot.OpenRoot(c.record.Rootfs)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return fault.New("open root", c.record.Rootfs, err)
	}
	defer root.Close()
	var errs []error
	for _, m := range slices.Backward(c.record.HostMounts) {
		err := unmountFrom(root, m)
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) {
			errs = append(errs, fault.New("unmount", c.record.Rootfs+m.Target, err))
		}
	}
	return errors.Join(errs...)
}

// unmountFrom takes m away if it is there: a creation that was cut off may have
// made its target, in what it mounted before, and no more.
func unmountFrom(root inroot.Root, m state.HostMount) error {
	at, err := mountAt(root, m.Target)
	if err != nil {
		return err
	}
	defer at.Close()
	if at.mount == m.Before || !at.isRoot {
		return nil
	}
	// The one way to name a mount by a descriptor.
	return unix.Unmount("/proc/self/fd/"+strconv.Itoa(at.FD()), unix.MNT_DETACH)
}
