package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Where the containers of ordinary users are remembered, who cannot be told by
// --root in all that follows.

// newHome is for the ordinary user uid, or whoever runs the suite if that is not
// root, and his own $XDG_RUNTIME_DIR.
func newHome(t *testing.T, uid uint32) (h *host, runtimeDir string) {
	t.Helper()
	h = newUserHost(t)
	runtimeDir = t.TempDir()
	if h.as != 0 {
		h.becomes(uid)
		reachable(t, runtimeDir)
		if err := os.Chown(runtimeDir, int(uid), int(uid)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(runtimeDir, 0o700); err != nil {
		t.Fatal(err)
	}
	h.root = ""
	return h.atHome(runtimeDir), runtimeDir
}

// atHome is h with another $XDG_RUNTIME_DIR; none is "".
func (h *host) atHome(runtimeDir string) *host {
	setting := []string{"env", "-u", "XDG_RUNTIME_DIR"}
	if runtimeDir != "" {
		setting = []string{"env", "XDG_RUNTIME_DIR=" + runtimeDir}
	}
	at := h.within(h.t)
	at.through = append(at.through[:len(at.through):len(at.through)], setting...)
	return at
}

func TestTheStateOfAnOrdinaryUserIsInHisRuntimeDirectory(t *testing.T) {
	h, dir := newHome(t, nobody)
	c := h.begin(h.rootlessBundle([]string{"sleep"}))
	root := filepath.Join(dir, "hull")
	var st unix.Stat_t
	if err := unix.Stat(root, &st); err != nil {
		t.Fatal(err)
	}
	// Sticky, so that nothing prunes it by age.
	equal(t, "mode", st.Mode&^unix.S_IFMT, 0o1700)
	equal(t, "owner", st.Uid, h.uid())
	equal(t, "its container", fileExists(filepath.Join(root, c.id)), true)
	equal(t, "uid of an exec", get[struct{ UID []uint32 }](t, c.exec("ids"), "ids").UID, []uint32{0, 0, 0})
	h.must("delete", "--force", c.id)
	equal(t, "its container", fileExists(filepath.Join(root, c.id)), false)
	// Who says where, needs none.
	other := h.atHome("")
	other.root = filepath.Join(dir, "elsewhere")
	other.must("run", "--bundle", h.rootlessBundle([]string{"pid"}).dir, newID())
	equal(t, "the root that was given", fileExists(other.root), true)
}

func TestAnOrdinaryUserWithoutARuntimeDirectoryIsToldSo(t *testing.T) {
	h, dir := newHome(t, nobody)
	b := h.rootlessBundle([]string{"pid"})
	for _, where := range []string{"", "relative/path"} { // which is none (XDG Base Directory Specification)
		h.atHome(where).refuses([]string{"use state directory /run/hull: permission denied", "$XDG_RUNTIME_DIR", "--root"}, "run", "--bundle", b.dir, newID())
	}
	missing := filepath.Join(dir, "missing/below")
	if err := os.Mkdir(filepath.Dir(missing), 0o555); err != nil {
		t.Fatal(err)
	}
	h.atHome(missing).refuses([]string{"make state directory " + missing + "/hull: permission denied", "$XDG_RUNTIME_DIR must be writable"}, "run", "--bundle", b.dir, newID())
}

// Whoever was there first, in a directory that everybody may write, is not trusted.
func TestAStateDirectoryOfSomebodyElseIsRefused(t *testing.T) {
	needRoot(t)
	h, _ := newHome(t, nobody)
	b := h.rootlessBundle([]string{"pid"})
	public := t.TempDir()
	reachable(t, public)
	if err := os.Mkdir(filepath.Join(public, "hull"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{public, filepath.Join(public, "hull")} {
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range [][]string{{"run", "--bundle", b.dir, newID()}, {"list"}, {"state", "x"}} {
		h.atHome(public).refuses([]string{"set sticky bit of " + public + "/hull: operation not permitted", "must be the user's own"}, command...)
	}
	entries, err := os.ReadDir(filepath.Join(public, "hull"))
	equal(t, "what is there", len(entries), 0)
	if err != nil {
		t.Fatal(err)
	}
}

func TestUsersDoNotMeetEachOthersContainers(t *testing.T) {
	needRoot(t)
	one, dir := newHome(t, nobody)
	other, _ := newHome(t, nobody-1)
	b := one.rootlessBundle([]string{"sleep"})
	c := one.begin(b)
	if list := other.must("list", "-q"); list != "" {
		t.Errorf("the other user has %q", list)
	}
	for _, command := range [][]string{{"state", c.id}, {"kill", c.id, "KILL"}, {"delete", c.id}, {"exec", c.id, "/probe", "pid"}} {
		other.refuses([]string{"container does not exist"}, command...)
	}
	other.must("delete", "--force", c.id) // quiet about what is not there
	// He may not even look where they are.
	foreign := other.atHome(dir)
	foreign.root = filepath.Join(dir, "hull")
	for _, command := range [][]string{{"list"}, {"state", c.id}, {"kill", c.id, "KILL"}, {"delete", "--force", c.id}} {
		foreign.refuses([]string{"permission denied"}, command...)
	}
	equal(t, "status", one.state(c.id).Status, specs.StateRunning)
	// The same ID is the other's as well.
	other.must("run", "--bundle", other.rootlessBundle([]string{"ids"}).dir, c.id)
	equal(t, "status", one.state(c.id).Status, specs.StateRunning)
	one.must("delete", "--force", c.id)
}

// Root of a user namespace is an ordinary user on the host.
func TestRootOfAUserNamespaceIsAnOrdinaryUser(t *testing.T) {
	needTool(t, "unshare")
	for name, namespaces := range map[string][]string{"user": {"-Ur"}, "user, mount and pid": {"-Urmpf", "--mount-proc"}} {
		t.Run(name, func(t *testing.T) {
			h, dir := newHome(t, nobody)
			h.through = append(h.through, append([]string{"unshare"}, namespaces...)...)
			h.through = append(h.through, "env", "USER=user")
			b := h.rootlessBundle([]string{"ids", "read=/proc/self/uid_map"})
			equal(t, "mappings", b.config.Linux.UIDMappings, []specs.LinuxIDMapping{{Size: 1}})
			r := h.try("run", "--bundle", b.dir, newID())
			if r.status != 0 || strings.Count(r.stderr, "\n") > 1 {
				t.Fatalf("status %d\n%s", r.status, r.stderr)
			}
			s := parseSight(t, r.stdout)
			equal(t, "users", get[struct{ UID []uint32 }](t, s, "ids").UID, []uint32{0, 0, 0})
			equal(t, "state directory", fileExists(filepath.Join(dir, "hull")), true)
			// Without a user namespace of its own, too: it has what it needs.
			plain := h.rootlessBundle([]string{"ids"}, func(s *specs.Spec) {
				dropNamespace(specs.UserNamespace)(s)
				s.Linux.UIDMappings, s.Linux.GIDMappings = nil, nil
			})
			s = parseSight(t, h.must("run", "--bundle", plain.dir, newID()))
			equal(t, "users", get[struct{ UID []uint32 }](t, s, "ids").UID, []uint32{0, 0, 0})
			// What it asks for and its namespace does not map.
			h.within(t).refusesRun([]string{"map linux.uidMappings", "host ids must be mapped in the caller's own user namespace"}, func(s *specs.Spec) {
				s.Linux.UIDMappings[0].HostID = h.uid()
			})
		})
	}
}
