package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

//proves:mounts[].source
func TestARelativeSourceOfABindBeginsAtTheBundle(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"read=/mnt/file", "read=/one"}, writableRoot, addMounts(
		specs.Mount{Destination: "/mnt", Source: "volumes/../data", Options: []string{"bind"}},
		specs.Mount{Destination: "/one", Source: "./data/file", Options: []string{"rbind"}},
	))
	if err := os.Mkdir(b.path("data"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, b.path("data/file"), "of the bundle")
	s := h.run(b)
	equal(t, "directory", get[string](t, s, "read=/mnt/file"), "of the bundle")
	equal(t, "file", get[string](t, s, "read=/one"), "of the bundle")
}

// The type of a bind mount is a dummy, whatever it says.
//
//proves:mounts[].type mounts[].options=bind mounts[].options=rbind
func TestABindMountNeedsNoType(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	source := t.TempDir()
	writeFile(t, filepath.Join(source, "file"), "x")
	for _, kind := range []string{"", "none", "bind", "tmpfs", "cake"} {
		m := bind(source)
		m.Type = kind
		equal(t, "type "+kind, get[string](t, h.probe([]string{"read=/mnt/file"}, writableRoot, addMounts(m)), "read=/mnt/file"), "x")
	}
}

//proves:mounts[].destination
func TestMissingTargetsAreMadeForTheContainer(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	source := t.TempDir()
	reachable(t, source)
	writeFile(t, filepath.Join(source, "file"), "x")
	for name, tt := range map[string]struct {
		owner uint32
		edits []edit
	}{"of the host's root": {0, nil}, "of the mapped root": {mappedRoot, []edit{inUserNamespace}}} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			b := h.newBundle([]string{"pid"}, append(tt.edits, writableRoot, addMounts(
				specs.Mount{Destination: "/new/dir", Source: source, Options: []string{"bind"}},
				specs.Mount{Destination: "/new/place/file", Source: source + "/file", Options: []string{"bind"}},
				filesystem("tmpfs", "/new/tmpfs", "mode=700"),
			))...)
			h.run(b)
			for path, mode := range map[string]uint32{
				"new": unix.S_IFDIR | 0o755, "new/dir": unix.S_IFDIR | 0o755, "new/tmpfs": unix.S_IFDIR | 0o755,
				"new/place": unix.S_IFDIR | 0o755, "new/place/file": unix.S_IFREG | 0o644,
			} {
				var st syscall.Stat_t
				if err := syscall.Lstat(b.path("rootfs/"+path), &st); err != nil {
					t.Fatal(err)
				}
				equal(t, path, []uint32{st.Mode, st.Uid, st.Gid}, []uint32{mode, tt.owner, tt.owner})
			}
		})
	}
}

//proves:mounts[].destination
func TestAMountOnTheRootReplacesIt(t *testing.T) {
	h := newHost(t)
	h.leavesNothing()
	probe := func(b *bundle, dir string) {
		for _, d := range []string{"proc", "dev", "sys"} {
			if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		copyFile(t, suite.probe, filepath.Join(dir, "probe"))
		writeFile(t, filepath.Join(dir, "marker"), "the other")
		b.config.Mounts = append([]specs.Mount{{Destination: "/", Source: dir, Options: []string{"bind"}}}, b.config.Mounts...)
		b.save(t)
	}
	for name, args := range map[string][]string{"": nil, "without pivot": {"--no-pivot"}} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			b := h.newBundle([]string{"read=/marker", "make=/new", "mounts", "list=/etc", "list=/.."})
			probe(b, t.TempDir())
			s := parseSight(t, h.must(append(append([]string{"run", "--bundle", b.dir}, args...), newID())...))
			equal(t, "marker", get[string](t, s, "read=/marker"), "the other")
			equal(t, "above", len(get[[]string](t, s, "list=/..")), 5)
			if s.failure("list=/etc") == "" {
				t.Error("the first root is seen")
			}
			if !strings.Contains(s.failure("make=/new"), "read-only file system") {
				t.Errorf("root.readonly: %q", s.failure("make=/new"))
			}
			equal(t, "later mounts", mountsOf(t, s)["/dev/shm"].kind, "tmpfs")
		})
	}
}

//proves:mounts[].destination
func TestOneDestinationTakesSeveralMountsAndTheLastIsSeen(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	source := t.TempDir()
	writeFile(t, filepath.Join(source, "file"), "bound")
	s := h.probe([]string{"mounts", "list=/mnt", "list=/dev/shm", "read=/dev/shm/deep/er/file"}, writableRoot, addMounts(
		filesystem("tmpfs", "/mnt", "size=1m"), bind(source), filesystem("tmpfs", "/mnt", "size=2m"),
		specs.Mount{Destination: "/dev/shm/deep/er", Source: source, Options: []string{"bind"}},
	))
	var at []string
	for _, line := range get[[]string](t, s, "mounts") {
		if f := strings.Fields(line); f[4] == "/mnt" {
			at = append(at, f[len(f)-3]) // the type, unless there are optional fields, which there are not
		}
	}
	equal(t, "mounts on /mnt", len(at), 3)
	equal(t, "what is on top", mountsOf(t, s)["/mnt"].superHas("size=2048k"), true)
	equal(t, "/mnt", get[[]string](t, s, "list=/mnt"), []string{})
	equal(t, "in a mount that was made before", get[string](t, s, "read=/dev/shm/deep/er/file"), "bound")
}

