package tests

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	docker "github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Nothing that the probe or its Go runtime needs.
const getpgid, callGetpgid = "getpgid", "syscall=121"

// filter is a profile that allows everything but getpgid(2).
func filter(action specs.LinuxSeccompAction, errno *uint) *specs.LinuxSeccomp {
	return &specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow,
		Syscalls:      []specs.LinuxSyscall{{Names: []string{getpgid}, Action: action, ErrnoRet: errno}},
	}
}

func withFilter(f *specs.LinuxSeccomp) edit {
	return func(s *specs.Spec) { s.Linux.Seccomp = f }
}

func TestAFilterActsOnTheSystemCall(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, nnp := range []bool{true, false} {
		for name, tt := range map[string]struct {
			filter *specs.LinuxSeccomp
			want   string
		}{
			"errno of the profile": {filter(specs.ActErrno, pointer(uint(unix.EOPNOTSUPP))), "operation not supported"},
			"errno by default":     {filter(specs.ActErrno, nil), "operation not permitted"},
			"log and go on":        {filter(specs.ActLog, nil), ""},
			"allow":                {filter(specs.ActAllow, nil), ""},
		} {
			t.Run(name+map[bool]string{true: ", with no_new_privs", false: ", without no_new_privs"}[nnp], func(t *testing.T) {
				h := &host{t: t, root: h.root}
				s := h.probe([]string{callGetpgid, "status=Seccomp", "pid"}, withFilter(tt.filter), noNewPrivileges(nnp))
				equal(t, "getpgid", s.failure(callGetpgid), tt.want)
				if tt.filter.Syscalls[0].Action != specs.ActAllow {
					equal(t, "mode", get[string](t, s, "status=Seccomp"), "2")
				}
			})
		}
	}
	t.Run("kill the process", func(t *testing.T) {
		h := &host{t: t, root: h.root}
		b := h.newBundle([]string{callGetpgid, "pid"}, withFilter(filter(specs.ActKillProcess, nil)))
		if r := h.try("run", "--bundle", b.dir, newID()); r.status != 128+int(unix.SIGSYS) {
			t.Errorf("status %d\n%s", r.status, r.stdout)
		}
	})
	t.Run("kill the thread, and there is but one", func(t *testing.T) {
		h := &host{t: t, root: h.root}
		f := filter(specs.ActKill, nil)
		f.Syscalls[0].Names = []string{"uname"}
		b := h.withShell(withFilter(f), func(s *specs.Spec) { s.Process.Args = []string{"/bin/busybox", "uname"} })
		if r := h.try("run", "--bundle", b.dir, newID()); r.status != 128+int(unix.SIGSYS) {
			t.Errorf("status %d\n%s", r.status, r.stdout)
		}
	})
}

//proves:linux.seccomp linux.seccomp.defaultAction=SCMP_ACT_ERRNO
func TestASystemCallNewerThanTheProfileDoesNotExist(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	// Docker's: what it leaves out is EPERM, what it cannot know is ENOSYS.
	const add, future = "syscall=248", "kernel=600" // add_key(2)
	s := h.probe([]string{add, future}, dockerProfile(t))
	equal(t, "add_key", s.failure(add), "operation not permitted")
	equal(t, "a system call of the future", get[string](t, s, future), "errno 38")
}

func dockerProfile(t *testing.T) edit {
	t.Helper()
	return func(s *specs.Spec) {
		p, err := docker.GetDefaultProfile(s)
		if err != nil {
			t.Fatal(err)
		}
		s.Linux.Seccomp = p
	}
}

func TestAnExecIsUnderTheFilterToo(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil, withFilter(filter(specs.ActErrno, pointer(uint(unix.EOPNOTSUPP)))))
	equal(t, "getpgid", c.exec(callGetpgid).failure(callGetpgid), "operation not supported")
}

