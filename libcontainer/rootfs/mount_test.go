package rootfs

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hull/internal/testkit"
	"hull/libcontainer/plan"
)

func TestEveryFilesystemOfAContainerMounts(t *testing.T) {
	for _, c := range []struct {
		name  string
		mount plan.Mount
		words []string
	}{
		{"proc", newfs("proc", "/m"), []string{"- proc proc"}},
		{"proc with options", newfs("proc", "/m", opt("hidepid", "2"), opt("subset", "pid")), []string{"hidepid=invisible,subset=pid"}},
		{"sysfs", with(newfs("sysfs", "/m"), ro|noexec), []string{"ro,noexec", "- sysfs"}},
		{"mqueue", newfs("mqueue", "/m"), []string{"- mqueue"}},
		{"devpts", newfs("devpts", "/m", flag("newinstance"), opt("ptmxmode", "0666")), []string{"ptmxmode=666"}},
		{"tmpfs", newfs("tmpfs", "/m", opt("size", "1m"), flag("sync"), flag("lazytime")), []string{"rw,sync,lazytime,size=1024k"}},
		{"a tmpfs without access times", with(newfs("tmpfs", "/m"), unix.MOUNT_ATTR_NOATIME|unix.MOUNT_ATTR_NODIRATIME), []string{"rw,noatime,nodiratime"}},
		{"cgroup2", newfs("cgroup2", "/m", flag("nsdelegate")), []string{"- cgroup2"}},
		{"a cgroup v1 controller", newfs("cgroup", "/m", flag("cpu")), []string{"- cgroup", ",cpu"}},
		{"a named cgroup v1 hierarchy", newfs("cgroup", "/m", flag("none"), opt("name", "systemd")), []string{"name=systemd"}},
		{"a filesystem with another source", func() plan.Mount { m := newfs("tmpfs", "/m"); m.Source = "some thing"; return m }(), []string{`- tmpfs some\040thing`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			testkit.In(t, mounts|syscall.CLONE_NEWPID|syscall.CLONE_NEWIPC, func() {
				b := newBox(t, "dir m")
				b.mustMount(c.mount)
				b.wantMount(b.root+"/m", c.words...)
			})
		})
	}
}

func TestOverlayTakesALongListOfLayers(t *testing.T) {
	testkit.In(t, mounts, func() {
		b := newBox(t, "dir m")
		layers := testkit.TempDir(t)
		b.must(unix.Mount("layers", layers, "tmpfs", 0, ""))
		var list []string
		for i := range 40 {
			dir := filepath.Join(layers, strconv.Itoa(i))
			testkit.Tree(t, dir, "file from-"+strconv.Itoa(i))
			list = append(list, dir)
		}
		testkit.Tree(t, layers, "dir up", "dir work")
		m := with(newfs("overlay", "/m", opt("lowerdir", strings.Join(list, ":")),
			opt("upperdir", layers+"/up"), opt("workdir", layers+"/work")), nodev)
		m.Propagation = []uint64{unix.MS_UNBINDABLE}
		b.mustMount(m)
		b.wantMount(b.root+"/m", "rw,nodev", "unbindable - overlay")
		for _, name := range []string{"/m/from-0", "/m/from-39"} {
			if _, err := os.Stat(b.root + name); err != nil {
				t.Error(err)
			}
		}
		b.must(os.WriteFile(b.root+"/m/x", nil, 0o644))
	})
}

