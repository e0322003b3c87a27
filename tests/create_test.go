package tests

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

//proves:runtime.md#create:2
func TestAnIDMustBeAName(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid"})
	for _, id := range []string{
		"", ".", "..", "a/b", "/a", "../a", "a b", "a\nb", "a\x00b"[:1] + "*", "é", "a:b", "a,b", "~", "a\\b", strings.Repeat("x", 1000),
	} {
		for _, command := range []string{"create", "run"} {
			if r := h.try(command, "--bundle", b.dir, "--", id); r.status != 1 || !strings.Contains(r.stderr, "container") {
				t.Errorf("%s %q: status %d, %q", command, id, r.status, r.stderr)
			}
		}
		if id == "" {
			continue
		}
		for _, command := range []string{"state", "delete", "start", "pause"} {
			if r := h.try(command, "--", id); r.status == 0 {
				t.Errorf("%s %q succeeded", command, id)
			}
		}
	}
	entries, err := os.ReadDir(h.root)
	if err != nil || len(entries) != 0 {
		t.Errorf("in the state directory: %v, %v", entries, err)
	}
}

func TestAnIDMayHaveAllTheCharactersThatEnginesUse(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid"})
	for _, suffix := range []string{"", "_a", ".b", "+c", "-d", "UPPER", strings.Repeat("0123456789abcdef", 8)} {
		h.must("run", "--bundle", b.dir, newID()+suffix)
	}
}

//proves:runtime.md#create:1
func TestCreateNeedsExactlyOneID(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid"})
	h.refuses([]string{`"create" requires exactly 1 argument`}, "create", "--bundle", b.dir)
	h.refuses([]string{`"create" requires exactly 1 argument`}, "create", "--bundle", b.dir, "one", "two")
}

//proves:state.bundle runtime.md#state:7
func TestTheBundleIsTheWorkingDirectoryUnlessGiven(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid"})
	for name, cmd := range map[string]struct {
		dir  string
		args []string
	}{
		"the working directory": {b.dir, nil},
		"a relative path":       {filepath.Dir(b.dir), []string{"-b", filepath.Base(b.dir)}},
		"an absolute path":      {"/", []string{"--bundle=" + b.dir}},
	} {
		id := newID()
		r := h.finish(withDir(h.command(append(append([]string{"create"}, cmd.args...), id)...), cmd.dir))
		if r.status != 0 {
			t.Errorf("%s: %s", name, r.stderr)
			continue
		}
		equal(t, name, h.state(id).Bundle, b.dir)
		h.must("delete", "--force", id)
	}
}

//proves:bundle.md#container-format:1
func TestTheConfigurationMayHaveAnotherName(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid"})
	elsewhere := filepath.Join(t.TempDir(), "elsewhere.json")
	copyFile(t, b.path("config.json"), elsewhere)
	if err := os.Rename(b.path("config.json"), b.path("other.json")); err != nil {
		t.Fatal(err)
	}
	h.refuses([]string{"config.json", "no such file or directory"}, "run", "--bundle", b.dir, newID())
	for _, flag := range [][]string{{"--config", "other.json"}, {"-f", elsewhere}} {
		h.must(append(append([]string{"run", "--bundle", b.dir}, flag...), newID())...)
	}
}

//proves:runtime.md#create:1 config.md#root:7 bundle.md#container-format:1
func TestABundleThatIsNoBundleIsNamed(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	empty := t.TempDir()
	h.refuses([]string{empty + "/config.json", "no such file or directory"}, "create", "--bundle", empty, newID())
	h.refuses([]string{"/no/bundle", "no such file or directory"}, "create", "--bundle", "/no/bundle", newID())
	b := h.newBundle([]string{"pid"}, func(s *specs.Spec) { s.Root.Path = "nowhere" })
	id := newID()
	h.refuses([]string{b.path("nowhere"), "no such file or directory"}, "create", "--bundle", b.dir, id)
	h.nothingRemains(id, b)
}

func TestTheInitProcessIsAChildOfWhoeverAdoptsIt(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.create(h.newBundle([]string{"sleep"}))
	equal(t, "children of init", len(childrenOf(t, c.pid)), 0)
	// No other process of the runtime survives create.
	procs := strings.Fields(h.must("ps", "--format", "json", c.id))
	equal(t, "processes", procs, []string{"[" + strconv.Itoa(c.pid) + "]"})
	for _, process := range h.remains(c.id, h.newBundle(nil)) {
		if strings.HasPrefix(process, "process ") && !strings.HasPrefix(process, "process "+strconv.Itoa(c.pid)+" ") {
			t.Errorf("another process is there: %s", process)
		}
	}
}

//proves:process.args
func TestAProgramThatIsNotThereFailsCreate(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for name, tt := range map[string]struct {
		argument string
		words    []string
	}{
		"a name":             {"no-such-program", []string{`exec "no-such-program": executable file not found in $PATH`}},
		"a path":             {"/no/such/program", []string{`exec "/no/such/program": no such file or directory`}},
		"a directory":        {"/tmp", []string{`exec "/tmp": is a directory`}},
		"no permission":      {"/etc/plain", []string{`exec "/etc/plain": permission denied`}},
		"a path through one": {"/etc/plain/x", []string{`not a directory`}},
		"an empty string":    {"", []string{"process.args"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &host{t: t, root: h.root}
			b := h.newBundle(nil, func(s *specs.Spec) { s.Process.Args = []string{tt.argument} })
			if err := os.WriteFile(b.path("rootfs/etc/plain"), []byte("text"), 0o644); err != nil {
				t.Fatal(err)
			}
			for _, command := range []string{"create", "run"} {
				id := newID()
				h.refuses(tt.words, command, "--bundle", b.dir, id)
				h.nothingRemains(id, b)
			}
		})
	}
}

//proves:process.args process.env
func TestTheProgramIsFoundThroughThePathOfItsOwnEnvironment(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle(nil, writableRoot, func(s *specs.Spec) {
		s.Process.Args = []string{"look", "args"}
		s.Process.Env = []string{"PATH=/nowhere:/elsewhere"}
	})
	if err := os.Mkdir(b.path("rootfs/elsewhere"), 0o755); err != nil {
		t.Fatal(err)
	}
	copyFile(t, suite.probe, b.path("rootfs/elsewhere/look"))
	equal(t, "arguments", get[[]string](t, h.run(b), "args"), []string{"look", "args"})
}

func TestThePidFileHasThePidAndNoNewline(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"sleep"})
	id := newID()
	file := filepath.Join(t.TempDir(), "pid")
	// An older file is replaced, not written into.
	if err := os.WriteFile(file, []byte("4294967295 and more"), 0o600); err != nil {
		t.Fatal(err)
	}
	old, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	h.must("create", "--bundle", b.dir, "--pid-file", file, id)
	text, err := os.ReadFile(file)
	equal(t, "pid file", string(text), strconv.Itoa(h.state(id).Pid))
	if err != nil {
		t.Error(err)
	}
	before := make([]byte, 64)
	n, _ := old.Read(before)
	equal(t, "what the old file held open says", string(before[:n]), "4294967295 and more")
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(entries) != 1 {
		t.Errorf("files: %v, %v", entries, err)
	}
}

func TestAPidFileThatCannotBeWrittenFailsCreateAndLeavesNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"sleep"})
	id := newID()
	h.refuses([]string{"/no/such/dir/pid", "no such file or directory"}, "create", "--bundle", b.dir, "--pid-file", "/no/such/dir/pid", id)
	h.nothingRemains(id, b)
}
