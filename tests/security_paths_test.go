package tests

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// canary is a directory outside every root filesystem, which an attack would
// change.
type canary struct {
	t      *testing.T
	dir    string
	before string
}

func newCanary(t *testing.T) *canary {
	t.Helper()
	c := &canary{t: t, dir: t.TempDir()}
	writeFile(t, filepath.Join(c.dir, "file"), "alive")
	if err := os.Mkdir(filepath.Join(c.dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	c.before = c.look()
	return c
}

// look describes all that is in the directory.
func (c *canary) look() string {
	var out strings.Builder
	_ = filepath.WalkDir(c.dir, func(path string, _ os.DirEntry, err error) error {
		var st syscall.Stat_t
		if err := errors.Join(err, syscall.Lstat(path, &st)); err != nil {
			return err
		}
		text, _ := os.ReadFile(path)
		fmt.Fprintln(&out, path, st.Mode, st.Uid, st.Gid, st.Dev, st.Rdev, string(text))
		return nil
	})
	return out.String()
}

func (c *canary) alive(t *testing.T) {
	t.Helper()
	if now := c.look(); now != c.before {
		t.Errorf("outside the root there was\n%s and now is\n%s", c.before, now)
	}
	if strings.Contains(readFile(t, "/proc/self/mountinfo"), c.dir) {
		t.Error("something is mounted outside the root")
	}
}

// Rows CVE-2019-18837, CVE-2019-19921, CVE-2023-27561, CVE-2023-28642,
// CVE-2025-54867, CVE-2026-47766 and CVE-2026-41579.
func TestSymbolicLinksOfAnImageDoNotLeadOut(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	withoutDev := func(s *specs.Spec) {
		s.Mounts = append([]specs.Mount{s.Mounts[0]}, s.Mounts[5:6]...) // proc and sysfs
	}
	for _, link := range few([]string{"dev", "proc", "sys", "etc", "tmp", "dev/pts", "dev/shm", "dev/null", "dev/ptmx", "dev/fd", "a"}) {
		for kind, climb := range map[string]string{"absolute": "", "climbing": "../../../../../../../../../../.."} {
			for _, target := range few([]string{"", "/sub", "/file", "/missing"}) {
				t.Run(fmt.Sprintf("%s, %s, to %q", link, kind, target), func(t *testing.T) {
					t.Parallel()
					h := &host{t: t, root: h.root}
					outside := newCanary(t)
					edits := []edit{writableRoot, allCapabilities, addMounts(
						specs.Mount{Destination: "/etc/hosts", Type: "bind", Source: "/etc/passwd", Options: []string{"bind"}},
						specs.Mount{Destination: "/a/b", Type: "tmpfs", Source: "x"},
					), cwdAt("/tmp/work")}
					if strings.HasPrefix(link, "dev") {
						edits = append([]edit{withoutDev}, edits...)
					}
					b := h.newBundle([]string{"pid"}, edits...)
					path := b.path("rootfs/" + link)
					_ = os.Remove(path)
					if err := os.Symlink(climb+outside.dir+target, path); err != nil {
						t.Fatal(err)
					}
					r := h.try("run", "--bundle", b.dir, newID())
					outside.alive(t)
					if (link == "proc" || link == "sys") && (r.status == 0 || !strings.Contains(r.stderr, "/"+link)) {
						t.Errorf("status %d: %s", r.status, r.stderr)
					}
				})
			}
		}
	}
}

func cwdAt(path string) edit { return func(s *specs.Spec) { s.Process.Cwd = path } }

// Row CVE-2025-31133 and CVE-2026-88265: /dev comes from the image.
func TestAFalseNullDeviceMasksNothing(t *testing.T) {
	h := newHost(t)
	for name, place := range map[string]func(path string) error{
		"a link into procfs":  func(p string) error { return os.Symlink("/proc/sys/kernel/core_pattern", p) },
		"a link to a file":    func(p string) error { return os.Symlink("/etc/secret", p) },
		"a regular file":      func(p string) error { return os.WriteFile(p, nil, 0o666) },
		"a fifo":              func(p string) error { return unix.Mkfifo(p, 0o666) },
		"another device":      func(p string) error { return unix.Mknod(p, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))) },
		"a file without rdev": func(p string) error { return unix.Mknod(p, unix.S_IFREG|0o666, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			dev := t.TempDir()
			if err := place(filepath.Join(dev, "null")); err != nil {
				t.Fatal(err)
			}
			b := h.newBundle([]string{"pid"}, writableRoot, func(s *specs.Spec) {
				s.Mounts = []specs.Mount{s.Mounts[0], {Destination: "/dev", Type: "bind", Source: dev, Options: []string{"bind"}}}
				s.Linux.MaskedPaths = []string{"/proc/keys"}
			})
			writeFile(t, b.path("rootfs/etc/secret"), "secret")
			h.failsWith(b, []string{"mask", "/proc/keys", "/dev/null"})
		})
	}
}

