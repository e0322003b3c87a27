package seccomp

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// warnings collects what Cached warns of.
type warnings struct {
	sync.Mutex
	list []error
}

func (w *warnings) add(err error) {
	w.Lock()
	defer w.Unlock()
	w.list = append(w.list, err)
}

// cached calls Cached on a small profile and returns the filter, the warnings
// and the files there are then.
func cached(t *testing.T, dir string) (*Filter, []error, []string) {
	t.Helper()
	var w warnings
	f, err := Cached(dir, rule(specs.ActErrno, nil, "getpgid"), IgnoreUnknown, w.add)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return f, w.list, files
}

func TestTheSecondTimeTheFileIsUsed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "cache")
	first, warned, files := cached(t, dir)
	if len(warned) != 0 || len(files) != 1 {
		t.Fatalf("warnings %v, files %v", warned, files)
	}
	info, err := os.Stat(files[0])
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	second, warned, _ := cached(t, dir)
	if len(warned) != 0 || !reflect.DeepEqual(first, second) {
		t.Errorf("warnings %v, %v and %v", warned, first, second)
	}

	// Proof that the file is what is used: another filter under the same key.
	var k key
	copy(k[:], mustDecodeKey(t, files[0]))
	other := &Filter{Program: encode(ret(7)), Flags: 2}
	if err := os.WriteFile(files[0], encodeEntry(k, other), 0o600); err != nil {
		t.Fatal(err)
	}
	if third, warned, _ := cached(t, dir); len(warned) != 0 || !reflect.DeepEqual(third, other) {
		t.Errorf("warnings %v, %v", warned, third)
	}
}

// mustDecodeKey returns the key in the name of a cached file.
func mustDecodeKey(t *testing.T, file string) []byte {
	t.Helper()
	name := filepath.Base(file)
	k := make([]byte, 0, len(name)/2)
	for i := 0; i < len(name); i += 2 {
		b, err := strconv.ParseUint(name[i:i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		k = append(k, byte(b))
	}
	return k
}

func TestADamagedFileIsReplaced(t *testing.T) {
	tests := []struct {
		name   string
		damage func(file string) error
	}{
		{"a bit flipped", func(file string) error {
			return rewrite(file, func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
		}},
		{"truncated", func(file string) error { return rewrite(file, func(b []byte) []byte { return b[:len(b)-1] }) }},
		{"empty", func(file string) error { return rewrite(file, func([]byte) []byte { return nil }) }},
		{"too long", func(file string) error {
			return rewrite(file, func(b []byte) []byte { return append(b, make([]byte, maxEntry)...) })
		}},
		{"a filter for something else", func(file string) error {
			return rewrite(file, func([]byte) []byte { return encodeEntry(key{}, &Filter{Program: encode(ret(allow))}) })
		}},
		{"writable by others", func(file string) error { return os.Chmod(file, 0o666) }},
		{"of another user (needs root)", func(file string) error { return os.Chown(file, 12345, 12345) }},
		{"a symbolic link", func(file string) error {
			elsewhere := filepath.Join(filepath.Dir(filepath.Dir(file)), "x")
			return errors.Join(os.Rename(file, elsewhere), os.Symlink(elsewhere, file))
		}},
		{"a fifo", func(file string) error { return errors.Join(os.Remove(file), unix.Mkfifo(file, 0o600)) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "cache")
			want, _, files := cached(t, dir)
			skipOrFail(t, tt.damage(files[0]))
			got, warned, _ := cached(t, dir)
			if len(warned) != 1 || !reflect.DeepEqual(got, want) {
				t.Errorf("warnings %v, filter %v, want %v", warned, got, want)
			}
			again, warned, files := cached(t, dir)
			if len(warned) != 0 || len(files) != 1 || !reflect.DeepEqual(again, want) {
				t.Errorf("not repaired: warnings %v, files %v", warned, files)
			}
		})
	}
}

func rewrite(file string, change func([]byte) []byte) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, change(b), 0o600)
}

// skipOrFail skips a case that this user may not prepare.
func skipOrFail(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, os.ErrPermission) {
		t.Skip(err)
	}
	must(t, err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestADirectoryThatOthersCanWriteIsNotUsed(t *testing.T) {
	tests := []struct {
		name string
		make func(dir string) error
	}{
		{"group may write", func(dir string) error { return errors.Join(os.Mkdir(dir, 0), os.Chmod(dir, 0o770)) }},
		{"all may write", func(dir string) error {
			return errors.Join(os.Mkdir(dir, 0), os.Chmod(dir, os.ModeSticky|0o777))
		}},
		{"another user's (needs root)", func(dir string) error {
			return errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, 12345, 12345))
		}},
		{"a symbolic link", func(dir string) error {
			return errors.Join(os.Mkdir(dir+"2", 0o700), os.Symlink(dir+"2", dir))
		}},
		{"a file", func(dir string) error { return os.WriteFile(dir, nil, 0o600) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "cache")
			skipOrFail(t, tt.make(dir))
			f, warned, files := cached(t, dir)
			if f == nil || len(warned) != 1 || len(files) != 0 {
				t.Errorf("filter %v, warnings %v, files %v", f, warned, files)
			}
		})
	}
}

func TestManyWritersLeaveOneFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	want := mustCompile(t, rule(specs.ActErrno, nil, "getpgid"))
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for range 8 {
				f, err := Cached(dir, rule(specs.ActErrno, nil, "getpgid"), IgnoreUnknown, func(err error) { t.Error(err) })
				if err != nil || !bytes.Equal(f.Program, want.Program) {
					t.Errorf("%v, %v", f, err)
				}
			}
		})
	}
	group.Wait()
	if _, _, files := cached(t, dir); len(files) != 1 {
		t.Errorf("files %v", files)
	}
}

func TestTheOldestFilesAreEvicted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	must(t, os.Mkdir(dir, 0o700))
	for i := range maxCached + 10 {
		file := filepath.Join(dir, strconv.Itoa(i))
		must(t, os.WriteFile(file, nil, 0o600))
		when := time.Now().Add(time.Duration(i-1000) * time.Second)
		must(t, os.Chtimes(file, when, when))
	}
	_, warned, files := cached(t, dir)
	if len(warned) != 0 || len(files) != maxCached {
		t.Fatalf("warnings %v, %d files", warned, len(files))
	}
	for i := range maxCached + 10 {
		_, err := os.Stat(filepath.Join(dir, strconv.Itoa(i)))
		if gone := i < 11; gone != os.IsNotExist(err) {
			t.Errorf("file %d: %v", i, err)
		}
	}
}

func TestEveryFieldOfAProfileIsInTheKey(t *testing.T) {
	base := func() *specs.LinuxSeccomp {
		p := rule(specs.ActErrno, value(1), "getpgid", "mount")
		p.Syscalls[0].Args = []specs.LinuxSeccompArg{{Index: 1, Value: 2, ValueTwo: 3, Op: specs.OpEqualTo}}
		p.DefaultErrnoRet = value(2)
		p.Architectures = []specs.Arch{specs.ArchX86}
		p.Flags = []specs.LinuxSeccompFlag{}
		return p
	}
	changes := map[string]func(*specs.LinuxSeccomp){
		"nothing":          func(*specs.LinuxSeccomp) {},
		"default action":   func(p *specs.LinuxSeccomp) { p.DefaultAction = specs.ActLog },
		"default errno":    func(p *specs.LinuxSeccomp) { *p.DefaultErrnoRet = 3 },
		"no default errno": func(p *specs.LinuxSeccomp) { p.DefaultErrnoRet = nil },
		"architecture":     func(p *specs.LinuxSeccomp) { p.Architectures[0] = specs.ArchX32 },
		"no flags":         func(p *specs.LinuxSeccomp) { p.Flags = nil },
		"a flag":           func(p *specs.LinuxSeccomp) { p.Flags = append(p.Flags, specs.LinuxSeccompFlagLog) },
		"listener":         func(p *specs.LinuxSeccomp) { p.ListenerPath = "" },
		"metadata":         func(p *specs.LinuxSeccomp) { p.ListenerMetadata = "x" },
		"action":           func(p *specs.LinuxSeccomp) { p.Syscalls[0].Action = specs.ActTrace },
		"errno":            func(p *specs.LinuxSeccomp) { *p.Syscalls[0].ErrnoRet = 9 },
		"no errno":         func(p *specs.LinuxSeccomp) { p.Syscalls[0].ErrnoRet = nil },
		"name":             func(p *specs.LinuxSeccomp) { p.Syscalls[0].Names[1] = "umount" },
		"names joined":     func(p *specs.LinuxSeccomp) { p.Syscalls[0].Names = []string{"getpgidmount"} },
		"index":            func(p *specs.LinuxSeccomp) { p.Syscalls[0].Args[0].Index = 2 },
		"value":            func(p *specs.LinuxSeccomp) { p.Syscalls[0].Args[0].Value = 1 },
		"second value":     func(p *specs.LinuxSeccomp) { p.Syscalls[0].Args[0].ValueTwo = 1 },
		"operator":         func(p *specs.LinuxSeccomp) { p.Syscalls[0].Args[0].Op = specs.OpNotEqual },
		"another rule":     func(p *specs.LinuxSeccomp) { p.Syscalls = append(p.Syscalls, p.Syscalls[0]) },
	}
	seen := map[key]string{}
	for name, change := range changes {
		p := base()
		change(p)
		k, err := keyOf(p, IgnoreUnknown)
		must(t, err)
		if other, ok := seen[k]; ok {
			t.Errorf("%q and %q have the same key", name, other)
		}
		seen[k] = name
	}
	a, _ := keyOf(base(), IgnoreUnknown)
	b, _ := keyOf(base(), IgnoreUnknown)
	if a != b {
		t.Error("equal profiles have different keys")
	}
	if strict, err := keyOf(base(), RefuseUnknown); err != nil || strict == a {
		t.Errorf("what is refused when strict has the key of what is not: %v", err)
	}
}
