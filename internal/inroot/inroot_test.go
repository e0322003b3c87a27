package inroot

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"hull/internal/testkit"
)

// fixture makes a root and, beside it, a canary that nothing may touch.
func fixture(t *testing.T, lines ...string) (root Root, dir, canary string) {
	t.Helper()
	top := t.TempDir()
	dir, canary = filepath.Join(top, "root"), filepath.Join(top, "canary")
	testkit.Tree(t, top, "dir root", "file canary/alive yes")
	testkit.Tree(t, dir, lines...)
	root, err := OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(root.Close)
	t.Cleanup(func() {
		if got := testkit.List(t, canary); !slices.Equal(got, []string{"alive ----------"}) {
			t.Errorf("the canary was touched: %q", got)
		}
	})
	return root, dir, canary
}

func TestOpenResolvesInsideTheRoot(t *testing.T) {
	root, dir, canary := fixture(t,
		"file etc/real x", "symlink absolute /etc/real", "symlink climbing ../../../etc/real",
		"symlink etc/up ../../canary/alive", "symlink loop loop", "dir d")
	if err := os.Symlink(canary+"/alive", filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	var want unix.Stat_t
	if err := unix.Stat(dir+"/etc/real", &want); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path string
		err  error
	}{
		{"/etc/real", nil},
		{"etc/real", nil},
		{"/../../etc/real", nil},
		{"/absolute", nil},
		{"/climbing", nil},
		{"/etc/up", unix.ENOENT},
		{"/out", unix.ENOENT},
		{"/loop", unix.ELOOP},
		{"/missing", unix.ENOENT},
		{"/etc/real/x", unix.ENOTDIR},
		{"", unix.ENOENT},
		{"a\x00b", unix.EINVAL},
	} {
		h, err := root.Open(c.path)
		if !errors.Is(err, c.err) {
			t.Errorf("Open(%q): %v, want %v", c.path, err, c.err)
			continue
		}
		if err != nil {
			continue
		}
		st, err := h.Stat()
		h.Close()
		if err != nil || st.Ino != want.Ino {
			t.Errorf("Open(%q) is inode %d, %v", c.path, st.Ino, err)
		}
	}
}

func TestOpenPlainRefusesAnySymbolicLink(t *testing.T) {
	root, _, _ := fixture(t, "file real/x", "symlink link real")
	if _, err := root.OpenPlain("/link/x", unix.O_PATH); !errors.Is(err, unix.ELOOP) {
		t.Errorf("through a link: %v, want ELOOP", err)
	}
	h, err := root.OpenPlain("/real/x", unix.O_PATH)
	if err != nil {
		t.Error(err)
	}
	h.Close()
}

