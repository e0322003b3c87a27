package linux

import (
	"errors"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Barrier is a page of memory that is not there yet: a thread that touches it
// waits, without a system call that a seccomp filter could forbid or ask somebody
// about, until another lets it pass (userfaultfd(2)).
type Barrier struct {
	fd   int
	page []byte
	// first is the beginning of page.
	first *uint32
}

// Of linux/userfaultfd.h.
const (
	uffdUserModeOnly = 1 // UFFD_USER_MODE_ONLY: needs no privilege (Linux 5.11)
	uffdAPI          = 0xaa
	uffdMissing      = 1 // UFFDIO_REGISTER_MODE_MISSING

	ioctlAPI      = 0xc018aa3f // UFFDIO_API
	ioctlRegister = 0xc020aa00 // UFFDIO_REGISTER
	ioctlZeroPage = 0xc020aa04 // UFFDIO_ZEROPAGE
)

// uffdRange is struct uffdio_range, and what the requests have behind it.
type uffdRange struct {
	start, length, mode, result uint64
}

// NewBarrier puts up a barrier.
func NewBarrier() (*Barrier, error) {
	page, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, err
	}
	fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|uffdUserModeOnly, 0, 0)
	if errno != 0 {
		_ = unix.Munmap(page)
		return nil, errno
	}
	b := &Barrier{fd: int(fd), page: page, first: (*uint32)(unsafe.Pointer(unsafe.SliceData(page)))}
	version := struct{ api, features, ioctls uint64 }{api: uffdAPI}
	err = b.request(ioctlAPI, unsafe.Pointer(&version))
	if err == nil {
		err = b.change(ioctlRegister, uffdMissing)
	}
	if err != nil {
		unix.Close(b.fd)
		_ = unix.Munmap(page)
		return nil, err
	}
	return b, nil
}

// Pass waits until the barrier is lifted. The thread takes its processor of the Go
// scheduler into the wait: whoever is to lift it needs another.
//
// A function that may grow the stack gives up the thread at its begin if the
// scheduler asks for that, by futex(2).
//
//go:nosplit
func (b *Barrier) Pass() { atomic.LoadUint32(b.first) }

// Await blocks until a thread waits at the barrier.
func (b *Barrier) Await() error {
	var message [32]byte // struct uffd_msg
	for {
		n, err := unix.Read(b.fd, message[:])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err == nil && n != len(message):
			return unix.EIO
		}
		return err
	}
}

// Lift lets everybody pass, for good.
func (b *Barrier) Lift() error {
	err := b.change(ioctlZeroPage, 0)
	return errors.Join(err, unix.Close(b.fd))
}

func (b *Barrier) change(request uintptr, mode uint64) error {
	r := uffdRange{start: uint64(uintptr(unsafe.Pointer(&b.page[0]))), length: uint64(len(b.page)), mode: mode}
	return b.request(request, unsafe.Pointer(&r))
}

func (b *Barrier) request(request uintptr, argument unsafe.Pointer) error {
	return check(unix.Syscall(unix.SYS_IOCTL, uintptr(b.fd), request, uintptr(argument)))
}
