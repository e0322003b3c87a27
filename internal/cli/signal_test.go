package cli

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestSignalsHaveNumbersAndNames(t *testing.T) {
	for s, want := range map[string]unix.Signal{
		"9": unix.SIGKILL, "0": 0, "64": 64, "KILL": unix.SIGKILL, "SIGKILL": unix.SIGKILL,
		"kill": unix.SIGKILL, "sigusr1": unix.SIGUSR1, "WINCH": unix.SIGWINCH,
		"SIGRTMIN": 34, "RTMIN+3": 37, "sigrtmin+30": 64, "SIGRTMAX": 64, "SIGRTMAX-1": 63, "RTMAX-30": 34,
		"IOT": unix.SIGABRT, "sigcld": unix.SIGCHLD, "POLL": unix.SIGIO,
	} {
		if got, err := parseSignal(s); err != nil || got != want {
			t.Errorf("parseSignal(%q) = %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "SIG", "FOO", "-9", "65", "SIGSIGKILL", "RTMIN3", "RTMIN-1", "RTMIN+31", "RTMAX+1", "RTMAX-31", "RTMIN+", "RTMIN++1", "9x"} {
		if got, err := parseSignal(s); err == nil {
			t.Errorf("parseSignal(%q) = %d, want an error", s, got)
		}
	}
}
