package tests

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// stuck makes a bundle with a hook that says that it runs, and then does not
// end by itself.
func (h *host) stuck(kind string, edits ...edit) (b *bundle, running string) {
	h.t.Helper()
	b = h.newBundle([]string{"sleep"}, edits...)
	running = b.path("running")
	script := "touch " + running + "; exec sleep 1000"
	if kind == "startContainer" {
		script = "touch /running; exec sleep 1000"
		running = b.path("rootfs/running")
		b.config.Root.Readonly = false
	}
	shell := "/bin/sh"
	if b.config.Hooks == nil {
		b.config.Hooks = new(specs.Hooks)
	}
	*hooksOf(b.config, kind) = []specs.Hook{{Path: shell, Args: []string{"sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin"}}}
	b.save(h.t)
	return b, running
}

// launch starts the runtime and waits until the file exists.
func (h *host) launch(file string, args ...string) (*exec.Cmd, <-chan error) {
	h.t.Helper()
	cmd := h.command(args...)
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	h.t.Cleanup(func() { _ = cmd.Process.Kill() })
	eventually(h.t, filepath.Base(file)+" is there", func() bool { return fileExists(file) })
	return cmd, ended
}

// soon fails the test unless what is waited for comes within a few seconds.
func soon(t *testing.T, what string, ended <-chan error) error {
	t.Helper()
	select {
	case err := <-ended:
		return err
	case <-time.After(5 * time.Second):
		t.Fatalf("%s takes more than 5 s", what)
		return nil
	}
}

func (h *host) deleteSoon(global []string, id string) {
	h.t.Helper()
	cmd := h.command(slices.Concat(global, []string{"delete", "--force", id})...)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Run() }()
	h.t.Cleanup(func() { _ = cmd.Process.Kill() })
	if err := soon(h.t, "delete --force", ended); err != nil {
		h.t.Errorf("delete --force: %v", err)
	}
}

var hooksOfCreate = []string{"prestart", "createRuntime", "createContainer"}

func TestAContainerWhoseHookNeverEndsCanBeDeleted(t *testing.T) {
	t.Parallel()
	for _, cgroups := range []string{"cgroupfs", "disabled"} {
		for _, kind := range append(hooksOfCreate, "startContainer", "poststart") {
			t.Run(kind+" "+cgroups, func(t *testing.T) {
				t.Parallel()
				h := newHost(t)
				b, running := h.stuck(kind)
				global := []string{"--cgroup-manager", cgroups}
				id := newID()
				args := slices.Concat(global, []string{"create", "--bundle", b.dir, id})
				if kind == "startContainer" || kind == "poststart" {
					if r := h.finish(h.command(args...)); r.status != 0 {
						t.Fatal(r.stderr)
					}
					args = slices.Concat(global, []string{"start", id})
				}
				cmd, ended := h.launch(running, args...)
				h.deleteSoon(global, id)
				if kind == "poststart" { // the hook is start's to wait for
					_ = cmd.Process.Kill()
				}
				if soon(t, "the interrupted command", ended) == nil {
					t.Error("it succeeded")
				}
				h.nothingRemains(id, b)
			})
		}
	}
}

// Whoever kills the runtime while a hook runs finds all of it with delete.
func TestACreateThatWasKilledInAHookLeavesNothingAfterDelete(t *testing.T) {
	t.Parallel()
	for _, cgroups := range []string{"cgroupfs", "disabled"} {
		for _, kind := range hooksOfCreate {
			t.Run(kind+" "+cgroups, func(t *testing.T) {
				t.Parallel()
				h := newHost(t)
				b, running := h.stuck(kind, dropNamespace(specs.PIDNamespace))
				global := []string{"--cgroup-manager", cgroups}
				id := newID()
				cmd, ended := h.launch(running, slices.Concat(global, []string{"create", "--bundle", b.dir, id})...)
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				_ = soon(t, "the killed create", ended)
				h.deleteSoon(global, id)
				eventually(t, "nothing remains", func() bool { return len(h.remains(id, b)) == 0 })
				h.nothingRemains(id, b)
			})
		}
	}
}

func TestRunThatIsInterruptedInAHookEndsAndLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, kind := range hooksOfCreate {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			b, running := h.stuck(kind, dropNamespace(specs.PIDNamespace))
			id := newID()
			cmd := h.command("run", "--bundle", b.dir, id)
			var stderr strings.Builder
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			eventually(t, "the hook runs", func() bool { return fileExists(running) })
			if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			if soon(t, "run", ended) == nil {
				t.Error("run succeeded")
			}
			if !strings.Contains(stderr.String(), "interrupted by SIGTERM") {
				t.Errorf("the error is %q", stderr.String())
			}
			h.nothingRemains(id, b)
		})
	}
}
