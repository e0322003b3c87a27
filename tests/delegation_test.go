package tests

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// startUnified is start on a machine whose cgroups are v2 and nothing else.
func (h *host) startUnified(commands []string, edits ...edit) *container {
	h.t.Helper()
	b := h.newBundle(append(commands, "sleep"), edits...)
	c := &container{h: h, id: newID(), out: filepath.Join(h.t.TempDir(), "output")}
	out, err := os.Create(c.out)
	if err != nil {
		h.t.Fatal(err)
	}
	defer out.Close()
	cmd := h.unifiedCommand("run", "--detach", "--pid-file", c.out+".pid", "--bundle", b.dir, c.id)
	cmd.Stdout = out
	if r := h.finish(cmd); r.status != 0 {
		h.t.Fatalf("run: status %d\n%s", r.status, r.stderr)
	}
	c.pid = int(number(h.t, strings.TrimSpace(readFile(h.t, c.out+".pid"))))
	h.t.Cleanup(func() { h.onlyUnified("delete", "--force", c.id) })
	return c
}

func writableCgroup(s *specs.Spec) {
	for i, m := range s.Mounts {
		if m.Destination == cgroupRoot {
			s.Mounts[i].Options = slices.DeleteFunc(m.Options, func(o string) bool { return o == "ro" })
		}
	}
}

// ownedBy returns the files of a directory, and the directory itself as ".", that
// belong to a user.
func ownedBy(t *testing.T, dir string, uid uint32) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{"."}
	for _, e := range entries {
		paths = append(paths, e.Name())
	}
	for _, name := range paths {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid == uid {
			names = append(names, name)
		}
	}
	return names
}

//proves:linux.cgroupsPath config-linux.md#cgroup-ownership:2 config-linux.md#cgroup-ownership:3
//proves:config-linux.md#cgroup-ownership:4 config-linux.md#cgroup-ownership:5 config-linux.md#cgroup-ownership:6
//proves:config-linux.md#cgroup-ownership:8
//proves:linux.namespaces[].type=cgroup
func TestACgroupBelongsToTheContainerIfItCanManageIt(t *testing.T) {
	needTool(t, "unshare")
	h := newHost(t)
	own := addNamespace(specs.CgroupNamespace, "")
	inUser := addNamespace(specs.UserNamespace, "")
	user := func(s *specs.Spec) { s.Process.User.UID = 1234 }
	for name, tt := range map[string]struct {
		edits []edit
		uid   uint32
		given bool
	}{
		"root of a user namespace":       {[]edit{own, writableCgroup, mapAll, inUser}, mappedRoot, true},
		"a user of a user namespace":     {[]edit{own, writableCgroup, mapAll, inUser, user}, mappedRoot + 1234, true},
		"a user of the host":             {[]edit{own, writableCgroup, user}, 1234, true},
		"with a read-only mount":         {[]edit{own, mapAll, inUser}, mappedRoot, false},
		"in the host's cgroup namespace": {[]edit{dropNamespace(specs.CgroupNamespace), writableCgroup, user}, 1234, false},
		"without a mount of the hierarchy": {[]edit{own, user, func(s *specs.Spec) {
			s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return m.Destination == cgroupRoot })
		}}, 1234, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			c := h.startUnified(nil, tt.edits...)
			dir := c.cgroup("")
			want := []string{}
			if tt.given {
				want = append(want, ".")
				for _, file := range strings.Fields(readFile(t, "/sys/kernel/cgroup/delegate")) {
					if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
						want = append(want, file)
					}
				}
			}
			slices.Sort(want)
			got := ownedBy(t, dir, tt.uid)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("user %d owns %v, want %v", tt.uid, got, want)
			}
		})
	}
}

