package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func cgroupsPath(path string) edit {
	return func(s *specs.Spec) { s.Linux.CgroupsPath = path }
}

func resources(r specs.LinuxResources) edit {
	return func(s *specs.Spec) { *s.Linux.Resources = r }
}

// allCgroups are the hierarchies of the machine: a controller of each.
func allCgroups() []string {
	if onlyV2() {
		return []string{""}
	}
	return []string{"pids", "devices", "freezer", "name=systemd", ""}
}

//proves:linux.cgroupsPath
//proves:config-linux.md#cgroups-path:1 config-linux.md#cgroups-path:2 config-linux.md#cgroups-path:3
func TestTheCgroupIsWhereTheConfigurationPutsIt(t *testing.T) {
	needCgroupfs(t)
	h := newHost(t)
	top, own := cgroupRoot, ownCgroup(t, "memory")
	if !onlyV2() {
		top += "/memory"
	}
	name := newID()
	for title, tt := range map[string]struct{ path, want string }{
		"an absolute path":                    {"/" + name + "-a/b", top + "/" + name + "-a/b"},
		"an absolute path that climbs":        {"/x/../../../" + name + "-d", top + "/" + name + "-d"},
		"a relative path, below the caller's": {name + "-r/b", own + "/" + name + "-r/b"},
		"an empty path, the container's ID":   {"", own + "/ID"},
		"a path that climbs is cut off":       {"../../" + name + "-c", own + "/" + name + "-c"},
	} {
		t.Run(title, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			h.leavesNothing()
			c := h.start(nil, cgroupsPath(tt.path))
			equal(t, "cgroup", c.cgroup("memory"), strings.Replace(tt.want, "ID", c.id, 1))
			for _, controller := range allCgroups() {
				dir := c.cgroup(controller)
				if !strings.HasSuffix(dir, strings.TrimPrefix(filepath.Base(tt.want), "ID")) {
					t.Errorf("%q: %s", controller, dir)
				}
				if procs := strings.Fields(readFile(t, dir+"/cgroup.procs")); len(procs) != 1 {
					t.Errorf("%s has the processes %v", dir, procs)
				}
			}
			dir := c.cgroup("memory")
			h.must("delete", "--force", c.id)
			if _, err := os.Stat(dir); err == nil {
				t.Errorf("%s is left", dir)
			}
			removeCgroups(name)
		})
	}
}

// removeCgroups takes away the intermediate ones, which are the test's own.
func removeCgroups(name string) {
	for _, depth := range []string{"", "*/", "*/*/", "*/*/*/"} {
		dirs, _ := filepath.Glob(cgroupRoot + "/" + depth + name + "-*")
		for _, d := range dirs {
			_ = os.Remove(d)
		}
	}
}

// makeCgroup makes a cgroup in the hierarchy of a controller.
func makeCgroup(t *testing.T, controller, path string) string {
	t.Helper()
	dir := filepath.Join(cgroupRoot, controller, path)
	if onlyV2() {
		dir = filepath.Join(cgroupRoot, path)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) })
	return dir
}

//proves:linux.cgroupsPath
func TestCgroupsThatWereThereBeforeStay(t *testing.T) {
	h := newHost(t)
	name := newID()
	defer removeCgroups(name)
	parent := makeCgroup(t, "pids", name+"-parent")
	c := h.start(nil, cgroupsPath("/"+name+"-parent/child"))
	h.must("delete", "--force", c.id)
	if _, err := os.Stat(parent); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(parent + "/child"); err == nil {
		t.Error("the container's own is left")
	}
}

