package tests

import (
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func hiding(masked, readonly []string) edit {
	return func(s *specs.Spec) { s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = masked, readonly }
}

// secrets puts a file, a directory with a file, and links to both into the image.
func (b *bundle) secrets(t *testing.T) {
	t.Helper()
	if err := os.MkdirAll(b.path("rootfs/secret/dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, b.path("rootfs/secret/file"), "secret")
	writeFile(t, b.path("rootfs/secret/dir/file"), "secret")
	for link, to := range map[string]string{
		"to-file": "/secret/file", "to-dir": "secret/dir", "out": "/../../../../../../../../../../../../etc/passwd", "dangling": "/nowhere",
	} {
		if err := os.Symlink(to, b.path("rootfs/"+link)); err != nil {
			t.Fatal(err)
		}
	}
}

//proves:linux.maskedPaths
func TestMaskedPathsCannotBeReadHoweverTheyAreNamed(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for name, tt := range map[string]struct {
		masked []string
		edits  []edit
	}{
		"as they are":         {[]string{"/secret/file", "/secret/dir", "/proc/version", "/sys/kernel", "/missing", "/secret/file/below"}, nil},
		"by links":            {[]string{"/to-file", "/to-dir", "/dangling", "/out", "/proc/version", "/sys/kernel"}, nil},
		"twice":               {[]string{"/secret/file", "/secret/file", "/secret/dir/", "/secret/./dir", "/proc/version", "/sys/kernel"}, nil},
		"in a user namespace": {[]string{"/secret/file", "/secret/dir", "/proc/version", "/sys/kernel"}, []edit{inUserNamespace}},
		"on a read-only root": {[]string{"/secret/file", "/secret/dir", "/proc/version", "/sys/kernel"}, []edit{func(s *specs.Spec) { s.Root.Readonly = true }}},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			commands := []string{
				"read=/secret/file", "list=/secret/dir", "read=/proc/version", "list=/sys/kernel", "make=/secret/dir/new",
				"unmount=/secret/dir", "read=/secret/dir/file",
			}
			b := h.newBundle(commands, append([]edit{writableRoot, hiding(tt.masked, nil)}, tt.edits...)...)
			b.secrets(t)
			s := h.run(b)
			for _, c := range commands[:4] {
				if strings.HasPrefix(c, "read=") {
					equal(t, c, get[string](t, s, c), "")
				} else {
					equal(t, c, get[[]string](t, s, c), []string{})
				}
			}
			for _, c := range commands[4:] {
				if s.failure(c) == "" {
					t.Errorf("%s succeeded: %s", c, s[c])
				}
			}
			equal(t, "the image", readFile(t, b.path("rootfs/secret/file")), "secret")
		})
	}
}

//proves:linux.readonlyPaths
func TestReadonlyPathsCannotBeWrittenHoweverTheyAreNamed(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for name, tt := range map[string]struct {
		paths []string
		edits []edit
	}{
		"as they are":         {[]string{"/secret/file", "/secret/dir", "/proc/sys", "/missing", "/secret/file/below"}, nil},
		"by links":            {[]string{"/to-file", "/to-dir", "/dangling", "/proc/sys"}, nil},
		"twice":               {[]string{"/secret/file", "/secret/file", "/secret/dir", "/proc/sys", "/proc/sys"}, nil},
		"in a user namespace": {[]string{"/secret/file", "/secret/dir", "/proc/sys"}, []edit{inUserNamespace}},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			commands := []string{"write=/secret/file:x", "make=/secret/dir/new", "write=/proc/sys/net/ipv4/ip_forward:1"}
			b := h.newBundle(append(commands, "read=/secret/file", "read=/secret/dir/file", "make=/secret/new"), append([]edit{
				writableRoot, allCapabilities, hiding(nil, tt.paths), addMounts(filesystem("tmpfs", "/secret/dir/sub")),
			}, tt.edits...)...)
			b.secrets(t)
			b.handOver(t)
			s := h.run(b)
			for _, c := range commands {
				if !strings.Contains(s.failure(c), "read-only file system") {
					t.Errorf("%s: %q", c, s.failure(c))
				}
			}
			get[string](t, s, "make=/secret/new")
			equal(t, "file", get[string](t, s, "read=/secret/file"), "secret")
			equal(t, "file in the directory", get[string](t, s, "read=/secret/dir/file"), "secret")
		})
	}
}

//proves:linux.maskedPaths linux.readonlyPaths config-linux.md#masked-paths:1 config-linux.md#readonly-paths:1
func TestHiddenPathsAreAbsoluteAndTheContainersOwn(t *testing.T) {
	h := newHost(t)
	h.fails([]string{"linux.maskedPaths[1]", "proc/keys", "not an absolute path"}, hiding([]string{"/proc/keys", "proc/keys"}, nil))
	h.fails([]string{"linux.readonlyPaths[0]", "not an absolute path"}, hiding(nil, []string{""}))
	h.fails([]string{"linux.maskedPaths[0]", "needs a mount namespace"}, hiding([]string{"/proc/keys"}, nil), dropNamespace(specs.MountNamespace))
	h.fails([]string{"linux.readonlyPaths[0]", "needs a mount namespace"}, hiding(nil, []string{"/proc/sys"}), dropNamespace(specs.MountNamespace))
}

// This machine has no SELinux, and no filesystem would know the option.
//
//proves:linux.mountLabel annotations.run.oci.mount_context_type
func TestAMountLabelIsIgnoredWithAWarningWithoutSELinux(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/sys/fs/selinux/enforce"); err == nil {
		lacks(t, "a kernel without SELinux")
	}
	h := newHost(t)
	label := func(kind string) edit {
		return func(s *specs.Spec) {
			s.Linux.MountLabel = "system_u:object_r:container_file_t:s0:c1,c2"
			s.Annotations = map[string]string{"run.oci.mount_context_type": kind}
		}
	}
	for _, kind := range []string{"", "context", "fscontext", "defcontext", "rootcontext"} {
		b := h.newBundle([]string{"pid"}, label(kind))
		r := h.try("run", "--bundle", b.dir, newID())
		if r.status != 0 || !strings.Contains(r.stderr, "linux.mountLabel") || !strings.Contains(r.stderr, "level=warning") {
			t.Errorf("%q: status %d, %s", kind, r.status, r.stderr)
		}
	}
	(&host{t: t, root: h.root}).refuses([]string{"annotations.run.oci.mount_context_type", `unknown context "cake"`, "context, fscontext, defcontext, rootcontext"},
		"run", "--bundle", h.newBundle([]string{"pid"}, label("cake")).dir, newID())
}