//proves:config-linux.md#cgroup-ownership:7
func TestAKernelWithoutTheListOfFilesToGiveAwayHasThree(t *testing.T) {
	needTool(t, "unshare")
	h := newHost(t)
	b := h.newBundle([]string{"sleep"}, addNamespace(specs.CgroupNamespace, ""), writableCgroup, func(s *specs.Spec) { s.Process.User.UID = 1234 })
	id, pidFile := newID(), b.path("pid")
	t.Cleanup(func() { h.onlyUnified("delete", "--force", id) })
	const script = `mount -t tmpfs none /sys/kernel/cgroup && exec "$0" "$@"`
	r := h.finish(onlyUnified("rw", "sh", "-c", script, suite.runtime, "--root", h.root, "run", "--detach", "--pid-file", pidFile, "--bundle", b.dir, id))
	if r.status != 0 {
		t.Fatal(r.stderr)
	}
	got := ownedBy(t, cgroupOf(t, int(number(t, strings.TrimSpace(readFile(t, pidFile)))), ""), 1234)
	slices.Sort(got)
	equal(t, "its files", got, []string{".", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"})
}

//proves:annotations.run.oci.delegate-cgroup
func TestADelegatedCgroupIsBelowTheLimits(t *testing.T) {
	needTool(t, "unshare")
	h := newHost(t)
	const group = "read=/proc/self/cgroup"
	c := h.startUnified([]string{group, "mkdir=/sys/fs/cgroup/own/made"}, addNamespace(specs.CgroupNamespace, ""), writableCgroup, mapAll,
		addNamespace(specs.UserNamespace, ""), annotate("run.oci.delegate-cgroup", "own"), resources(specs.LinuxResources{Unified: map[string]string{"cgroup.max.descendants": "3"}}))
	s := c.see()
	if text := get[string](t, s, group); !strings.Contains(text, "0::/own\n") {
		t.Errorf("it sees itself in %q", text)
	}
	get[string](t, s, "mkdir=/sys/fs/cgroup/own/made")
	dir := c.cgroup("")
	equal(t, "its cgroup", filepath.Base(dir), "own")
	equal(t, "the limit above", readFile(t, filepath.Dir(dir)+"/cgroup.max.descendants"), "3\n")
	if names := ownedBy(t, dir, mappedRoot); !slices.Contains(names, "cgroup.procs") || !slices.Contains(names, ".") {
		t.Errorf("the container owns %v", names)
	}
	if names := ownedBy(t, filepath.Dir(dir), mappedRoot); slices.Contains(names, "cgroup.max.descendants") {
		t.Errorf("the container owns %v of the cgroup with the limits", names)
	}
	r := h.onlyUnified("exec", c.id, "/probe", group)
	if r.status != 0 {
		t.Fatal(r.stderr)
	}
	equal(t, "the cgroup of an exec", get[string](t, parseSight(t, r.stdout), group), get[string](t, s, group))
	if r := h.onlyUnified("delete", "--force", c.id); r.status != 0 {
		t.Error(r.stderr)
	}
	if _, err := os.Stat(filepath.Dir(dir)); err == nil {
		t.Errorf("%s is left", filepath.Dir(dir))
	}
}

//proves:annotations.run.oci.delegate-cgroup
func TestADelegatedCgroupMustBeBelowTheContainers(t *testing.T) {
	needTool(t, "unshare")
	h := newHost(t)
	b := h.newBundle([]string{"pid"}, annotate("run.oci.delegate-cgroup", "../out"))
	h.leavesNothing()
	r := h.onlyUnified("run", "--bundle", b.dir, newID())
	if r.status == 0 || !strings.Contains(r.stderr, "annotations.run.oci.delegate-cgroup") || !strings.Contains(r.stderr, "must not climb") {
		t.Errorf("status %d\n%s", r.status, r.stderr)
	}
}

//proves:annotations.run.oci.delegate-cgroup config-linux.md#cgroup-ownership:1
func TestCgroupsOfVersion1AreNotDelegated(t *testing.T) {
	if onlyV2() {
		lacks(t, "cgroup v1")
	}
	h := newHost(t)
	h.fails([]string{"delegate cgroup own", "cgroup v1 cannot be delegated"}, annotate("run.oci.delegate-cgroup", "own"))
	c := h.start(nil, addNamespace(specs.CgroupNamespace, ""), writableCgroup, func(s *specs.Spec) { s.Process.User.UID = 1234 })
	for _, controller := range allCgroups() {
		if names := ownedBy(t, c.cgroup(controller), 1234); len(names) > 0 {
			t.Errorf("%q: the container owns %v", controller, names)
		}
	}
}

// A program in the container that manages its own cgroups, as systemd does, gives
// controllers to those below: nobody can then join the one above.
func TestExecJoinsAContainerThatGivesControllersToItsCgroups(t *testing.T) {
	needTool(t, "unshare")
	h := newHost(t)
	const group = "read=/proc/self/cgroup"
	c := h.startUnified(nil, addNamespace(specs.CgroupNamespace, ""))
	dir := c.cgroup("")
	controllers := strings.Fields(readFile(t, dir+"/cgroup.controllers"))
	if len(controllers) == 0 {
		lacks(t, "controllers on cgroup v2")
	}
	if err := os.Mkdir(dir+"/init.scope", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, write := range [][2]string{
		{"/init.scope/cgroup.procs", strconv.Itoa(c.pid)}, {"/cgroup.subtree_control", "+" + controllers[0]},
	} {
		if err := os.WriteFile(dir+write[0], []byte(write[1]), 0); err != nil {
			t.Fatal(err)
		}
	}
	r := h.onlyUnified("exec", c.id, "/probe", group)
	if r.status != 0 {
		t.Fatal(r.stderr)
	}
	if text := get[string](t, parseSight(t, r.stdout), group); !strings.Contains(text, "0::/init.scope\n") {
		t.Errorf("the exec is in %q", text)
	}
}
