package rootfs

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hull/internal/testkit"
	"hull/libcontainer/plan"
)

const (
	mounts = syscall.CLONE_NEWNS
	// pods has a user namespace and what it must own to mount most things.
	pods = syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID |
		syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC
)

// box is a root filesystem under test and the canary beside it.
type box struct {
	*testing.T
	plan         plan.Plan
	root, canary string
	canaryFD     int
	source       Source
	fs           *Rootfs
}

// newBox makes a root with the entries of lines.
func newBox(t *testing.T, lines ...string) *box {
	t.Helper()
	top := testkit.TempDir(t)
	testkit.Tree(t, top, "dir root", "file canary/alive yes")
	b := &box{T: t, root: filepath.Join(top, "root"), canary: filepath.Join(top, "canary")}
	testkit.Tree(t, b.root, lines...)
	fd, err := unix.Open(b.canary, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	b.canaryFD = fd
	b.plan.Rootfs = plan.Rootfs{Path: b.root, HostPropagation: unix.MS_SLAVE | unix.MS_REC}
	t.Cleanup(b.checkCanary)
	return b
}

func (b *box) checkCanary() {
	b.Helper()
	if b.fs != nil {
		b.fs.Close()
	}
	f := os.NewFile(uintptr(b.canaryFD), "canary")
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil || !slices.Equal(names, []string{"alive"}) {
		b.Errorf("the canary was touched: %q, %v", names, err)
	}
	fd, err := unix.Openat(b.canaryFD, "alive", unix.O_RDONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(fd)
	var buf [8]byte
	if n, _ := unix.Read(fd, buf[:]); string(buf[:n]) != "yes" {
		b.Errorf("the canary now holds %q", buf[:n])
	}
}

func (b *box) prepare() *Rootfs {
	b.Helper()
	fs, err := Prepare(&b.plan, b.source)
	if err != nil {
		b.Fatal(err)
	}
	b.fs = fs
	return fs
}

// mount prepares and mounts ms.
func (b *box) mount(ms ...plan.Mount) error {
	b.Helper()
	for i := range ms {
		if ms[i].Name == "" {
			ms[i].Name = "mounts[" + string(rune('0'+i)) + "]"
		}
	}
	b.plan.Mounts = ms
	return b.prepare().MountAll()
}

func (b *box) mustMount(ms ...plan.Mount) {
	b.Helper()
	if err := b.mount(ms...); err != nil {
		b.Fatal(err)
	}
}

// must is for the steps that the test is not about.
func (b *box) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// enter goes through all steps.
func (b *box) enter() {
	b.Helper()
	b.must(b.fs.MakeDevices())
	b.must(b.fs.Enter())
	b.must(b.fs.Seal())
}

// mountAt is the line of mountinfo of the topmost mount at path, or "".
func mountAt(t *testing.T, path string) string {
	t.Helper()
	table, err := readMountTable()
	if err != nil {
		t.Fatal(err)
	}
	found := ""
	for line := range strings.Lines(table) {
		if at, _, ok := mountLine(line); ok && at == path {
			found = line
		}
	}
	return found
}

// wantMount checks that the mount at path has all the words.
func (b *box) wantMount(path string, words ...string) {
	b.Helper()
	line := mountAt(b.T, path)
	if line == "" {
		b.Errorf("nothing is mounted on %s", path)
		return
	}
	for _, w := range words {
		if !strings.Contains(line, w) {
			b.Errorf("%s has no %q: %s", path, w, line)
		}
	}
}

func wantError(t *testing.T, err, errno error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %v %q", errno, words)
	}
	if errno != nil && !errors.Is(err, errno) {
		t.Errorf("%q is not %v", err, errno)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

func opt(key, value string) plan.FSOption { return plan.FSOption{Key: key, Value: value} }
func flag(key string) plan.FSOption       { return plan.FSOption{Key: key, IsFlag: true} }

func newfs(fsType, target string, options ...plan.FSOption) plan.Mount {
	return plan.Mount{Kind: plan.NewFilesystem, Type: fsType, Source: fsType, Target: target, Options: options}
}

func bind(source, target string, flags plan.MountFlags) plan.Mount {
	return plan.Mount{Kind: plan.Bind, Type: "bind", Source: source, Target: target, Flags: flags}
}
