package rootfs

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hull/internal/testkit"
	"hull/libcontainer/plan"
)

func null(path string) plan.Device {
	return plan.Device{Path: path, Mode: unix.S_IFCHR | 0o666, Major: 1, Minor: 3}
}

func TestProcAndSysMustBeRealDirectories(t *testing.T) {
	for _, c := range []struct {
		name, entry string
		mount       plan.Mount
	}{
		{"proc on a link", "symlink proc tmp", newfs("proc", "/proc")},
		{"proc on a link to outside", "symlink proc ../canary", newfs("proc", "/proc")},
		{"a bind of proc on a link", "symlink proc tmp", bind("/proc", "/proc", plan.Recursive)},
		{"sysfs on a link", "symlink sys /tmp", newfs("sysfs", "/sys")},
		{"sysfs elsewhere on a link", "symlink elsewhere tmp", newfs("sysfs", "/elsewhere")},
		{"proc on a file", "file proc", newfs("proc", "/proc")},
	} {
		t.Run(c.name, func(t *testing.T) {
			testkit.In(t, mounts|syscall.CLONE_NEWPID, func() {
				b := newBox(t, "dir tmp", c.entry)
				wantError(t, b.mount(c.mount), nil, "it must be an ordinary directory")
				if line := mountAt(t, b.root+"/tmp"); line != "" {
					t.Error("mounted: " + line)
				}
			})
		})
	}
}

func TestNothingCoversProcfs(t *testing.T) {
	for _, c := range []struct {
		target string
		ok     bool
	}{
		{"/proc/self/attr", false},
		{"/proc/sys/kernel", false},
		{"/proc/net/dev", false},
		{"/link/attr", false},
		{"/up/sys", false},
		{"/x/../proc/sys", false},
		{"/proc/uptime", true},
		{"/proc/sys/kernel/ns_last_pid", true},
	} {
		t.Run(strings.ReplaceAll(c.target, "/", "_"), func(t *testing.T) {
			testkit.In(t, mounts|syscall.CLONE_NEWPID, func() {
				b := newBox(t, "dir proc", "dir x", "symlink link /proc/self", "symlink up ../../proc")
				m := newfs("tmpfs", c.target)
				if c.ok {
					m = bind("/proc/version", c.target, plan.SourceIsFile)
				}
				err := b.mount(newfs("proc", "/proc"), m)
				if c.ok {
					b.must(err)
					return
				}
				wantError(t, err, unix.EPERM, "cover procfs")
			})
		})
	}
}

// CVE-2026-47766, CVE-2026-41579: /dev of the image is a link to the host.
func TestDevicesStayInsideWhenDevIsALink(t *testing.T) {
	for _, content := range []string{"../canary", "../../../../../../../canary", "ABSOLUTE"} {
		t.Run(strings.ReplaceAll(content, "/", "_"), func(t *testing.T) {
			testkit.In(t, mounts, func() {
				b := newBox(t, "dir x")
				if content == "ABSOLUTE" {
					content = b.canary
				}
				b.must(os.Symlink(content, b.root+"/dev"))
				b.plan.Devices = []plan.Device{null("/dev/null")}
				b.plan.DevLinks = []plan.Symlink{{Path: "/dev/ptmx", Target: "pts/ptmx"}}
				b.must(b.prepare().MakeDevices())
				var st unix.Stat_t
				inside := b.root + "/canary/null"
				if content == b.canary {
					inside = filepath.Join(b.root, b.canary, "null")
				}
				if err := unix.Lstat(inside, &st); err != nil || st.Rdev != unix.Mkdev(1, 3) {
					t.Errorf("%s: %v", inside, err)
				}
			})
		})
	}
}

// CVE-2025-31133, CVE-2026-88265.
func TestAFalseNullDeviceMasksNothing(t *testing.T) {
	for _, entry := range []string{
		"symlink dev/null /etc/secret", "file dev/null", "char dev/null 1 5", "fifo dev/null", "dir dev",
	} {
		t.Run(strings.ReplaceAll(entry, "/", "_"), func(t *testing.T) {
			testkit.In(t, mounts, func() {
				b := newBox(t, "file etc/secret s", "file etc/masked m", entry)
				b.plan.MaskedPaths = []string{"/etc/masked"}
				b.must(b.prepare().Enter())
				wantError(t, b.fs.Seal(), nil, "mask /etc/masked", "open /dev/null")
			})
		})
	}
}

func TestMasksFollowLinksInsideOnly(t *testing.T) {
	testkit.In(t, mounts, func() {
		b := newBox(t, "dir dev", "char dev/null 1 3", "symlink out ../../canary/alive", "file real x", "symlink in /real",
			"dir d/sub", "dir e/sub")
		b.plan.MaskedPaths = []string{"/out", "/in", "/missing/x", "/real/below", "/d", "/e"}
		b.plan.ReadonlyPaths = []string{"/missing", "/out"}
		b.must(b.prepare().Enter())
		b.must(b.fs.Seal())
		b.wantMount("/real", "/null ")
		b.wantMount("/d", "ro,nosuid,nodev,noexec", "- tmpfs tmpfs ro")
		if a, e := strings.Fields(mountAt(t, "/d"))[2], strings.Fields(mountAt(t, "/e"))[2]; a != e {
			t.Errorf("the masks of directories are two filesystems: %s, %s", a, e)
		}
		for _, dir := range []string{"/d", "/e"} {
			if list := testkit.List(t, dir); len(list) > 0 {
				t.Errorf("%s shows %q", dir, list)
			}
			if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND, ""); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(dir+"/x", nil, 0o644); err == nil {
				t.Errorf("%s was written after a remount", dir)
			}
		}
	})
}