//proves:linux.cgroupsPath
func TestContainersBelowOneParentShareItsLimits(t *testing.T) {
	h := newHost(t)
	needController(t, "pids")
	name := newID()
	defer removeCgroups(name)
	a := h.create(h.newBundle(nil, cgroupsPath("/"+name+"-pod/a"), shell("exec sleep 1000")))
	h.must("start", a.id)
	parent := filepath.Dir(a.cgroup("pids"))
	eventually(t, "the first is but a program", func() bool { return readFile(t, parent+"/pids.current") == "1\n" })
	// What an engine does with a pod.
	if err := os.WriteFile(parent+"/pids.max", []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	b := h.newBundle([]string{"pid"}, cgroupsPath("/"+name+"-pod/b"))
	h.refuses([]string{"pids"}, "run", "--bundle", b.dir, newID())
	if err := os.WriteFile(parent+"/pids.max", []byte("max"), 0); err != nil {
		t.Fatal(err)
	}
	second := h.start(nil, cgroupsPath("/"+name+"-pod/b"))
	equal(t, "the parent of the second", filepath.Dir(second.cgroup("pids")), parent)
	h.must("delete", "--force", second.id)
	if _, err := os.Stat(parent); err != nil {
		t.Errorf("the parent went with the second: %v", err)
	}
	h.must("delete", "--force", a.id)
	if _, err := os.Stat(parent); err == nil {
		t.Error("the parent outlives the last")
	}
}

//proves:linux.cgroupsPath config-linux.md#control-groups:1
func TestACgroupWithProcessesIsNotShared(t *testing.T) {
	h := newHost(t)
	name := newID()
	defer removeCgroups(name)
	a := h.start(nil, cgroupsPath("/"+name+"-used"))
	h.refuses([]string{name + "-used", "not empty"}, "run", "--bundle", h.newBundle([]string{"pid"}, cgroupsPath("/"+name+"-used")).dir, newID())
	equal(t, "the first", h.state(a.id).Status, specs.StateRunning)
	if _, err := os.Stat(a.cgroup("pids")); err != nil {
		t.Error(err)
	}
}

//proves:linux.cgroupsPath config-linux.md#control-groups:1
func TestAFrozenCgroupIsNotUsed(t *testing.T) {
	h := newHost(t)
	name := newID()
	defer removeCgroups(name)
	freeze := func(dir string) error { return os.WriteFile(dir+"/cgroup.freeze", []byte("1"), 0) }
	mount := strings.TrimPrefix(unifiedMount(), cgroupRoot)
	if err := freeze(makeCgroup(t, mount, name+"-frozen")); err != nil {
		t.Fatal(err)
	}
	h.refuses([]string{name + "-frozen", "it is frozen"}, "run", "--bundle", h.newBundle([]string{"pid"}, cgroupsPath("/"+name+"-frozen")).dir, newID())
}

//proves:linux.cgroupsPath config-linux.md#cgroups-path:4
func TestAPathThatCannotBeACgroupIsRefused(t *testing.T) {
	h := newHost(t)
	for name, path := range map[string]string{"the root": "/", "the root by another name": "/a/..", "nothing": "."} {
		t.Run(name, func(t *testing.T) {
			(&host{t: t, root: h.root}).fails([]string{"linux.cgroupsPath", "root of the hierarchy"}, cgroupsPath(path))
		})
	}
}

func TestTheCgroupMountShowsTheContainersOwn(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	pids, memory := "/sys/fs/cgroup/pids", "/sys/fs/cgroup/memory"
	if onlyV2() {
		pids, memory = cgroupRoot, cgroupRoot
	}
	for name, edits := range map[string][]edit{
		"shared namespace": {dropNamespace(specs.CgroupNamespace)}, "own namespace": {addNamespace(specs.CgroupNamespace, "")},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			s := h.probe([]string{"read=" + pids + "/cgroup.procs", "read=" + memory + "/cgroup.procs", "mkdir=" + pids + "/x"}, edits...)
			equal(t, "pids", get[string](t, s, "read="+pids+"/cgroup.procs"), "1\n")
			equal(t, "memory", get[string](t, s, "read="+memory+"/cgroup.procs"), "1\n")
			if !strings.Contains(s.failure("mkdir="+pids+"/x"), "read-only file system") {
				t.Errorf("a cgroup was made: %q", s.failure("mkdir="+pids+"/x"))
			}
		})
	}
}
