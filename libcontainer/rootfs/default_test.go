package rootfs

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hull/internal/testkit"
	"hull/libcontainer/plan"
)

const (
	nosuid = unix.MOUNT_ATTR_NOSUID
	nodev  = unix.MOUNT_ATTR_NODEV
	noexec = unix.MOUNT_ATTR_NOEXEC
	ro     = unix.MOUNT_ATTR_RDONLY
)

// with sets attributes of m.
func with(m plan.Mount, set uint64) plan.Mount {
	m.Set |= set
	if set&unix.MOUNT_ATTR__ATIME != 0 {
		m.Clear |= unix.MOUNT_ATTR__ATIME
	}
	return m
}

// specDefault is what "spec" writes and a cgroup v1 host makes of it.
func specDefault(p *plan.Plan) {
	shm := with(newfs("tmpfs", "/dev/shm", opt("mode", "1777"), opt("size", "65536k")), nosuid|nodev|noexec)
	shm.Source = "shm"
	p.Mounts = []plan.Mount{
		newfs("proc", "/proc"),
		with(newfs("tmpfs", "/dev", opt("mode", "755"), opt("size", "65536k")), nosuid|unix.MOUNT_ATTR_STRICTATIME),
		with(newfs("devpts", "/dev/pts", flag("newinstance"), opt("ptmxmode", "0666"), opt("mode", "0620"), opt("gid", "5")), nosuid|noexec),
		shm,
		with(newfs("mqueue", "/dev/mqueue"), nosuid|nodev|noexec),
		with(newfs("sysfs", "/sys"), nosuid|nodev|noexec|ro),
		with(newfs("tmpfs", "/sys/fs/cgroup", opt("mode", "755")), nosuid|nodev|noexec|ro),
	}
	for _, c := range []string{"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "systemd", "unified"} {
		p.Mounts = append(p.Mounts, with(bind("/sys/fs/cgroup/"+c, "/sys/fs/cgroup/"+c, 0), nosuid|nodev|noexec|ro))
	}
	for i := range p.Mounts {
		p.Mounts[i].Name = "mounts[" + strconv.Itoa(i) + "]"
	}
	for _, d := range []struct {
		name         string
		major, minor uint32
	}{{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}} {
		p.Devices = append(p.Devices, plan.Device{Path: "/dev/" + d.name, Mode: unix.S_IFCHR | 0o666, Major: d.major, Minor: d.minor})
	}
	p.DevLinks = []plan.Symlink{
		{Path: "/dev/fd", Target: "/proc/self/fd"},
		{Path: "/dev/stdin", Target: "/proc/self/fd/0"},
		{Path: "/dev/stdout", Target: "/proc/self/fd/1"},
		{Path: "/dev/stderr", Target: "/proc/self/fd/2"},
		{Path: "/dev/ptmx", Target: "pts/ptmx"},
	}
	p.MaskedPaths = []string{
		"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
		"/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
	}
	p.ReadonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
	p.Rootfs.Access = plan.ReadOnly
}

const marks = 0x68756c6c

// mark is a system call that a tracer of the test can find.
func mark() { _, _, _ = unix.RawSyscall(unix.SYS_PRCTL, marks, 0, 0) }

func TestTheDefaultBundleIsBuilt(t *testing.T) {
	testkit.In(t, mounts|syscall.CLONE_NEWPID|syscall.CLONE_NEWIPC, func() { buildDefault(t) })
}