// CVE-2025-52565, CVE-2026-88264.
func TestTheConsoleIsBoundByDescriptor(t *testing.T) {
	for _, c := range []struct {
		name, entry string
		ok          bool
	}{
		{"where there is nothing", "dir dev", true},
		{"on an empty file", "file dev/console", true},
		{"not on a link", "symlink dev/console ../../canary/alive", false},
		{"not on a link to nothing", "symlink dev/console ../../canary/made", false},
		{"not on a link to a file inside", "symlink dev/console /etc/passwd", false},
		{"not on a directory", "dir dev/console", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			testkit.In(t, mounts, func() {
				b := newBox(t, "dir dev/pts", "file etc/passwd", c.entry)
				b.mustMount(newfs("devpts", "/dev/pts", opt("ptmxmode", "0666")))
				b.must(b.fs.Enter())
				slave := openTerminal(t)
				err := b.fs.Console(slave)
				if !c.ok {
					wantError(t, err, nil, "bind terminal on /dev/console")
					return
				}
				b.must(err)
				b.wantMount("/dev/console", "/0 ", "- devpts")
				wantError(t, b.fs.Console(b.canaryFD), unix.ENOTTY)
			})
		})
	}
}

func openTerminal(t *testing.T) (slave int) {
	t.Helper()
	master, err := unix.Open("/dev/pts/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	slave, err = unix.IoctlRetInt(master, unix.TIOCGPTPEER)
	if err == nil {
		return slave
	}
	r, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		t.Fatal(errno)
	}
	return int(r)
}

// CVE-2021-30465: a volume is shared with a container that exchanges the
// target with a link to the outside.
func TestMountsStayInsideWhileTheTargetIsExchanged(t *testing.T) {
	testkit.In(t, mounts, func() {
		b := newBox(t, "dir vol/a", "dir etc")
		b.must(os.Symlink(b.canary, b.root+"/vol/b"))
		stop, stopped := make(chan struct{}), make(chan int)
		go func() {
			n := 0
			for ; ; n++ {
				select {
				case <-stop:
					stopped <- n
					return
				default:
					_ = unix.Renameat2(unix.AT_FDCWD, b.root+"/vol/a", unix.AT_FDCWD, b.root+"/vol/b", unix.RENAME_EXCHANGE)
				}
			}
		}()
		src, worked := testkit.TempDir(t), 0
		b.prepare()
		for range 200 {
			b.plan.Mounts = []plan.Mount{bind(src, "/vol/a/x", 0), newfs("tmpfs", "/vol/a/y")}
			if b.fs.MountAll() == nil {
				worked++
			}
		}
		close(stop)
		if n := <-stopped; n < 50 || worked == 0 {
			t.Errorf("no race: %d exchanges, %d mounts", n, worked)
		}
		for line := range strings.Lines(mountTable(t)) {
			if at, _, _ := mountLine(line); strings.HasPrefix(at, b.canary) {
				t.Error("mounted outside: " + line)
			}
		}
	})
}

func TestAWrongDeviceIsAnErrorAndTheRightOneIsKept(t *testing.T) {
	testkit.In(t, mounts, func() {
		b := newBox(t, "char dev/null 1 3", "file dev/zero", "char dev/ptmx 5 2", "symlink dev/fd elsewhere")
		b.plan.Devices = []plan.Device{
			null("/dev/null"),
			{Path: "/dev/deep/pipe", Mode: unix.S_IFIFO | 0o600, UID: 4, GID: 5},
			{Path: "/dev/fuse", Mode: unix.S_IFCHR | 0o622, Major: 10, Minor: 229, UID: 1, GID: 2},
		}
		b.plan.DevLinks = []plan.Symlink{{Path: "/dev/ptmx", Target: "pts/ptmx"}, {Path: "/dev/fd", Target: "/proc/self/fd"}}
		b.must(b.prepare().MakeDevices())
		for name, want := range map[string]unix.Stat_t{
			"fuse":      {Mode: unix.S_IFCHR | 0o622, Uid: 1, Gid: 2, Rdev: unix.Mkdev(10, 229)},
			"deep/pipe": {Mode: unix.S_IFIFO | 0o600, Uid: 4, Gid: 5},
		} {
			var st unix.Stat_t
			b.must(unix.Lstat(b.root+"/dev/"+name, &st))
			if st.Mode != want.Mode || st.Uid != want.Uid || st.Gid != want.Gid || st.Rdev != want.Rdev {
				t.Errorf("%s is %#o %d:%d %#x", name, st.Mode, st.Uid, st.Gid, st.Rdev)
			}
		}
		if got, _ := os.Readlink(b.root + "/dev/ptmx"); got != "pts/ptmx" {
			t.Errorf("ptmx is %q", got)
		}
		if got, _ := os.Readlink(b.root + "/dev/fd"); got != "elsewhere" {
			t.Errorf("the image's fd is now %q", got)
		}
		zero := null("/dev/zero")
		zero.Minor = 5
		b.plan.Devices = []plan.Device{zero}
		wantError(t, b.fs.MakeDevices(), unix.EEXIST, "make device /dev/zero", "something else")
	})
}
