package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// exert is about what the process can bring about, and what it is given beyond
// its identity: limits of the cgroup, clocks, scheduling.
func exert(verb, argument string) (any, error) {
	switch verb {
	case "clock": // monotonic or boottime, in seconds
		return clock(argument)
	case "allocate": // mebibytes, all touched
		return allocate(argument)
	case "fork": // how many of so many children can there be at once?
		return fork(argument)
	case "scheduler":
		return scheduling()
	case "personality":
		persona, _, errno := unix.RawSyscall(unix.SYS_PERSONALITY, 0xffffffff, 0, 0)
		return persona, orNil(errno)
	case "make": // an empty file
		f, err := os.OpenFile(argument, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
		if err == nil {
			err = f.Close()
		}
		return "made", err
	case "mkdir":
		return "made", unix.Mkdir(argument, 0o777)
	case "kernel": // syscall number, with arguments that no call accepts
		number, err := strconv.Atoi(argument)
		if err != nil {
			return nil, err
		}
		bad := ^uintptr(0)
		_, _, errno := syscall.RawSyscall6(uintptr(number), bad, bad, bad, bad, bad, bad)
		return fmt.Sprintf("errno %d", int(errno)), nil
	case "overwrite": // for so many seconds
		return overwrite(argument)
	case "run": // a program, and what it prints
		out, err := exec.Command(argument).CombinedOutput()
		return string(out), err
	}
	return act(verb, argument)
}

func orNil(errno syscall.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}

func clock(name string) (float64, error) {
	clocks := map[string]int32{"monotonic": unix.CLOCK_MONOTONIC, "boottime": unix.CLOCK_BOOTTIME}
	id, ok := clocks[name]
	if !ok {
		return 0, errors.New("unknown clock " + name)
	}
	var ts unix.Timespec
	err := unix.ClockGettime(id, &ts)
	return float64(ts.Sec) + float64(ts.Nsec)/1e9, err
}

func allocate(argument string) (any, error) {
	mebibytes, err := strconv.Atoi(argument)
	if err != nil {
		return nil, err
	}
	b, err := unix.Mmap(-1, 0, mebibytes<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(b); i += os.Getpagesize() {
		b[i] = 1
	}
	return "allocated", unix.Munmap(b)
}

// fork starts this program again and again, asleep, and ends the copies.
func fork(argument string) (any, error) {
	wanted, err := strconv.Atoi(argument)
	if err != nil {
		return nil, err
	}
	var children []*exec.Cmd
	defer func() {
		for _, c := range children {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
	}()
	result := map[string]any{}
	for range wanted {
		c := exec.Command("/bin/sleep", "100")
		if err := c.Start(); err != nil {
			result["stopped"] = err.Error()
			break
		}
		children = append(children, c)
	}
	result["children"] = len(children)
	return result, nil
}

func scheduling() (any, error) {
	policy, _, errno := unix.RawSyscall(unix.SYS_SCHED_GETSCHEDULER, 0, 0, 0)
	if errno != 0 {
		return nil, errno
	}
	nice, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return nil, err
	}
	const whoProcess = 1
	ioprio, _, errno := unix.RawSyscall(unix.SYS_IOPRIO_GET, whoProcess, 0, 0)
	if errno != 0 {
		return nil, errno
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, err
	}
	// The raw system call returns 20 - nice.
	return map[string]int{"policy": int(policy), "nice": 20 - nice, "ioprio": int(ioprio), "cpus": set.Count()}, nil
}
