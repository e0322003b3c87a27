package state_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hull/internal/record"
	"hull/internal/testkit"
	"hull/libcontainer/plan"
	"hull/state"
)

// section is what another package keeps in the record.
type section struct{ Path string }

func (s *section) Walk(w *record.Walker) { w.String("path", &s.Path) }

// create makes a container that is closed at the end of the test.
func create(t *testing.T, root, id string) *state.Dir {
	t.Helper()
	d, err := state.Create(root, id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// reopen opens the container c once more.
func reopen(t *testing.T, root string) *state.Dir {
	t.Helper()
	d, err := state.Open(root, "c")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func TestOnlyPlainNamesAreIDs(t *testing.T) {
	for _, id := range []string{"a", "0", "A_b+c-d.e", ".hidden", "...", "-", strings.Repeat("x", 200)} {
		if err := state.ValidateID(id); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	for _, id := range []string{
		"", ".", "..", "/", "a/b", "../a", "a b", "a\n", "a\x00b", "ä", "\xff", "a:b", "a\\b", "a*", "$a", "~", strings.Repeat("x", 201),
	} {
		err := state.ValidateID(id)
		if err == nil {
			t.Errorf("%q is taken for an ID", id)
			continue
		}
		if strings.ContainsAny(err.Error(), "\n\x00") || len(err.Error()) > 250 {
			t.Errorf("%q: the error is not a line that can be printed: %q", id, err)
		}
		root := t.TempDir()
		if _, err := state.Create(root, id); err == nil {
			t.Errorf("%q can be created", id)
		}
		if _, err := state.Open(root, id); err == nil {
			t.Errorf("%q can be opened", id)
		}
		if got := testkit.List(t, root); len(got) > 0 {
			t.Errorf("%q left %q", id, got)
		}
	}
}

func TestAContainerIsCreatedOnceAndListedUntilItIsRemoved(t *testing.T) {
	root := filepath.Join(t.TempDir(), "deep", "root")
	if _, err := state.List(root); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("List() without a root = %v, want fs.ErrNotExist", err)
	}
	d := create(t, root, "b")
	create(t, root, "a")
	if _, err := state.Create(root, "b"); !errors.Is(err, state.ErrExist) {
		t.Errorf("Create() of a container that exists = %v, want ErrExist", err)
	}
	testkit.Tree(t, root, "file not-a-container", "dir .filters:seccomp", "symlink link a", "dir in=valid")
	if ids, err := state.List(root); err != nil || !slices.Equal(ids, []string{"a", "b"}) {
		t.Errorf("List() = %q, %v, want a and b", ids, err)
	}
	if d.Removed() {
		t.Error("Removed() before Remove")
	}
	for range 2 {
		if err := d.Remove(); err != nil {
			t.Errorf("Remove() = %v", err)
		}
	}
	if !d.Removed() {
		t.Error("Removed() after Remove is false")
	}
	if _, err := state.Open(root, "b"); !errors.Is(err, state.ErrNotExist) {
		t.Errorf("Open() after Remove = %v, want ErrNotExist", err)
	}
	create(t, root, "b")
}

func TestOthersCannotLookIntoTheRoot(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	create(t, root, "a")
	info, err := os.Stat(root)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the root has mode %v, %v", info.Mode(), err)
	}
}

func TestWhatIsNoDirectoryIsNoContainer(t *testing.T) {
	root := t.TempDir()
	testkit.Tree(t, root, "dir elsewhere", "symlink link elsewhere", "symlink nowhere missing", "file file", "fifo fifo")
	for _, id := range []string{"link", "nowhere", "file", "fifo", "missing"} {
		if _, err := state.Open(root, id); !errors.Is(err, state.ErrNotExist) {
			t.Errorf("Open(%q) = %v, want ErrNotExist", id, err)
		}
	}
	for _, id := range []string{"link", "nowhere", "file", "fifo"} {
		if _, err := state.Create(root, id); !errors.Is(err, state.ErrExist) {
			t.Errorf("Create(%q) = %v, want ErrExist", id, err)
		}
	}
}

func TestTheRecordIsReadAsItWasSaved(t *testing.T) {
	root := t.TempDir()
	d := create(t, root, "c")
	if _, err := d.Load(&section{}); !errors.Is(err, state.ErrNotExist) {
		t.Errorf("Load() before Save = %v, want ErrNotExist", err)
	}
	full := state.Record{
		OCIVersion: "1.2.0", ID: "c", Bundle: "/a bundle\nof two lines", Rootfs: "/r=1",
		Annotations: map[string]string{"": "empty", "k": "", "a.b": "ü\x00\n- x"},
		Created:     time.Date(2024, 2, 29, 23, 59, 59, 123456789, time.UTC),
		Owner:       4294967294, PID: 7, StartTime: 1<<64 - 1, Namespaces: unix.CLONE_NEWTIME, HasProcess: true,
		Cgroup:    &section{Path: "/cgroup"},
		Poststart: []plan.Hook{{Name: "hooks.poststart[0]", Path: "/p", Args: []string{"p", ""}, Env: []string{"A=b"}, TimeoutSeconds: 3}},
		Poststop:  []plan.Hook{{Path: "/q"}, {Path: "/r"}},
	}
	for name, r := range map[string]state.Record{"full": full, "nearly empty": {Cgroup: &section{}}} {
		t.Run(name, func(t *testing.T) {
			if err := d.Save(&r); err != nil {
				t.Fatal(err)
			}
			got, err := reopen(t, root).Load(&section{})
			if err != nil || !reflect.DeepEqual(*got, r) {
				t.Errorf("Load() = %+v, %v\nwant %+v", got, err, r)
			}
		})
	}
	if left := testkit.List(t, filepath.Join(root, "c")); len(left) != 1 {
		t.Errorf("Save() left %q", left)
	}
}

func TestARecordThatIsNotOursIsRefused(t *testing.T) {
	root := t.TempDir()
	d := create(t, root, "c")
	path := filepath.Join(root, "c", "record")
	if err := os.WriteFile(path, []byte("\x00garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := d.Load(&section{}); err == nil || !strings.HasPrefix(err.Error(), "decode "+path+": ") {
		t.Errorf("Load() = %+v, %v", r, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/hostname", path); err != nil {
		t.Fatal(err)
	}
	if r, err := d.Load(&section{}); !errors.Is(err, unix.ELOOP) {
		t.Errorf("Load() through a symbolic link = %+v, %v, want ELOOP", r, err)
	}
}

func TestConfigurationAndFilterAreKeptAsTheyAre(t *testing.T) {
	root := t.TempDir()
	d := create(t, root, "c")
	if _, err := d.LoadConfig(); !errors.Is(err, state.ErrNotExist) {
		t.Errorf("LoadConfig() = %v, want ErrNotExist", err)
	}
	if b, err := d.LoadFilter(); b != nil || err != nil {
		t.Errorf("LoadFilter() without one = %q, %v", b, err)
	}
	for _, want := range []string{strings.Repeat("a longer one\n", 5000), "short", ""} {
		if err := errors.Join(d.SaveConfig([]byte(want)), d.SaveFilter([]byte(want))); err != nil {
			t.Fatal(err)
		}
		other := reopen(t, root)
		if b, err := other.LoadConfig(); err != nil || string(b) != want {
			t.Errorf("LoadConfig() = %d bytes, %v, want %d", len(b), err, len(want))
		}
		if b, err := other.LoadFilter(); err != nil || string(b) != want {
			t.Errorf("LoadFilter() = %d bytes, %v, want %d", len(b), err, len(want))
		}
	}
}

func TestTheLockIsHeldFromCreateUntilUnlockOrClose(t *testing.T) {
	root := t.TempDir()
	d := create(t, root, "c")
	other := reopen(t, root)
	expectLocked(t, other)
	d.Unlock()
	expectFree(t, other)
	if locked, err := other.TryLock(); !locked || err != nil {
		t.Errorf("TryLock() = %v, %v", locked, err)
	}
	expectLocked(t, d)

	got := make(chan error)
	go func() { got <- d.Lock() }()
	select {
	case err := <-got:
		t.Fatalf("Lock() did not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	for range 2 {
		if err := other.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	}
	if err := <-got; err != nil {
		t.Errorf("Lock() = %v", err)
	}
	expectLocked(t, reopen(t, root))
}

// expectLocked asks in both ways, through a directory without the lock.
func expectLocked(t *testing.T, d *state.Dir) {
	t.Helper()
	if !d.Locked() {
		t.Error("Locked() is false while another holds the lock")
	}
	if locked, err := d.TryLock(); locked || err != nil {
		t.Errorf("TryLock() = %v, %v while another holds the lock", locked, err)
	}
}

func expectFree(t *testing.T, d *state.Dir) {
	t.Helper()
	if d.Locked() {
		t.Error("Locked() while nobody holds the lock")
	}
	if locked, err := d.TryLock(); !locked || err != nil {
		t.Errorf("TryLock() = %v, %v while nobody holds the lock", locked, err)
	}
	d.Unlock()
}
