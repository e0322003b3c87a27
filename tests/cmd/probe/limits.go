package main

import (
	"errors"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// feel is about limits of the cgroup that show in what a process gets.
func feel(verb, argument string) (any, error) {
	switch verb {
	case "burn": // for so many milliseconds: how much of it does the process get?
		return burn(argument)
	case "direct": // read or write:device:count:size, past the page cache: milliseconds
		return direct(argument)
	case "hugepages": // reserve so many of 2 MiB
		count, err := strconv.Atoi(argument)
		if err != nil {
			return nil, err
		}
		b, err := unix.Mmap(-1, 0, count<<21, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_HUGETLB|21<<unix.MAP_HUGE_SHIFT)
		if err != nil {
			return nil, err
		}
		return "reserved", unix.Munmap(b)
	case "realtime": // the policy SCHED_FIFO
		const fifo = 1
		priority := int32(1)
		_, _, errno := unix.RawSyscall(unix.SYS_SCHED_SETSCHEDULER, 0, fifo, uintptr(unsafe.Pointer(&priority)))
		return "realtime", orNil(errno)
	}
	return underFilter(verb, argument)
}

func burn(argument string) (any, error) {
	milliseconds, err := strconv.Atoi(argument)
	if err != nil {
		return nil, err
	}
	var before, after unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &before); err != nil {
		return nil, err
	}
	start := time.Now()
	for time.Since(start) < time.Duration(milliseconds)*time.Millisecond {
		continue
	}
	wall := time.Since(start)
	err = unix.Getrusage(unix.RUSAGE_SELF, &after)
	used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	return float64(used) / float64(wall), err
}

func direct(argument string) (any, error) {
	f := strings.Split(argument, ":")
	if len(f) != 4 {
		return nil, errors.New("direct takes read or write:device:count:size")
	}
	count, err1 := strconv.Atoi(f[2])
	size, err2 := strconv.Atoi(f[3])
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	fd, err := unix.Open(f[1], unix.O_RDWR|unix.O_DIRECT, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	// A mapping is aligned as direct I/O wants it.
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, err
	}
	move := unix.Pread
	if f[0] == "write" {
		move = unix.Pwrite
	}
	start := time.Now()
	for i := range count {
		if n, err := move(fd, b, int64(i)*int64(size)); err != nil || n != size {
			return nil, errors.Join(err, errors.New("short"))
		}
	}
	return time.Since(start).Milliseconds(), unix.Munmap(b)
}
