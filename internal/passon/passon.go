// Package passon passes signals on to a process that os/signal does not deliver:
// the Go runtime takes SIGPROF for its profiler's, and leaves the first real-time
// signal to C libraries (runtime/sigtab_linux_generic.go). Uncaught, that one would
// end a program that is to pass it on.
package passon

/*
#cgo CFLAGS: -std=gnu11 -Wall -Wextra -O2 -I.
#include <passon.h>
*/
import "C"

import "golang.org/x/sys/unix"

// firstRealTime is SIGRTMIN as C libraries number it.
const firstRealTime = unix.Signal(34)

// Catch keeps the signals from ending this program. It comes after signal.Notify,
// which would take SIGPROF back.
func Catch() {
	for _, sig := range [...]unix.Signal{unix.SIGPROF, firstRealTime} {
		C.hull_catch(C.int(sig))
	}
}

// To passes them on to a process from now on, those that have come first. Release
// has to come before the process is collected.
func To(pid int) { C.hull_pass_to(C.int(pid)) }

// Release ends it.
func Release() { C.hull_pass_to(0) }
