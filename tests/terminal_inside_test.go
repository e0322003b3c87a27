package tests

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// shown is what the probe said on a terminal.
func shown(t *testing.T, text string) sight {
	t.Helper()
	from := strings.Index(text, "{")
	if from < 0 {
		t.Fatalf("the terminal shows %q", text)
	}
	return parseSight(t, text[from:])
}

//proves:process.terminal
func TestTheTerminalBelongsToTheUserOfTheProcess(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	commands := []string{"stat=/dev/pts/0", "open=/dev/pts/0", "open=/dev/tty", "readlink=/proc/self/fd/2", "tty"}
	user := func(s *specs.Spec) { s.Process.User = specs.User{UID: 1000, GID: 1000} }
	want := fileStat{Mode: "020620", Rdev: "136:0", UID: 1000, GID: 5}

	s := shown(t, h.must("run", "--bundle", h.newBundle(append(commands, "stat=/dev/console", "open=/dev/console"), terminal, user).dir, newID()))
	equal(t, "terminal", get[fileStat](t, s, "stat=/dev/pts/0"), want)
	equal(t, "console", get[fileStat](t, s, "stat=/dev/console"), want)
	for _, path := range []string{"/dev/pts/0", "/dev/tty", "/dev/console"} {
		equal(t, path, get[string](t, s, "open="+path), "opened")
	}

	c := h.start(nil)
	s = shown(t, h.must(append([]string{"exec", "--tty", "--user", "1000:1000", c.id, "/probe"}, commands...)...))
	equal(t, "terminal of an exec", get[fileStat](t, s, "stat=/dev/pts/0"), want)
	for _, path := range []string{"/dev/pts/0", "/dev/tty"} {
		equal(t, path+" of an exec", get[string](t, s, "open="+path), "opened")
	}
	equal(t, "standard error", get[string](t, s, "readlink=/proc/self/fd/2"), "/dev/pts/0")
}

//proves:process.terminal linux.namespaces[].type=user
func TestATerminalInAUserNamespaceBelongsToItsUser(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for name, tt := range map[string]struct {
		user uint32
		gid  int
		edit edit
	}{
		"its root":                   {0, 5, mapAll},
		"another user":               {1000, 5, mapAll},
		"where no group tty is":      {0, 0, mapOne},
		"without a mode of its own":  {1000, 0, func(s *specs.Spec) { mapAll(s); devptsOptions("newinstance", "ptmxmode=0666")(s) }},
		"with nothing but a devpts":  {1000, 0, func(s *specs.Spec) { mapAll(s); devptsOptions()(s) }},
		"a terminal of the group 44": {1000, 44, func(s *specs.Spec) { mapAll(s); devptsOptions("ptmxmode=0666", "mode=0620", "gid=44")(s) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &host{t: t, root: h.root}
			b := h.newBundle([]string{"stat=/dev/console", "open=/dev/tty", "tty"}, terminal, addNamespace(specs.UserNamespace, ""), tt.edit,
				func(s *specs.Spec) { s.Process.User = specs.User{UID: tt.user, GID: tt.user} })
			s := shown(t, h.must("run", "--bundle", b.dir, newID()))
			got := get[fileStat](t, s, "stat=/dev/console")
			equal(t, "owner", []int{got.UID, got.GID}, []int{int(tt.user), tt.gid})
			equal(t, "/dev/tty", get[string](t, s, "open=/dev/tty"), "opened")
		})
	}
}

// mapOne maps root and nobody else, as an unprivileged user can.
func mapOne(s *specs.Spec) {
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: mappedRoot, Size: 1}}
	s.Linux.UIDMappings, s.Linux.GIDMappings = ids, ids
	devptsOptions("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620")(s)
}

func devptsOptions(options ...string) edit {
	return func(s *specs.Spec) {
		for i := range s.Mounts {
			if s.Mounts[i].Type == "devpts" {
				s.Mounts[i].Options = options
			}
		}
	}
}

//proves:process.terminal
func TestATerminalWithoutADevptsIsAnErrorThatSaysSo(t *testing.T) {
	h := newHost(t)
	without := func(s *specs.Spec) {
		kept := s.Mounts[:0]
		for _, m := range s.Mounts {
			if m.Type != "devpts" {
				kept = append(kept, m)
			}
		}
		s.Mounts = kept
	}
	h.fails([]string{"open /dev/pts/ptmx: no such file or directory", "process.terminal needs a mount of type devpts at /dev/pts"}, terminal, without)

	c := h.start(nil, without)
	h.refuses([]string{"process.terminal needs a mount of type devpts"}, "exec", "--tty", c.id, "/probe")
	equal(t, "status", h.state(c.id).Status, specs.StateRunning)
}

