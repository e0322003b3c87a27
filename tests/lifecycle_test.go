package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// statuses are the ways to bring a container to each status.
func statuses() map[string]func(h *host) *container {
	created := func(h *host) *container { return h.create(h.newBundle([]string{"sleep"})) }
	running := func(h *host) *container {
		c := created(h)
		h.must("start", c.id)
		return c
	}
	return map[string]func(h *host) *container{
		"created": created,
		"running": running,
		"paused": func(h *host) *container {
			c := running(h)
			h.must("pause", c.id)
			return c
		},
		"stopped": func(h *host) *container {
			c := running(h)
			h.must("kill", c.id, "KILL")
			h.awaitStatus(c.id, specs.StateStopped)
			return c
		},
	}
}

//proves:runtime.md#operations:1 runtime.md#scope-of-a-container:1 runtime.md#start:2 runtime.md#kill:2
//proves:runtime.md#delete:2 runtime.md#state:5 state.status state.status=created state.status=running
//proves:state.status=stopped
func TestEachStatusAllowsItsOperationsAndNoOthers(t *testing.T) {
	t.Parallel()
	// What the error says; "" where the operation succeeds, and then what the
	// status is afterwards.
	type outcome struct{ refusal, after string }
	operations := map[string]struct {
		args []string // before the ID
		rest []string // after it
		in   map[string]outcome
	}{
		"start": {[]string{"start"}, nil, map[string]outcome{
			"created": {"", "running"}, "running": {"running", ""}, "paused": {"paused", ""}, "stopped": {"stopped", ""},
		}},
		"delete": {[]string{"delete"}, nil, map[string]outcome{
			"created": {"cannot delete container ID that is not stopped: created", ""},
			"running": {"cannot delete container ID that is not stopped: running", ""},
			"paused":  {"cannot delete container ID that is not stopped: paused", ""},
			"stopped": {"", "deleted"},
		}},
		"delete --force": {[]string{"delete", "--force"}, nil, map[string]outcome{
			"created": {"", "deleted"}, "running": {"", "deleted"}, "paused": {"", "deleted"}, "stopped": {"", "deleted"},
		}},
		"kill 0": {[]string{"kill"}, []string{"0"}, map[string]outcome{
			"created": {"", "created"}, "running": {"", "running"}, "paused": {"", "paused"},
			"stopped": {"container not running", ""},
		}},
		"kill KILL": {[]string{"kill"}, []string{"KILL"}, map[string]outcome{
			"created": {"", "stopped"}, "running": {"", "stopped"}, "stopped": {"container not running", ""},
		}},
		"kill --all": {[]string{"kill", "--all"}, []string{"9"}, map[string]outcome{
			"created": {"", "stopped"}, "running": {"", "stopped"}, "stopped": {"", "stopped"},
		}},
		"pause": {[]string{"pause"}, nil, map[string]outcome{
			"created": {"", "paused"}, "running": {"", "paused"},
			"paused": {"not running or created", ""}, "stopped": {"not running or created", ""},
		}},
		"resume": {[]string{"resume"}, nil, map[string]outcome{
			"created": {"not paused", ""}, "running": {"not paused", ""}, "paused": {"", "running"}, "stopped": {"not paused", ""},
		}},
		"exec": {[]string{"exec"}, []string{"/bin/true"}, map[string]outcome{
			"created": {"", "created"}, "running": {"", "running"},
			"paused": {"cannot exec in a paused container", ""}, "stopped": {"cannot exec in a stopped container", ""},
		}},
		"state": {[]string{"state"}, nil, map[string]outcome{
			"created": {"", "created"}, "running": {"", "running"}, "paused": {"", "paused"}, "stopped": {"", "stopped"},
		}},
		"ps": {[]string{"ps"}, nil, map[string]outcome{
			"created": {"", "created"}, "running": {"", "running"}, "paused": {"", "paused"}, "stopped": {"", "stopped"},
		}},
	}
	for operation, o := range operations {
		for status, want := range o.in {
			t.Run(operation+" of one that is "+status, func(t *testing.T) {
				t.Parallel()
				h := newHost(t)
				c := statuses()[status](h)
				args := append(append(append([]string{}, o.args...), c.id), o.rest...)
				if want.refusal != "" {
					h.refuses([]string{strings.ReplaceAll(want.refusal, "ID", c.id)}, args...)
					equal(t, "status after the refusal", string(h.state(c.id).Status), status)
					return
				}
				h.must(args...)
				if want.after == "deleted" {
					h.refuses([]string{"does not exist"}, "state", c.id)
					return
				}
				h.awaitStatus(c.id, specs.ContainerState(want.after))
			})
		}
	}
}

