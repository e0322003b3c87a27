package cli

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The real-time signals as programs number them: glibc and musl keep the
// kernel's first two (32, 33) to themselves. signal(7).
const (
	sigRTMin = 34
	sigRTMax = 64
)

// parseSignal reads a signal as users write it: a number, or a name in any
// case with or without "SIG"; "SIGRTMIN+n" and "SIGRTMAX-n" are names too.
// Signal 0 sends nothing but asks whether it could be sent.
func parseSignal(s string) (unix.Signal, error) {
	if n, err := strconv.Atoi(s); err == nil && n >= 0 && n <= sigRTMax {
		return unix.Signal(n), nil
	}
	name := "SIG" + strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if sig := unix.SignalNum(name); sig != 0 {
		return sig, nil
	}
	if sig := otherName(name); sig != 0 {
		return sig, nil
	}
	if sig, ok := parseRealTime(name); ok {
		return sig, nil
	}
	return 0, fmt.Errorf("unknown signal %q (a number from 0 to %d, or a name as TERM, SIGHUP, RTMIN+1; see signal(7))", s, sigRTMax)
}

// otherName returns the signal of the second names that signal(7) lists.
func otherName(name string) unix.Signal {
	switch name {
	case "SIGIOT":
		return unix.SIGABRT
	case "SIGCLD":
		return unix.SIGCHLD
	case "SIGPOLL":
		return unix.SIGIO
	}
	return 0
}

func parseRealTime(name string) (unix.Signal, bool) {
	base := sigRTMin
	offset, ok := strings.CutPrefix(name, "SIGRTMIN")
	if !ok {
		base = sigRTMax
		if offset, ok = strings.CutPrefix(name, "SIGRTMAX"); !ok {
			return 0, false
		}
	}
	if offset == "" {
		return unix.Signal(base), true
	}
	n, err := strconv.Atoi(offset)
	if err != nil || (offset[0] == '-') != (base == sigRTMax) || (offset[0] != '-' && offset[0] != '+') {
		return 0, false
	}
	sig := base + n
	return unix.Signal(sig), sig >= sigRTMin && sig <= sigRTMax
}
