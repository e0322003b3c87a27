package spec_test

import (
	"os"
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/libcontainer/plan"
)

func TestConfiguredDevicesReplaceTheDefaults(t *testing.T) {
	s := bundleSpec(t)
	s.Mounts = []specs.Mount{{Destination: "/dev/tty", Source: "/dev/null", Options: []string{"bind"}}}
	mode := os.FileMode(0o100640)
	s.Linux.Devices = []specs.LinuxDevice{
		{Path: "/dev/null", Type: "c", Major: 1, Minor: 3, FileMode: &mode, UID: ptr(uint32(3)), GID: ptr(uint32(4))},
		{Path: "/dev/null", Type: "c", Major: 1, Minor: 3, FileMode: &mode, UID: ptr(uint32(3)), GID: ptr(uint32(4))},
		{Path: "/dev/ptmx", Type: "c", Major: 5, Minor: 2},
		{Path: "/x/pipe", Type: "p"},
		{Path: "/dev/sda", Type: "b", Major: 8},
	}
	p := compile(t, s, inputs(t))
	const chr = unix.S_IFCHR | 0o666
	want := []plan.Device{
		{Path: "/dev/zero", Mode: chr, Major: 1, Minor: 5},
		{Path: "/dev/full", Mode: chr, Major: 1, Minor: 7},
		{Path: "/dev/random", Mode: chr, Major: 1, Minor: 8},
		{Path: "/dev/urandom", Mode: chr, Major: 1, Minor: 9},
		{Path: "/dev/null", Mode: unix.S_IFCHR | 0o640, Major: 1, Minor: 3, UID: 3, GID: 4},
		{Path: "/x/pipe", Mode: unix.S_IFIFO | 0o666},
		{Path: "/dev/sda", Mode: unix.S_IFBLK | 0o666, Major: 8},
	}
	if !slices.Equal(p.Devices, want) {
		t.Errorf("got  %+v\nwant %+v", p.Devices, want)
	}
	if !slices.Contains(p.DevLinks, plan.Symlink{Path: "/dev/ptmx", Target: "pts/ptmx"}) {
		t.Errorf("links %v", p.DevLinks)
	}
}

func TestDevicesAreBoundWhereNoneCanBeMade(t *testing.T) {
	s, in := bundleSpec(t), inputs(t)
	in.DeviceSource = plan.BindHost
	if d := compile(t, s, in).Devices[0]; d.Source != plan.BindHost {
		t.Errorf("got %+v", d)
	}
	s = bundleSpec(t)
	mapIDs(s, specs.LinuxIDMapping{Size: 1})
	if d := compile(t, s, inputs(t)).Devices[0]; d.Source != plan.BindHost {
		t.Errorf("got %+v", d)
	}
}

func TestABoundDevGetsWhatIsAskedForAndNoDefaults(t *testing.T) {
	s := bundleSpec(t)
	s.Mounts = []specs.Mount{{Destination: "/dev/", Source: "/dev", Options: []string{"rbind"}}}
	s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/x", Type: "p"}}
	p := compile(t, s, inputs(t))
	if len(p.Devices) != 1 || p.Devices[0].Path != "/dev/x" || len(p.DevLinks) > 0 {
		t.Errorf("got %+v", p)
	}
}
