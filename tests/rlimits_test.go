package tests

import (
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func limits(l ...specs.POSIXRlimit) edit {
	return func(s *specs.Spec) { s.Process.Rlimits = l }
}

// showLimits makes the process one that shows its limits. The probe would not
// do: the Go runtime changes that of open files.
func showLimits(s *specs.Spec) { s.Process.Args = []string{"/bin/cat", "/proc/self/limits"} }

// parseLimits returns soft and hard limit by name.
func parseLimits(text string) map[string]string {
	out := make(map[string]string)
	const nameWidth = 26
	for line := range strings.Lines(text) {
		if len(line) > nameWidth {
			if f := strings.Fields(line[nameWidth:]); len(f) >= 2 {
				out[strings.TrimSpace(line[:nameWidth])] = f[0] + " " + f[1]
			}
		}
	}
	return out
}

// withShell is a bundle that needs the programs of busybox.
func (h *host) withShell(edits ...edit) *bundle {
	h.t.Helper()
	if suite.busybox == "" {
		lacks(h.t, "the program busybox")
	}
	return h.newBundle(nil, edits...)
}

func TestLimitsAreThoseOfTheConfiguration(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	const unlimited = ^uint64(0)
	b := h.withShell(showLimits, limits(
		specs.POSIXRlimit{Type: "RLIMIT_NOFILE", Soft: 300, Hard: 400},
		specs.POSIXRlimit{Type: "RLIMIT_CORE", Soft: 0, Hard: unlimited},
		specs.POSIXRlimit{Type: "RLIMIT_CPU", Soft: 100, Hard: 200},
		specs.POSIXRlimit{Type: "RLIMIT_STACK", Soft: 1 << 20, Hard: 2 << 20},
		specs.POSIXRlimit{Type: "RLIMIT_MSGQUEUE", Soft: 10, Hard: 20},
		specs.POSIXRlimit{Type: "RLIMIT_NPROC", Soft: 50, Hard: 60},
	))
	seen := parseLimits(h.must("run", "--bundle", b.dir, newID()))
	for name, want := range map[string]string{
		"Max open files": "300 400", "Max core file size": "0 unlimited", "Max cpu time": "100 200",
		"Max stack size": "1048576 2097152", "Max msgqueue size": "10 20", "Max processes": "50 60",
	} {
		equal(t, name, seen[name], want)
	}
}

func TestALimitThatIsNotConfiguredIsTheCallers(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	// Among them the soft limit of open files, which the Go runtime raises in
	// its own process.
	b := h.withShell(showLimits, limits())
	script := `ulimit -S -n 1000 && ulimit -H -n 1500 && ulimit -c 0 && exec "$0" "$@"`
	cmd := h.command("run", "--bundle", b.dir, newID())
	cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", script}, cmd.Args...)
	r := h.finish(cmd)
	if r.status != 0 {
		t.Fatal(r.stderr)
	}
	seen := parseLimits(r.stdout)
	equal(t, "open files", seen["Max open files"], "1000 1500")
	own := parseLimits(readFile(t, "/proc/self/limits"))
	for _, name := range []string{"Max processes", "Max stack size", "Max locked memory", "Max msgqueue size"} {
		equal(t, name, seen[name], own[name])
	}
	equal(t, "core", strings.Fields(seen["Max core file size"])[0], "0")
}

func TestAnExecHasTheLimitsOfTheConfiguration(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil, limits(specs.POSIXRlimit{Type: "RLIMIT_NOFILE", Soft: 300, Hard: 400}))
	seen := parseLimits(h.must("exec", c.id, "/bin/cat", "/proc/self/limits"))
	equal(t, "open files", seen["Max open files"], "300 400")
}

func TestLimitsThatCannotBeSetAreRefused(t *testing.T) {
	h := newHost(t)
	h.fails([]string{"process.rlimits[0].type", "RLIMIT_CAKE"}, limits(specs.POSIXRlimit{Type: "RLIMIT_CAKE"}))
	h.fails([]string{"process.rlimits[0].soft", "2", "above the hard limit 1"}, limits(specs.POSIXRlimit{Type: "RLIMIT_CORE", Soft: 2, Hard: 1}))
	h.fails([]string{"process.rlimits[1].type", "rlimits[0]"}, limits(
		specs.POSIXRlimit{Type: "RLIMIT_CORE", Soft: 1, Hard: 1}, specs.POSIXRlimit{Type: "RLIMIT_CORE", Soft: 2, Hard: 2}))
	if hasCapability(t, 24) {
		lacks(t, "the lack of CAP_SYS_RESOURCE")
	}
	h.fails([]string{"process.rlimits", "RLIMIT_MSGQUEUE", "operation not permitted", "CAP_SYS_RESOURCE"},
		limits(specs.POSIXRlimit{Type: "RLIMIT_MSGQUEUE", Soft: 1 << 30, Hard: 1 << 30}))
}