func TestBinds(t *testing.T) {
	for _, c := range []struct {
		name  string
		tree  []string
		mount plan.Mount
		at    string
		words []string
	}{
		{"a directory onto a missing target", nil, bind("src/dir", "/a/b/c", 0), "/a/b/c", []string{"/src/dir ", " rw,relatime - "}},
		{"a file onto a missing target", nil, bind("src/file", "/a/b/f", plan.SourceIsFile), "/a/b/f", []string{"/src/file "}},
		{"a file onto a file", []string{"file etc/f"}, with(bind("src/file", "/etc/f", 0), ro|nosuid|noexec), "/etc/f", []string{" ro,nosuid,noexec,relatime "}},
		{"a source that is a symbolic link", nil, bind("src/link", "/a", 0), "/a", []string{"/src/dir "}},
		{"a target that is an absolute link", []string{"dir real", "symlink l /real"}, bind("src/dir", "/l", 0), "/real", nil},
		{"a target that climbs out", []string{"dir canary", "symlink l ../../../../canary"}, bind("src/dir", "/l", 0), "/canary", nil},
		{"a target behind a link to nothing", []string{"symlink var/run /run"}, bind("src/dir", "/var/run/x", 0), "/run/x", nil},
		{"a tree without what is below", nil, bind("src", "/t", 0), "/t", []string{"/src "}},
		{"propagation", nil, func() plan.Mount {
			m := bind("src", "/t", plan.Recursive)
			m.Propagation = []uint64{unix.MS_PRIVATE | unix.MS_REC, unix.MS_SHARED}
			return m
		}(), "/t", []string{"shared:"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			testkit.In(t, mounts, func() {
				b := newBox(t, c.tree...)
				top := filepath.Dir(b.root)
				testkit.Tree(t, top, "file src/dir/in x", "file src/file x", "dir src/sub", "symlink src/link dir")
				b.must(unix.Mount("none", top+"/src/sub", "tmpfs", 0, ""))
				c.mount.Source = filepath.Join(top, c.mount.Source)
				b.mustMount(c.mount)
				b.wantMount(b.root+c.at, c.words...)
				sub := mountAt(t, b.root+c.at+"/sub") != ""
				if want := c.mount.Flags&plan.Recursive != 0; sub != want {
					t.Errorf("the mount below is there: %v, want %v", sub, want)
				}
			})
		})
	}
}

func TestRecursiveAttributesReachMountsBelow(t *testing.T) {
	testkit.In(t, mounts, func() {
		b := newBox(t)
		src := testkit.TempDir(t)
		testkit.Tree(t, src, "dir sub")
		b.must(unix.Mount("none", src+"/sub", "tmpfs", 0, ""))
		m := with(bind(src, "/plain", plan.Recursive), ro)
		r := bind(src, "/rec", plan.Recursive)
		r.RecSet = ro | noexec
		b.mustMount(m, r)
		b.wantMount(b.root+"/plain", " ro,")
		b.wantMount(b.root+"/plain/sub", " rw,")
		b.wantMount(b.root+"/rec/sub", " ro,noexec,")
	})
}

