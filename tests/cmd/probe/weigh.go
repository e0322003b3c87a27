package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// weigh runs a program with its arguments and prints how it ended and what it
// took: a process that is as small as this one adds nothing to its child's peak.
func weigh(args []string) error {
	var stderr bytes.Buffer
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = &stderr
	begin := time.Now()
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return err
	}
	usage, _ := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"Status":  cmd.ProcessState.ExitCode(),
		"Stderr":  stderr.String(),
		"CPU":     (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Milliseconds(),
		"Memory":  usage.Maxrss,
		"Elapsed": time.Since(begin).Milliseconds(),
	})
}