// crun's three options about symbolic links. In a user namespace it is the parent
// that opens the sources.
//
//proves:mounts[].options=copy-symlink mounts[].options=src-nofollow mounts[].options=dest-nofollow
func TestSymbolicLinksOfSourceAndTargetAreTreatedAsAskedFor(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for name, in := range map[string]edit{"opened by init": func(*specs.Spec) {}, "opened by the parent": inUserNamespace} {
		t.Run(name, func(t *testing.T) { (&host{t: t, root: h.root}).seesSymbolicLinks(t, in) })
	}
}

func (h *host) seesSymbolicLinks(t *testing.T, in edit) {
	t.Helper()
	source := t.TempDir()
	reachable(t, source)
	writeFile(t, filepath.Join(source, "file"), "of the host")
	if err := os.Symlink("file", filepath.Join(source, "link")); err != nil {
		t.Fatal(err)
	}
	at := func(target, name string, options ...string) specs.Mount {
		return specs.Mount{Destination: target, Source: filepath.Join(source, name), Options: append(options, "bind")}
	}
	commands := []string{"mounts", "read=/t/followed", "readlink=/t/copied", "readlink=/t/copied-file", "readlink=/t/itself", "read=/t/copied-file", "readlink=/t/link", "read=/t/link"}
	b := h.newBundle(commands, in, writableRoot, addMounts(
		at("/t/followed", "link"), at("/t/copied", "link", "copy-symlink"), at("/t/copied-file", "file", "copy-symlink"),
		at("/t/itself", "link", "src-nofollow"), at("/t/link", "file", "dest-nofollow"), at("/t/other", "file"),
	))
	for path, to := range map[string]string{"rootfs/t/link": "/t/target", "rootfs/t/other": "/t/target"} {
		_ = os.Mkdir(b.path("rootfs/t"), 0)
		if err := os.Chmod(b.path("rootfs/t"), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, b.path(path)); err != nil {
			t.Fatal(err)
		}
	}
	s := h.run(b)
	seen := mountsOf(t, s)
	equal(t, "followed", get[string](t, s, "read=/t/followed"), "of the host")
	equal(t, "copied", get[string](t, s, "readlink=/t/copied"), "file")
	equal(t, "a copy is a mount", seen["/t/copied"].target, "")
	equal(t, "a file is bound all the same", get[string](t, s, "read=/t/copied-file"), "of the host")
	equal(t, "the link itself", get[string](t, s, "readlink=/t/itself"), "file")
	equal(t, "a mount on the link", []bool{seen["/t/link"].target != "", s.failure("readlink=/t/link") != ""}, []bool{true, true})
	equal(t, "what the link's place holds", get[string](t, s, "read=/t/link"), "of the host")
	equal(t, "a mount behind the link", seen["/t/target"].target, "/t/target")
	info, err := os.Lstat(b.path("rootfs/t/copied"))
	equal(t, "the copy is in the root filesystem", err == nil && info.Mode().Type() == os.ModeSymlink, true)
}

//proves:mounts[].options=remount
func TestARemountChangesAMountThatIsThere(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	tmpfs := filesystem("tmpfs", "/mnt", "size=1m", "nosuid")
	remount := func(options ...string) specs.Mount {
		return specs.Mount{Destination: "/mnt", Options: append(options, "remount")}
	}
	for name, tt := range map[string]struct {
		mounts      []specs.Mount
		has, lacks  string
		super, file string
	}{
		"attributes":                     {[]specs.Mount{tmpfs, remount("noexec")}, "nosuid noexec rw", "ro", "size=1024k", "yes"},
		"clearing":                       {[]specs.Mount{tmpfs, remount("suid", "nodev")}, "nodev", "nosuid", "size=1024k", "yes"},
		"options of the filesystem":      {[]specs.Mount{tmpfs, remount("size=3m")}, "nosuid", "ro", "size=3072k", "yes"},
		"of a bind mount":                {[]specs.Mount{bind(t.TempDir()), remount("bind", "ro")}, "ro", "", "", ""},
		"read-only":                      {[]specs.Mount{tmpfs, remount("bind", "ro")}, "ro nosuid", "", "size=1024k", ""},
		"read-only, with the filesystem": {[]specs.Mount{tmpfs, remount("ro")}, "ro nosuid", "", "ro", ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			s := h.probe([]string{"mounts", "make=/mnt/new"}, writableRoot, addMounts(tt.mounts...))
			m := mountsOf(t, s)["/mnt"]
			for words, want := range map[string]bool{tt.has: true, tt.lacks: false} {
				for o := range strings.FieldsSeq(words) {
					equal(t, fmt.Sprintf("%s in %v", o, m.options), m.has(o), want)
				}
			}
			equal(t, fmt.Sprintf("%s in %v", tt.super, m.super), tt.super == "" || m.superHas(tt.super), true)
			equal(t, "a file is made", s.failure("make=/mnt/new") == "", tt.file == "yes")
		})
	}
	t.Run("of what is no mount", func(t *testing.T) {
		(&host{t: t, root: h.root}).fails([]string{"remount /tmp (mounts[7])", "invalid argument", "not a mount point"}, addMounts(
			specs.Mount{Destination: "/tmp", Options: []string{"remount", "nodev"}}))
	})
}
