package tests

import (
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// mountsBelow are the lines of the host's mountinfo that name a directory.
func mountsBelow(t *testing.T, dir string) []string {
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

// Mounts of a container that has no mount namespace are the host's.
func TestMountsInTheHostsNamespaceEndWithTheContainer(t *testing.T) {
	h := newHost(t)
	h.leavesNothing()
	for name, tt := range map[string]struct {
		edit edit
		ok   bool
	}{
		"that ran": {func(*specs.Spec) {}, true},
		"that ran, with an option for mount(2)": {
			addMounts(specs.Mount{Destination: "/mnt", Type: "tmpfs", Source: "x", Options: []string{longSize()}}), true,
		},
		"that was not created":  {func(s *specs.Spec) { s.Process.Args = []string{"/cake"} }, false},
		"that failed in mounts": {addMounts(specs.Mount{Destination: "/tmp", Type: "cakefs", Source: "x"}), false},
		// Its target is made in a mount that is the container's.
		"that failed below a mount": {
			addMounts(specs.Mount{Destination: "/tmp/late", Type: "tmpfs", Source: "x", Options: []string{"cake=1"}}), false,
		},
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
			before := mountsBelow(t, b.dir)
			equal(t, "mounts of the engine", len(before), 1)
			r := h.try("run", "--bundle", b.dir, newID())
			equal(t, "success", r.status == 0, tt.ok)
			equal(t, "words about mounts that stay", strings.Contains(r.stderr, "unmount"), false)
			if tt.ok {
				equal(t, "the container's mount", mountsOf(t, parseSight(t, r.stdout))["/tmp/inner"].source, "two")
			}
			equal(t, "mounts", mountsBelow(t, b.dir), before)
		})
	}
}

func TestMountsInTheHostsNamespaceEndWhateverBecameOfOneOfThem(t *testing.T) {
	h := newHost(t)
	for name, tt := range map[string]struct {
		become func(inner string) error
		// words are what the first delete fails with.
		words []string
	}{
		"a directory": {func(string) error { return nil }, nil},
		"nothing":     {os.Remove, nil},
		"a loop": {func(inner string) error {
			if err := os.Remove(inner); err != nil {
				return err
			}
			return os.Symlink("inner", inner)
		}, []string{"unmount", "/tmp/inner: too many levels of symbolic links"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			b := h.newBundle([]string{"sleep"}, alone(specs.PIDNamespace), nothingToMount, addMounts(
				specs.Mount{Destination: "/tmp", Type: "tmpfs", Source: "one"},
				specs.Mount{Destination: "/tmp/inner", Type: "tmpfs", Source: "two"},
				specs.Mount{Destination: "/mnt", Type: "tmpfs", Source: "three"},
			))
			id := newID()
			h.must("create", "--bundle", b.dir, id)
			inner := b.path("rootfs/tmp/inner")
			if err := unix.Unmount(inner, 0); err != nil {
				t.Fatal(err)
			}
			if err := tt.become(inner); err != nil {
				t.Fatal(err)
			}
			if tt.words != nil {
				h.refuses(tt.words, "delete", "--force", id)
				equal(t, "mounts after a delete that failed", mountsBelow(t, b.dir), nil)
			}
			h.must("delete", "--force", id)
			equal(t, "mounts", mountsBelow(t, b.dir), nil)
		})
	}
}

// What could not be unmounted is found by the record.
func TestACreationThatCannotBeUndoneCanBeDeleted(t *testing.T) {
	h := newHost(t)
	b := h.newBundle([]string{"sleep"}, alone(specs.PIDNamespace), nothingToMount, addMounts(
		specs.Mount{Destination: "/tmp", Type: "tmpfs", Source: "one"},
		specs.Mount{Destination: "/tmp/inner", Type: "tmpfs", Source: "two"},
	))
	inner := b.path("rootfs/tmp/inner")
	b.config.Hooks = &specs.Hooks{CreateContainer: []specs.Hook{{
		Path: "/bin/sh", Args: []string{"sh", "-c", "umount -l " + inner + " && rmdir " + inner + " && ln -s inner " + inner + "; exit 3"},
	}}}
	b.save(t)
	id := newID()
	h.refuses([]string{"exit status 3", "unmount", "/tmp/inner: too many levels of symbolic links"}, "create", "--bundle", b.dir, id)
	equal(t, "status", string(h.state(id).Status), "stopped")
	h.must("delete", "--force", id)
	h.nothingRemains(id, b)
}
