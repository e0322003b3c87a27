// Package tests is the black-box suite: it runs the built binary as a user or an
// engine would, and asserts what can be seen from inside the containers, by the
// program in cmd/probe, and from the host.
//
// One file covers one command or one part of config.json. Environment: RUNTIME
// is the binary, by default ../hull; PROBE is cmd/probe where there is no Go to
// build it with, and has cmd/soak beside it; HULL_CGROUP_MANAGER=systemd has
// systemd make all cgroups.
//
// An ordinary user can run it, too: what is for root is skipped.
package tests

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// suite is what all tests share; TestMain sets it up.
var suite struct {
	runtime string
	probe   string
	busybox string
	// flags are global flags of every command.
	flags []string
}

func TestMain(m *testing.M) {
	os.Exit(runSuite(m))
}

// parallel is how many tests run at a time unless -parallel says otherwise: they
// wait more than they compute.
const parallel = "6"

func runSuite(m *testing.M) int {
	if err := flag.Set("test.parallel", parallel); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	suite.runtime = os.Getenv("RUNTIME")
	if suite.runtime == "" {
		suite.runtime, _ = filepath.Abs("../hull")
	}
	if _, err := os.Stat(suite.runtime); err != nil {
		fmt.Fprintln(os.Stderr, "no binary to test, run make first:", err)
		return 1
	}
	if os.Getenv("HULL_CGROUP_MANAGER") == "systemd" {
		suite.flags = []string{systemdFlag}
	}
	dir, err := os.MkdirTemp("", "hull-tests-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	suite.probe = filepath.Join(dir, "probe")
	if err := makeProbe(suite.probe); err != nil {
		fmt.Fprintln(os.Stderr, "make the probe:", err)
		return 1
	}
	// Where bundles can link to it: nothing writes to it.
	if busybox, err := exec.LookPath("busybox"); err == nil {
		suite.busybox = filepath.Join(dir, "busybox")
		if out, err := exec.Command("cp", busybox, suite.busybox).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "copy busybox: %v\n%s", err, out)
			return 1
		}
	}
	return m.Run()
}

// makeProbe puts the probe at path: a copy, because bundles link to it.
func makeProbe(path string) error {
	build := exec.Command("go", "build", "-o", path, "./cmd/probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if ready := os.Getenv("PROBE"); ready != "" {
		build = exec.Command("cp", ready, path)
	}
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// host is one state directory and the containers in it. Whatever a test leaves
// behind is a failure of the test.
type host struct {
	t    *testing.T
	root string
	// flags are more global flags of the runtime.
	flags []string
	// through is the command that runs the runtime, if it is not run as it is.
	through []string
	// binary is the runtime, if it is not the suite's.
	binary string
}

// newHost is for root.
func newHost(t *testing.T) *host {
	t.Helper()
	needRoot(t)
	return newHostOf(t)
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		lacks(t, "root: the suite is run by an ordinary user")
	}
}

// newHostOf is for whoever runs the suite.
func newHostOf(t *testing.T) *host {
	t.Helper()
	h := &host{t: t, root: filepath.Join(t.TempDir(), "state")}
	// A directory that was asked for by name has to be there for list.
	if err := os.Mkdir(h.root, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.sweep)
	return h
}

// sweep deletes what tests that failed have left, so that it is not in the way
// of the next.
func (h *host) sweep() {
	entries, err := os.ReadDir(h.root)
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			_ = h.command("delete", "--force", e.Name()).Run()
		}
	}
}

// command is the runtime with its global flags.
func (h *host) command(args ...string) *exec.Cmd {
	line := slices.Concat(h.through, []string{cmp.Or(h.binary, suite.runtime), "--root", h.root}, suite.flags, h.flags, args)
	return exec.Command(line[0], line[1:]...)
}

// result is how a command ended.
type result struct {
	status         int
	stdout, stderr string
}

// try runs the runtime and returns how it ended.
func (h *host) try(args ...string) result {
	h.t.Helper()
	return h.finish(h.command(args...))
}

