package tests

import (
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

//proves:linux.maskedPaths
func TestMaskedPathsShowNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{
		"read=/secret/file", "list=/secret/dir", "write=/secret/file:x", "make=/secret/dir/new", "read=/proc/timer_list",
		"list=/sys/firmware", "mounts", "stat=/secret/dir", "list=/secret/dir2", "make=/secret/dir2/new",
	}, writableRoot, allCapabilities, func(s *specs.Spec) {
		s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, "/secret/file", "/secret/dir", "/secret/dir2", "/not/there", "/probe/not")
	})
	for _, dir := range []string{"rootfs/secret/dir/below", "rootfs/secret/dir2/below"} {
		if err := os.MkdirAll(b.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, b.path("rootfs/secret/file"), "secret")
	s := h.run(b)
	equal(t, "file", get[string](t, s, "read=/secret/file"), "")
	equal(t, "/proc/timer_list", get[string](t, s, "read=/proc/timer_list"), "")
	for _, dir := range []string{"/secret/dir", "/secret/dir2", "/sys/firmware"} {
		equal(t, dir, get[[]string](t, s, "list="+dir), []string{})
	}
	for _, dir := range []string{"/secret/dir", "/secret/dir2"} {
		if s.failure("make="+dir+"/new") == "" {
			t.Errorf("a file was made in %s", dir)
		}
	}
	equal(t, "file", mountsOf(t, s)["/secret/file"].root, "/null")
	equal(t, "dir", mountsOf(t, s)["/secret/dir"].kind, "tmpfs")
	if text := readFile(t, b.path("rootfs/secret/file")); text != "secret" {
		t.Errorf("the masked file was changed: %q", text)
	}
}

//proves:linux.readonlyPaths
func TestReadonlyPathsCannotBeWritten(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{
		"write=/kept/file:x", "make=/kept/dir/new", "read=/kept/file", "make=/kept/new",
		"write=/proc/sys/net/ipv4/ip_forward:1", "read=/proc/sys/net/ipv4/ip_forward",
	}, writableRoot, allCapabilities, func(s *specs.Spec) {
		s.Linux.ReadonlyPaths = append(s.Linux.ReadonlyPaths, "/kept/file", "/kept/dir", "/not/there", "/probe/not")
	})
	if err := os.MkdirAll(b.path("rootfs/kept/dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, b.path("rootfs/kept/file"), "text")
	s := h.run(b)
	for _, command := range []string{
		"write=/kept/file:x", "make=/kept/dir/new", "write=/proc/sys/net/ipv4/ip_forward:1",
	} {
		if !strings.Contains(s.failure(command), "read-only file system") {
			t.Errorf("%s: %q", command, s.failure(command))
		}
	}
	equal(t, "file", get[string](t, s, "read=/kept/file"), "text")
	get[string](t, s, "make=/kept/new")
	get[string](t, s, "read=/proc/sys/net/ipv4/ip_forward")
}

//proves:linux.maskedPaths
func TestAPathIsMaskedWhereItsLinksLeadInsideTheRoot(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"read=/inside/secret"}, writableRoot, func(s *specs.Spec) {
		s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, "/link/secret")
	})
	if err := os.MkdirAll(b.path("rootfs/inside"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, b.path("rootfs/inside/secret"), "secret")
	if err := os.Symlink("../../../../inside", b.path("rootfs/link")); err != nil {
		t.Fatal(err)
	}
	equal(t, "secret", get[string](t, h.run(b), "read=/inside/secret"), "")
}

//proves:linux.maskedPaths linux.readonlyPaths config-linux.md#masked-paths:1 config-linux.md#readonly-paths:1
func TestMaskedPathsMustBeAbsolute(t *testing.T) {
	h := newHost(t)
	h.fails([]string{"linux.maskedPaths[0]", "absolute"}, func(s *specs.Spec) { s.Linux.MaskedPaths = []string{"proc/keys"} })
	h.fails([]string{"linux.readonlyPaths[0]", "absolute"}, func(s *specs.Spec) { s.Linux.ReadonlyPaths = []string{"proc/keys"} })
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
