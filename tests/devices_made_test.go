package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func withDevices(devices ...specs.LinuxDevice) edit {
	return func(s *specs.Spec) { s.Linux.Devices = devices }
}

// The numbers are those that the kernel's dev_t has room for.
//
//proves:linux.devices[].path linux.devices[].major linux.devices[].minor linux.devices[].type=c linux.devices[].type=b
//proves:linux.devices[].type=u linux.devices[].type=p linux.devices[].fileMode config-linux.md#devices:1
func TestDevicesAreMadeAnywhereWithAnyNumber(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	all := os.FileMode(0o7777)
	devices := []specs.LinuxDevice{
		{Path: "/etc/char", Type: "c", Major: 4095, Minor: 1048575},
		{Path: "/made/for/it/block", Type: "b", Major: 0, Minor: 0},
		{Path: "/run/unbuffered", Type: "u", Major: 1, Minor: 5},
		{Path: "/fifo", Type: "p", FileMode: &all, Major: 77},
		// As engines write st_mode.
		{Path: "/dev/typed", Type: "c", Major: 1, Minor: 3, FileMode: pointer(os.FileMode(0o20600))},
	}
	want := []fileStat{
		{Mode: "020666", Rdev: "4095:1048575"},
		{Mode: "060666", Rdev: "0:0"},
		{Mode: "020666", Rdev: "1:5"},
		{Mode: "017777", Rdev: "0:0"},
		{Mode: "020600", Rdev: "1:3"},
	}
	var commands []string
	for _, d := range devices {
		commands = append(commands, "stat="+d.Path)
	}
	b := h.newBundle(append(commands, "open=/run/unbuffered"), withDevices(devices...))
	for range 2 { // a device that is there already is no error
		s := h.run(b)
		for i, c := range commands {
			equal(t, c, get[fileStat](t, s, c), want[i])
		}
		get[string](t, s, "open=/run/unbuffered")
	}
}

// A file at the path that is not the device is an error, whoever made it and
// however the device comes there; the device itself is taken.
//
//proves:linux.devices[].path config-linux.md#devices:4
func TestADeviceIsNotMadeOverAnotherFile(t *testing.T) {
	h := newHost(t)
	makers := map[string]func(path string) error{
		"a file with text":  func(p string) error { return os.WriteFile(p, []byte("x"), 0o644) },
		"a directory":       func(p string) error { return os.Mkdir(p, 0o755) },
		"a symbolic link":   func(p string) error { return os.Symlink("/dev/null", p) },
		"another device":    func(p string) error { return unix.Mknod(p, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))) },
		"a block device":    func(p string) error { return unix.Mknod(p, unix.S_IFBLK|0o666, int(unix.Mkdev(1, 3))) },
		"a fifo":            func(p string) error { return unix.Mkfifo(p, 0o666) },
		"the device itself": func(p string) error { return unix.Mknod(p, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))) },
	}
	for name, mk := range some(makers) {
		for kind, edits := range map[string][]edit{"": nil, "in a user namespace": {inUserNamespace}} {
			t.Run(name+" "+kind, func(t *testing.T) {
				h := &host{t: t, root: h.root}
				// The image has its own /dev.
				b := h.newBundle([]string{"stat=/dev/null"}, append(edits, withDevices(specs.LinuxDevice{Path: "/dev/null", Type: "c", Major: 1, Minor: 3}), func(s *specs.Spec) {
					s.Mounts = s.Mounts[:1]
					s.Linux.MaskedPaths = nil
				})...)
				if err := mk(b.path("rootfs/dev/null")); err != nil {
					t.Fatal(err)
				}
				if name != "the device itself" {
					h.failsWith(b, []string{"make device /dev/null", "file exists"})
					return
				}
				equal(t, "its number", get[fileStat](t, h.run(b), "stat=/dev/null").Rdev, "1:3")
			})
		}
	}
}

//proves:config-linux.md#devices:1
func TestDevicesAreThereWhereDevIsBoundToo(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for name, edits := range map[string][]edit{"": nil, "in a user namespace": {inUserNamespace}} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			dev := t.TempDir()
			reachable(t, dev)
			if err := unix.Mknod(filepath.Join(dev, "null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
				t.Fatal(err)
			}
			if len(edits) > 0 {
				if err := os.Chown(dev, mappedRoot, mappedRoot); err != nil {
					t.Fatal(err)
				}
			}
			s := h.probe([]string{"list=/dev", "stat=/dev/zero", "stat=/dev/pipe", "open=/dev/zero"}, append(edits, func(s *specs.Spec) {
				s.Mounts = []specs.Mount{s.Mounts[0], {Destination: "/dev", Source: dev, Options: []string{"bind"}}}
				s.Linux.Devices = []specs.LinuxDevice{
					{Path: "/dev/null", Type: "c", Major: 1, Minor: 3},
					{Path: "/dev/zero", Type: "c", Major: 1, Minor: 5},
					{Path: "/dev/pipe", Type: "p", UID: pointer(uint32(7)), GID: pointer(uint32(8))},
				}
				s.Linux.MaskedPaths = nil
			})...)
			equal(t, "what is in /dev", get[[]string](t, s, "list=/dev"), []string{"null", "pipe", "zero"})
			equal(t, "/dev/zero", get[fileStat](t, s, "stat=/dev/zero").Rdev, "1:5")
			fifo := get[fileStat](t, s, "stat=/dev/pipe")
			equal(t, "/dev/pipe", fifo, fileStat{Mode: "010666", UID: 7, GID: 8, Rdev: "0:0"})
			get[string](t, s, "open=/dev/zero")
		})
	}
}

