package seccomp

import (
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/libcontainer/seccomp/profile"
)

// maxCached is how many files the cache directory may hold.
const maxCached = 64

// Cached is Compile with a cache in the directory dir, which it makes if it is
// missing. A profile that was compiled before, by this or another process, with
// the same libseccomp on the same kernel costs some tens of microseconds.
//
// Errors are those of Compile. Trouble with the cache never fails a container:
// warn, if not nil, is told, and the filter is compiled. A directory that is
// not ours alone to write to is not used.
func Cached(dir string, p *specs.LinuxSeccomp, unknown UnknownCalls, warn func(error)) (*Filter, error) {
	if profile.Disabled(p) {
		return nil, nil
	}
	if warn == nil {
		warn = func(error) {}
	}
	k, err := keyOf(p, unknown)
	if err != nil {
		warn(err)
		return Compile(p, unknown)
	}
	c, err := openCache(dir)
	if err != nil {
		warn(err)
		return Compile(p, unknown)
	}
	defer c.close()
	f, err := c.read(k)
	if err == nil {
		return f, nil
	}
	if err != unix.ENOENT { //nolint:errorlint // read returns it bare
		warn(fault.New("read cached seccomp filter", dir+"/"+k.fileName(), err))
	}
	if f, err = Compile(p, unknown); err != nil {
		return nil, err
	}
	if err := c.write(k, f); err != nil {
		warn(fault.New("cache seccomp filter in", dir, err))
	}
	return f, nil
}

// cache is an open cache directory. It uses system calls and not package os:
// a hit is on the way of every container, and os needs three times as many.
type cache struct{ fd int }

// openCache opens dir, and makes it if it is missing.
func openCache(dir string) (cache, error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Open(dir, flags, 0)
	if err == unix.ENOENT {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return cache{}, err
		}
		fd, err = unix.Open(dir, flags, 0)
	}
	if err != nil {
		return cache{}, fault.New("open seccomp cache", dir, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = unix.Close(fd)
		return cache{}, fault.New("stat seccomp cache", dir, err)
	}
	if !oursAlone(&st) {
		_ = unix.Close(fd)
		return cache{}, fault.Newf("use seccomp cache", dir, "user %d, mode %04o", st.Uid, st.Mode&0o7777).
			WithHint("it must belong to the user that runs hull, and nobody else may write to it")
	}
	return cache{fd}, nil
}

func (c cache) close() { _ = unix.Close(c.fd) }

// oursAlone reports whether only this user can have written what st describes.
func oursAlone(st *unix.Stat_t) bool {
	return int(st.Uid) == os.Geteuid() && st.Mode&0o022 == 0
}

// read returns the filter of k; ENOENT if there is none.
func (c cache) read(k key) (*Filter, error) {
	// O_NONBLOCK, so that a fifo of that name cannot hold us.
	fd, err := unix.Openat(c.fd, k.fileName(), unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || !oursAlone(&st) || st.Size > maxEntry {
		return nil, errEntry
	}
	b := make([]byte, st.Size)
	n, err := unix.Read(fd, b)
	if err != nil {
		return nil, err
	}
	return decodeEntry(k, b[:n])
}

// write stores f under k. The file appears whole: it is written under another
// name and moved, so readers and other writers never see a part of it. It
// holds a checksum instead of being synced, because a cache may be lost.
func (c cache) write(k key, f *Filter) error {
	tmp, fd, err := c.createTemporary()
	if err != nil {
		return err
	}
	b := encodeEntry(k, f)
	n, err := unix.Write(fd, b)
	if err == nil && n < len(b) {
		err = unix.ENOSPC
	}
	_ = unix.Close(fd)
	if err == nil {
		err = unix.Renameat(c.fd, tmp, c.fd, k.fileName())
	}
	if err != nil {
		_ = unix.Unlinkat(c.fd, tmp, 0)
		return err
	}
	return c.evict()
}
