package tests

import (
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// leaky are descriptors that an engine might forget to close: directories of
// the host, a file, a socket, a pipe. They begin at 3.
func leaky(t *testing.T) []*os.File {
	t.Helper()
	var files []*os.File
	add := func(f *os.File, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		files = append(files, f)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		t.Fatalf("a listener of type %T", l)
	}
	socket, err := tcp.File()
	add(socket, err)
	r, w, err := os.Pipe()
	add(r, err)
	add(w, nil)
	for _, path := range []string{"/etc/passwd", "/proc/self/ns/mnt"} {
		add(os.Open(path))
	}
	for len(files) < 18 { // up to 20
		add(os.Open([]string{"/", "/sys/fs/cgroup", "/proc", "/tmp"}[len(files)%4]))
	}
	return files
}

// Rows CVE-2016-9962 and CVE-2024-21626.
func TestNoDescriptorOfTheHostReachesTheContainer(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	numbers := func(s sight) []string {
		var n []string
		for fd := range get[map[string]string](t, s, "fds") {
			n = append(n, fd)
		}
		slices.Sort(n)
		return n
	}
	run := h.command("run", "--bundle", h.newBundle([]string{"fds"}).dir, newID())
	run.ExtraFiles = leaky(t)
	equal(t, "descriptors of run", numbers(parseSight(t, h.finish(run).stdout)), []string{"0", "1", "2"})

	c := h.start([]string{"fds"})
	equal(t, "descriptors of create", numbers(c.see()), []string{"0", "1", "2"})
	exec := h.command("exec", c.id, "/probe", "fds")
	exec.ExtraFiles = leaky(t)
	equal(t, "descriptors of exec", numbers(parseSight(t, h.finish(exec).stdout)), []string{"0", "1", "2"})
}

// Row CVE-2024-21626.
func TestADescriptorIsNoWorkingDirectory(t *testing.T) {
	h := newHost(t)
	h.leavesNothing()
	b := h.newBundle([]string{"list=..", "cwd"})
	c := h.create(h.newBundle([]string{"sleep"}))
	h.must("start", c.id)
	for n := 3; n <= 20; n++ {
		cwd := fmt.Sprintf("/proc/self/fd/%d", n)
		b.config.Process.Cwd = cwd
		b.save(t)
		run := h.command("run", "--bundle", b.dir, newID())
		run.ExtraFiles = leaky(t)
		exec := h.command("exec", "--cwd", cwd, c.id, "/probe", "list=..", "cwd")
		exec.ExtraFiles = run.ExtraFiles
		for name, cmd := range map[string]*osexec.Cmd{"run": run, "exec": exec} {
			if r := h.finish(cmd); r.status == 0 {
				t.Errorf("%s in %s: %s", name, cwd, r.stdout)
			} else if !strings.Contains(r.stderr, "process.cwd") {
				t.Errorf("%s in %s: %s", name, cwd, r.stderr)
			}
		}
	}
	h.must("delete", "--force", c.id)
}

// Row CVE-2016-9962: who may look into a process is told by the owner of its
// files in /proc, which is root while the process is not dumpable (proc(5)).
func TestInitCannotBeLookedIntoBeforeItIsTheProgram(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"prctl=dumpable", "sleep"}, func(s *specs.Spec) { s.Process.User.UID = 1000 })
	c := h.create(b)
	owner := func() uint32 {
		var st syscall.Stat_t
		if err := syscall.Stat(fmt.Sprintf("/proc/%d/environ", c.pid), &st); err != nil {
			t.Fatal(err)
		}
		return st.Uid
	}
	equal(t, "owner of init's files", owner(), 0)
	h.must("start", c.id)
	equal(t, "dumpable", get[int](t, c.see(), "prctl=dumpable"), 1)
	equal(t, "owner of the program's files", owner(), 1000)
}

// hullCopy is a copy of the runtime, for tests that try to destroy it.
func hullCopy(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hull")
	copyFile(t, suite.runtime, path)
	return path
}

// Rows CVE-2019-5736 and CVE-2020-14298.
func TestTheExecutableCannotBeOverwritten(t *testing.T) {
	h := newHost(t)
	runtime := hullCopy(t)
	before := sha256.Sum256([]byte(readFile(t, runtime)))
	intact := func(t *testing.T) {
		t.Helper()
		if sha256.Sum256([]byte(readFile(t, runtime))) != before {
			t.Error("the executable has been changed")
		}
	}
	t.Run("by an image whose program is the runtime", func(t *testing.T) {
		h := &host{t: t, root: h.root}
		b := h.newBundle(nil, allCapabilities, writableRoot, func(s *specs.Spec) { s.Process.Args = []string{"/entry"} })
		writeFile(t, b.path("rootfs/entry"), "#!/proc/self/exe\n")
		if err := os.Chmod(b.path("rootfs/entry"), 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := h.command("run", "--bundle", b.dir, newID())
		cmd.Path = runtime
		h.finish(cmd)
		intact(t)
	})
	t.Run("by a process that waits for execs", func(t *testing.T) {
		h := &host{t: t, root: h.root}
		attack := fmt.Sprintf("overwrite=%d", pace())
		c := h.start([]string{attack}, allCapabilities, noNewPrivileges(false))
		for execs := 0; execs < 12 || readFile(t, c.out) == ""; execs++ {
			// While the kernel refuses to open it for writing, it executes it for nobody
			// (ETXTBSY, of which the shell makes 126).
			const retry = `for try in 1 2 3 4 5; do "$@"; s=$?; [ $s = 126 ] || break; done; exit $s`
			cmd := h.command("exec", c.id, "/bin/true")
			cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", retry, "sh", runtime}, cmd.Args[1:]...)
			if r := h.finish(cmd); r.status != 0 {
				t.Error(r.stderr)
			}
		}
		seen := get[map[string][]string](t, c.see(), attack)
		if len(seen["held"]) == 0 {
			t.Error("the attacker never saw the runtime, which proves nothing")
		}
		equal(t, "what the attacker wrote to", seen["wrote"], []string{})
		intact(t)
	})
}
