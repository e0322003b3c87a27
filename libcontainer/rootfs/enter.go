package rootfs

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/inroot"
	"hull/libcontainer/plan"
)

// Enter makes the root filesystem the root and working directory of the
// process, in the way the plan says, and lets go of the host's mounts.
func (r *Rootfs) Enter() error {
	path := r.plan.Rootfs.Path
	switch r.plan.Rootfs.Pivot {
	case plan.MoveRoot:
		if err := r.moveRoot(); err != nil {
			return fault.New("move root", path, err)
		}
	case plan.ChrootOnly:
		if err := r.chroot(); err != nil {
			return fault.New("chroot to", path, err)
		}
	case plan.PivotRoot:
		if err := r.pivotRoot(); err != nil {
			return &fault.Error{Op: "pivot root to", Object: path, Cause: err, Hint: pivotHint(err)}
		}
	}
	return nil
}

func pivotHint(err error) string {
	switch {
	case errors.Is(err, unix.EINVAL):
		return "the current root may be a ramfs, which --no-pivot is for, or not be a mount point"
	case errors.Is(err, unix.EBUSY):
		return "the new root is on the same mount as the current one"
	}
	return ""
}

// pivotRoot stacks the old root on top of the new one, at the same place, and
// takes it off (pivot_root(2), "pivot_root(".", ".")"): no directory for the
// old root is needed, and nothing is named.
func (r *Rootfs) pivotRoot() error {
	old := inroot.Handle{}
	shared := !isolates(r.plan.Rootfs.HostPropagation)
	if shared {
		fd, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0) //nolint:forbidigo // the host's root
		if err != nil {
			return err
		}
		old = inroot.Own(fd)
		defer old.Close()
	}
	if err := unix.Fchdir(r.root.FD()); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return err
	}
	if shared {
		// Or the host's own mounts would go with ours.
		if err := setPropagation(old.FD(), "", unix.AT_EMPTY_PATH, unix.MS_SLAVE|unix.MS_REC); err != nil {
			return fault.New("cut off the old root", "", err)
		}
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fault.New("unmount the old root", "", err)
	}
	return unix.Chdir("/")
}

// moveRoot moves the root mount over /. The old root stays below it, so what
// was mounted elsewhere is taken away first: a full procfs or sysfs in the
// namespace would allow the container a new one without masks.
func (r *Rootfs) moveRoot() error {
	if err := r.detachOthers(); err != nil {
		return err
	}
	if err := unix.Fchdir(r.root.FD()); err != nil {
		return err
	}
	if err := unix.MoveMount(r.root.FD(), "", unix.AT_FDCWD, "/", unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return err
	}
	return r.chroot()
}

func (r *Rootfs) chroot() error {
	if err := unix.Fchdir(r.root.FD()); err != nil {
		return err
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	return unix.Chdir("/")
}

// detachOthers unmounts all that is neither the root filesystem, nor below it,
// nor on the way to it.
func (r *Rootfs) detachOthers() error {
	table, err := readMountTable()
	if err != nil {
		return err
	}
	root := strings.TrimSuffix(r.plan.Rootfs.Path, "/") + "/"
	for line := range strings.Lines(table) {
		at, fsType, ok := mountLine(line)
		if !ok || strings.HasPrefix(root, strings.TrimSuffix(at, "/")+"/") || strings.HasPrefix(at, root) {
			continue
		}
		if err := detach(at, fsType); err != nil {
			return fault.New("unmount", at, err)
		}
	}
	return nil
}

// detach unmounts the mount at path of the host. Where a user namespace may not
// do that, a procfs or sysfs is covered instead.
func detach(path, fsType string) error {
	err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	switch {
	case err == nil, errors.Is(err, unix.ENOENT):
		return nil
	case fsType != "proc" && fsType != "sysfs":
		// Gone with the mount it was on, or locked to it.
		return nil
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EPERM):
		return unix.Mount("none", path, "tmpfs", unix.MS_RDONLY, "nr_inodes=1,nr_blocks=1")
	}
	return err
}

func readMountTable() (string, error) {
	var proc inroot.Proc
	defer proc.Close()
	h, err := proc.OpenSelf("mountinfo", unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer h.Close()
	var table []byte
	buf := make([]byte, 1<<16)
	for {
		n, err := unix.Read(h.FD(), buf)
		if err != nil {
			return "", fault.New("read", "/proc/self/mountinfo", err)
		}
		if n == 0 {
			return string(table), nil
		}
		table = append(table, buf[:n]...)
	}
}

// mountLine takes the mount point and the filesystem type out of a line of
// mountinfo (proc_pid_mountinfo(5), fields 5 and 9).
func mountLine(line string) (at, fsType string, ok bool) {
	mount, fs, ok := strings.Cut(line, " - ")
	if !ok {
		return "", "", false
	}
	fields := strings.Fields(mount)
	if len(fields) < 5 {
		return "", "", false
	}
	fsType, _, _ = strings.Cut(fs, " ")
	return unescape(fields[4]), fsType, true
}

// unescape undoes the octal escapes of space, tab, newline and backslash.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b = append(b, byte(c))
				i += 3
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}
