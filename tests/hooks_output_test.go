package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// chatty gives the container a hook of each kind, which prints its kind to both
// of its streams.
func chatty(s *specs.Spec) {
	s.Hooks = &specs.Hooks{}
	for _, kind := range hookKinds() {
		*hooksOf(s, kind) = []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "echo out " + kind + "; echo err " + kind + " >&2"}}}
	}
}

func hookKinds() []string {
	return []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"}
}

func annotate(key, value string) edit {
	return func(s *specs.Spec) {
		if s.Annotations == nil {
			s.Annotations = make(map[string]string)
		}
		s.Annotations[key] = value
	}
}

//proves:annotations.run.oci.hooks.stdout annotations.run.oci.hooks.stderr
func TestTheOutputOfHooksIsAppendedToTheFilesOfTheAnnotations(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	writeFile(t, out, "before\n")
	// A relative path starts from the bundle.
	b := h.withShell(chatty, asleep, annotate("run.oci.hooks.stdout", out), annotate("run.oci.hooks.stderr", "err"))
	c := h.create(b)
	h.must("start", c.id)
	// The program has none of the files.
	for _, f := range openFiles(t, c.pid) {
		if f == out || f == b.path("err") {
			t.Errorf("the program has %s", f)
		}
	}
	h.must("delete", "--force", c.id)
	lines := func(stream string) (text string) {
		for _, kind := range hookKinds() {
			text += stream + " " + kind + "\n"
		}
		return text
	}
	equal(t, "output", readFile(t, out), "before\n"+lines("out"))
	equal(t, "errors", readFile(t, b.path("err")), lines("err"))
	info, err := os.Stat(b.path("err"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "mode", fmt.Sprintf("%o", info.Mode().Perm()), "700")
}

func openFiles(t *testing.T, pid int) (names []string) {
	t.Helper()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if name, err := os.Readlink(link); err == nil {
			names = append(names, name)
		}
	}
	return names
}

// What goes nowhere else is still in the error.
//
//proves:annotations.run.oci.hooks.stdout annotations.run.oci.hooks.stderr
func TestOneStreamOfAHookMayBeAppendedAlone(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"createRuntime", "createContainer"} {
		h := newHost(t)
		b := h.withShell(chatty, annotate("run.oci.hooks.stdout", "out"), func(s *specs.Spec) {
			hook := &(*hooksOf(s, kind))[0]
			hook.Args[2] += "; exit 3"
			s.Hooks.Prestart, s.Hooks.Poststop = nil, nil //nolint:staticcheck // deprecated, and used
		})
		r := h.try("run", "--bundle", b.dir, newID())
		if r.status == 0 || !strings.Contains(r.stderr, "it said: err "+kind) || strings.Contains(r.stderr, "out ") {
			t.Errorf("%s: status %d, %s", kind, r.status, r.stderr)
		}
		if text := readFile(t, b.path("out")); !strings.HasSuffix(text, "out "+kind+"\n") {
			t.Errorf("output: %q", text)
		}
	}
}

// As some write it: the output is that of the command.
func TestTheOutputOfHooksMayBeThatOfTheCommand(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.withShell(chatty, func(s *specs.Spec) { s.Process.Args = []string{"/bin/true"} },
		annotate("run.oci.hooks.stdout", "/dev/stdout"), annotate("run.oci.hooks.stderr", "/dev/stderr"))
	r := h.try("run", "--bundle", b.dir, newID())
	for _, kind := range hookKinds() {
		if !strings.Contains(r.stdout, "out "+kind) || !strings.Contains(r.stderr, "err "+kind) {
			t.Errorf("nothing of %s: %q %q", kind, r.stdout, r.stderr)
		}
	}
}

func TestAFileForHooksThatCannotBeOpenedIsAnError(t *testing.T) {
	h := newHost(t)
	fifo := filepath.Join(t.TempDir(), "fifo")
	makeFifo(t, fifo)
	for path, word := range map[string]string{
		"/nowhere/file": "no such file or directory", "/": "is a directory",
		fifo: "no such device or address", // nobody reads it
	} {
		b := h.withShell(chatty, asleep, annotate("run.oci.hooks.stderr", path), func(s *specs.Spec) { s.Hooks.Poststop = nil })
		h.failsWith(b, []string{"annotations.run.oci.hooks.stderr", path, word})
	}
	// Without hooks nothing is opened.
	b := h.newBundle([]string{"pid"}, annotate("run.oci.hooks.stdout", "file"))
	h.run(b)
	if fileExists(b.path("file")) {
		t.Error("a file was made for no hook")
	}
}
