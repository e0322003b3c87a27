package plan

import (
	"errors"
	"syscall"
)

// ProgramHint says what an errno usually means for a program that cannot be
// executed, for whoever finds out: the parent or init. Engines turn an error with
// "permission denied" into the exit code 126, and not all of them know of
// directories.
func ProgramHint(err error) string {
	switch {
	case errors.Is(err, syscall.EISDIR):
		return "permission denied: a directory is not a program"
	case errors.Is(err, syscall.ENOEXEC):
		return "not a program for this machine, or a script without #!"
	}
	return ""
}
