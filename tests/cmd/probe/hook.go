package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// record appends one line of JSON to the file: what was seen, and all that a
// hook is given. The order of the lines is the order of the hooks.
func record(file string, seen map[string]any) error {
	state, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	cwd, err := unix.Getwd()
	if err != nil {
		return err
	}
	where, err := namespaces()
	if err != nil {
		return err
	}
	seen["args"], seen["env"], seen["cwd"], seen["namespaces"] = os.Args, os.Environ(), cwd, where
	seen["stdin"] = string(state)
	seen["comm"] = commOf(state)
	descriptors, err := fds()
	if err != nil {
		return err
	}
	seen["fds"] = descriptors
	line, err := json.Marshal(seen)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(append(line, '\n'))
	return err
}

// commOf names what the process of the state executes; "" if there is none.
func commOf(state []byte) string {
	var s struct{ Pid int }
	if json.Unmarshal(state, &s) != nil {
		return ""
	}
	comm, err := os.ReadFile("/proc/" + strconv.Itoa(s.Pid) + "/comm")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(comm))
}

// spawn starts this program again, asleep, and does not wait for it.
func spawn(seconds string) error {
	child := exec.Command("/proc/self/exe", "sleep="+seconds)
	return child.Start()
}

// await prints the number of each signal that comes, one a line, and exits with
// the number of the signal that it was given.
func await(last string) error {
	end, err := strconv.Atoi(last)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 64)
	signal.Notify(signals)
	fmt.Println("ready")
	for s := range signals {
		number, ok := s.(unix.Signal)
		if !ok || number == unix.SIGURG { // how the Go scheduler preempts
			continue
		}
		fmt.Println(int(number))
		if int(number) == end {
			os.Exit(end)
		}
	}
	return nil
}
