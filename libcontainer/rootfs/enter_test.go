package rootfs

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hull/internal/testkit"
	"hull/libcontainer/plan"
)

func TestEnterInEveryWay(t *testing.T) {
	for _, c := range []struct {
		name  string
		pivot plan.PivotMode
		host  uint64
	}{
		{"pivot from slaves", plan.PivotRoot, unix.MS_SLAVE | unix.MS_REC},
		{"pivot from private mounts", plan.PivotRoot, unix.MS_PRIVATE | unix.MS_REC},
		{"pivot from mounts that stay shared", plan.PivotRoot, 0},
		{"pivot from mounts that are made shared", plan.PivotRoot, unix.MS_SHARED | unix.MS_REC},
		{"move", plan.MoveRoot, unix.MS_PRIVATE | unix.MS_REC},
		{"chroot", plan.ChrootOnly, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			testkit.In(t, mounts|syscall.CLONE_NEWPID, func() {
				b := newBox(t, "dir proc", "file here x")
				b.must(setPropagation(unix.AT_FDCWD, "/", 0, unix.MS_SHARED|unix.MS_REC))
				b.plan.Rootfs.Pivot, b.plan.Rootfs.HostPropagation = c.pivot, c.host
				table := hostTable(b)
				b.mustMount(newfs("proc", "/proc"))
				b.enter()
				if c.pivot == plan.MoveRoot && strings.Contains(table(), "- sysfs") {
					t.Error("below the root is a sysfs:\n" + table())
				}
				if _, err := os.Stat("/here"); err != nil {
					t.Error(err)
				}
				if wd, err := unix.Getwd(); err != nil || wd != "/" {
					t.Errorf("the working directory is %q, %v", wd, err)
				}
				if _, err := os.Stat("/.." + b.canary); err == nil {
					t.Error("the host is in reach")
				}
				for line := range strings.Lines(mountTable(t)) {
					at, fsType, _ := mountLine(line)
					if c.pivot != plan.ChrootOnly && at != "/" && at != "/proc" || fsType == "sysfs" {
						t.Error("a mount of the host is left: " + line)
					}
				}
			})
		})
	}
}

// The umount of the old root must not travel back over shared mounts.
func TestPivotLeavesTheHostsMountsAlone(t *testing.T) {
	for name, host := range map[string]uint64{"shared": 0, "slave": unix.MS_SLAVE | unix.MS_REC} {
		t.Run(name, func(t *testing.T) {
			testkit.In(t, mounts, func() {
				b := newBox(t)
				peer := filepath.Join(filepath.Dir(b.root), "peer")
				testkit.Tree(t, peer, "dir sub")
				b.must(setPropagation(unix.AT_FDCWD, "/", 0, unix.MS_SHARED|unix.MS_REC))
				b.must(unix.Mount("none", peer, "tmpfs", 0, ""))
				b.must(setPropagation(unix.AT_FDCWD, peer, 0, unix.MS_SHARED))
				table := hostTable(b)
				before := table()
				unshareMounts(b)
				b.plan.Rootfs.HostPropagation = host
				b.prepare()
				b.must(b.fs.Enter())
				if after := table(); after != before {
					t.Errorf("the host had\n%sand has\n%s", before, after)
				}
			})
		})
	}
}

// hostTable returns what reads the mounts of the namespace that the test has
// at this moment, wherever it goes.
func hostTable(b *box) func() string {
	b.Helper()
	f, err := os.Open("/proc/thread-self/mountinfo")
	b.must(err)
	b.Cleanup(func() { _ = f.Close() })
	return func() string {
		_, err := f.Seek(0, io.SeekStart)
		b.must(err)
		text, err := io.ReadAll(f)
		b.must(err)
		return string(text)
	}
}

// unshareMounts moves the test to a thread with a mount namespace of its own,
// which ends with the test.
func unshareMounts(b *box) {
	b.Helper()
	runtime.LockOSThread()
	b.must(unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS))
}

func TestTheHostsRootAsRootIsABindOfItself(t *testing.T) {
	testkit.In(t, mounts, func() {
		b := newBox(t)
		b.plan.Rootfs.Path = "/"
		b.plan.Rootfs.Access = plan.ReadOnly
		dir := testkit.TempDir(t)
		b.mustMount(newfs("tmpfs", dir))
		b.enter()
		b.wantMount("/", " ro,")
		b.wantMount(dir, " rw,")
		if err := os.WriteFile("/etc/hull-test", nil, 0o644); err == nil {
			t.Error("the root can be written")
		}
	})
}

func TestARootOnOverlay(t *testing.T) {
	testkit.In(t, mounts, func() {
		b := newBox(t)
		layers := testkit.TempDir(t)
		b.must(unix.Mount("none", layers, "tmpfs", 0, ""))
		testkit.Tree(t, layers, "file lower/etc/f x", "dir upper", "dir work")
		b.must(unix.Mount("overlay", b.root, "overlay", 0,
			"lowerdir="+layers+"/lower,upperdir="+layers+"/upper,workdir="+layers+"/work"))
		b.plan.Rootfs.Propagation = unix.MS_SHARED
		b.mustMount(newfs("tmpfs", "/etc/../etc/d"), newfs("proc", "/proc"))
		b.enter()
		b.wantMount("/", "shared:", "- overlay")
		b.wantMount("/etc/d")
	})
}

func TestASharedVolumeReachesTheHost(t *testing.T) {
	testkit.In(t, mounts, func() {
		b := newBox(t, "dir v", "dir proc")
		volume := testkit.TempDir(t)
		testkit.Tree(t, volume, "dir sub")
		b.must(unix.Mount("none", volume, "tmpfs", 0, ""))
		testkit.Tree(t, volume, "dir sub")
		b.must(setPropagation(unix.AT_FDCWD, "/", 0, unix.MS_SHARED|unix.MS_REC))
		table := hostTable(b)
		unshareMounts(b)
		b.plan.Rootfs.HostPropagation = unix.MS_SHARED | unix.MS_REC
		m := bind(volume, "/v", plan.Recursive)
		m.Propagation = []uint64{unix.MS_SHARED | unix.MS_REC}
		b.mustMount(newfs("proc", "/proc"), m)
		b.must(b.fs.Enter())
		b.must(unix.Mount("none", "/v/sub", "tmpfs", 0, ""))
		if !strings.Contains(table(), " "+volume+"/sub ") {
			t.Error("the host does not see what the container mounted:\n" + table())
		}
	})
}
