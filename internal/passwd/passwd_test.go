package passwd

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func file(t *testing.T, text string) int {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func named(name string) func(*User) bool { return func(u *User) bool { return u.Name == name } }

func TestAnIDIsADecimalNumberAsAWhole(t *testing.T) {
	for text, want := range map[string]uint32{"0": 0, "1": 1, "007": 7, "4294967294": 4294967294} {
		if got, ok := ParseID(text); !ok || got != want {
			t.Errorf("%q: %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "+1", "-1", " 1", "1 ", "1x", "0x1", "1_0", "1e3", "4294967295", "4294967296", "١"} {
		if got, ok := ParseID(text); ok {
			t.Errorf("%q is %d", text, got)
		}
	}
}

func TestLinesThatAreNoUsersAreLeftOut(t *testing.T) {
	text := "root:x:0\n:x:1:1::/:\nu:x:z:1::/:\nu:x:-1:1::/:\nu:x:4294967296:0::/:\nu:x:1:\nu\n+u\n#u:x:1:1\n\n" +
		strings.Repeat("u", 2<<20) + ":x:0:0\n  u:x:5:6:a:/home/u:/bin/sh:more \nu:x:7:8::/second:\n"
	u, found, err := FindUser(file(t, text), named("u"))
	if want := (User{"u", 5, 6, "/home/u"}); !found || err != nil || u != want {
		t.Errorf("%+v, %v, %v", u, found, err)
	}
	for _, name := range []string{"root", "", "x", "+u"} {
		if u, found, err := FindUser(file(t, text), named(name)); found || err != nil {
			t.Errorf("%q: %+v, %v", name, u, err)
		}
	}
}

func TestGroupsHaveMembers(t *testing.T) {
	many := strings.Repeat("other,", 20000)
	text := "a:x:1:u\nb:x:2:uu,u \nc:x:3:\nd:x:4\ne:x:-5:u\nf:x::u\ng:x:7:" + many + "u\nu:x:8:v"
	gids, err := GroupsOf(file(t, text), "u")
	if err != nil || !slices.Equal(gids, []uint32{1, 2, 7}) {
		t.Errorf("%v, %v", gids, err)
	}
	if gid, found, err := FindGroup(file(t, text), "u"); gid != 8 || !found || err != nil {
		t.Errorf("%d, %v, %v", gid, found, err)
	}
	if _, found, err := FindGroup(file(t, text), "e"); found || err != nil {
		t.Errorf("%v, %v", found, err)
	}
}

func TestAFileWithoutEndAndWhatIsNoFileAreErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hole")
	f, err := os.Create(path)
	if err == nil {
		err = f.Truncate(1 << 40)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, _, err := FindUser(int(f.Fd()), named("u")); err == nil || !strings.Contains(err.Error(), "32 MiB") {
		t.Errorf("a hole: %v", err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if _, _, err := FindUser(int(null.Fd()), named("u")); err == nil {
		t.Error("a device is no error")
	}
}

func FuzzTheDatabaseOfAContainer(f *testing.F) {
	f.Add("root:x:0:0::/root:/bin/sh\nu:x:1:1\n", "u")
	f.Add("g:x:1:a,b,u\n", "u")
	f.Fuzz(func(t *testing.T, text, name string) {
		u, found, err := FindUser(file(t, text), named(name))
		if err != nil {
			t.Fatal(err)
		}
		if found && !strings.Contains(text, name+":") {
			t.Errorf("found %+v", u)
		}
		if _, err := GroupsOf(file(t, text), name); err != nil {
			t.Fatal(err)
		}
	})
}
