package state

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// replace makes name hold b, whole or not at all.
func (d *Dir) replace(name string, b []byte) error {
	temporary := "." + name
	if err := d.write(temporary, b); err != nil {
		return err
	}
	if err := unix.Renameat(d.fd, temporary, d.fd, name); err != nil {
		return fault.New("replace", d.path+"/"+name, err)
	}
	return nil
}

// LockUpdate waits until nobody else changes the limits of the container; the
// other lock would make that wait for hooks. The file is never replaced.
func (d *Dir) LockUpdate() (release func(), err error) {
	fd, err := unix.Openat(d.fd, configFile, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return func() {}, nil // it is not made yet, or removed already
	}
	if err != nil {
		return nil, fault.New("open", d.path+"/"+configFile, err)
	}
	for {
		err := unix.Flock(fd, unix.LOCK_EX)
		switch {
		case err == nil:
			return func() { unix.Close(fd) }, nil
		case !errors.Is(err, unix.EINTR):
			unix.Close(fd)
			return nil, fault.New("lock", d.path+"/"+configFile, err)
		}
	}
}

func (d *Dir) write(name string, b []byte) error {
	fd, err := unix.Openat(d.fd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fault.New("write", d.path+"/"+name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	_, err = f.Write(b)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fault.New("write", d.path+"/"+name, unwrapPath(err))
	}
	return nil
}

func (d *Dir) read(name string) ([]byte, error) {
	fd, err := unix.Openat(d.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil, fault.New("read", d.path+"/"+name, ErrNotExist)
	}
	if err != nil {
		return nil, fault.New("read", d.path+"/"+name, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fault.New("read", d.path+"/"+name, err)
	}
	b := make([]byte, st.Size)
	for off := 0; off < len(b); {
		n, err := unix.Read(fd, b[off:])
		if err != nil {
			return nil, fault.New("read", d.path+"/"+name, err)
		}
		if n == 0 {
			return b[:off], nil
		}
		off += n
	}
	return b, nil
}

// unwrapPath drops the path from an *fs.PathError: the fault names it.
func unwrapPath(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
