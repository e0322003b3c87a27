package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// bind is a bind mount at /mnt.
func bind(source string, options ...string) specs.Mount {
	return specs.Mount{Destination: "/mnt", Type: "bind", Source: source, Options: append([]string{"bind"}, options...)}
}

//proves:mounts[].destination mounts[].type mounts[].source mounts[].options config-linux.md#default-filesystems:1
func TestTheDefaultMountsAreThere(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	seen := mountsOf(t, h.probe([]string{"mounts"}))
	for target, want := range map[string]struct {
		kind, source string
		options      string
		super        string
	}{
		"/proc":          {"proc", "proc", "rw relatime", ""},
		"/dev":           {"tmpfs", "tmpfs", "rw nosuid", "size=65536k mode=755"},
		"/dev/pts":       {"devpts", "devpts", "rw nosuid noexec", "gid=5 mode=620 ptmxmode=666"},
		"/dev/shm":       {"tmpfs", "shm", "rw nosuid noexec nodev", "size=65536k"},
		"/dev/mqueue":    {"mqueue", "mqueue", "rw nosuid noexec nodev", ""},
		"/sys":           {"sysfs", "sysfs", "ro nosuid noexec nodev", ""},
		"/sys/fs/cgroup": {"tmpfs", "tmpfs", "ro nosuid noexec nodev relatime", "mode=755"},
	} {
		m := seen[target]
		if m.kind != want.kind || m.source != want.source {
			t.Errorf("%s is %s of %q, want %s of %q", target, m.kind, m.source, want.kind, want.source)
		}
		for _, o := range strings.Fields(want.options) {
			if !m.has(o) {
				t.Errorf("%s lacks %s: %v", target, o, m.options)
			}
		}
		for _, o := range strings.Fields(want.super) {
			if !m.superHas(o) {
				t.Errorf("%s lacks %s: %v", target, o, m.super)
			}
		}
	}
	equal(t, "strictatime of /dev", seen["/dev"].has("relatime"), false)
	equal(t, "ro of the root", seen["/"].has("ro"), true)
	for target := range seen {
		if target != "/" && !slices.ContainsFunc([]string{"/proc", "/dev", "/sys"}, func(p string) bool { return strings.HasPrefix(target, p) }) {
			t.Errorf("a mount of the host is left: %s", target)
		}
	}
}

//proves:mounts[].options=ro mounts[].options=rw mounts[].options=noexec mounts[].options=exec mounts[].options=rro
func TestBindMountsHaveTheirOptions(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	source := t.TempDir()
	copyFile(t, suite.probe, filepath.Join(source, "program"))
	const write, execute = "make=/mnt/new", "run=/mnt/program"
	for name, tt := range map[string]struct {
		options       []string
		has, lacks    string
		writes, execs bool
	}{
		"nothing":           {nil, "", "ro nosuid nodev noexec", true, true},
		"rw":                {[]string{"rw"}, "rw", "ro", true, true},
		"ro":                {[]string{"ro"}, "ro", "nosuid", false, true},
		"noexec":            {[]string{"noexec"}, "noexec", "ro", true, false},
		"nosuid and nodev":  {[]string{"nosuid", "nodev"}, "nosuid nodev", "noexec", true, true},
		"all in one string": {[]string{"ro,nosuid,nodev,noexec"}, "ro nosuid nodev noexec", "rw", false, false},
		"the last one wins": {[]string{"ro", "noexec", "rw", "exec"}, "rw", "ro noexec", true, true},
		"noatime":           {[]string{"noatime"}, "noatime", "relatime", true, true},
		"nosymfollow":       {[]string{"nosymfollow"}, "nosymfollow", "ro", true, true},
		"rro":               {[]string{"rro"}, "ro", "", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			_ = os.Remove(filepath.Join(source, "new"))
			s := h.probe([]string{"mounts", write, execute}, writableRoot, addMounts(bind(source, tt.options...)))
			m := mountsOf(t, s)["/mnt"]
			for _, o := range strings.Fields(tt.has) {
				if !m.has(o) {
					t.Errorf("no %s: %v", o, m.options)
				}
			}
			for _, o := range strings.Fields(tt.lacks) {
				if m.has(o) {
					t.Errorf("%s: %v", o, m.options)
				}
			}
			if writes := s.failure(write) == ""; writes != tt.writes {
				t.Errorf("writing: %q", s.failure(write))
			}
			if execs := s.failure(execute) == ""; execs != tt.execs {
				t.Errorf("executing: %q", s.failure(execute))
			}
		})
	}
}

