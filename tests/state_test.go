package tests

import (
	"encoding/json"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

//proves:state.ociVersion state.id state.status state.status=created state.pid state.bundle state.annotations.*
//proves:annotations.* runtime.md#state:1 runtime.md#state:2 runtime.md#state:4 runtime.md#state:6 runtime.md#state:7
//proves:runtime.md#query-state:3 config.md#annotations:24
func TestStatePrintsAllThatIsKnown(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	annotations := map[string]string{"org.example.colour": "blue", "org.example.empty": ""}
	b := h.newBundle([]string{"sleep"}, func(s *specs.Spec) { s.Annotations = annotations })
	before := time.Now().Add(-time.Second)
	c := h.create(b)
	text := h.must("state", c.id)
	var s listed
	decodeStrictly(t, text, &s)
	if s.Created.Before(before) || s.Created.After(time.Now()) || s.Created.Location() != time.UTC {
		t.Errorf("created %v", s.Created)
	}
	s.Created = time.Time{}
	equal(t, "state", s, listed{
		OCIVersion: b.config.Version, ID: c.id, Pid: c.pid, Status: "created", Bundle: b.dir, Rootfs: b.path("rootfs"),
		Annotations: annotations,
	})
	if !strings.HasPrefix(text, "{\n  \"ociVersion\": ") || !strings.HasSuffix(text, "\n}") {
		t.Errorf("not the layout that scripts know: %q", text)
	}
}

//proves:state.pid state.status=stopped
func TestTheStateOfAStoppedContainerHasNoPid(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := statuses()["stopped"](h)
	s := h.state(c.id)
	equal(t, "state", []any{s.Status, s.Pid}, []any{specs.StateStopped, 0})
}

func TestAContainerWhoseProcessIsAZombieHasStopped(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"sleep"})
	id := newID()
	// The caller stays, and does not reap.
	cmd := exec.Command("/bin/sh", "-c", suite.runtime+" --root "+h.root+" run --detach --bundle "+b.dir+" "+id+"; exec sleep 30")
	h.startCommand(cmd)
	eventually(t, "the container runs", func() bool {
		return h.try("state", id).status == 0 && h.state(id).Status == specs.StateRunning
	})
	h.must("kill", id, "KILL")
	h.awaitStatus(id, specs.StateStopped)
	h.must("delete", id)
}

// The fields of runc's, of its release 1.1.5.
func runcStateFields() []string {
	return []string{"bundle", "created", "id", "ociVersion", "owner", "pid", "rootfs", "status"}
}

func TestStateAndListHaveTheFieldsOfRunc(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	want := runcStateFields()
	if fields := fieldsOfRunc(t); fields != nil {
		want = fields
	}
	equal(t, "fields of state", fieldsOf(t, h.must("state", c.id)), want)
	list := strings.TrimSpace(h.must("list", "--format", "json"))
	equal(t, "fields of list", fieldsOf(t, strings.Trim(list, "[]")), want)
}

func fieldsOf(t *testing.T, text string) []string {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return slices.Sorted(maps.Keys(all))
}

// fieldsOfRunc asks the runc that is installed, if it can run a container here.
func fieldsOfRunc(t *testing.T) []string {
	t.Helper()
	path, err := exec.LookPath("runc")
	if err != nil {
		return nil
	}
	h := newHost(t)
	b := h.newBundle([]string{"sleep"}, func(s *specs.Spec) { s.Version = "1.0.2" })
	root, id := filepath.Join(t.TempDir(), "runc"), newID()
	runc := func(args ...string) *exec.Cmd {
		return exec.Command(path, append([]string{"--root", root}, args...)...)
	}
	defer func() { _ = runc("delete", "--force", id).Run() }()
	if err := runc("run", "--detach", "--bundle", b.dir, id).Run(); err != nil {
		t.Logf("runc cannot run a container here, so that its fields are those of 1.1.5: %v", err)
		return nil
	}
	out, err := runc("state", id).Output()
	if err != nil {
		t.Fatal(err)
	}
	return fieldsOf(t, string(out))
}

// Who asks while a container is made or deleted hears what there is of it, or that
// there is none.
func TestNoContainerIsSeenBeforeItIsMadeOrAfterItIsDeleted(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"sleep"})
	id := newID()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range fewer(15) {
			_ = h.command("create", "--bundle", b.dir, id).Run()
			_ = h.command("delete", "--force", id).Run()
		}
	}()
	for asked := 0; ; asked++ {
		select {
		case <-done:
			if asked == 0 {
				t.Error("it was over before anybody asked")
			}
			return
		default:
		}
		if r := h.try("state", id); r.status == 0 {
			var s listed
			decodeStrictly(t, r.stdout, &s)
			equal(t, "bundle of one that is "+s.Status, s.Bundle, b.dir)
		} else if !strings.Contains(r.stderr, "does not exist") {
			t.Errorf("state: %s", r.stderr)
		}
		r := h.try("list", "--format", "json")
		var all []listed
		decodeStrictly(t, r.stdout, &all)
		if r.stderr != "" || len(all) > 0 && all[0].Bundle != b.dir {
			t.Errorf("list: %s%s", r.stdout, r.stderr)
		}
	}
}
