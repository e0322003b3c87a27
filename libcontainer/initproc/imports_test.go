package initproc_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// What init links it also initialises, and pays for with the latency of every
// container; and what it does not have it cannot be tricked into using.
func TestInitNeverImportsWhatOnlyAParentNeeds(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "hull/libcontainer/initproc").Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	for _, p := range []struct{ path, why string }{
		{"hull/libcontainer", "init carries out, it does not supervise"},
		{"hull/spec", "the plan is all that init reads"},
		{"hull/state", "init has no path of the host"},
		{"hull/libcontainer/cgroup", "the parent makes cgroups"},
		{"hull/libcontainer/seccomp", "filters arrive compiled"},
		{"hull/internal/cli", "init has no command line"},
		{"github.com/opencontainers/runtime-spec/specs-go", "the plan is all that init reads"},
		{"github.com/seccomp/libseccomp-golang", "filters arrive compiled"},
		{"encoding/json", "the plan has a codec of its own"},
		{"net", "init talks over the link only"},
		{"text/template", "init formats nothing"},
	} {
		if slices.Contains(deps, p.path) {
			t.Errorf("init imports %s: %s", p.path, p.why)
		}
	}
}