// Rows CVE-2025-52565 and CVE-2026-88264: the image's /dev, with no mount there.
func TestTheConsoleIsNotMadeOutside(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, link := range []string{"console", "pts/0", "ptmx", "tty"} {
		for _, target := range []string{"/file", "/missing"} {
			t.Run(link+" to "+target, func(t *testing.T) {
				h := &host{t: t, root: h.root}
				outside := newCanary(t)
				b := h.newBundle([]string{"pid"}, writableRoot, allCapabilities, func(s *specs.Spec) {
					s.Process.Terminal = true
					s.Process.User.UID = 1000
					s.Mounts = []specs.Mount{s.Mounts[0]}
				})
				path := b.path("rootfs/dev/" + link)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink("../../../../../../../../../../.."+outside.dir+target, path); err != nil {
					t.Fatal(err)
				}
				// The backlog of the socket takes the terminal.
				h.try("create", "--bundle", b.dir, "--console-socket", listen(t), newID())
				outside.alive(t)
			})
		}
	}
}

// listen makes a socket that takes connections and reads nothing.
func listen(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s") //nolint:usetesting // its path is too long for a socket's address
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("unix", dir+"/s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return dir + "/s"
}

// Row CVE-2019-16884, CVE-2025-52881 and CVE-2025-62596.
func TestProcIsNotCovered(t *testing.T) {
	h := newHost(t)
	dir := t.TempDir()
	for _, destination := range []string{
		"/proc", "/proc/self/attr", "/proc/self", "/proc/1", "/proc/sys", "/proc/sys/net/ipv4", "/proc/net/dev", "/proc/../proc/self",
	} {
		for name, m := range map[string]specs.Mount{
			"tmpfs": {Destination: destination, Type: "tmpfs", Source: "x"},
			"bind":  {Destination: destination, Type: "bind", Source: dir, Options: []string{"rbind"}},
		} {
			t.Run(name+" on "+destination, func(t *testing.T) {
				(&host{t: t, root: h.root}).fails([]string{"mounts[7]", "cover procfs"}, addMounts(m))
			})
		}
	}
}

// Rows CVE-2021-30465 and CVE-2024-45310: a shared volume in which a directory
// and a symbolic link to the outside change places all the time.
func TestExchangingATargetMountsNothingOutside(t *testing.T) {
	h := newHost(t)
	h.leavesNothing()
	outside := newCanary(t)
	volume := t.TempDir()
	one, two := filepath.Join(volume, "one"), filepath.Join(volume, "two")
	if err := os.Mkdir(one, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(strings.Repeat("../", 12)+outside.dir, two); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, one, unix.AT_FDCWD, two, unix.RENAME_EXCHANGE)
			}
		}
	}()
	b := h.newBundle([]string{"pid"}, writableRoot, allCapabilities, addMounts(
		specs.Mount{Destination: "/volume", Type: "bind", Source: volume, Options: []string{"rbind"}},
		specs.Mount{Destination: "/volume/one/new/dir", Type: "tmpfs", Source: "x"},
		specs.Mount{Destination: "/volume/one/sub", Type: "bind", Source: "/etc", Options: []string{"bind"}},
		specs.Mount{Destination: "/volume/one/file", Type: "bind", Source: "/etc/passwd", Options: []string{"bind"}},
	), func(s *specs.Spec) {
		s.Linux.Devices = []specs.LinuxDevice{{Path: "/volume/one/device", Type: "c", Major: 1, Minor: 3}}
		s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, "/volume/one/file")
		s.Process.Cwd = "/volume/one/cwd"
	})
	for range fewer(25) {
		h.try("run", "--bundle", b.dir, newID())
	}
	close(stop)
	<-done
	outside.alive(t)
}
