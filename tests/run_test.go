package tests

import (
	"strings"
	"testing"
)

func TestRunPassesOutputAndExitStatus(t *testing.T) {
	h := newHost(t)
	h.leavesNothing()
	for name, tt := range map[string]struct {
		commands []string
		want     int
	}{
		"success":           {[]string{"pid"}, 0},
		"an exit status":    {[]string{"pid", "exit=7"}, 7},
		"status 255 itself": {[]string{"pid", "exit=255"}, 255},
	} {
		t.Run(name, func(t *testing.T) {
			b := h.newBundle(tt.commands)
			r := h.try("run", "--bundle", b.dir, newID())
			if r.status != tt.want {
				t.Errorf("status %d, want %d\n%s", r.status, tt.want, r.stderr)
			}
			if !strings.Contains(r.stdout, `"pid":1`) {
				t.Errorf("output %q", r.stdout)
			}
		})
	}
}