//proves:linux.seccomp.defaultAction linux.seccomp.syscalls[].action linux.seccomp.syscalls[].names
//proves:linux.seccomp.architectures linux.seccomp.flags linux.seccomp.syscalls[].args[].op linux.seccomp.listenerPath
func TestFiltersThatCannotWorkAreRefused(t *testing.T) {
	h := newHost(t)
	for name, tt := range some(map[string]struct {
		change func(*specs.LinuxSeccomp)
		words  []string
	}{
		"an action that does not exist":       {func(f *specs.LinuxSeccomp) { f.Syscalls[0].Action = "SCMP_ACT_CAKE" }, []string{"linux.seccomp.syscalls[0].action", "SCMP_ACT_CAKE"}},
		"a default that does not exist":       {func(f *specs.LinuxSeccomp) { f.DefaultAction = "x" }, []string{"linux.seccomp.defaultAction"}},
		"an architecture that does not exist": {func(f *specs.LinuxSeccomp) { f.Architectures = []specs.Arch{"SCMP_ARCH_CAKE"} }, []string{"linux.seccomp.architectures[0]"}},
		"a flag that does not exist":          {func(f *specs.LinuxSeccomp) { f.Flags = []specs.LinuxSeccompFlag{"CAKE"} }, []string{"linux.seccomp.flags[0]", "CAKE"}},
		"an operator that does not exist": {func(f *specs.LinuxSeccomp) {
			f.Syscalls[0].Args = []specs.LinuxSeccompArg{{Index: 0, Op: "CAKE"}}
		}, []string{"linux.seccomp.syscalls[0].args[0]"}},
		"no names":                {func(f *specs.LinuxSeccomp) { f.Syscalls[0].Names = nil }, []string{"linux.seccomp.syscalls[0].names"}},
		"metadata without a path": {func(f *specs.LinuxSeccomp) { f.ListenerMetadata = "x" }, []string{"linux.seccomp.listenerMetadata", "listenerPath"}},
		"notify without a path":   {func(f *specs.LinuxSeccomp) { f.Syscalls[0].Action = specs.ActNotify }, []string{"linux.seccomp.listenerPath"}},
		"notify without a agent": {func(f *specs.LinuxSeccomp) {
			f.Syscalls[0].Action = specs.ActNotify
			f.ListenerPath = "/nowhere/socket"
		}, []string{"linux.seccomp.listenerPath", "/nowhere/socket"}},
	}) {
		t.Run(name, func(t *testing.T) {
			f := filter(specs.ActErrno, nil)
			tt.change(f)
			(&host{t: t, root: h.root}).fails(tt.words, withFilter(f))
		})
	}
}

// cached returns the files of the cache.
func (h *host) cached() []string {
	h.t.Helper()
	files, err := filepath.Glob(filepath.Join(h.root, ".filters:seccomp/*"))
	if err != nil {
		h.t.Fatal(err)
	}
	return files
}

// The file of the first container is given another filter, as it would be written:
// the second is under that, and so under none that was compiled for it.
func TestAFilterIsCompiledOnce(t *testing.T) {
	h := newHost(t)
	b := h.newBundle([]string{makeGetpgid}, withFilter(filter(specs.ActErrno, pointer(uint(unix.EOPNOTSUPP)))))
	answers := func() unix.Errno { return get[called](t, h.run(b), makeGetpgid).Errno }
	equal(t, "what the compiled filter answers", answers(), unix.EOPNOTSUPP)
	equal(t, "files in the cache", len(h.cached()), 1)
	file := h.cached()[0]
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const sum = sha256.Size
	verdict := func(errno unix.Errno) []byte {
		return binary.NativeEndian.AppendUint32(nil, unix.SECCOMP_RET_ERRNO|uint32(errno))
	}
	other := bytes.ReplaceAll(text[:len(text)-sum], verdict(unix.EOPNOTSUPP), verdict(unix.EXFULL))
	equal(t, "whether the filter in the cache is another", bytes.Equal(other, text[:len(text)-sum]), false)
	check := sha256.Sum256(other)
	if err := os.WriteFile(file, append(other, check[:]...), 0o600); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "what the filter in the cache answers", answers(), unix.EXFULL)
	after, err := os.Stat(file)
	if err != nil || !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
		t.Errorf("the second container wrote the filter again: %v", err)
	}
}

func TestABrokenCacheIsNotBelieved(t *testing.T) {
	h := newHost(t)
	b := h.newBundle([]string{callGetpgid}, withFilter(filter(specs.ActErrno, pointer(uint(unix.EOPNOTSUPP)))))
	h.run(b)
	file := h.cached()[0]
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-9] ^= 1
	for name, spoil := range map[string]func() error{
		"a flipped bit":         func() error { return os.WriteFile(file, flipped, 0o600) },
		"half a file":           func() error { return os.WriteFile(file, whole[:len(whole)/2], 0o600) },
		"an empty file":         func() error { return os.WriteFile(file, nil, 0o600) },
		"a file of anyone's":    func() error { return os.Chmod(file, 0o666) },
		"a symbolic link":       func() error { _ = os.Remove(file); return os.Symlink("/etc/passwd", file) },
		"a fifo":                func() error { _ = os.Remove(file); return unix.Mkfifo(file, 0o600) },
		"a directory of anyone": func() error { return os.Chmod(filepath.Dir(file), 0o777) },
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			if err := spoil(); err != nil {
				t.Fatal(err)
			}
			r := h.try("run", "--bundle", b.dir, newID())
			if r.status != 0 {
				t.Fatal(r.stderr)
			}
			equal(t, "getpgid", parseSight(t, r.stdout).failure(callGetpgid), "operation not supported")
			if !strings.Contains(r.stderr, "level=warning") {
				t.Errorf("no warning: %q", r.stderr)
			}
			if name == "a directory of anyone" {
				if err := os.Chmod(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
			} else if now := readFile(t, file); now != string(whole) {
				t.Error("the file was not repaired")
			}
		})
	}
}