//proves:runtime.md#query-state:2
func TestNoOperationKnowsAContainerThatDoesNotExist(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, args := range [][]string{
		{"state", "x"},
		{"start", "x"},
		{"kill", "x"},
		{"kill", "x", "9"},
		{"kill", "--all", "x", "9"},
		{"delete", "x"},
		{"pause", "x"},
		{"resume", "x"},
		{"ps", "x"},
		{"exec", "x", "/bin/true"},
	} {
		h.refuses([]string{"container does not exist"}, args...)
	}
}

func TestNothingIsKnownOfAContainerAfterDelete(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := statuses()["stopped"](h)
	h.must("delete", c.id)
	h.refuses([]string{c.id, "does not exist"}, "state", c.id)
	h.refuses([]string{c.id, "does not exist"}, "delete", c.id)
	equal(t, "list", strings.Fields(h.must("list", "-q")), []string{})
}

//proves:runtime.md#create:3 runtime.md#delete:3
func TestAnIDCanBeUsedAgainAfterDelete(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid"})
	id := newID()
	for range 3 {
		h.must("create", "--bundle", b.dir, id)
		h.must("start", id)
		h.awaitStatus(id, specs.StateStopped)
		h.must("delete", id)
	}
	h.nothingRemains(id, b)
}

//proves:runtime.md#create:2 runtime.md#state:3
func TestASecondContainerOfTheSameIDIsRefusedAndTheFirstUnharmed(t *testing.T) {
	t.Parallel()
	for status, bring := range statuses() {
		t.Run(status, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			c := bring(h)
			before := h.must("state", c.id)
			other := h.newBundle([]string{"pid"})
			for _, command := range []string{"create", "run"} {
				h.refuses([]string{c.id, "already exists"}, command, "--bundle", other.dir, c.id)
			}
			equal(t, "state", h.must("state", c.id), before)
			if status == "running" {
				h.must("exec", c.id, "/bin/true")
			}
		})
	}
}

//proves:runtime.md#lifecycle:4
func TestChangesOfTheConfigurationAfterCreateHaveNoEffect(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"env", "uname", "cwd", "sleep"}, func(s *specs.Spec) {
		s.Process.Env = []string{"WHEN=before"}
		s.Hostname = "before"
	})
	c := h.create(b)
	b.config.Process.Env = []string{"WHEN=after"}
	b.config.Process.Args = []string{"/probe", "exit=9"}
	b.config.Process.Cwd = "/tmp"
	b.config.Hostname = "after"
	b.config.Hooks = &specs.Hooks{Poststart: []specs.Hook{{Path: "/bin/false"}}, Poststop: []specs.Hook{{Path: "/no/hook"}}}
	b.save(t)
	h.must("start", c.id)
	s := c.see()
	for _, e := range get[[]string](t, s, "env") {
		if e == "WHEN=after" {
			t.Error("the environment is the changed one")
		}
	}
	equal(t, "hostname", get[map[string]string](t, s, "uname")["nodename"], "before")
	equal(t, "directory", get[string](t, s, "cwd"), "/")
	// Exec, too, takes the environment as it was.
	if err := os.Remove(b.path("config.json")); err != nil {
		t.Fatal(err)
	}
	env := get[[]string](t, c.exec("env"), "env")
	if len(env) == 0 || env[0] != "WHEN=before" {
		t.Errorf("environment of exec: %q", env)
	}
	if r := h.try("delete", "--force", c.id); r.status != 0 || r.stderr != "" {
		t.Errorf("delete: %d %q", r.status, r.stderr)
	}
}

//proves:runtime.md#start:4 config.md#process:1
func TestAContainerWithoutAProcessIsCreatedAndCannotBeStarted(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle(nil, func(s *specs.Spec) { s.Process = nil })
	c := h.create(b)
	equal(t, "status", h.state(c.id).Status, specs.StateCreated)
	h.refuses([]string{"process"}, "start", c.id)
	equal(t, "status after start", h.state(c.id).Status, specs.StateCreated)
	h.must("delete", "--force", c.id)
	h.nothingRemains(c.id, b)
}

//proves:runtime.md#lifecycle:3 runtime.md#lifecycle:13 runtime.md#create:5 runtime.md#start:3
func TestTheProgramDoesNotRunBeforeStart(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"write=/ran:yes", "sleep"}, writableRoot)
	c := h.create(b)
	if fileExists(b.path("rootfs/ran")) {
		t.Error("the program ran at create")
	}
	h.must("start", c.id)
	eventually(t, "the program runs", func() bool { return fileExists(b.path("rootfs/ran")) })
}

func TestContainersOfDifferentRootsDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	one, two := newHost(t), newHost(t)
	c := one.create(one.newBundle([]string{"sleep"}))
	two.refuses([]string{"does not exist"}, "state", c.id)
	equal(t, "list", strings.Fields(two.must("list", "-q")), []string{})
	if _, err := os.Stat(filepath.Join(one.root, c.id)); err != nil {
		t.Error(err)
	}
}