// Rows CVE-2025-52565 and CVE-2026-88264: the image has prepared names that are
// looked up for a terminal. Its /dev is no mount.
func TestATerminalIsNotBentByTheImage(t *testing.T) {
	h := newHost(t)
	onlyDevpts := func(s *specs.Spec) {
		kept := s.Mounts[:0]
		for _, m := range s.Mounts {
			if m.Destination != "/dev" && !strings.HasPrefix(m.Destination, "/dev/") || m.Type == "devpts" {
				kept = append(kept, m)
			}
		}
		s.Mounts = kept
		s.Root.Readonly = false
	}
	for name, tt := range map[string]struct {
		path string
		fits bool
	}{
		"dev/console": {"dev/console", false},
		"dev/ptmx":    {"dev/ptmx", true}, // not looked at
		"dev/pts":     {"dev/pts", true},  // a link to a directory inside, where the devpts goes
	} {
		b := h.newBundle([]string{"tty", "stat=/dev/console"}, terminal, onlyDevpts)
		canary := filepath.Join(t.TempDir(), "canary")
		target := canary
		if name == "dev/pts" {
			target = "/tmp"
		}
		if err := os.Symlink(target, b.path("rootfs/"+tt.path)); err != nil {
			t.Fatal(err)
		}
		id := newID()
		r := h.try("run", "--bundle", b.dir, id)
		if (r.status == 0) != tt.fits {
			t.Errorf("%s: status %d, %s%s", name, r.status, r.stdout, r.stderr)
		}
		if !tt.fits && !strings.Contains(r.stderr, "/dev/console") {
			t.Errorf("%s: the error lacks it: %s", name, r.stderr)
		}
		if fileExists(canary) {
			t.Errorf("%s: the file that it leads to was made", name)
		}
		h.nothingRemains(id, b)
	}
}

//proves:linux.maskedPaths
func TestAMaskedConsoleIsTheContainersNullAndTheTerminalWorks(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"stat=/dev/console", "tty", "readlink=/proc/self/fd/0"}, terminal, func(s *specs.Spec) {
		s.Linux.MaskedPaths = []string{"/dev/console", "/dev/pts/0"}
	})
	s := shown(t, h.must("run", "--bundle", b.dir, newID()))
	equal(t, "console", get[fileStat](t, s, "stat=/dev/console").Rdev, "1:3")
	equal(t, "terminal", get[string](t, s, "readlink=/proc/self/fd/0"), "/dev/pts/0")
}

func TestExecHasATerminalWhereTheContainerHasNone(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil, func(s *specs.Spec) { s.Process.Env = []string{"PATH=/bin"} })
	s, wait := onTerminal(t, h, 33, 44, "exec", "--tty", c.id, "/probe", "tty", "pid", "readlink=/proc/self/fd/0", "stat=/dev/console", "open=/dev/tty", "env")
	equal(t, "exit status", wait(), 0)
	s.await("}\r\n")
	seen := shown(t, s.text())
	size := get[map[string]int](t, seen, "tty")
	equal(t, "size", []int{size["rows"], size["columns"]}, []int{33, 44})
	pid := get[map[string]int](t, seen, "pid")
	equal(t, "it leads a session, in the foreground", []int{pid["sid"], size["foreground"]}, []int{pid["pid"], pid["pid"]})
	equal(t, "no console is made", seen.failure("stat=/dev/console"), "no such file or directory")
	equal(t, "/dev/tty", get[string](t, seen, "open=/dev/tty"), "opened")
	// The reference runtime adds no TERM, nor do engines count on it.
	for _, e := range get[[]string](t, seen, "env") {
		if strings.HasPrefix(e, "TERM=") {
			t.Errorf("the environment has %s", e)
		}
	}
}

func TestConsoleSocketsThatTakeNothingAreNamedAndNothingIsLeft(t *testing.T) {
	h := newHost(t)
	dir := t.TempDir()
	deaf := filepath.Join(dir, "deaf")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: deaf})
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	packets := filepath.Join(dir, "packets")
	other, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(other, &unix.SockaddrUnix{Name: packets})
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(other)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	c := h.start(nil)
	for path, cause := range map[string]string{
		filepath.Join(dir, "none"): "no such file or directory",
		file:                       "connection refused",
		dir:                        "connection refused",
		deaf:                       "connection refused",
		packets:                    "protocol wrong type for socket",
		filepath.Join(dir, strings.Repeat("d/", 60), "s"): "no such file or directory",
	} {
		words := []string{"console socket " + path + ": " + cause}
		for _, command := range [][]string{{"create"}, {"run", "--detach"}} {
			b, id := h.newBundle([]string{"pid"}, terminal), newID()
			h.refuses(words, append(command, "--console-socket", path, "--bundle", b.dir, id)...)
			h.nothingRemains(id, b)
		}
		h.refuses(words, "exec", "--detach", "--tty", "--console-socket", path, c.id, "/probe")
	}
	var pids []int
	decodeStrictly(t, h.must("ps", "--format", "json", c.id), &pids)
	equal(t, "processes", pids, []int{c.pid})
}

func TestAConsoleSocketMayHaveALongerPathThanAnAddressHolds(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 30))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// It is bound by a shorter name.
	short := filepath.Join("/proc/self/fd", openDirectory(t, dir), "s")
	socket := newInbox(t, short)
	path := filepath.Join(dir, "s")
	b := h.newBundle([]string{"sleep"}, terminal)
	id := newID()
	h.must("create", "--console-socket", path, "--bundle", b.dir, id)
	name, _ := socket.receive()
	equal(t, "message", name, "/dev/ptmx") // as runc has it
	h.must("start", id)
	h.must("exec", "--detach", "--tty", "--console-socket", path, id, "/probe", "sleep")
	name, _ = socket.receive()
	equal(t, "message of an exec", name, "/dev/ptmx")
	h.must("delete", "--force", id)
}

// openDirectory returns the descriptor of a directory, for the test's lifetime.
func openDirectory(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return strconv.Itoa(int(f.Fd()))
}
