package tests

import (
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Mounts of a container that has no mount namespace are the host's.
func TestMountsInTheHostsNamespaceEndWithTheContainer(t *testing.T) {
	h := newHost(t)
	h.leavesNothing()
	mounts := func(dir string) []string {
		t.Helper()
		text, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, dir) {
				out = append(out, line)
			}
		}
		return out
	}
	for name, tt := range map[string]struct {
		edit edit
		ok   bool
	}{
		"that ran":              {func(*specs.Spec) {}, true},
		"that was not created":  {func(s *specs.Spec) { s.Process.Args = []string{"/cake"} }, false},
		"that failed in mounts": {addMounts(specs.Mount{Destination: "/tmp", Type: "cakefs", Source: "x"}), false},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			b := h.newBundle([]string{"mounts"}, alone(specs.PIDNamespace), nothingToMount, addMounts(
				specs.Mount{Destination: "/tmp", Type: "tmpfs", Source: "one"},
				specs.Mount{Destination: "/tmp/inner", Type: "tmpfs", Source: "two"},
				specs.Mount{Destination: "/proc", Type: "proc", Source: "proc"},
			), tt.edit)
			// The engine's own mount at the same place stays.
			mountTmpfs(t, b.path("rootfs/tmp"))
			before := mounts(b.dir)
			equal(t, "mounts of the engine", len(before), 1)
			r := h.try("run", "--bundle", b.dir, newID())
			equal(t, "success", r.status == 0, tt.ok)
			if tt.ok {
				equal(t, "the container's mount", mountsOf(t, parseSight(t, r.stdout))["/tmp/inner"].source, "two")
			}
			equal(t, "mounts", mounts(b.dir), before)
		})
	}
}
