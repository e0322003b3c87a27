package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// described is a machine that exists only as the text that the kernel would
// show of it.
func described(t *testing.T, self, mountinfo string) system {
	t.Helper()
	dir := t.TempDir()
	s := system{root: dir + "/none", self: filepath.Join(dir, "cgroup"), mountinfo: filepath.Join(dir, "mountinfo")}
	for file, text := range map[string]string{s.self: self, s.mountinfo: mountinfo} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

const (
	hybridSelf = "3:name=systemd:/me\n2:cpu,cpuacct:/me\n1:net_cls:/me\n0::/slice/me\n"
	hybridInfo = "30 1 0:1 / / rw - ext4 /dev/vda rw\n" +
		"31 30 0:2 / /cg/cpu\\040mount rw shared:1 - cgroup none rw,cpuacct,cpu\n" +
		"32 30 0:3 / /cg/systemd rw - cgroup none rw,xattr,name=systemd\n" +
		"33 30 0:4 / /cg/unified rw - cgroup2 none rw,nsdelegate\n"
)

func TestThePathOfEachHierarchyFollowsCgroupsPath(t *testing.T) {
	for _, tt := range []struct {
		name, self, info string
		path             string
		want             []string // controllers=mount+path
	}{
		{
			"absolute: below each mount", hybridSelf, hybridInfo, "/a//b/../c",
			[]string{"name=systemd=/cg/systemd/a/c", "cpu,cpuacct=/cg/cpu mount/a/c", "=/cg/unified/a/c"},
		},
		{
			"relative: below our own, and on v2 beside it", hybridSelf, hybridInfo, "x/y",
			[]string{"name=systemd=/cg/systemd/me/x/y", "cpu,cpuacct=/cg/cpu mount/me/x/y", "=/cg/unified/slice/x/y"},
		},
		{
			"empty: as the relative ID", hybridSelf, hybridInfo, "",
			[]string{"name=systemd=/cg/systemd/me/ct", "cpu,cpuacct=/cg/cpu mount/me/ct", "=/cg/unified/slice/ct"},
		},
		{
			"climbing is cut off", hybridSelf, hybridInfo, "../../../x",
			[]string{"name=systemd=/cg/systemd/me/x", "cpu,cpuacct=/cg/cpu mount/me/x", "=/cg/unified/slice/x"},
		},
		{
			"in a container that sees the host's paths", "1:cpu:/docker/abc\n0::/docker/abc\n",
			"31 30 0:2 /docker/abc /cg/cpu rw - cgroup none rw,cpu\n33 30 0:4 /docker/abc /cg rw - cgroup2 none rw\n", "x",
			[]string{"cpu=/cg/cpu/x", "=/cg/x"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := newOn(described(t, tt.self, tt.info), Config{ID: "ct", Path: tt.path})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, h := range c.rec.Hierarchies {
				got = append(got, h.Controllers+"="+h.dir())
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestTheRootOfAHierarchyIsRefused(t *testing.T) {
	sys := described(t, hybridSelf, hybridInfo)
	for _, p := range []string{"/", "//", "/a/..", "/../..", ".", ".."} {
		if _, err := newOn(sys, Config{ID: "ct", Path: p}); !errors.Is(err, errRootPath) {
			t.Errorf("%q: got %v", p, err)
		}
	}
}

func TestAMachineWithoutCgroupsIsAnErrorUnlessTolerated(t *testing.T) {
	sys := described(t, "0::/\n", "")
	if _, err := newOn(sys, Config{ID: "ct"}); err == nil || !strings.Contains(err.Error(), "none is mounted") {
		t.Errorf("got %v", err)
	}
	warned := 0
	c, err := newOn(sys, Config{ID: "ct", Unwritable: Tolerate, Warn: func(error) { warned++ }})
	if err != nil || warned != 1 {
		t.Fatalf("got %v and %d warnings", err, warned)
	}
	if err := c.Create(); err != nil {
		t.Error(err)
	}
}

func TestASystemdPathHasThreeParts(t *testing.T) {
	for _, tt := range []struct{ path, unit, slice string }{
		{"", "hull-ct.scope", "system.slice"},
		{"a.slice:docker:x", "docker-x.scope", "a.slice"},
		{":docker:x", "docker-x.scope", "system.slice"},
		{"a.slice::x", "x.scope", "a.slice"},
		{"a.slice:p:x.slice", "x.slice", "a.slice"},
		{"/a/b", "", ""},
		{"a:b:", "", ""},
		{"a:b:c/d", "", ""},
	} {
		c := &Cgroup{}
		err := c.nameUnit(Config{ID: "ct", Path: tt.path}, "system.slice")
		if c.rec.Unit != tt.unit || c.rec.Slice != tt.slice || (err == nil) != (tt.unit != "") {
			t.Errorf("%q: got %q in %q, %v", tt.path, c.rec.Unit, c.rec.Slice, err)
		}
	}
}

func TestMountsShowTheContainerNoMoreThanItsOwn(t *testing.T) {
	hybrid, err := newOn(described(t, hybridSelf, hybridInfo), Config{Path: "/a"})
	if err != nil {
		t.Fatal(err)
	}
	pure, err := newOn(described(t, "0::/\n", "33 30 0:4 / /cg rw - cgroup2 none rw\n"), Config{Path: "/a"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		c    *Cgroup
		own  Namespace
		want []MountSource
	}{
		{"v2 in its own namespace", pure, OwnNamespace, []MountSource{{Kind: Cgroup2}}},
		{"v2 in the host's", pure, SharedNamespace, []MountSource{{Kind: Bind, HostPath: "/cg/a"}}},
		{"hybrid in its own namespace", hybrid, OwnNamespace, []MountSource{
			{Kind: Tmpfs},
			{Kind: CgroupV1, Name: "systemd", Options: "none,name=systemd"},
			{Kind: CgroupV1, Name: "cpu mount", Options: "cpu,cpuacct"},
			{Kind: Symlink, Name: "cpu", Target: "cpu mount"},
			{Kind: Symlink, Name: "cpuacct", Target: "cpu mount"},
			{Kind: Cgroup2, Name: "unified"},
		}},
		{"hybrid in the host's", hybrid, SharedNamespace, []MountSource{
			{Kind: Tmpfs},
			{Kind: Bind, Name: "systemd", HostPath: "/cg/systemd/a"},
			{Kind: Bind, Name: "cpu mount", HostPath: "/cg/cpu mount/a"},
			{Kind: Symlink, Name: "cpu", Target: "cpu mount"},
			{Kind: Symlink, Name: "cpuacct", Target: "cpu mount"},
			{Kind: Bind, Name: "unified", HostPath: "/cg/unified/a"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.c.Mounts(tt.own)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v %v\nwant %+v", got, err, tt.want)
			}
		})
	}
}

func TestAContainerWithoutACgroupIsShownNoneOfTheHosts(t *testing.T) {
	c, err := newOn(described(t, hybridSelf, hybridInfo), Config{Driver: Disabled})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Mounts(SharedNamespace); err != nil || len(got) != 1 || got[0].Kind != Tmpfs {
		t.Errorf("shared: %+v %v", got, err)
	}
	got, err := c.Mounts(OwnNamespace)
	if err != nil || len(got) != 6 {
		t.Errorf("own: %+v %v", got, err)
	}
	for _, m := range got {
		if m.Kind == Bind {
			t.Errorf("a bind mount of the host's: %+v", m)
		}
	}
}
