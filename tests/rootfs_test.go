package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

//proves:root.readonly config.md#root:8
func TestTheRootIsReadOnlyIfAndOnlyIfAskedFor(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, readonly := range []bool{true, false} {
		b := h.newBundle([]string{"make=/tmp/new", "write=/dev/shm/x:1"}, func(s *specs.Spec) { s.Root.Readonly = readonly })
		s := h.run(b)
		if failed := strings.Contains(s.failure("make=/tmp/new"), "read-only file system"); failed != readonly {
			t.Errorf("readonly=%v: %q", readonly, s.failure("make=/tmp/new"))
		}
		if _, err := os.Stat(b.path("rootfs/tmp/new")); (err == nil) == readonly {
			t.Errorf("readonly=%v: %v", readonly, err)
		}
		// The mounts inside are what they were.
		get[string](t, s, "write=/dev/shm/x:1")
	}
}

//proves:root.path
func TestTheRootMayBeAnywhere(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"list=/"})
	elsewhere := filepath.Join(t.TempDir(), "a root with spaces")
	if err := os.Rename(b.path("rootfs"), elsewhere); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"an absolute path": elsewhere, "a path with dots": b.dir + "/../" + filepath.Base(b.dir) + "/link"} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			_ = os.Symlink(elsewhere, b.path("link"))
			b.config.Root.Path = path
			b.save(t)
			if names := strings.Join(get[[]string](t, h.run(b), "list=/"), " "); !strings.Contains(names, "probe") {
				t.Errorf("the root has %s", names)
			}
		})
	}
}

//proves:root.path config.md#root:3 config.md#root:4 config.md#root:7
func TestARootThatIsNotThereIsNamed(t *testing.T) {
	h := newHost(t)
	h.fails([]string{"/nowhere", "no such file or directory"}, func(s *specs.Spec) { s.Root.Path = "/nowhere" })
	h.fails([]string{"/etc/passwd", "not a directory"}, func(s *specs.Spec) { s.Root.Path = "/etc/passwd" })
	h.fails([]string{"root.path"}, func(s *specs.Spec) { s.Root.Path = "" })
	h.fails([]string{"root", "must be set"}, func(s *specs.Spec) { s.Root = nil })
}

//proves:root.path
func TestTheRootFilesystemIsAMountOfItsOwn(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	// The old root is gone: nothing above is reachable.
	b := h.newBundle([]string{"list=/..", "stat=/../../../..", "stat=/"})
	s := h.run(b)
	equal(t, "above the root", get[fileStat](t, s, "stat=/../../../.."), get[fileStat](t, s, "stat=/"))
	if names := strings.Join(get[[]string](t, s, "list=/.."), " "); !strings.Contains(names, "probe") {
		t.Errorf("above the root is %s", names)
	}
}

func TestContainersWithoutPivotAndWithoutAMountNamespaceWork(t *testing.T) {
	h := newHost(t)
	h.leavesNothing()
	t.Run("without pivot_root", func(t *testing.T) {
		h := &host{t: t, root: h.root}
		b := h.newBundle([]string{"list=/", "mounts", "make=/tmp/new"})
		s := parseSight(t, h.must("run", "--no-pivot", "--bundle", b.dir, newID()))
		if names := strings.Join(get[[]string](t, s, "list=/"), " "); !strings.Contains(names, "probe") {
			t.Errorf("the root has %s", names)
		}
		if s.failure("make=/tmp/new") == "" {
			t.Error("the root is not read-only")
		}
		equal(t, "/proc", mountsOf(t, s)["/proc"].kind, "proc")
		equal(t, "masked", mountsOf(t, s)["/proc/keys"].root, "/null")
	})
	t.Run("without a mount namespace", func(t *testing.T) {
		h := &host{t: t, root: h.root}
		before, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			t.Fatal(err)
		}
		s := h.probe([]string{"list=/", "pid"}, alone(specs.PIDNamespace), nothingToMount)
		if names := strings.Join(get[[]string](t, s, "list=/"), " "); !strings.Contains(names, "probe") {
			t.Errorf("the root has %s", names)
		}
		after, _ := os.ReadFile("/proc/self/mountinfo")
		equal(t, "mounts of the host", strings.Split(string(after), "\n"), strings.Split(string(before), "\n"))
	})
	t.Run("what needs a mount namespace is refused without it", func(t *testing.T) {
		(&host{t: t, root: h.root}).fails([]string{"linux.maskedPaths[0]", "needs a mount namespace"}, dropNamespace(specs.MountNamespace))
	})
}

// Without a mount namespace the mount of the root is the host's, which nobody may
// make read-only for a container.
//
//proves:root.readonly
func TestTheHostsMountOfTheRootIsNotMadeReadOnly(t *testing.T) {
	h := newHost(t)
	h.leavesNothing()
	for name, prepare := range map[string]func(*testing.T, string){
		"a mount point": func(t *testing.T, root string) {
			t.Helper()
			if err := unix.Mount(root, root, "", unix.MS_BIND, ""); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = unix.Unmount(root, unix.MNT_DETACH) })
		},
		"a directory": func(*testing.T, string) {},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			b := h.newBundle([]string{"pid"}, alone(specs.PIDNamespace), nothingToMount, func(s *specs.Spec) { s.Root.Readonly = true })
			prepare(t, b.path("rootfs"))
			before := mountsBelow(t, b.dir)
			h.refuses([]string{"root.readonly: needs a mount namespace", "set it to false"}, "run", "--bundle", b.dir, newID())
			equal(t, "mounts of the host", mountsBelow(t, b.dir), before)
			c := h.check(b)
			if len(c.findings) != 1 || c.findings[0].Path != "root.readonly" || c.findings[0].Level != "error" {
				t.Errorf("check finds %v", c.lines)
			}
		})
	}
}

