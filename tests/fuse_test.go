package tests

import (
	"encoding/binary"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// deadFilesystem is a FUSE filesystem whose server takes every lookup and answers
// none: who asks for a file sleeps until it is released, and once he is killed no
// signal wakes him (request_wait_answer() of the kernel: "Either request is already
// in userspace, or it was forced. Wait it out.").
type deadFilesystem struct{ dir string }

// Operations of the protocol, linux/fuse.h.
const (
	fuseLookup  = 1
	fuseGetattr = 3
	fuseInit    = 26
)

func newDeadFilesystem(t *testing.T) *deadFilesystem {
	t.Helper()
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		lacks(t, "a /dev/fuse that can be opened: "+err.Error())
	}
	f := &deadFilesystem{dir: t.TempDir()}
	reachable(t, f.dir)
	options := "fd=" + strconv.Itoa(fd) + ",rootmode=40000,user_id=0,group_id=0,allow_other"
	if err := unix.Mount("dead", f.dir, "fuse", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		unix.Close(fd)
		lacks(t, "FUSE mounts: "+err.Error())
	}
	t.Cleanup(f.release)
	go f.serve(fd)
	return f
}

// release ends whatever waits for the filesystem: by force, which is what is left to
// do about a dead server.
func (f *deadFilesystem) release() { _ = unix.Unmount(f.dir, unix.MNT_FORCE|unix.MNT_DETACH) }

func (f *deadFilesystem) serve(fd int) {
	defer unix.Close(fd)
	request := make([]byte, 1<<20)
	for {
		n, err := unix.Read(fd, request)
		if err == unix.EINTR || err == unix.ENOENT {
			continue
		}
		if err != nil || n < 16 {
			return // released
		}
		operation, unique := binary.NativeEndian.Uint32(request[4:]), binary.NativeEndian.Uint64(request[8:])
		switch operation {
		case fuseLookup:
		case fuseInit:
			body := make([]byte, 64)
			binary.NativeEndian.PutUint32(body, 7)
			binary.NativeEndian.PutUint32(body[4:], 31)
			binary.NativeEndian.PutUint32(body[20:], 4096) // max_write
			fuseReply(fd, unique, 0, body)
		case fuseGetattr:
			body := make([]byte, 104)
			binary.NativeEndian.PutUint64(body, 1<<30) // valid for
			binary.NativeEndian.PutUint64(body[16:], 1)
			binary.NativeEndian.PutUint32(body[16+60:], unix.S_IFDIR|0o755)
			binary.NativeEndian.PutUint32(body[16+64:], 2)
			fuseReply(fd, unique, 0, body)
		default:
			fuseReply(fd, unique, unix.ENOSYS, nil)
		}
	}
}

func fuseReply(fd int, unique uint64, errno unix.Errno, body []byte) {
	message := make([]byte, 16, 16+len(body))
	binary.NativeEndian.PutUint32(message, uint32(16+len(body)))
	binary.NativeEndian.PutUint32(message[4:], uint32(-int32(errno)))
	binary.NativeEndian.PutUint64(message[8:], unique)
	_, _ = unix.Write(fd, append(message, body...))
}