func TestReadlinkGivesTheContentUnresolved(t *testing.T) {
	root, _, _ := fixture(t, "symlink a/link ../../somewhere", "symlink b /a")
	if got, err := root.Readlink("/b/link"); err != nil || got != "../../somewhere" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestMkdirAllFollowsDanglingLinksInside(t *testing.T) {
	for _, c := range []struct {
		name, link, path, want string
		err                    error
	}{
		{"a plain path", "", "/x/y/z", "x/y/z", nil},
		{"an absolute link to nothing", "symlink var/run /run/deep", "/var/run/a", "run/deep/a", nil},
		{"a climbing link to nothing", "symlink v ../../../../canary", "/v/a", "canary/a", nil},
		{"a relative link to nothing", "symlink a/b c/d", "/a/b/e", "a/c/d/e", nil},
		{"dots after what is missing", "", "/m/n/../o", "m/o", nil},
		{"a file in the way", "file f", "/f/a", "", unix.ENOTDIR},
		{"links that point at each other", "symlink p /q/x", "/p/a", "q/x/a", nil},
		{"a link to itself", "symlink self self", "/self/a", "", unix.ELOOP},
	} {
		t.Run(c.name, func(t *testing.T) {
			var lines []string
			if c.link != "" {
				lines = []string{c.link}
			}
			root, dir, _ := fixture(t, lines...)
			h, err := root.MkdirAll(c.path, 0o755)
			h.Close()
			if !errors.Is(err, c.err) {
				t.Fatalf("got %v, want %v", err, c.err)
			}
			if fi, err := os.Lstat(filepath.Join(dir, c.want)); err != nil || !fi.IsDir() {
				t.Errorf("%s was not made: %v", c.want, err)
			}
		})
	}
}

func TestCreateFileKeepsWhatExistsAndMakesWhatDoesNot(t *testing.T) {
	root, dir, canary := fixture(t, "file there content", "symlink dangling /new/file")
	if err := os.Symlink(canary+"/made", filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/there": "there", "/a/b": "a/b", "/dangling": "new/file", "/out": canary[1:] + "/made",
	} {
		h, err := root.CreateFile(path, 0o644)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		h.Close()
		if fi, err := os.Lstat(filepath.Join(dir, want)); err != nil || !fi.Mode().IsRegular() {
			t.Errorf("%s: %s is no file: %v", path, want, err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "there")); err != nil || string(b) != "content" {
		t.Errorf("the existing file now has %q, %v", b, err)
	}
}

func TestSymlinkIsIdempotentAndReplacesNothing(t *testing.T) {
	root, _, _ := fixture(t, "symlink dev /d", "dir d", "file d/file")
	for _, c := range []struct {
		path, content string
		err           error
	}{
		{"/dev/fd", "/proc/self/fd", nil},
		{"/dev/fd", "/proc/self/fd", nil},
		{"/dev/fd", "elsewhere", unix.EEXIST},
		{"/dev/file", "x", unix.EEXIST},
		{"/dev/..", "x", unix.EISDIR},
	} {
		if err := root.Symlink(c.content, c.path); !errors.Is(err, c.err) {
			t.Errorf("%s → %s: %v, want %v", c.path, c.content, err, c.err)
		}
	}
}

func TestHandlesTakeSingleNamesOnly(t *testing.T) {
	root, _, _ := fixture(t)
	for _, name := range []string{"", ".", "..", "../canary/x", "a/b", "/x"} {
		if err := root.Mkdir(name, 0o755); !errors.Is(err, unix.EINVAL) {
			t.Errorf("Mkdir(%q): %v", name, err)
		}
		if err := root.Mknod(name, unix.S_IFREG, 0); !errors.Is(err, unix.EINVAL) {
			t.Errorf("Mknod(%q): %v", name, err)
		}
		if err := root.Handle.Symlink("x", name); !errors.Is(err, unix.EINVAL) {
			t.Errorf("Symlink(%q): %v", name, err)
		}
	}
}

func TestTheZeroHandleIsNotStandardInput(t *testing.T) {
	var h Handle
	if h.Valid() || h.FD() != -1 {
		t.Errorf("the zero handle stands for %d", h.FD())
	}
	h.Close()
	if _, err := unix.FcntlInt(0, unix.F_GETFD, 0); err != nil {
		t.Errorf("closing it closed standard input: %v", err)
	}
}

// An attacker exchanges a directory of a shared volume with a link to the
// outside as fast as it can, while things are made below it.
func TestNothingIsMadeOutsideWhileAnAttackerExchangesComponents(t *testing.T) {
	root, dir, canary := fixture(t, "dir vol/a")
	if err := os.Symlink(canary, dir+"/vol/b"); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan int)
	go exchange(dir+"/vol/a", dir+"/vol/b", stop, stopped)
	var worked int
	for i := range 300 {
		name := "/vol/a/" + string(rune('a'+i%26)) + "/" + string(rune('a'+i/26%26)) + "/" + string(rune('a'+i/676))
		if h, err := root.MkdirAll(name, 0o755); err == nil {
			worked++
			h.Close()
		}
		if h, err := root.CreateFile(name+"/f", 0o644); err == nil {
			h.Close()
		}
		_ = root.Symlink("x", name+"-l")
	}
	close(stop)
	if n := <-stopped; n < 100 || worked < 20 {
		t.Errorf("no race happened: %d exchanges, %d directories", n, worked)
	}
}

func exchange(a, b string, stop <-chan struct{}, stopped chan<- int) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			stopped <- n
			return
		default:
			_ = unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
		}
	}
}