// sharedTree is a mount on the host, shared, with a directory "later" to mount
// something on.
func sharedTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	mountTmpfs(t, dir)
	if err := unix.Mount("", dir, "", unix.MS_SHARED, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "later"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// laterOnHost mounts something below the tree with a file in it.
func laterOnHost(t *testing.T, dir string) {
	t.Helper()
	mountTmpfs(t, filepath.Join(dir, "later"))
	if err := os.WriteFile(filepath.Join(dir, "later/file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

//proves:mounts[].options=shared mounts[].options=rshared mounts[].options=slave mounts[].options=rslave mounts[].options=private mounts[].options=rprivate
func TestPropagationOfAMountDecidesWhatIsSeenLater(t *testing.T) {
	h := newHost(t)
	for option, want := range map[string]struct {
		peers    string
		fromHost bool
		toHost   bool
	}{
		"rshared":  {"shared:", true, true},
		"shared":   {"shared:", true, true},
		"rslave":   {"master:", true, false},
		"slave":    {"master:", true, false},
		"rprivate": {"", false, false},
		"private":  {"", false, false},
		// The container's own mounts are slaves of the host's by default.
		"": {"master:", true, false},
	} {
		t.Run("option "+option, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			dir := sharedTree(t)
			m := bind(dir)
			if option != "" {
				m.Options = append(m.Options, option)
			}
			c := h.start(nil, writableRoot, allCapabilities, addMounts(m), func(s *specs.Spec) {
				// As engines do: only a root that takes part in propagation
				// lets a mount do so.
				if strings.Contains(option, "s") {
					s.Linux.RootfsPropagation = option
				}
			})
			laterOnHost(t, dir)
			s := c.exec("list=/mnt/later", "mounts", "mkdir=/mnt/own", "mount=tmpfs:/mnt/own")
			equal(t, "a mount of the host appears", len(get[[]string](t, s, "list=/mnt/later")) == 1, want.fromHost)
			seen := mountsOf(t, s)["/mnt"]
			if want.peers == "" && len(seen.peers) > 0 || want.peers != "" && !seen.isPeer(want.peers) {
				t.Errorf("/mnt is %v, want %q", seen.peers, want.peers)
			}
			get[string](t, s, "mount=tmpfs:/mnt/own")
			lines, _ := os.ReadFile("/proc/self/mountinfo")
			equal(t, "a mount of the container appears", strings.Contains(string(lines), dir+"/own "), want.toHost)
			_ = unix.Unmount(filepath.Join(dir, "own"), unix.MNT_DETACH)
		})
	}
}

//proves:mounts[].options=unbindable
func TestAnUnbindableMountCannotBeBound(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	m := bind(t.TempDir(), "unbindable")
	s := h.probe([]string{"mounts"}, writableRoot, addMounts(m))
	equal(t, "unbindable", mountsOf(t, s)["/mnt"].isPeer("unbindable"), true)
}

//proves:linux.rootfsPropagation linux.rootfsPropagation=shared linux.rootfsPropagation=slave
//proves:linux.rootfsPropagation=private linux.rootfsPropagation=unbindable
func TestRootfsPropagationIsThatOfTheRoot(t *testing.T) {
	h := newHost(t)
	unshare := needTool(t, "unshare")
	// A slave is one only of a mount that is shared: of systemd's, but not of every host's.
	for outside, master := range map[string]string{"private": "", "shared": "master:"} {
		for propagation, want := range map[string]string{
			"": master, "private": "", "rprivate": "", "shared": "shared:", "rshared": "shared:", "unbindable": "unbindable",
			"runbindable": "unbindable", "slave": master, "rslave": master,
		} {
			t.Run(outside+" mounts, rootfsPropagation "+propagation, func(t *testing.T) {
				h := &host{t: t, root: h.root, through: []string{unshare, "--mount", "--propagation", outside}}
				s := h.probe([]string{"mounts"}, func(s *specs.Spec) { s.Linux.RootfsPropagation = propagation })
				peers := mountsOf(t, s)["/"].peers
				if want == "" && len(peers) > 0 || want != "" && !mountsOf(t, s)["/"].isPeer(want) {
					t.Errorf("/ is %v, want %q", peers, want)
				}
			})
		}
	}
	h.fails([]string{"linux.rootfsPropagation", "cake"}, func(s *specs.Spec) { s.Linux.RootfsPropagation = "cake" })
}

//proves:linux.rootfsPropagation=slave linux.rootfsPropagation=private linux.rootfsPropagation
func TestAMountOnTheRootReachesASlaveOnly(t *testing.T) {
	h := newHost(t)
	for propagation, want := range map[string]bool{"rslave": true, "rprivate": false, "": true} {
		t.Run("rootfsPropagation "+propagation, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			dir := sharedTree(t)
			b := h.newBundle([]string{"sleep"}, func(s *specs.Spec) {
				s.Linux.RootfsPropagation = propagation
				s.Root.Path = filepath.Join(dir, "root")
			})
			if err := os.CopyFS(filepath.Join(dir, "root"), os.DirFS(b.path("rootfs"))); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(filepath.Join(dir, "root/later"), 0o755); err != nil {
				t.Fatal(err)
			}
			c := h.create(b)
			h.must("start", c.id)
			laterOnHost(t, filepath.Join(dir, "root"))
			equal(t, "a mount of the host appears", len(get[[]string](t, c.exec("list=/later"), "list=/later")) == 1, want)
		})
	}
}
