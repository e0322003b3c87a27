package libcontainer

import (
	"testing"

	"hull/libcontainer/plan"
)

func TestAConsoleSocketIsNeededExactlyWhereNobodyHoldsTheTerminal(t *testing.T) {
	for _, tt := range []struct {
		name     string
		terminal bool
		lifetime Lifetime
		socket   string
		ok       bool
	}{
		{"no terminal, attached", false, Attached, "", true},
		{"no terminal, detached", false, Detached, "", true},
		{"a terminal for the caller", true, Attached, "", true},
		{"a terminal for a socket", true, Detached, "s", true},
		{"a terminal for nobody", true, Detached, "", false},
		{"a socket for nothing", false, Detached, "s", false},
		{"a socket for nothing, attached", false, Attached, "s", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := checkConsole(plan.Terminal{Wanted: tt.terminal}, tt.socket, tt.lifetime)
			if (err == nil) != tt.ok {
				t.Errorf("got %v", err)
			}
		})
	}
}