func TestASuppliedMountIsAttached(t *testing.T) {
	testkit.In(t, mounts, func() {
		b := newBox(t)
		src := testkit.TempDir(t)
		testkit.Tree(t, src, "file f x")
		b.source = func(i int) (int, error) {
			if i != 1 {
				t.Errorf("asked for source %d", i)
			}
			return unix.OpenTree(unix.AT_FDCWD, src+"/f", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
		}
		b.mustMount(newfs("tmpfs", "/t"), with(bind("elsewhere", "/t/f", plan.Supplied), ro))
		b.wantMount(b.root+"/t/f", "/f ", " ro,")
	})
}

func TestSymbolicLinksAsSourceAndTarget(t *testing.T) {
	testkit.In(t, mounts, func() {
		b := newBox(t, "symlink target /nowhere", "dir links")
		src := testkit.TempDir(t)
		testkit.Tree(t, src, "symlink l some/where", "dir d")
		b.mustMount(
			bind(src+"/l", "/copy/l", plan.CopySymlink),
			bind(src+"/d", "/copy/d", plan.CopySymlink),
			bind(src+"/l", "/target", plan.SourceNoFollow|plan.TargetNoFollow),
			plan.Mount{Kind: plan.Link, Source: "cpu,cpuacct", Target: "/links/cpu"},
		)
		for name, want := range map[string]string{"copy/l": "some/where", "target": "some/where", "links/cpu": "cpu,cpuacct"} {
			if got, err := os.Readlink(filepath.Join(b.root, name)); got != want {
				t.Errorf("%s is %q, %v, want %q", name, got, err, want)
			}
		}
		b.wantMount(b.root + "/copy/d")
	})
}

func TestRemountChangesWhatItIsAskedTo(t *testing.T) {
	testkit.In(t, mounts, func() {
		b := newBox(t, "dir t", "dir b")
		remount := plan.Mount{Kind: plan.Reconfigure, Target: "/t", Type: "tmpfs", Options: []plan.FSOption{opt("size", "2m")}}
		remountBind := with(plan.Mount{Kind: plan.Reconfigure, Target: "/b"}, ro)
		b.mustMount(newfs("tmpfs", "/t", opt("size", "1m")), bind(b.root+"/t", "/b", 0), with(remount, noexec), remountBind)
		b.wantMount(b.root+"/t", "rw,noexec,relatime", "size=2048k")
		b.wantMount(b.root+"/b", " ro,")
	})
}

func TestATmpfsHasTheModeOfWhatItCovers(t *testing.T) {
	testkit.In(t, mounts, func() {
		b := newBox(t, "dir tmp 1777", "dir run 0700")
		b.mustMount(newfs("tmpfs", "/tmp"), newfs("tmpfs", "/run", opt("mode", "0711")), newfs("tmpfs", "/new"))
		for name, want := range map[string]uint32{"tmp": 0o1777, "run": 0o711, "new": 0o1777} {
			var st unix.Stat_t
			if err := unix.Stat(b.root+"/"+name, &st); err != nil || st.Mode&0o7777 != want {
				t.Errorf("%s has mode %#o, %v, want %#o", name, st.Mode&0o7777, err, want)
			}
		}
	})
}

func TestAReadOnlyTmpfsTakesLaterMountsAndIsSealed(t *testing.T) {
	testkit.In(t, mounts, func() {
		b := newBox(t)
		b.mustMount(with(newfs("tmpfs", "/run", flag("ro")), ro), newfs("tmpfs", "/run/a"), newfs("tmpfs", "/run/a/b"))
		b.wantMount(b.root+"/run", " rw,")
		b.enter()
		b.wantMount("/run", " ro,")
		b.wantMount("/run/a", " rw,")
		b.wantMount("/run/a/b", " rw,")
	})
}

// A mount that covers the last tmpfs is where later targets are made.
func TestTargetsAreMadeInTheTopmostMount(t *testing.T) {
	testkit.In(t, mounts, func() {
		b := newBox(t, "dir run", "symlink var/run /run")
		b.mustMount(newfs("tmpfs", "/var/run"), newfs("tmpfs", "/run"), newfs("tmpfs", "/var/run/x"),
			newfs("tmpfs", "/d"), bind(testkit.TempDir(t), "/d", 0), newfs("tmpfs", "/d/x"))
		for _, path := range []string{"/run/x", "/d/x"} {
			b.wantMount(b.root + path)
			if _, err := os.Stat(b.root + path); err != nil {
				t.Errorf("it is hidden: %v", err)
			}
		}
	})
}

func TestCopyUpKeepsWhatTheImageHas(t *testing.T) {
	testkit.In(t, mounts, func() {
		b := newBox(t, "dir v 0750", "file v/f content", "dir v/d 2711", "file v/d/g", "symlink v/l /nowhere",
			"fifo v/p", "char v/null 1 3")
		b.must(os.Link(b.root+"/v/f", b.root+"/v/d/hard"))
		b.must(os.Lchown(b.root+"/v/l", 7, 8))
		b.must(os.Chown(b.root+"/v", 5, 6))
		b.must(os.Chown(b.root+"/v/d/g", 3, 4))
		b.must(unix.Chmod(b.root+"/v/d/g", 0o4755))
		b.must(unix.Setxattr(b.root+"/v/f", "trusted.hull", []byte("kept"), 0))
		before := describe(t, b.root+"/v")
		m := with(newfs("tmpfs", "/v"), nosuid|ro)
		m.Flags = plan.CopyUp
		b.mustMount(m)
		b.wantMount(b.root+"/v", "- tmpfs")
		if after := describe(t, b.root+"/v"); after != before {
			t.Errorf("the image has\n%sand the tmpfs\n%s", before, after)
		}
		var x [8]byte
		if n, err := unix.Getxattr(b.root+"/v/f", "trusted.hull", x[:]); err != nil || string(x[:n]) != "kept" {
			t.Errorf("the attribute is %q, %v", x[:max(n, 0)], err)
		}
	})
}

// describe renders modes, owners, links, times and contents below dir.
func describe(t *testing.T, dir string) string {
	t.Helper()
	var text strings.Builder
	for _, line := range append([]string{". "}, testkit.List(t, dir)...) {
		name, _, _ := strings.Cut(line, " ")
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(dir, name), &st); err != nil {
			t.Fatal(err)
		}
		link, _ := os.Readlink(filepath.Join(dir, name))
		var content []byte
		links, mtime := st.Nlink, st.Mtim.Nano()
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			content, _ = os.ReadFile(filepath.Join(dir, name))
		case unix.S_IFDIR:
			links, mtime = 0, 0
		}
		for _, n := range []uint64{uint64(st.Mode), uint64(st.Uid), uint64(st.Gid), st.Rdev, links, uint64(mtime)} {
			text.WriteString(strconv.FormatUint(n, 8) + " ")
		}
		text.WriteString(name + " → " + link + string(content) + "\n")
	}
	return text.String()
}

