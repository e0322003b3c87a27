package tests

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// bundle is a bundle whose root filesystem holds the probe as /probe and, if
// the machine has it, busybox with its usual names.
type bundle struct {
	dir    string
	config *specs.Spec
}

// newBundle makes a bundle with the default configuration, whose process is the
// probe with the given commands, and applies edits.
func (h *host) newBundle(commands []string, edits ...func(*specs.Spec)) *bundle {
	h.t.Helper()
	b := &bundle{dir: h.t.TempDir()}
	if r := h.finish(withDir(h.command("spec"), b.dir)); r.status != 0 {
		h.t.Fatal(r.stderr)
	}
	text, err := os.ReadFile(b.path("config.json"))
	if err == nil {
		err = json.Unmarshal(text, &b.config)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	b.config.Process.Terminal = false
	b.config.Process.Args = append([]string{"/probe"}, commands...)
	for _, edit := range edits {
		edit(b.config)
	}
	h.needManagerFor(b)
	b.populate(h.t)
	b.handOver(h.t)
	b.save(h.t)
	return b
}

// needManagerFor skips a test with a cgroupsPath of the filesystem where systemd
// makes the cgroups: it would take the path for the name of a unit.
func (h *host) needManagerFor(b *bundle) {
	h.t.Helper()
	if len(h.flags) == 0 && b.config.Linux != nil && b.config.Linux.CgroupsPath != "" && !strings.Contains(b.config.Linux.CgroupsPath, ":") {
		needCgroupfs(h.t)
	}
}

// needCgroupfs skips a test of where hull itself makes cgroups.
func needCgroupfs(t *testing.T) {
	t.Helper()
	if bySystemd() {
		lacks(t, "cgroupfs as the manager of cgroups, as the suite is run")
	}
}

func withDir(cmd *exec.Cmd, dir string) *exec.Cmd {
	cmd.Dir = dir
	return cmd
}

func (b *bundle) path(name string) string { return filepath.Join(b.dir, name) }

// save writes the configuration.
func (b *bundle) save(t *testing.T) {
	t.Helper()
	text, err := json.MarshalIndent(b.config, "", "\t")
	if err == nil {
		err = os.WriteFile(b.path("config.json"), text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bundle) populate(t *testing.T) {
	t.Helper()
	for _, d := range []string{"bin", "dev", "etc", "proc", "sys", "tmp"} {
		if err := os.MkdirAll(b.path("rootfs/"+d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	linkFile(t, suite.probe, b.path("rootfs/probe"))
	if suite.busybox == "" {
		return
	}
	linkFile(t, suite.busybox, b.path("rootfs/bin/busybox"))
	for _, name := range []string{"sh", "true", "false", "sleep", "cat", "ls", "id", "ps", "mount", "kill", "echo", "touch", "yes", "dd"} {
		if err := os.Symlink("busybox", b.path("rootfs/bin/"+name)); err != nil {
			t.Fatal(err)
		}
	}
}

// linkFile is copyFile for what nobody writes to.
func linkFile(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Link(from, to); err != nil {
		copyFile(t, from, to)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}
