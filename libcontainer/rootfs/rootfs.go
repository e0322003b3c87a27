// Package rootfs carries out the part of a plan that is about files: mounts,
// devices, the change of root, masked and read-only paths.
//
// It runs inside the init process, in the container's namespaces, on one
// locked thread, and uses the mount API of descriptors only: every mount is
// made detached, gets its attributes, and is then moved onto a handle that
// package inroot resolved. No mount is ever made, found or changed by a path
// that the container controls (CVE-2021-30465, CVE-2025-52881), and none is
// visible before it has its attributes.
//
// It refuses to cover procfs (CVE-2019-16884), to mount /proc and /sys on
// anything but a real directory (CVE-2019-19921), and to take a /dev/null that
// is not one (CVE-2025-31133). It decides nothing that a plan can say, and
// writes neither labels, sysctls nor names.
package rootfs

import (
	"errors"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/inroot"
	"hull/libcontainer/plan"
)

// Source returns the detached mount, from open_tree(2) with OPEN_TREE_CLONE,
// that the parent made for plan.Mounts[index], one with plan.Supplied. It is
// called in the order of the mounts, and the descriptor is the caller's to
// close.
type Source func(index int) (fd int, err error)

// Rootfs is a root filesystem being built. Call Prepare, MountAll,
// MakeDevices, Enter, Console, Seal in this order; Close at any time.
type Rootfs struct {
	plan   *plan.Plan
	source Source
	root   inroot.Root
	// clones are the sources of mounts with plan.CloneFirst, by their index.
	clones map[int]inroot.Handle
	// fresh are the tmpfs mounts that were made, in order.
	fresh []freshMount
	// anchor is the one of fresh that things are made in at the moment, as
	// long as nothing can have been mounted over it; else the zero value.
	anchor freshMount
}

// freshMount is a tmpfs of ours. Its descriptor is kept because things are
// made in it, and because it turns read-only only when they have been.
type freshMount struct {
	mount  *plan.Mount
	path   string
	tree   inroot.Handle
	access plan.Access
}

// Prepare cuts the mount namespace off from the host as the plan says, and
// makes the root directory a mount of its own.
func Prepare(p *plan.Plan, source Source) (*Rootfs, error) {
	r := &Rootfs{plan: p, source: source}
	path := p.Rootfs.Path
	if p.Rootfs.Pivot == plan.ChrootOnly {
		root, err := inroot.OpenRoot(path)
		if err != nil {
			return nil, fault.New("open root", path, err)
		}
		r.root = root
		return r, nil
	}
	if err := r.leaveHost(path); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// leaveHost leaves the host's mounts, and takes along what the container needs of
// them.
func (r *Rootfs) leaveHost(path string) error {
	if err := r.cloneFirst(); err != nil {
		return err
	}
	if err := separate(&r.plan.Rootfs); err != nil {
		return err
	}
	tree, err := bindOnItself(path)
	if err != nil {
		return err
	}
	r.root = inroot.NewRoot(tree)
	return nil
}

// cloneFirst opens the sources of the mounts with plan.CloneFirst.
func (r *Rootfs) cloneFirst() error {
	for i := range r.plan.Mounts {
		m := &r.plan.Mounts[i]
		if m.Flags&plan.CloneFirst == 0 {
			continue
		}
		tree, err := cloneHost(m.Source, m.Flags)
		if err != nil {
			return mountError(m, err)
		}
		if r.clones == nil {
			r.clones = make(map[int]inroot.Handle)
		}
		r.clones[i] = tree
	}
	return nil
}

// Close gives back the descriptors.
func (r *Rootfs) Close() {
	for _, f := range r.fresh {
		f.tree.Close()
	}
	r.fresh = nil
	for _, tree := range r.clones {
		tree.Close()
	}
	r.clones = nil
	r.root.Close()
	r.root = inroot.Root{}
}

// separate sets the propagation of the inherited mounts. pivot_root(2)
// demands that the mount which holds the new root is not shared, and what is
// mounted there must not reach the host.
func separate(rootfs *plan.Rootfs) error {
	if p := rootfs.HostPropagation; p != 0 {
		if err := setPropagation(unix.AT_FDCWD, "/", 0, p); err != nil {
			return fault.New("set propagation of", "/", err)
		}
	}
	if isolates(rootfs.HostPropagation) {
		return nil
	}
	return makeParentPrivate(rootfs.Path)
}

// isolates tells whether no mount can be shared any more after p was set on /.
func isolates(p uint64) bool {
	return p&unix.MS_REC != 0 && p&(unix.MS_SLAVE|unix.MS_PRIVATE|unix.MS_UNBINDABLE) != 0
}

// makeParentPrivate makes the one mount private that path is on. Only the root
// of a mount can be changed, and everything else is EINVAL: climbing until it
// works is cheaper than reading a mount table of unknown length.
func makeParentPrivate(path string) error {
	const op = "make private the mount of"
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0) //nolint:forbidigo // a path of the host
	for err == nil {
		dir := inroot.Own(fd)
		err = setPropagation(dir.FD(), "", unix.AT_EMPTY_PATH, unix.MS_PRIVATE)
		if !errors.Is(err, unix.EINVAL) {
			dir.Close()
			break
		}
		fd, err = climb(dir)
		dir.Close()
	}
	if err != nil {
		return fault.New(op, path, err)
	}
	return nil
}

// climb opens the parent of dir, and is EINVAL at the top, where ".." is the
// directory itself.
func climb(dir inroot.Handle) (int, error) {
	here, err := dir.Stat()
	if err != nil {
		return -1, err
	}
	fd, err := unix.Openat(dir.FD(), "..", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0) //nolint:forbidigo // above the container
	if err != nil {
		return -1, err
	}
	up, err := inroot.Own(fd).Stat()
	if err == nil && up.Ino == here.Ino && up.Dev == here.Dev {
		err = unix.EINVAL
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// bindOnItself makes path, with all that is mounted below it, a mount of its
// own and returns its handle.
func bindOnItself(path string) (inroot.Handle, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, path,
		unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return inroot.Handle{}, Unreachable(path, err)
	}
	tree := inroot.Own(fd)
	if err := unix.MoveMount(fd, "", unix.AT_FDCWD, path, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		tree.Close()
		return inroot.Handle{}, fault.New(opBindRoot, path, err)
	}
	return tree, nil
}

const opBindRoot = "bind root"

func rootHint(err error) string {
	switch {
	case errors.Is(err, unix.EACCES):
		return "the container's user must be able to reach it: look at the modes of the directories above"
	case errors.Is(err, unix.EINVAL):
		return "its mount is unbindable, or not in this mount namespace"
	}
	return ""
}
