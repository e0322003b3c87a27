package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// The user namespaces of ordinary users: of one id that is their own, and of the
// ranges that /etc/subuid and /etc/subgid grant, through newuidmap and newgidmap.

// uid is the user of h, and gid his group.
func (h *host) uid() uint32 {
	if h.as != 0 {
		return h.as
	}
	return uint32(os.Geteuid())
}

func (h *host) gid() uint32 {
	if h.as != 0 {
		return h.as
	}
	return uint32(os.Getegid())
}

// newSubordinateHost is for an ordinary user with a range of ids that are
// subordinate to him, and returns the first of it. Root gives nobody one, in a
// mount namespace where nobody else sees it.
func newSubordinateHost(t *testing.T) (h *host, first uint32) {
	t.Helper()
	needTool(t, "newuidmap")
	h = newUserHost(t)
	if h.as == 0 {
		return h, grantedRange(t)
	}
	granted := filepath.Join(t.TempDir(), "granted")
	writeNewFile(t, granted, "nobody:200000:1000\n")
	const script = `mount --bind "$0" /etc/subuid && mount --bind "$0" /etc/subgid && exec "$@"`
	h.through = append([]string{needTool(t, "unshare"), "-m", "--propagation", "slave", "sh", "-c", script, granted}, h.through...)
	return h, 200000
}

// grantedRange is what this machine grants the user who runs the suite, in ids of
// users and of groups alike.
func grantedRange(t *testing.T) uint32 {
	t.Helper()
	who, err := exec.Command("id", "-un").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(readFile(t, "/etc/subuid")) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) == 3 && f[0] == strings.TrimSpace(string(who)) && strings.Contains(readFile(t, "/etc/subgid"), line) {
			return uint32(number(t, f[1]))
		}
	}
	lacks(t, "subordinate ids of this user")
	return 0
}

func writeNewFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// ranges map the user to root, and beside him a hundred ids from first on.
func (h *host) ranges(first uint32) edit {
	return func(s *specs.Spec) {
		more := specs.LinuxIDMapping{ContainerID: 1, HostID: first, Size: 100}
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: h.uid(), Size: 1}, more}
		s.Linux.GIDMappings = []specs.LinuxIDMapping{{HostID: h.gid(), Size: 1}, more}
	}
}

// refusesRun checks that a container of an ordinary user's is refused with all of
// words in its error, and that nothing is left of it.
func (h *host) refusesRun(words []string, edits ...edit) {
	h.t.Helper()
	h.failsWith(h.rootlessBundle([]string{"pid"}, edits...), words)
}

