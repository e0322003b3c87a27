package rootfs

import (
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/inroot"
)

// Unix98 pseudo-terminal slaves have these majors (devices.txt).
const (
	ptyMajorFirst = 136
	ptyMajorLast  = 143
)

// Console binds slave, which came from TIOCGPTPEER and stays the caller's, on
// /dev/console. The name of the slave is never used, and a /dev/console that
// is a symbolic link is refused (CVE-2025-52565, CVE-2026-88264).
func (r *Rootfs) Console(slave int) error {
	defer unix.Umask(unix.Umask(0))
	if err := r.bindConsole(slave); err != nil {
		return fault.New("bind terminal on", "/dev/console", err)
	}
	return nil
}

func (r *Rootfs) bindConsole(slave int) error {
	var st unix.Stat_t
	if err := unix.Fstat(slave, &st); err != nil {
		return err
	}
	major := unix.Major(st.Rdev)
	if st.Mode&unix.S_IFMT != unix.S_IFCHR || major < ptyMajorFirst || major > ptyMajorLast {
		return unix.ENOTTY
	}
	fd, err := unix.OpenTree(slave, "", unix.AT_EMPTY_PATH|unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return fault.New("clone the mount of the terminal", "", err)
	}
	tree := inroot.Own(fd)
	defer tree.Close()
	d := directory{root: r.root}
	defer d.close()
	name, err := d.enter("/dev/console")
	if err != nil {
		return err
	}
	target, err := d.file(name)
	if err != nil {
		return err
	}
	defer target.Close()
	to := place{dir: target}
	return to.attach(tree)
}
