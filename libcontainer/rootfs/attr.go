package rootfs

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/inroot"
	"hull/libcontainer/plan"
)

// setPropagation changes how mount events travel: ms is an MS_* with or
// without MS_REC, flags are AT_*.
func setPropagation(dirfd int, path string, flags uint, ms uint64) error {
	return unix.MountSetattr(dirfd, path, flags|recursion(ms),
		&unix.MountAttr{Propagation: ms &^ (unix.MS_REC | unix.MS_SILENT)})
}

func recursion(ms uint64) uint {
	if ms&unix.MS_REC != 0 {
		return unix.AT_RECURSIVE
	}
	return 0
}

// change is one mount_setattr(2).
type change struct {
	flags uint
	attr  unix.MountAttr
}

// changes are the calls that m needs, as few as possible: a change of
// attributes takes the first change of propagation along if both are, or both
// are not, recursive.
func changes(m *plan.Mount) []change {
	var list []change
	if m.RecSet|m.RecClear != 0 {
		list = append(list, change{unix.AT_RECURSIVE, unix.MountAttr{Attr_set: m.RecSet, Attr_clr: m.RecClear}})
	}
	if m.Set|m.Clear != 0 {
		list = append(list, change{0, unix.MountAttr{Attr_set: m.Set, Attr_clr: m.Clear}})
	}
	for _, ms := range m.Propagation {
		kind := ms &^ (unix.MS_REC | unix.MS_SILENT)
		n := len(list)
		if n > 0 && list[n-1].flags == recursion(ms) && list[n-1].attr.Propagation == 0 {
			list[n-1].attr.Propagation = kind
			continue
		}
		list = append(list, change{recursion(ms), unix.MountAttr{Propagation: kind}})
	}
	return list
}

// setAttributes gives tree, normally still detached, what m asks for.
func setAttributes(tree inroot.Handle, m *plan.Mount) error {
	for _, c := range changes(m) {
		if err := unix.MountSetattr(tree.FD(), "", unix.AT_EMPTY_PATH|c.flags, &c.attr); err != nil {
			return attrError(tree, &c.attr, err)
		}
	}
	return nil
}

func attrError(tree inroot.Handle, attr *unix.MountAttr, err error) error {
	const op = "set mount attributes"
	switch {
	case errors.Is(err, unix.EPERM):
		if locked := lockedFlags(tree, attr); locked != "" {
			return &fault.Error{Op: op, Cause: err, Hint: locked +
				" is locked: a mount that a more privileged user namespace made keeps it; do not ask for the opposite"}
		}
	case errors.Is(err, unix.EINVAL):
		return &fault.Error{Op: op, Cause: err, Hint: "not a mount point, or a flag that this kernel or filesystem does not have"}
	}
	return fault.New(op, "", err)
}

// lockedFlags names those flags of the source that attr would drop, which is
// what EPERM is about (mount_namespaces(7), "Restrictions").
func lockedFlags(tree inroot.Handle, attr *unix.MountAttr) string {
	var st unix.Statfs_t
	if unix.Fstatfs(tree.FD(), &st) != nil {
		return ""
	}
	var names []string
	for _, f := range []struct {
		attr uint64
		st   int64
		name string
	}{
		{unix.MOUNT_ATTR_RDONLY, unix.ST_RDONLY, "ro"},
		{unix.MOUNT_ATTR_NOSUID, unix.ST_NOSUID, "nosuid"},
		{unix.MOUNT_ATTR_NODEV, unix.ST_NODEV, "nodev"},
		{unix.MOUNT_ATTR_NOEXEC, unix.ST_NOEXEC, "noexec"},
	} {
		if attr.Attr_clr&f.attr != 0 && int64(st.Flags)&f.st != 0 { //nolint:unconvert // its width depends on the architecture
			names = append(names, f.name)
		}
	}
	if len(names) == 0 && attr.Attr_clr&unix.MOUNT_ATTR__ATIME != 0 {
		names = append(names, "the atime mode")
	}
	return strings.Join(names, ", ")
}
