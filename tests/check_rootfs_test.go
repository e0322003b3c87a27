package tests

import (
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// withFile adds a file to the root filesystem.
func withFile(name, text string, mode os.FileMode) func(*testing.T, *bundle) {
	return func(t *testing.T, b *bundle) {
		t.Helper()
		err := os.WriteFile(b.path("rootfs/"+name), []byte(text), 0o600)
		if err == nil {
			err = os.Chmod(b.path("rootfs/"+name), mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func args(list ...string) edit { return func(s *specs.Spec) { s.Process.Args = list } }

func cwd(dir string) edit { return func(s *specs.Spec) { s.Process.Cwd = dir } }

func user(id uint32) edit {
	return func(s *specs.Spec) { s.Process.User = specs.User{UID: id, GID: id} }
}

func edits(list ...edit) edit {
	return func(s *specs.Spec) {
		for _, f := range list {
			f(s)
		}
	}
}

func nothing(*testing.T, *bundle) {}

func TestCheckLooksIntoTheRootFilesystem(t *testing.T) {
	h := newHost(t)
	apart := addMounts(specs.Mount{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs"})
	for name, tt := range some(map[string]struct {
		prepare    func(*testing.T, *bundle)
		edit       edit
		path, says string
	}{
		"a program beside a mount":    {nothing, edits(args("/cake"), apart), "process.args[0]", "no such file"},
		"a name beside a mount":       {nothing, edits(args("cake"), apart), "process.args[0]", "not found in $PATH"},
		"a hook beside a mount":       {nothing, edits(startHook("/cake"), apart), "hooks.startContainer[0]", "no such file"},
		"a file for a directory":      {nothing, cwd("/probe"), "process.cwd", "not a directory"},
		"a program of somebody else":  {withFile("tmp/mine", "#!/probe\n", 0o700), edits(args("/tmp/mine"), user(1000)), "process.args[0]", "permission denied"},
		"one of the host's root":      {withFile("tmp/mine", "#!/probe\n", 0o700), edits(args("/tmp/mine"), inUserNamespace), "process.args[0]", "permission denied"},
		"a name of somebody else":     {withFile("bin/mine", "#!/probe\n", 0o700), edits(args("mine"), user(1000)), "process.args[0]", "permission denied"},
		"a program that is only text": {withFile("tmp/text", "hello\n", 0o755), args("/tmp/text"), "process.args[0]", "exec format error"},
	}) {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			b := h.newBundle([]string{"pid"}, tt.edit)
			tt.prepare(t, b)
			h.checkForesees(b, tt.path, tt.says)
		})
	}
}

func startHook(path string) edit {
	return func(s *specs.Spec) { s.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: path}}} }
}

func TestCheckTrustsThatMountsBringWhatTheImageLacks(t *testing.T) {
	h := newHost(t)
	for name, tt := range some(map[string]struct {
		prepare func(*testing.T, *bundle)
		edit    edit
	}{
		"the program":           {nothing, edits(args("/opt/run", "pid"), addMounts(at("/opt/run", bind(suite.probe))))},
		"by a link":             {linked("/opt", "way"), edits(args("/way/run", "pid"), addMounts(at("/opt/run", bind(suite.probe))))},
		"to a link":             {linked("/opt", "way"), edits(args("/opt/run", "pid"), addMounts(at("/way/run", bind(suite.probe))))},
		"in PATH":               {nothing, edits(args("run", "pid"), addMounts(at("/bin/run", bind(suite.probe))))},
		"the working directory": {nothing, edits(cwd("/opt/a"), addMounts(at("/opt/a/b", bind(suite.probe))))},
		"no directory":          {nothing, cwd("/cake")},
		"what root may execute": {withFile("tmp/mine", "#!/probe pid\n", 0o100), edits(args("/tmp/mine"), withCapabilities("CAP_DAC_OVERRIDE"))},
		"what a group may":      {withFile("tmp/mine", "#!/probe pid\n", 0o755), edits(args("/tmp/mine"), user(1000))},
	}) {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			b := h.newBundle([]string{"pid"}, tt.edit, writableRoot)
			if err := os.MkdirAll(b.path("rootfs/opt"), 0o755); err != nil {
				t.Fatal(err)
			}
			tt.prepare(t, b)
			c := h.check(b)
			equal(t, "what check says", strings.Join(c.lines, "\n"), "")
			equal(t, "what run says", h.refusal(b, newID()), "")
		})
	}
}

// at is a mount at another destination.
func at(destination string, m specs.Mount) specs.Mount {
	m.Destination = destination
	return m
}

// linked adds a symbolic link to the root filesystem.
func linked(content, name string) func(*testing.T, *bundle) {
	return func(t *testing.T, b *bundle) {
		t.Helper()
		if err := os.Symlink(content, b.path("rootfs/"+name)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestABundleWithoutAProcessIsOnlyForCreation(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid"}, func(s *specs.Spec) { s.Process = nil })
	c := h.check(b)
	equal(t, "status", c.status, 2)
	equal(t, "lines", c.lines, []string{"warning: process: is not set, so the container can be created, but not started"})
	if said := h.refusal(b, newID()); said == "" {
		t.Error("it runs")
	}
}
