package plan

import (
	"errors"
	"syscall"
)

// ErrNotInPath is why a program without a slash in its name cannot be executed.
// Engines tell it and others apart by their words, and turn them into the exit
// codes 127 and 126: Docker and Podman match "executable file not found in" and
// "permission denied".
var ErrNotInPath = errors.New("executable file not found in $PATH")

// ProgramHint says what an error of the search for a program means, for whoever
// makes it: init, or a parent that foresees it.
func ProgramHint(err error) string {
	switch {
	case errors.Is(err, ErrNotInPath):
		return "no directory of the variable PATH has it; a path with a slash is not searched for"
	case errors.Is(err, syscall.ENOENT):
		return "neither the root filesystem nor a mount has this file"
	case errors.Is(err, syscall.EISDIR):
		// "permission denied" is what execve(2) says, and all that Docker 20.10
		// and Podman know of it.
		return "permission denied: name a program in it"
	case errors.Is(err, syscall.EACCES):
		return "the user of the process must be able to reach and to execute it, and its mount not be noexec"
	}
	return ""
}

// ExecutionHint says what an error of execve(2) with a program that was found
// means.
func ExecutionHint(err error) string {
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return "not a program for this machine, or a script without #!"
	case errors.Is(err, syscall.ENOENT):
		return "the file is there, but not its interpreter: what stands behind #!, or the dynamic loader"
	case errors.Is(err, syscall.EAGAIN):
		return "the user of the process has more processes already than RLIMIT_NPROC allows, other containers included"
	}
	return ProgramHint(err)
}
