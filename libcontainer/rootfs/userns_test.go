package rootfs

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hull/internal/testkit"
	"hull/libcontainer/plan"
)

func TestTheDefaultBundleIsBuiltInAUserNamespace(t *testing.T) {
	testkit.In(t, pods, func() {
		b := newBox(t, "dir proc", "dir sys", "dir dev", "dir etc")
		specDefault(&b.plan)
		for i := range b.plan.Devices {
			b.plan.Devices[i].Source = plan.BindHost
		}
		b.prepare()
		b.must(b.fs.MountAll())
		b.enter()
		b.wantMount("/dev/null", "/null ")
		b.wantMount("/sys", " ro,", "- sysfs")
		if err := os.WriteFile("/dev/null", []byte("x"), 0); err != nil {
			t.Error(err)
		}
		checkMasks(t)
	})
}

func TestMknodFallsBackToABindInAUserNamespace(t *testing.T) {
	testkit.In(t, pods, func() {
		b := newBox(t)
		b.plan.Devices = []plan.Device{null("/dev/null")}
		b.must(b.prepare().MakeDevices())
		b.wantMount(b.root+"/dev/null", "/null ")
		wrong := null("/dev/zero")
		b.plan.Devices = []plan.Device{wrong}
		wantError(t, b.fs.MakeDevices(), unix.ENODEV, "make device /dev/zero", "another device")
	})
}

func TestLockedFlagsStayAndAreNamed(t *testing.T) {
	// The child of this child has a user namespace that sees a nodev mount.
	testkit.In(t, syscall.CLONE_NEWNS, func() {
		src := testkit.TempDir(t)
		b := newBox(t)
		b.must(unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""))
		b.must(unix.Mount("none", src, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID|unix.MS_NOATIME, ""))
		t.Setenv("HULL_TEST_SOURCE", src)
		out, err := lockedChild(t).CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

func lockedChild(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.v", "-test.run=^TestHelperLocked$")
	cmd.SysProcAttr = testkit.Namespaces(mounts | syscall.CLONE_NEWUSER)
	return cmd
}

// TestHelperLocked is the child of TestLockedFlagsStayAndAreNamed.
func TestHelperLocked(t *testing.T) {
	src := os.Getenv("HULL_TEST_SOURCE")
	if src == "" {
		return // there is nothing to do but for the other test
	}
	b := newBox(t)
	b.mustMount(with(bind(src, "/kept", 0), noexec))
	b.wantMount(b.root+"/kept", "nosuid,nodev,noexec,noatime")
	asked := bind(src, "/asked", 0)
	asked.Clear = nodev
	wantError(t, b.mount(asked), unix.EPERM, "set mount attributes", "(nodev is locked:")
	atime := with(bind(src, "/asked", 0), unix.MOUNT_ATTR_STRICTATIME)
	wantError(t, b.mount(atime), unix.EPERM, "the atime mode is locked")
}

func TestSysfsAndMqueueFallBackToABind(t *testing.T) {
	testkit.In(t, mounts|syscall.CLONE_NEWUSER, func() {
		b := newBox(t, "dir sys", "dir q")
		sys := with(newfs("sysfs", "/sys"), ro)
		sys.Flags = plan.FallbackBind
		b.mustMount(sys)
		b.wantMount(b.root+"/sys", " ro,", "- sysfs")
		b.wantMount(b.root+"/sys/fs/cgroup", "- tmpfs")
		wantError(t, b.mount(newfs("sysfs", "/sys")), unix.EPERM, "mount sysfs on /sys (mounts[0]): operation not permitted",
			"only with a network namespace of its own")
		wantError(t, b.mount(newfs("mqueue", "/q")), unix.EPERM, "ipc namespace of its own")
		wantError(t, b.mount(newfs("proc", "/proc")), unix.EPERM, "pid namespace is not the user namespace's own")
	})
}