func buildDefault(t *testing.T) {
	t.Helper()
	b := newBox(t, "dir proc", "dir sys", "dir dev", "dir etc")
	specDefault(&b.plan)
	unix.Umask(0o077)
	runtime.LockOSThread()
	mark()
	start := time.Now()
	fs, err := Prepare(&b.plan, nil)
	b.must(err)
	b.fs = fs
	b.must(fs.MountAll())
	b.enter()
	took := time.Since(start)
	mark()
	t.Logf("built in %v", took)
	b.wantMount("/", " ro,")
	b.wantMount("/proc", " rw,relatime", "- proc proc")
	b.wantMount("/dev", "rw,nosuid - tmpfs tmpfs", "mode=755")
	b.wantMount("/dev/pts", "rw,nosuid,noexec,relatime", "devpts", "gid=5,mode=620,ptmxmode=666")
	b.wantMount("/dev/shm", "rw,nosuid,nodev,noexec,relatime - tmpfs shm")
	b.wantMount("/dev/mqueue", "- mqueue mqueue")
	b.wantMount("/sys", "ro,nosuid,nodev,noexec,relatime - sysfs sysfs")
	b.wantMount("/sys/fs/cgroup", "ro,nosuid,nodev,noexec,relatime - tmpfs tmpfs")
	b.wantMount("/sys/fs/cgroup/memory", "ro,nosuid,nodev,noexec,relatime - cgroup")
	b.wantMount("/proc/sys", " ro,")
	for line := range strings.Lines(mountTable(t)) {
		at, _, _ := mountLine(line)
		ours := func(dir string) bool { return at == dir || strings.HasPrefix(at, dir+"/") }
		if at != "/" && !ours("/proc") && !ours("/dev") && !ours("/sys") {
			t.Error("a mount of the host is left: " + line)
		}
	}
	checkNodes(t)
	checkMasks(t)
	if err := os.WriteFile("/etc/x", nil, 0o644); err == nil {
		t.Error("the root can be written")
	}
	if wd, err := unix.Getwd(); err != nil || wd != "/" {
		t.Errorf("the working directory is %q, %v", wd, err)
	}
	if old := unix.Umask(0o022); old != 0o077 {
		t.Errorf("the umask is %#o", old)
	}
}

// The budget of init is 600 system calls in all.
func TestTheDefaultBundleTakesAtMost250SystemCalls(t *testing.T) {
	if testkit.Inside(t) {
		buildDefault(t)
		return
	}
	testkit.RequireRoot(t)
	strace := testkit.RequireTool(t, "strace")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := testkit.Command(t, strace, "-f", "-o", trace, exe)
	cmd.SysProcAttr = testkit.Namespaces(mounts | syscall.CLONE_NEWIPC)
	out, err := cmd.CombinedOutput()
	testkit.Report(t, string(out), err)
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	if n := countMarked(string(text)); n < 100 || n > 250 {
		t.Errorf("%d system calls", n)
	} else {
		t.Logf("%d system calls", n)
	}
}

// countMarked counts the calls between two marks in strace's text, of the
// thread that made the marks, less those by which it returns from the signals of the
// Go runtime.
func countMarked(trace string) (n int) {
	thread := ""
	for line := range strings.Lines(trace) {
		pid, call, _ := strings.Cut(line, " ")
		call = strings.TrimLeft(call, " ")
		switch {
		case strings.HasPrefix(call, "prctl(0x68756c6c"):
			if thread != "" {
				return n
			}
			thread = pid
		case pid == thread && !strings.HasPrefix(call, "<...") && !strings.HasPrefix(call, "---") && !strings.HasPrefix(call, "rt_sigreturn"):
			n++
		}
	}
	return 0
}

func mountTable(t *testing.T) string {
	t.Helper()
	table, err := readMountTable()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func checkNodes(t *testing.T) {
	t.Helper()
	for name, rdev := range map[string]uint64{"null": unix.Mkdev(1, 3), "tty": unix.Mkdev(5, 0), "urandom": unix.Mkdev(1, 9)} {
		var st unix.Stat_t
		if err := unix.Lstat("/dev/"+name, &st); err != nil || st.Rdev != rdev || st.Mode != unix.S_IFCHR|0o666 {
			t.Errorf("/dev/%s is %#o %#x, %v", name, st.Mode, st.Rdev, err)
		}
	}
	if got, err := os.Readlink("/dev/ptmx"); got != "pts/ptmx" {
		t.Errorf("/dev/ptmx is %q, %v", got, err)
	}
}

func checkMasks(t *testing.T) {
	t.Helper()
	if b, err := os.ReadFile("/proc/keys"); err == nil && len(b) > 0 {
		t.Errorf("/proc/keys shows %q", b)
	}
	if list, err := filepath.Glob("/sys/firmware/*"); err != nil || len(list) > 0 {
		t.Errorf("/sys/firmware shows %q, %v", list, err)
	}
}
