package initproc

import (
	"errors"

	"golang.org/x/sys/unix"

	"hull/libcontainer/plan"
)

// standardStreams are the descriptors 0 to 2.
const standardStreams = 3

// replaceNull opens the container's null device in the place of the host's, for
// the standard streams: a program that runs as root could change the mode of
// what it has open, for the whole host. Where the container has no such device
// the host's stays.
func (s *stage) replaceNull() error {
	if s.plan.Process.Terminal.Wanted {
		return nil
	}
	for fd := range standardStreams {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil || !isNull(&st) {
			continue
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		if err != nil {
			continue
		}
		null, err := openNull(flags & unix.O_ACCMODE)
		if err != nil {
			return nil //nolint:nilerr // see above
		}
		err = unix.Dup3(null, fd, 0)
		unix.Close(null)
		if err != nil {
			return err
		}
	}
	return nil
}

// openNull opens /dev/null of the container, which an image may have made
// anything (CVE-2026-88265): only what seems to be the device is opened, in a
// way that does nothing to most others, and is looked at again.
func openNull(access int) (int, error) {
	const path = "/dev/null"
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil { //nolint:forbidigo // the root is the container's by now
		return -1, err
	}
	if !isNull(&st) {
		return -1, unix.ENODEV
	}
	fd, err := unix.Open(path, access|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0) //nolint:forbidigo // the root is the container's by now
	if err != nil {
		return -1, err
	}
	err = unix.Fstat(fd, &st)
	if err == nil && !isNull(&st) {
		err = unix.ENODEV
	}
	if err == nil {
		err = unix.SetNonblock(fd, false)
	}
	if err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

func isNull(st *unix.Stat_t) bool {
	return st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == unix.Mkdev(1, 3)
}

// ownStreams lets the program reopen its standard streams (/dev/stdout) when it
// runs as another user than the caller. The null device stays as it is; and so
// does what refuses, for it works without.
func ownStreams(p *plan.Process) {
	for fd := range standardStreams {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) != nil || st.Uid == p.UID || isNull(&st) {
			continue
		}
		_ = unix.Fchown(fd, int(p.UID), -1)
	}
}
