package tests

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// edit changes the configuration of a bundle.
type edit = func(*specs.Spec)

// container is one whose process has been started and, when its probe sleeps,
// goes on.
type container struct {
	h   *host
	id  string
	pid int
	out string
}

// create creates a container of b. Its output goes to a file.
func (h *host) create(b *bundle) *container {
	h.t.Helper()
	c := &container{h: h, id: newID(), out: filepath.Join(h.t.TempDir(), "output")}
	f, err := os.Create(c.out)
	if err != nil {
		h.t.Fatal(err)
	}
	defer f.Close()
	pidFile := c.out + ".pid"
	cmd := h.command("create", "--bundle", b.dir, "--pid-file", pidFile, c.id)
	errors, err := os.Create(c.out + ".errors")
	if err != nil {
		h.t.Fatal(err)
	}
	defer errors.Close()
	cmd.Stdout, cmd.Stderr = f, errors
	if r := h.finish(cmd); r.status != 0 {
		text, _ := os.ReadFile(errors.Name())
		h.t.Fatalf("create: status %d\n%s", r.status, text)
	}
	text, err := os.ReadFile(pidFile)
	if err == nil {
		c.pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
	}
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(c.delete)
	return c
}

// start creates and starts a container of a bundle with the probe's commands,
// after which the probe sleeps until it is killed.
func (h *host) start(commands []string, edits ...edit) *container {
	h.t.Helper()
	b := h.newBundle(append(commands, "sleep"), edits...)
	c := h.create(b)
	h.must("start", c.id)
	return c
}

// see waits for what the probe printed before it went to sleep.
func (c *container) see() sight {
	c.h.t.Helper()
	var text []byte
	eventually(c.h.t, "the probe prints", func() bool {
		text, _ = os.ReadFile(c.out)
		return bytes.HasSuffix(text, []byte("\n"))
	})
	return parseSight(c.h.t, string(text))
}

// exec runs the probe inside with the commands and returns what it saw.
func (c *container) exec(commands ...string) sight {
	c.h.t.Helper()
	return parseSight(c.h.t, c.h.must(append([]string{"exec", c.id, "/probe"}, commands...)...))
}

func (c *container) delete() { _ = c.h.command("delete", "--force", c.id).Run() }

// fails checks that a container with the edits is refused, with all of words in
// the error, and that nothing is left of it.
func (h *host) fails(words []string, edits ...edit) {
	h.t.Helper()
	b := h.newBundle([]string{"pid"}, edits...)
	h.failsWith(b, words)
}

func (h *host) failsWith(b *bundle, words []string) {
	h.t.Helper()
	id := newID()
	h.refuses(words, "run", "--bundle", b.dir, id)
	h.nothingRemains(id, b)
}

// lacks skips a test because of something that this machine cannot do.
func lacks(t *testing.T, what string) {
	t.Helper()
	t.Skipf("this machine lacks %s", what)
}

// needTool returns the path of a program, or skips the test.
func needTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		lacks(t, "the program "+name)
	}
	return path
}

func pointer[T any](v T) *T { return &v }

// mappedOwner hands the root filesystem to the root of joinable user namespaces.
// It is an edit for containers that get their mapping from elsewhere.
func mappedOwner(s *specs.Spec) {
	if s.Annotations == nil {
		s.Annotations = map[string]string{}
	}
	s.Annotations["org.example.owner"] = strconv.Itoa(mappedRoot)
}

// mappedRoot is the user of the host that mapAll makes root of a container.
const mappedRoot = 100000

// handOver lets the root of the container's user namespace reach and own the
// root filesystem, as an engine would.
func (b *bundle) handOver(t *testing.T) {
	t.Helper()
	owner := 0
	if l := b.config.Linux; l != nil && len(l.UIDMappings) > 0 {
		owner = int(l.UIDMappings[0].HostID)
	} else if b.config.Annotations["org.example.owner"] != "" {
		owner = mappedRoot
	}
	if owner == 0 {
		return
	}
	reachable(t, b.path("rootfs"))
	err := filepath.WalkDir(b.path("rootfs"), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chown(path, owner, owner)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// reachable makes the way to a directory passable for all.
func reachable(t *testing.T, dir string) {
	t.Helper()
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// equal compares by JSON, which is what sights are made of.
func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	g, err1 := json.Marshal(got)
	w, err2 := json.Marshal(want)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if !bytes.Equal(g, w) {
		t.Errorf("%s: %s, want %s", what, g, w)
	}
}

// fileStat is what the probe's stat prints.
type fileStat struct {
	Mode, Rdev string
	UID, GID   int
	Size       int
}

// Edits that many tests use.

func writableRoot(s *specs.Spec) { s.Root.Readonly = false }

func shell(script string) edit {
	return func(s *specs.Spec) { s.Process.Args = []string{"/bin/sh", "-c", script} }
}

// addNamespace puts a namespace of the type at path, or a new one for "", in
// the place of any that is configured.
func addNamespace(kind specs.LinuxNamespaceType, path string) edit {
	return func(s *specs.Spec) {
		dropNamespace(kind)(s)
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: kind, Path: path})
	}
}

func dropNamespace(kind specs.LinuxNamespaceType) edit {
	return func(s *specs.Spec) {
		kept := make([]specs.LinuxNamespace, 0, len(s.Linux.Namespaces))
		for _, ns := range s.Linux.Namespaces {
			if ns.Type != kind {
				kept = append(kept, ns)
			}
		}
		s.Linux.Namespaces = kept
	}
}

// firstNamespaces are the five that every default configuration begins with: that
// of cgroup v2 has one more. It is for tests that know a namespace by its place.
func firstNamespaces(s *specs.Spec) { dropNamespace(specs.CgroupNamespace)(s) }

func addMounts(mounts ...specs.Mount) edit {
	return func(s *specs.Spec) { s.Mounts = append(s.Mounts, mounts...) }
}

// withCapabilities gives the process the capabilities in every set but the
// inheritable and the ambient one.
func withCapabilities(names ...string) edit {
	return func(s *specs.Spec) {
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: names, Permitted: names, Effective: names}
	}
}

// allCapabilities leaves the process what root of the host has.
func allCapabilities(s *specs.Spec) { s.Process.Capabilities = nil }

func noNewPrivileges(value bool) edit {
	return func(s *specs.Spec) { s.Process.NoNewPrivileges = value }
}

func number(t *testing.T, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
