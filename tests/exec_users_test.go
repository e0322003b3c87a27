package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// withUsers is a container that runs, with a user database.
func (h *host) withUsers(passwd, group string) *container {
	h.t.Helper()
	b := h.newBundle([]string{"sleep"}, func(s *specs.Spec) { s.Process.User.AdditionalGids = []uint32{3} })
	writeFile(h.t, b.path("rootfs/etc/passwd"), passwd)
	writeFile(h.t, b.path("rootfs/etc/group"), group)
	c := h.create(b)
	h.must("start", c.id)
	return c
}

func TestANamedUserIsInItsGroups(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	members := strings.Repeat("somebody-else,", 10000)
	c := h.withUsers("u:x:1000:1001::/home/u:/bin/sh\n", "one:x:10:u\ntwo:x:20:v,u,w\nnone:x:30:uu\nmany:x:40:"+members+"u\nown:x:1001:\n")
	for user, groups := range map[string][]int{
		"u": {3, 10, 20, 40}, "u:one": {3}, "u:5": {3}, "1000": {3},
	} {
		s := parseSight(t, h.must("exec", "--user", user, c.id, "/probe", "ids"))
		equal(t, "groups of "+user, get[idSight](t, s, "ids").Groups, groups)
	}
	s := parseSight(t, h.must("exec", "--user", "u", "-g", "99", c.id, "/probe", "ids", "env"))
	equal(t, "groups", get[idSight](t, s, "ids").Groups, []int{3, 10, 20, 40, 99})
	equal(t, "HOME", lastValue(get[[]string](t, s, "env"), "HOME"), "/home/u")
}

// A line that is not what it should be names nobody: a number that cannot be read
// is no 0.
func TestABrokenLineOfTheUserDatabaseIsNobody(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.withUsers("letters:x:abc:0::/:/bin/sh\nminus:x:-1:-1::/:\nbig:x:4294967296:0::/:\nmax:x:4294967295:1::/:\nshort:x:5\n"+
		"+nis::::::\nspace:x: 5:6::/:\n"+strings.Repeat("long", 1<<19)+":x:0:0\nlast:x:5:6::/l:\n",
		"letters:x:abc:\nminus:x:-1:\nlast:x:7:\n")
	for _, user := range []string{"letters", "minus", "big", "max", "short", "+nis", "space", "last:letters", "last:minus", "x"} {
		if r := h.try("exec", "--user", user, c.id, "/probe", "ids"); r.status != 255 || !strings.Contains(r.stderr, "use ") {
			t.Errorf("%s: status %d: %s%s", user, r.status, r.stdout, r.stderr)
		}
	}
	s := parseSight(t, h.must("exec", "--user", "last:last", c.id, "/probe", "ids", "env"))
	got := get[idSight](t, s, "ids")
	equal(t, "ids", []int{got.UID[0], got.GID[0]}, []int{5, 7})
	equal(t, "HOME", lastValue(get[[]string](t, s, "env"), "HOME"), "/l")
}

// The database is the container's to choose, and so is what its name leads to.
func TestAHostileUserDatabaseIsReadInsideAndNotForEver(t *testing.T) {
	t.Parallel()
	host := filepath.Join(t.TempDir(), "passwd")
	writeFile(t, host, "u:x:66:66::/:\n")
	for name, tt := range map[string]struct {
		make func(path string) error
		ok   bool
	}{
		"a link to the host's": {func(path string) error { return os.Symlink(host, path) }, false},
		"a link that climbs":   {func(path string) error { return os.Symlink("../../../../../.."+host, path) }, false},
		"a link in a circle":   {func(path string) error { return os.Symlink("passwd", path) }, false},
		"a link to one inside": {func(path string) error {
			return os.Symlink("/etc/real", path)
		}, true},
		"a fifo":             {func(path string) error { return unix.Mkfifo(path, 0o644) }, false},
		"a directory":        {func(path string) error { return os.Mkdir(path, 0o755) }, false},
		"a device":           {func(path string) error { return os.Symlink("/dev/zero", path) }, false},
		"one without an end": {sparse, false},
		"nothing":            {func(string) error { return nil }, false},
		"one that has nothing to say": {func(path string) error {
			return os.Symlink("/proc/kmsg", path)
		}, false},
		"a descriptor of hull": {func(path string) error { return os.Symlink("/proc/self/fd/0", path) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			b := h.newBundle([]string{"sleep"})
			writeFile(t, b.path("rootfs/etc/real"), "u:x:5:6::/:\n")
			if err := tt.make(b.path("rootfs/etc/passwd")); err != nil {
				t.Fatal(err)
			}
			c := h.create(b)
			h.must("start", c.id)
			begin := time.Now()
			r := h.try("exec", "--user", "u", c.id, "/probe", "ids")
			if tt.ok {
				equal(t, "user", get[idSight](t, parseSight(t, r.stdout), "ids").UID, three(5))
			} else if r.status != 255 || !strings.Contains(r.stderr, `use user \"u\"`) {
				t.Errorf("status %d: %s%s", r.status, r.stdout, r.stderr)
			}
			// HOME is looked for there, too.
			h.must("exec", c.id, "/bin/true")
			if took := time.Since(begin); took > atMost(5) {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// sparse makes a file of 4 TiB that takes no space.
func sparse(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Truncate(4 << 40)
}

func TestHomeIsThatOfTheUserInTheContainer(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.withUsers("root:x:0:0::/root:/bin/sh\nu:x:5:5::/home/u:/bin/sh\nempty:x:6:6:::/bin/sh\nv:x:5:5::/second:\n", "")
	for _, tt := range []struct {
		flags []string
		want  string
	}{
		{nil, "/root"},
		{[]string{"-u", "5"}, "/home/u"},
		{[]string{"-u", "v"}, "/home/u"},
		{[]string{"-u", "6"}, "/"},
		{[]string{"-u", "77"}, "/"},
		{[]string{"-u", "5", "-e", "HOME="}, "/home/u"},
		{[]string{"-u", "5", "-e", "HOME=/set"}, "/set"},
	} {
		s := parseSight(t, h.must(append(append([]string{"exec"}, tt.flags...), c.id, "/probe", "env")...))
		equal(t, strings.Join(tt.flags, " "), lastValue(get[[]string](t, s, "env"), "HOME"), tt.want)
	}
}
