package tests

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"
)

func readSpec(t *testing.T, path string) (s specs.Spec) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	decodeStrictly(t, string(text), &s)
	return s
}

func TestSpecWritesAConfigurationThatRuns(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	dir := t.TempDir()
	equal(t, "output", h.must("spec", "--bundle", dir), "")
	s := readSpec(t, filepath.Join(dir, "config.json"))
	equal(t, "what it says", []any{s.Version, s.Process.Terminal, s.Process.Args, s.Process.Cwd, s.Root.Path, s.Root.Readonly, s.Process.NoNewPrivileges},
		[]any{specs.Version, true, []string{"sh"}, "/", "rootfs", true, true})
	h.probe([]string{"pid"}) // newBundle takes it, too
}

func TestSpecDoesNotOverwrite(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	dir := t.TempDir()
	h.must("spec", "-b", dir)
	before, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	h.refuses([]string{"File config.json exists. Remove it first"}, "spec", "--rootless", "-b", dir)
	after, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("it changed, %v", err)
	}
	h.refuses([]string{"/no/such", "no such file or directory"}, "spec", "-b", "/no/such")
}

func TestARootlessSpecMapsTheUser(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	dir := t.TempDir()
	h.must("spec", "--rootless", "--bundle", dir)
	s := readSpec(t, filepath.Join(dir, "config.json"))
	kinds := []string{}
	for _, ns := range s.Linux.Namespaces {
		kinds = append(kinds, string(ns.Type))
	}
	if !slices.Contains(kinds, "user") || slices.Contains(kinds, "network") {
		t.Errorf("namespaces %v", kinds)
	}
	want := []specs.LinuxIDMapping{{ContainerID: 0, HostID: uint32(os.Geteuid()), Size: 1}}
	equal(t, "uid mappings", s.Linux.UIDMappings, want)
	equal(t, "gid mappings", s.Linux.GIDMappings, want)
	if s.Linux.Resources != nil {
		t.Error("it has resources")
	}
}

//proves:features.md#specification-version:6 features.hooks features.linux.namespaces features.linux.cgroup.v1
//proves:features.linux.cgroup.v2
func TestFeaturesIsWhatTheSpecificationDescribes(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	var f features.Features
	decodeStrictly(t, h.must("features"), &f)
	equal(t, "versions", []string{f.OCIVersionMin, f.OCIVersionMax}, []string{"1.0.0", specs.Version})
	equal(t, "hooks", sorted(f.Hooks), sorted([]string{
		"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
	}))
	equal(t, "namespaces", sorted(f.Linux.Namespaces), []string{"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"})
	for _, option := range []string{"rro", "rw", "bind", "rbind", "idmap", "ridmap", "nosymfollow", "tmpcopyup"} {
		if !slices.Contains(f.MountOptions, option) {
			t.Errorf("mount options lack %s", option)
		}
	}
	if e := f.Linux.MountExtensions; e == nil || e.IDMap == nil || e.IDMap.Enabled == nil || !*e.IDMap.Enabled {
		t.Error("idmapped mounts are not announced: CRI needs it for user namespaces")
	}
	if s := f.Linux.Seccomp; s == nil || s.Enabled == nil || !*s.Enabled || len(s.Actions) < 8 || len(s.Archs) == 0 {
		t.Errorf("seccomp: %+v", s)
	}
	if c := f.Linux.Cgroup; c == nil || c.V1 == nil || !*c.V1 || c.V2 == nil || !*c.V2 {
		t.Errorf("cgroup: %+v", c)
	}
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}

//proves:features.mountOptions features.md#mount-options:1 features.md#mount-options:2
func TestEveryMountOptionThatIsAnnouncedIsAccepted(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	var f features.Features
	if err := json.Unmarshal([]byte(h.must("features")), &f); err != nil {
		t.Fatal(err)
	}
	// A word that is not known reaches the filesystem, which refuses it.
	var options []string
	for _, o := range f.MountOptions {
		switch {
		case strings.Contains(o, "idmap"), strings.Contains(o, "bind"), o == "remount", o == "tmpcopyup", o == "mand", o == "rmand":
		default:
			options = append(options, o)
		}
	}
	for _, option := range few(options) {
		b := h.newBundle([]string{"pid"}, addMounts(specs.Mount{Destination: "/mnt", Type: "tmpfs", Source: "tmpfs", Options: []string{option}}))
		if r := h.try("run", "--bundle", b.dir, newID()); r.status != 0 {
			t.Errorf("%s: %s", option, r.stderr)
		}
	}
}