//proves:mounts[].options=bind mounts[].options=rbind mounts[].options=rro
func TestOnlyARecursiveBindBringsTheMountsBelow(t *testing.T) {
	h := newHost(t)
	source := t.TempDir()
	below := filepath.Join(source, "below")
	if err := os.Mkdir(below, 0o755); err != nil {
		t.Fatal(err)
	}
	mountTmpfs(t, below)
	if err := os.WriteFile(filepath.Join(below, "file"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for option, want := range map[string]struct {
		file      bool
		belowIsRO bool
	}{"bind": {false, false}, "rbind": {true, false}, "rbind,ro": {true, false}, "rbind,rro": {true, true}} {
		t.Run(option, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			s := h.probe([]string{"list=/mnt/below", "mounts"}, writableRoot,
				addMounts(specs.Mount{Destination: "/mnt", Type: "none", Source: source, Options: strings.Split(option, ",")}))
			equal(t, "files below", len(get[[]string](t, s, "list=/mnt/below")) == 1, want.file)
			equal(t, "read-only below", mountsOf(t, s)["/mnt/below"].has("ro"), want.belowIsRO)
		})
	}
}

// mountTmpfs mounts a filesystem that is private whatever the host's mounts are: on
// a shared one, what is mounted below a bind of it would be below it as well.
func mountTmpfs(t *testing.T, target string) {
	t.Helper()
	if err := unix.Mount("test", target, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(target, unix.MNT_DETACH) })
	if err := unix.Mount("", target, "", unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
}

//proves:mounts[].source mounts[].destination
func TestFilesAreBound(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	source := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(source, []byte("of the host"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"over a file":               "/etc/hosts",
		"where there is nothing":    "/etc/new",
		"in directories to be made": "/a/b/c",
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			b := h.newBundle([]string{"read=" + target}, writableRoot, addMounts(
				specs.Mount{Destination: target, Type: "bind", Source: source, Options: []string{"bind", "ro"}}))
			if err := os.WriteFile(b.path("rootfs/etc/hosts"), []byte("of the image"), 0o644); err != nil {
				t.Fatal(err)
			}
			equal(t, target, get[string](t, h.run(b), "read="+target), "of the host")
		})
	}
}

//proves:mounts[].options mounts[].type config.md#linux-mount-options:16
func TestTmpfsHasItsOptions(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	tmpfs := func(options ...string) edit {
		return addMounts(specs.Mount{Destination: "/mnt", Type: "tmpfs", Source: "tmpfs", Options: options})
	}
	s := h.probe([]string{"stat=/mnt", "mounts", "write=/mnt/x:1"}, tmpfs("size=1m", "mode=1757", "uid=7", "gid=8"))
	equal(t, "/mnt", get[fileStat](t, s, "stat=/mnt"), fileStat{Mode: "041757", UID: 7, GID: 8, Size: 40, Rdev: "0:0"})
	equal(t, "size", mountsOf(t, s)["/mnt"].superHas("size=1024k"), true)
	get[string](t, s, "write=/mnt/x:1")

	s = h.probe([]string{"write=/mnt/x:1", "mounts"}, tmpfs("ro"))
	equal(t, "ro", mountsOf(t, s)["/mnt"].has("ro"), true)
	if s.failure("write=/mnt/x:1") == "" {
		t.Error("a read-only tmpfs is written to")
	}
}

func TestATmpfsWithoutAModeHasThatOfWhatItCovers(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"stat=/mnt"}, addMounts(specs.Mount{Destination: "/mnt", Type: "tmpfs", Source: "tmpfs"}))
	if err := os.Mkdir(b.path("rootfs/mnt"), 0o700); err != nil {
		t.Fatal(err)
	}
	equal(t, "mode", get[fileStat](t, h.run(b), "stat=/mnt").Mode, "040700")
}

//proves:mounts[].destination config.md#mounts:3 config.md#mounts:4
func TestARelativeDestinationBeginsAtTheRoot(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"mounts"}, addMounts(specs.Mount{Destination: "mnt/x", Type: "tmpfs", Source: "tmpfs"}))
	r := h.try("run", "--bundle", b.dir, newID())
	if _, ok := mountsOf(t, parseSight(t, r.stdout))["/mnt/x"]; !ok {
		t.Errorf("nothing at /mnt/x:\n%s", r.stdout)
	}
	if !strings.Contains(r.stderr, "mounts[7].destination") || !strings.Contains(r.stderr, "level=warning") {
		t.Errorf("no warning: %q", r.stderr)
	}
}

//proves:mounts[].destination
func TestSymbolicLinksOfADestinationAreResolvedInsideTheRoot(t *testing.T) {
	h := newHost(t)
	for name, target := range map[string]string{
		"an absolute link":         "/inside",
		"a link that climbs":       "../../../../../../../../inside",
		"a link to another":        "other",
		"a link that is dangling":  "/not/there/yet",
		"a link to a path of host": "/etc/canary-of-hull",
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			b := h.newBundle([]string{"mounts"}, writableRoot, addMounts(
				specs.Mount{Destination: "/link/dir", Type: "tmpfs", Source: "tmpfs"}))
			for path, to := range map[string]string{"rootfs/link": target, "rootfs/other": "inside"} {
				if err := os.Symlink(to, b.path(path)); err != nil {
					t.Fatal(err)
				}
			}
			want := "/inside/dir"
			if strings.HasPrefix(target, "/") {
				want = target + "/dir"
			}
			if _, ok := mountsOf(t, h.run(b))[want]; !ok {
				t.Errorf("nothing is mounted at %s", want)
			}
			if _, err := os.Lstat(target); filepath.IsAbs(target) && err == nil {
				t.Errorf("%s was made on the host", target)
			}
		})
	}
}

