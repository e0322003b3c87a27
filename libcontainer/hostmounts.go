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
		before, h, err := mountAt(root, m.Target)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return nil, fault.New("look at", m.Name+" "+m.Target, err)
		}
		h.Close()
		out = append(out, state.HostMount{Target: m.Target, Before: before})
	}
	return out, nil
}

// mountAt returns the id of the mount that unsafePath is on, and a handle of it.
func mountAt(root inroot.Root, unsafePath string) (uint64, inroot.Handle, error) {
	h, err := root.Open(unsafePath)
	if err != nil {
		return 0, h, err
	}
	var st unix.Statx_t
	if err := unix.Statx(h.FD(), "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st); err != nil {
		h.Close()
		return 0, inroot.Handle{}, err
	}
	return st.Mnt_id, h, nil
}

// unmount takes away what init mounted in a namespace that is not its own.
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
	for _, m := range slices.Backward(c.record.HostMounts) {
		now, h, err := mountAt(root, m.Target)
		if err == nil && now != m.Before {
			// The one way to name a mount by a descriptor.
			err = unix.Unmount("/proc/self/fd/"+strconv.Itoa(h.FD()), unix.MNT_DETACH)
		}
		h.Close()
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) {
			return fault.New("unmount", c.record.Rootfs+m.Target, err)
		}
	}
	return nil
}