//proves:linux.devices[].path linux.devices[].type linux.devices[].major linux.devices[].minor linux.devices[].uid linux.devices[].gid config-linux.md#devices:2 config-linux.md#devices:3
func TestDevicesThatTheKernelCannotHoldAreRefused(t *testing.T) {
	h := newHost(t)
	for name, tt := range some(map[string]struct {
		device specs.LinuxDevice
		words  []string
	}{
		"no type":                {specs.LinuxDevice{Path: "/dev/x"}, []string{"linux.devices[0].type", "one of b, c, p, u"}},
		"no path":                {specs.LinuxDevice{Type: "c"}, []string{"linux.devices[0].path", "absolute"}},
		"the root":               {specs.LinuxDevice{Path: "/x/..", Type: "c"}, []string{"linux.devices[0].path"}},
		"a major of 13 bits":     {specs.LinuxDevice{Path: "/dev/x", Type: "c", Major: 4096}, []string{"linux.devices[0].major", "4096 is not from 0 to 4095"}},
		"a minor of 21 bits":     {specs.LinuxDevice{Path: "/dev/x", Type: "b", Minor: 1 << 20}, []string{"linux.devices[0].minor", "1048576 is not from 0 to 1048575"}},
		"a negative minor":       {specs.LinuxDevice{Path: "/dev/x", Type: "b", Minor: -1}, []string{"linux.devices[0].minor", "-1"}},
		"a user that is none":    {specs.LinuxDevice{Path: "/dev/x", Type: "p", UID: pointer(^uint32(0))}, []string{"linux.devices[0].uid", "4294967295"}},
		"a group that is none":   {specs.LinuxDevice{Path: "/dev/x", Type: "p", GID: pointer(^uint32(0))}, []string{"linux.devices[0].gid", "4294967295"}},
		"a directory that is no": {specs.LinuxDevice{Path: "/probe/x", Type: "c", Major: 1, Minor: 3}, []string{"make device /probe/x", "not a directory"}},
	}) {
		t.Run(name, func(t *testing.T) {
			(&host{t: t, root: h.root}).fails(tt.words, withDevices(tt.device))
		})
	}
	t.Run("two at one path", func(t *testing.T) {
		(&host{t: t, root: h.root}).fails([]string{"linux.devices[1].path", "/dev/x is already another device in linux.devices[0]"}, withDevices(
			specs.LinuxDevice{Path: "/dev/x", Type: "c", Major: 1, Minor: 3}, specs.LinuxDevice{Path: "/dev/../dev/x", Type: "c", Major: 1, Minor: 5}))
	})
}

// Where no node can be made, the host's is bound; it has to be the same device.
//
//proves:linux.devices[].path linux.devices[].major
func TestADeviceOfAUserNamespaceMustBeTheHosts(t *testing.T) {
	h := newHost(t)
	s := h.probe([]string{"stat=/dev/full", "open=/dev/full", "mounts"}, inUserNamespace, withDevices(specs.LinuxDevice{Path: "/dev/full", Type: "c", Major: 1, Minor: 7}))
	equal(t, "/dev/full", get[fileStat](t, s, "stat=/dev/full").Rdev, "1:7")
	equal(t, "it is a mount", mountsOf(t, s)["/dev/full"].root, "/full")
	h.fails([]string{"make device /dev/full", "no such device", "another device"}, inUserNamespace, withDevices(specs.LinuxDevice{Path: "/dev/full", Type: "c", Major: 1, Minor: 5}))
	h.fails([]string{"make device /dev/nowhere", "no such file or directory", "the host's node of the same path"}, inUserNamespace, withDevices(specs.LinuxDevice{Path: "/dev/nowhere", Type: "c", Major: 1, Minor: 5}))
}

// The terminal multiplexer is that of the container's own devpts.
//
//proves:config-linux.md#default-devices:1
func TestPtmxIsTheContainersOwn(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	ptmx := withDevices(specs.LinuxDevice{Path: "/dev/ptmx", Type: "c", Major: 5, Minor: 2})
	for name, edits := range map[string][]edit{"default": nil, "configured": {ptmx}, "in a user namespace": {inUserNamespace, ptmx}} {
		s := h.probe([]string{"readlink=/dev/ptmx", "open=/dev/ptmx", "stat=/dev/pts/ptmx"}, edits...)
		if target := get[string](t, s, "readlink=/dev/ptmx"); !strings.HasSuffix(target, "pts/ptmx") {
			t.Errorf("%s: %s", name, target)
		}
		get[string](t, s, "open=/dev/ptmx")
		equal(t, name, get[fileStat](t, s, "stat=/dev/pts/ptmx").Rdev, "5:2")
	}
}