//proves:config.md#mounts:1 mounts
func TestTheOrderOfMountsCounts(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	s := h.probe([]string{"list=/mnt", "mounts"}, writableRoot, addMounts(
		specs.Mount{Destination: "/mnt/hidden", Type: "tmpfs", Source: "first"},
		specs.Mount{Destination: "/mnt", Type: "tmpfs", Source: "second"},
		specs.Mount{Destination: "/mnt/seen", Type: "tmpfs", Source: "third"},
	))
	equal(t, "/mnt", get[[]string](t, s, "list=/mnt"), []string{"seen"})
}

//proves:mounts[].destination mounts[].type mounts[].source mounts[].options config.md#mounts:2
func TestMountsThatCannotBeMadeAreNamed(t *testing.T) {
	h := newHost(t)
	missing := filepath.Join(t.TempDir(), "missing")
	for name, tt := range map[string]struct {
		mount specs.Mount
		words []string
	}{
		"a filesystem that does not exist": {specs.Mount{Destination: "/mnt", Type: "cakefs", Source: "x"}, []string{"mounts[7]", "/mnt", "cakefs", "no such device"}},
		"a source that does not exist":     {bind(missing), []string{"mounts[7]", missing, "no such file or directory"}},
		"a directory over a file":          {specs.Mount{Destination: "/probe", Type: "bind", Source: "/tmp", Options: []string{"bind"}}, []string{"mounts[7]", "/probe", "not a directory"}},
		"no destination":                   {specs.Mount{Type: "tmpfs", Source: "x"}, []string{"mounts[7].destination"}},
		"no type":                          {specs.Mount{Destination: "/mnt", Source: "/tmp"}, []string{"mounts[7].type"}},
		"an option of no filesystem":       {specs.Mount{Destination: "/mnt", Type: "tmpfs", Source: "x", Options: []string{"cake=1"}}, []string{"mounts[7]", "cake"}},
		"a value that is none":             {specs.Mount{Destination: "/mnt", Type: "tmpfs", Source: "x", Options: []string{"size=many"}}, []string{"mounts[7]", "/mnt", "tmpfs", "size", "invalid argument"}},
		"over procfs":                      {specs.Mount{Destination: "/proc/sys/net", Type: "tmpfs", Source: "x"}, []string{"mounts[7]", "/proc/sys/net", "operation not permitted"}},
	} {
		t.Run(name, func(t *testing.T) {
			(&host{t: t, root: h.root}).fails(tt.words, writableRoot, addMounts(tt.mount))
		})
	}
}

func TestFilesOfLxcfsMayCoverProc(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	source := filepath.Join(t.TempDir(), "uptime")
	if err := os.WriteFile(source, []byte("1.00 2.00\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := h.probe([]string{"read=/proc/uptime"}, addMounts(
		specs.Mount{Destination: "/proc/uptime", Type: "bind", Source: source, Options: []string{"bind"}}))
	equal(t, "/proc/uptime", get[string](t, s, "read=/proc/uptime"), "1.00 2.00\n")
}

//proves:mounts[].uidMappings[].containerID mounts[].uidMappings[].hostID mounts[].gidMappings[].containerID mounts[].gidMappings[].hostID
func TestBindMountsAreIDMapped(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	source := t.TempDir()
	file := filepath.Join(source, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(file, 1000, 1001); err != nil {
		t.Fatal(err)
	}
	m := bind(source)
	m.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 1000, HostID: 5000, Size: 1}}
	m.GIDMappings = []specs.LinuxIDMapping{{ContainerID: 1001, HostID: 6000, Size: 1}}
	st := get[fileStat](t, h.probe([]string{"stat=/mnt/file"}, writableRoot, addMounts(m)), "stat=/mnt/file")
	equal(t, "owner", fmt.Sprint(st.UID, st.GID), "5000 6000")
}

// Whoever opens a source says the same of it.
func TestASourceThatCannotBeOpenedIsExplained(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	dir := t.TempDir()
	reachable(t, dir)
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink("loop", loop); err != nil {
		t.Fatal(err)
	}
	joined := procPath(holder(t, "--mount"), "ns/mnt")
	for name, in := range map[string]edit{"init": addNamespace(specs.MountNamespace, joined), "the parent": inUserNamespace} {
		for source, words := range map[string][]string{
			filepath.Join(dir, "none"): {"mounts[7]", "no such file or directory (it does not exist on the host)"},
			loop:                       {"mounts[7]", "too many levels of symbolic links (a circle of symbolic links"},
		} {
			t.Run(name+" "+filepath.Base(source), func(t *testing.T) {
				(&host{t: t, root: h.root}).fails(words, in, addMounts(bind(source)))
			})
		}
	}
}