func TestMountErrorsNameTheObjectAndTheCause(t *testing.T) {
	for _, c := range []struct {
		name  string
		mount plan.Mount
		errno error
		words []string
	}{
		{"an unknown option", newfs("tmpfs", "/m", opt("foo", "1")), unix.EINVAL, []string{"mount tmpfs on /m (mounts[0]): unknown parameter 'foo'"}},
		{"a bad value", newfs("tmpfs", "/m", opt("size", "many")), unix.EINVAL, []string{"bad value for 'size'"}},
		{"an unknown type", newfs("nosuchfs", "/m"), unix.ENODEV, []string{"mount nosuchfs on /m", "no filesystem of that type"}},
		{"a missing source", bind("/nowhere", "/m", 0), unix.ENOENT, []string{"bind /nowhere on /m (mounts[0]): open the source", "does not exist on the host"}},
		{"a file over a directory", bind("/proc/version", "/m", 0), unix.ENOTDIR, []string{"attach: not a directory", "one of source and target is a directory"}},
		{"a directory over a file", bind("/proc", "/f", 0), unix.ENOTDIR, []string{"on /f"}},
		{"a target below a file", newfs("tmpfs", "/f/x"), unix.ENOTDIR, []string{"open the target"}},
		{"a target that is a loop", newfs("tmpfs", "/l"), unix.ELOOP, []string{"open the target"}},
		{"a remount of no mount", with(plan.Mount{Kind: plan.Reconfigure, Target: "/m"}, ro), unix.EINVAL, []string{"remount /m", "not a mount point"}},
		{"an unknown v1 controller", newfs("cgroup", "/m", flag("nosuch")), nil, []string{"nosuch"}},
		{"a device that does not exist", func() plan.Mount { m := newfs("ext4", "/m"); m.Source = "/dev/nowhere"; return m }(), unix.ENOENT, []string{"mount ext4 /dev/nowhere on /m"}},
		{"a tmpfs on /proc", newfs("tmpfs", "/proc"), unix.EPERM, []string{"cover procfs", "may not be mounted on /proc itself"}},
		{"a bind on /proc that is no procfs", bind("/tmp", "/proc", 0), unix.EPERM, []string{"the source is not a procfs"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			testkit.In(t, mounts, func() {
				b := newBox(t, "dir m", "file f", "symlink l l", "dir proc")
				wantError(t, b.mount(c.mount), c.errno, c.words...)
			})
		})
	}
}
