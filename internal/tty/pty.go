package tty

import (
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/linux"
)

// ptmx is the multiplexer of the devpts instance that the container mounts;
// /dev/ptmx, its usual link, is the image's to bend.
const ptmx = "/dev/pts/ptmx"

// Open makes a pseudo-terminal in the root of the calling process and returns
// its two ends, close-on-exec. Rows and columns of 0 keep the kernel's size.
//
// Nothing is looked up by the name of the peer, which an image can bend to
// another file (CVE-2025-52565): it comes from the master, and the master is checked to be one.
func Open(rows, columns uint16) (master, peer int, err error) {
	master, err = unix.Open(ptmx, unix.O_RDWR|unix.O_NOCTTY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, -1, fault.New("open", ptmx, err).WithHint("process.terminal needs a mount of type devpts at /dev/pts")
	}
	peer, err = openPeer(master, rows, columns)
	if err != nil {
		unix.Close(master)
		return -1, -1, err
	}
	return master, peer, nil
}

func openPeer(master int, rows, columns uint16) (int, error) {
	if err := checkMaster(master); err != nil {
		return -1, err
	}
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		return -1, fault.New("unlock the peer of", ptmx, err)
	}
	if rows != 0 || columns != 0 {
		if err := unix.IoctlSetWinsize(master, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}); err != nil {
			return -1, fault.New("set", "process.consoleSize", err)
		}
	}
	peer, err := linux.OpenPeer(master, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if err != nil {
		return -1, fault.New("open the peer of", ptmx, err)
	}
	return peer, nil
}

func checkMaster(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fault.New("check", ptmx, err)
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return fault.New("check", ptmx, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != unix.Mkdev(5, 2) || fs.Type != unix.DEVPTS_SUPER_MAGIC {
		return fault.Newf("check", ptmx, "not the multiplexer of a devpts")
	}
	return nil
}

// Become makes peer the standard streams and the controlling terminal of this
// process, which must lead its session.
func Become(peer int) error {
	for fd := range 3 {
		if err := unix.Dup3(peer, fd, 0); err != nil {
			return fault.New("use", "the terminal", err)
		}
	}
	if err := unix.IoctlSetInt(0, unix.TIOCSCTTY, 0); err != nil {
		return fault.New("control", "the terminal", err)
	}
	return nil
}