// finish runs cmd for at most a minute. What it and its children have written by
// its end is its output: a detached container keeps the pipes open.
func (h *host) finish(cmd *exec.Cmd) result {
	h.t.Helper()
	stdout, stderr := newOutput(h.t, &cmd.Stdout), newOutput(h.t, &cmd.Stderr)
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	timer := time.AfterFunc(atMost(60), func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.t.Fatal(err)
	}
	return result{status: cmd.ProcessState.ExitCode(), stdout: stdout.take(), stderr: stderr.take()}
}

// must runs the runtime, which has to succeed, and returns its output.
func (h *host) must(args ...string) string {
	h.t.Helper()
	r := h.try(args...)
	if r.status != 0 {
		h.t.Fatalf("%v: exit status %d\n%s%s", args, r.status, r.stdout, r.stderr)
	}
	return r.stdout
}

// refuses runs the runtime, which has to fail with all of words in its error.
func (h *host) refuses(words []string, args ...string) {
	h.t.Helper()
	r := h.try(args...)
	if r.status == 0 {
		h.t.Fatalf("%v succeeded\n%s", args, r.stdout)
	}
	// The log quotes what it says.
	said := strings.ReplaceAll(r.stderr, `\"`, `"`)
	for _, w := range words {
		if !strings.Contains(said, w) {
			h.t.Errorf("%v: the error lacks %q:\n%s", args, w, r.stderr)
		}
	}
}

// state returns the state document of a container.
func (h *host) state(id string) (s specs.State) {
	h.t.Helper()
	if err := json.Unmarshal([]byte(h.must("state", id)), &s); err != nil {
		h.t.Fatal(err)
	}
	return s
}

// awaitStatus waits until the container has the status.
func (h *host) awaitStatus(id string, want specs.ContainerState) {
	h.t.Helper()
	eventually(h.t, fmt.Sprintf("%s becomes %s", id, want), func() bool { return h.state(id).Status == want })
}

// eventually waits for at most ten seconds of a usual machine until done returns true.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(atMost(10)); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if done() {
			return
		}
	}
	t.Fatalf("after %v it is not so that %s", atMost(10), what)
}

// lastID makes container IDs unique: a cgroup of the same name may be another
// test's.
var lastID atomic.Int64

func newID() string { return idPrefix() + fmt.Sprint(lastID.Add(1)) }

func idPrefix() string { return fmt.Sprintf("hull-test-%d-", os.Getpid()) }

// sight is what a probe saw, by the command that it was given.
type sight map[string]json.RawMessage

// run runs a container to its end, which has to be a success, and returns what
// its probe saw.
func (h *host) run(b *bundle) sight {
	h.t.Helper()
	return parseSight(h.t, h.must("run", "--bundle", b.dir, newID()))
}

// probe runs a container with the probe's commands and the edits.
func (h *host) probe(commands []string, edits ...func(*specs.Spec)) sight {
	h.t.Helper()
	return h.run(h.newBundle(commands, edits...))
}

func parseSight(t *testing.T, output string) sight {
	t.Helper()
	s := make(sight)
	if err := json.Unmarshal([]byte(output), &s); err != nil {
		t.Fatalf("the probe's output: %v\n%s", err, output)
	}
	return s
}

// get decodes what the probe saw with the command; an error that the probe got
// fails the test.
func get[T any](t *testing.T, s sight, command string) (v T) {
	t.Helper()
	if text := s.failure(command); text != "" {
		t.Fatalf("probe %s: %s", command, text)
	}
	if err := json.Unmarshal(s[command], &v); err != nil {
		t.Fatalf("probe %s: %v: %s", command, err, s[command])
	}
	return v
}

// failure returns the error that the probe got with the command, or "".
func (s sight) failure(command string) string {
	var failed struct{ Error string }
	if json.Unmarshal(s[command], &failed) != nil {
		return ""
	}
	return failed.Error
}