//proves:linux.uidMappings linux.gidMappings linux.uidMappings[].containerID linux.uidMappings[].hostID linux.uidMappings[].size
//proves:process.user.additionalGids
func TestAnOrdinaryUserMapsTheRangesThatAreHis(t *testing.T) {
	t.Parallel()
	h, first := newSubordinateHost(t)
	b := h.rootlessBundle([]string{"ids", "read=/proc/self/uid_map", "write=/out/made:", "exit=0"}, h.ranges(first), func(s *specs.Spec) {
		s.Process.User = specs.User{UID: 5, GID: 7, AdditionalGids: []uint32{3, 4}}
		s.Root.Readonly = false
	})
	if err := os.Mkdir(b.path("rootfs/out"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(b.path("rootfs/out"), 0o777); err != nil {
		t.Fatal(err)
	}
	id := newID()
	s := parseSight(t, h.must("run", "--bundle", b.dir, id))
	ids := get[struct{ UID, GID, Groups []uint32 }](t, s, "ids")
	equal(t, "uid", ids.UID, []uint32{5, 5, 5})
	equal(t, "gid", ids.GID, []uint32{7, 7, 7})
	equal(t, "groups", ids.Groups, []uint32{3, 4})
	equal(t, "uid_map", strings.Fields(get[string](t, s, "read=/proc/self/uid_map")),
		strings.Fields(fmt.Sprintf("0 %d 1 1 %d 100", h.uid(), first)))
	equal(t, "owner of what it made", ownerOf(t, b.path("rootfs/out/made")), fmt.Sprint(first+4, ":", first+6))
	h.nothingRemains(id, b)
}

// One id that is not the user's own takes the helpers as well.
func TestAnOrdinaryUserNeedNotBeInHisContainer(t *testing.T) {
	t.Parallel()
	h, first := newSubordinateHost(t)
	one := []specs.LinuxIDMapping{{HostID: first, Size: 1}}
	b := h.rootlessBundle([]string{"sleep"}, func(s *specs.Spec) { s.Linux.UIDMappings, s.Linux.GIDMappings = one, one })
	c := h.begin(b)
	status := readFile(t, procPath(c.pid, "status"))
	if want := fmt.Sprintf("Uid:\t%d\t%d\t", first, first); !strings.Contains(status, want) {
		t.Errorf("its status lacks %q:\n%s", want, status)
	}
	equal(t, "uid of an exec", get[struct{ UID []uint32 }](t, c.exec("ids"), "ids").UID, []uint32{0, 0, 0})
	h.must("delete", "--force", c.id)
	h.nothingRemains(c.id, b)
}

//proves:linux.uidMappings linux.gidMappings
func TestRangesThatAreNotTheUsersAreRefused(t *testing.T) {
	h, first := newSubordinateHost(t)
	const granted = "beyond one's own id it maps what "
	t.Run("of users", func(t *testing.T) {
		h.within(t).refusesRun(
			[]string{"map linux.uidMappings: newuidmap: ", "not allowed", granted + "/etc/subuid grants the user"},
			h.ranges(first), func(s *specs.Spec) { s.Linux.UIDMappings[1].HostID = 5 })
	})
	t.Run("of groups", func(t *testing.T) {
		h.within(t).refusesRun(
			[]string{"map linux.gidMappings: newgidmap: ", "not allowed", granted + "/etc/subgid grants the user"},
			h.ranges(first), func(s *specs.Spec) { s.Linux.GIDMappings[1].Size = 1 << 20 })
	})
	t.Run("somebody's own", func(t *testing.T) {
		h.within(t).refusesRun(
			[]string{"map linux.uidMappings: newuidmap: ", "not allowed"},
			func(s *specs.Spec) { s.Linux.UIDMappings[0].HostID = 0 })
	})
}

// What is said if the helpers cannot help, and that check says it before.
//
//proves:linux.uidMappings linux.gidMappings
func TestHelpersThatCannotMapAreNamed(t *testing.T) {
	empty, powerless := t.TempDir(), t.TempDir()
	for _, name := range []string{"newuidmap", "newgidmap"} {
		copyFile(t, needTool(t, name), filepath.Join(powerless, name))
	}
	reachable(t, empty)
	reachable(t, powerless)
	for name, tt := range map[string]struct {
		through []string
		words   []string
	}{
		"none there":           {[]string{"env", "PATH=" + empty}, []string{"executable file not found", "install the package uidmap, or map a single id: your own"}},
		"without their rights": {[]string{"env", "PATH=" + powerless}, []string{powerless + "/newuidmap is neither setuid root nor has it file capabilities"}},
		"with no_new_privs":    {[]string{needTool(t, "setpriv"), "--no-new-privs"}, []string{"no_new_privs is set here"}},
	} {
		t.Run(name, func(t *testing.T) {
			h, first := newSubordinateHost(t)
			h.through = append(h.through, tt.through...)
			words := append([]string{"map linux.uidMappings: newuidmap: "}, tt.words...)
			h.refusesRun(words, h.ranges(first))
			b := h.rootlessBundle([]string{"pid"}, h.ranges(first))
			r := h.try("check", "--bundle", b.dir)
			for _, word := range words {
				if !strings.Contains(r.stdout+r.stderr, word) {
					t.Errorf("check lacks %q:\n%s%s", word, r.stdout, r.stderr)
				}
			}
			// The user's own id takes none of them.
			h.must("run", "--bundle", h.rootlessBundle([]string{"ids"}).dir, newID())
		})
	}
}

// Who maps his own group only gives up setgroups(2) for it (user_namespaces(7)).
//
//proves:process.user.additionalGids
func TestTheGroupsOfASingleIDStayAsTheyAre(t *testing.T) {
	h := newUserHost(t)
	s := parseSight(t, h.must("run", "--bundle", h.rootlessBundle([]string{"read=/proc/self/setgroups", "read=/proc/self/gid_map"}).dir, newID()))
	equal(t, "setgroups", get[string](t, s, "read=/proc/self/setgroups"), "deny\n")
	equal(t, "gid_map", strings.Fields(get[string](t, s, "read=/proc/self/gid_map")), []string{"0", fmt.Sprint(h.gid()), "1"})
	h.refusesRun([]string{"process.user.additionalGids", "setgroups(2)", "newgidmap"}, func(s *specs.Spec) {
		s.Process.User.AdditionalGids = []uint32{0}
	})
	h.refusesRun([]string{"process.user.gid: 5 is not mapped"}, func(s *specs.Spec) { s.Process.User.GID = 5 })
}

// ownerOf is user and group of a file.
func ownerOf(t *testing.T, path string) string {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(st.Uid, ":", st.Gid)
}
