package tests

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestDeleteForceRemovesAContainerInAnyStatusQuietly(t *testing.T) {
	t.Parallel()
	for status, bring := range statuses() {
		t.Run(status, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			c := bring(h)
			b := &bundle{dir: h.state(c.id).Bundle}
			r := h.try("delete", "--force", c.id)
			if r.status != 0 || r.stdout+r.stderr != "" {
				t.Errorf("status %d, output %q", r.status, r.stdout+r.stderr)
			}
			h.nothingRemains(c.id, b)
		})
	}
}

func TestDeleteForceOfAContainerThatIsGoneIsQuietAndSucceeds(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, args := range [][]string{
		{"delete", "--force", "x"}, {"delete", "-f", "x"}, {"delete", "x", "--force"},
	} {
		if r := h.try(args...); r.status != 0 || r.stdout+r.stderr != "" {
			t.Errorf("%v: status %d, output %q", args, r.status, r.stdout+r.stderr)
		}
	}
}

func TestDeleteForceEndsWhatRunsInsideAndIgnoresSignals(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil, shell("trap '' TERM INT HUP; while :; do sleep 1; done"))
	h.must("exec", "--detach", c.id, "/probe", "sleep")
	h.must("delete", "--force", c.id)
	h.nothingRemains(c.id, &bundle{dir: h.root})
}

//proves:runtime.md#delete:4
func TestDeleteKeepsTheBundle(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid"})
	h.must("run", "--bundle", b.dir, newID())
	for _, name := range []string{"config.json", "rootfs/probe", "rootfs/bin/busybox"} {
		if !fileExists(b.path(name)) {
			t.Errorf("%s is gone", name)
		}
	}
}

func TestDeleteByRegexSparesWhatDoesNotMatch(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"sleep"})
	one, two, other := newID()+"-match", newID()+"-match", newID()
	for _, id := range []string{one, two, other} {
		h.must("run", "--detach", "--bundle", b.dir, id)
	}
	h.refuses([]string{"2 of 2"}, "delete", "--regex", "match$")
	h.must("delete", "--force", "--regex", "match$")
	equal(t, "list", strings.Fields(h.must("list", "-q")), []string{other})
	h.must("delete", "--force", "--regex", "nobody")
}

func TestOfManyDeletesAtOnceNoneComplainsWithForceAndOneSucceedsWithout(t *testing.T) {
	t.Parallel()
	for _, force := range []string{"--force=true", "--force=false"} {
		t.Run(force, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			c := statuses()["stopped"](h)
			var all []*exec.Cmd
			for range 6 {
				cmd := h.command("delete", force, c.id)
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				all = append(all, cmd)
			}
			succeeded := 0
			for _, cmd := range all {
				if cmd.Wait() == nil {
					succeeded++
				}
			}
			want := 1
			if force == "--force=true" {
				want = len(all)
			}
			equal(t, "successful deletes", succeeded, want)
		})
	}
}

//proves:state.status=creating
func TestDeleteForceWhileCreateIsAtWorkWinsAndLeavesNothing(t *testing.T) {
	t.Parallel()
	h, d := newHost(t), newDiary(t)
	b := h.newBundle([]string{"sleep"}, func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{d.hook("createRuntime", "sleep=20")}}
	})
	id := newID()
	creating := h.command("create", "--bundle", b.dir, id)
	h.startCommand(creating)
	eventually(t, "the hook runs", func() bool { return len(d.names()) == 1 })
	equal(t, "status", h.state(id).Status, specs.StateCreating)
	h.refuses([]string{"creating"}, "delete", id)
	if err := creating.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = creating.Wait()
	h.must("delete", "--force", id)
	h.nothingRemains(id, &bundle{dir: filepath.Join(b.dir, "rootfs")})
}

func TestDeleteOfAPausedContainerLeavesNoFrozenProcess(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c, pids := family(h)
	h.must("pause", c.id)
	h.must("delete", "--force", c.id)
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d is alive", pid)
		}
	}
}
