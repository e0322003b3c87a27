package inroot

import (
	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// procRootIno is the inode of the root of any procfs (PROC_ROOT_INO).
const procRootIno = 1

// Proc is the door to procfs. Both of its rooms are opened when first needed
// and kept; the zero value is ready for use, by one goroutine.
//
// Open what is needed before the container's root is entered where that is
// possible: in a user namespace the kernel refuses a new procfs once the only
// one in sight is covered in part, as masked paths do.
type Proc struct {
	processes Handle
	whole     Handle
}

// Close gives back what was opened.
func (p *Proc) Close() {
	p.processes.Close()
	p.whole.Close()
	*p = Proc{}
}

// OpenSelf opens name below /proc/self with flags of open(2).
func (p *Proc) OpenSelf(name string, flags int) (Handle, error) {
	return p.openProcess("self/"+name, flags)
}

// OpenThread opens name below /proc/thread-self, where attr/exec is.
func (p *Proc) OpenThread(name string, flags int) (Handle, error) {
	return p.openProcess("thread-self/"+name, flags)
}

// WriteThread writes value to name below /proc/thread-self, in one write(2).
func (p *Proc) WriteThread(name, value string) error {
	h, err := p.OpenThread(name, unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer h.Close()
	if err := writeOnce(h, value); err != nil {
		return fault.New("write", "/proc/thread-self/"+name, err)
	}
	return nil
}

// OpenWhole opens name in a procfs with everything in it, for what is not
// about processes: /proc/sys, /proc/filesystems.
func (p *Proc) OpenWhole(name string, flags int) (Handle, error) {
	if !p.whole.Valid() {
		h, err := openProcfs(everything)
		if err != nil {
			return Handle{}, err
		}
		p.whole = h
	}
	return openBelow(p.whole, name, flags, unix.RESOLVE_NO_SYMLINKS)
}

func (p *Proc) openProcess(name string, flags int) (Handle, error) {
	if !p.processes.Valid() {
		h, err := openProcfs(processesOnly)
		if err != nil {
			return Handle{}, err
		}
		p.processes = h
	}
	// self and thread-self are symbolic links, and not magic ones.
	return openBelow(p.processes, name, flags, 0)
}

// openBelow stays on this one mount: something that is mounted over a file of
// the host's /proc makes it EXDEV, not a wrong file.
func openBelow(root Handle, name string, flags int, resolve uint64) (Handle, error) {
	h, err := openat2(root, name, flags,
		unix.RESOLVE_BENEATH|unix.RESOLVE_NO_XDEV|unix.RESOLVE_NO_MAGICLINKS|resolve)
	if err != nil {
		return Handle{}, fault.New("open", "/proc/"+name, err)
	}
	return h, nil
}

// view is how much a procfs of ours shows.
type view uint8

const (
	// processesOnly has neither /proc/sys nor /proc/sysrq-trigger: what is
	// not there cannot be written by mistake.
	processesOnly view = iota
	everything
)

// openProcfs returns the best procfs that may be had: a new one, else a clone
// of the one at /proc without what is mounted on it, else /proc itself.
func openProcfs(v view) (Handle, error) {
	if h, err := newProcfs(v); err == nil {
		return h, nil
	}
	if fd, err := unix.OpenTree(unix.AT_FDCWD, "/proc",
		unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_SYMLINK_NOFOLLOW); err == nil {
		return verifyProcfs(Own(fd))
	}
	fd, err := unix.Open("/proc", unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return Handle{}, fault.New("open", "/proc", err)
	}
	return verifyProcfs(Own(fd))
}

func newProcfs(v view) (Handle, error) {
	fd, err := unix.Fsopen("proc", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return Handle{}, err
	}
	fs := Own(fd)
	defer fs.Close()
	if v == processesOnly {
		if err := unix.FsconfigSetString(fs.FD(), "hidepid", "ptraceable"); err != nil {
			return Handle{}, err
		}
		if err := unix.FsconfigSetString(fs.FD(), "subset", "pid"); err != nil {
			return Handle{}, err
		}
	}
	if err := unix.FsconfigCreate(fs.FD()); err != nil {
		return Handle{}, err
	}
	mnt, err := unix.Fsmount(fs.FD(), unix.FSMOUNT_CLOEXEC,
		unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return Handle{}, err
	}
	return Own(mnt), nil
}

// verifyProcfs refuses, and closes, what is not the root of a procfs.
func verifyProcfs(h Handle) (Handle, error) {
	magic, err := h.FSMagic()
	if err == nil && magic != unix.PROC_SUPER_MAGIC {
		err = fault.Newf("open", "/proc", "not a procfs but filesystem type %#x", magic)
	}
	var st unix.Stat_t
	if err == nil {
		st, err = h.Stat()
	}
	if err == nil && st.Ino != procRootIno {
		err = fault.Newf("open", "/proc", "not the root of a procfs")
	}
	if err != nil {
		h.Close()
		return Handle{}, err
	}
	return h, nil
}

// writeOnce writes value in one write(2): files of procfs take no second one.
func writeOnce(h Handle, value string) error {
	n, err := unix.Write(h.FD(), []byte(value))
	if err == nil && n != len(value) {
		err = unix.EIO
	}
	return err
}
