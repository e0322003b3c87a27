package tests

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func terminal(s *specs.Spec) { s.Process.Terminal = true }

// screen collects what a terminal shows.
type screen struct {
	t      *testing.T
	master *os.File
	mu     sync.Mutex
	shown  bytes.Buffer
}

func newScreen(t *testing.T, master *os.File) *screen {
	t.Helper()
	s := &screen{t: t, master: master}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			s.mu.Lock()
			s.shown.Write(buf[:n])
			s.mu.Unlock()
			if err != nil { // EIO: nobody has the other end open
				return
			}
		}
	}()
	return s
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown.String()
}

func (s *screen) await(text string) {
	s.t.Helper()
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("the terminal shows %q", s.text())
		}
	})
	eventually(s.t, "the terminal shows "+text, func() bool { return strings.Contains(s.text(), text) })
}

func (s *screen) enter(text string) {
	s.t.Helper()
	if _, err := s.master.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
}

// ptyPair makes a pseudo-terminal of the size.
func ptyPair(t *testing.T, rows, columns uint16) (master, peer *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	master = os.NewFile(uintptr(fd), "master")
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	setSize(t, fd, rows, columns)
	other, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		t.Fatal(errno)
	}
	peer = os.NewFile(other, "peer")
	t.Cleanup(func() { peer.Close() })
	return master, peer
}

func setSize(t *testing.T, fd int, rows, columns uint16) {
	t.Helper()
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}); err != nil {
		t.Fatal(err)
	}
}

//proves:process.terminal
func TestTheConsoleSocketGetsTheMasterOfTheTerminal(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	socket := newInbox(t, filepath.Join(t.TempDir(), "console.sock"))
	b := h.newBundle(nil, terminal, shell("stty size 2>/dev/null || true; echo ready; read line; echo got $line; exec sleep 100"))
	id := newID()
	h.must("create", "--console-socket", socket.path, "--bundle", b.dir, id)
	name, master := socket.receive()
	if !strings.Contains(name, "ptmx") {
		t.Errorf("the message says %q", name)
	}
	s := newScreen(t, master)
	h.must("start", id)
	s.await("ready\r\n")
	s.enter("hello\r")
	s.await("hello\r\n") // echo
	s.await("got hello\r\n")
	h.must("delete", "--force", id)
}

func TestTheConsoleSocketMayHaveALongPath(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	// t.TempDir is too long itself.
	dir, err := os.MkdirTemp("/tmp", "hull-tests-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	// The longest path that an address holds.
	path := filepath.Join(dir, strings.Repeat("x", 107-len(dir)-1))
	socket := newInbox(t, path)
	b := h.newBundle([]string{"sleep"}, terminal)
	id := newID()
	h.must("create", "--console-socket", path, "--bundle", b.dir, id)
	socket.receive()
	h.must("delete", "--force", id)
}

//proves:process.consoleSize.height process.consoleSize.width process.terminal
func TestTheTerminalHasTheSizeOfTheConfiguration(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	socket := newInbox(t, filepath.Join(t.TempDir(), "console.sock"))
	b := h.newBundle([]string{"tty", "sleep"}, terminal, func(s *specs.Spec) { s.Process.ConsoleSize = &specs.Box{Height: 13, Width: 65535} })
	id := newID()
	h.must("create", "--console-socket", socket.path, "--bundle", b.dir, id)
	_, master := socket.receive()
	s := newScreen(t, master)
	h.must("start", id)
	s.await(`"rows":13`)
	s.await(`"columns":65535,`)
	h.must("delete", "--force", id)
}

//proves:process.terminal process.consoleSize.width
func TestExecGetsATerminalThroughASocket(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	socket := newInbox(t, filepath.Join(t.TempDir(), "console.sock"))
	file := processFile(t, &specs.Process{
		Terminal: true, ConsoleSize: &specs.Box{Height: 11, Width: 22}, Args: []string{"/probe", "tty", "sleep"}, Cwd: "/",
	})
	h.must("exec", "--detach", "--tty", "--console-socket", socket.path, "--process", file, c.id)
	_, master := socket.receive()
	newScreen(t, master).await(`"columns":22,`)
}

func TestATerminalAndItsSocketGoTogether(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	socket := newInbox(t, filepath.Join(t.TempDir(), "console.sock")).path
	with, without := h.newBundle([]string{"pid"}, terminal), h.newBundle([]string{"pid"})
	for name, tt := range map[string]struct {
		b    *bundle
		args []string
		word string
	}{
		"create with a terminal and no socket": {with, []string{"create"}, "cannot allocate tty if hull will detach without setting console socket"},
		"run -d with a terminal and no socket": {with, []string{"run", "--detach"}, "cannot allocate tty if hull will detach without setting console socket"},
		"create with a socket and no terminal": {without, []string{"create", "--console-socket", socket}, "cannot use console socket if hull will not detach or allocate tty"},
		"run with a terminal and a socket":     {with, []string{"run", "--console-socket", socket}, "cannot use console socket if hull will not detach or allocate tty"},
	} {
		t.Log(name)
		id := newID()
		h.refuses([]string{tt.word}, append(tt.args, "--bundle", tt.b.dir, id)...)
		h.nothingRemains(id, tt.b)
	}
	c := h.start(nil)
	h.refuses([]string{"cannot allocate tty if hull will detach without setting console socket"}, "exec", "--detach", "--tty", c.id, "/probe")
	for _, flags := range [][]string{{}, {"--tty"}, {"--detach"}} {
		args := slices.Concat([]string{"exec", "--console-socket", socket}, flags, []string{c.id, "/probe"})
		h.refuses([]string{"cannot use console socket if hull will not detach or allocate tty"}, args...)
	}
}

// onTerminal runs the runtime in the foreground on a terminal of its own.
func onTerminal(t *testing.T, h *host, rows, columns uint16, args ...string) (*screen, func() int) {
	t.Helper()
	master, peer := ptyPair(t, rows, columns)
	cmd := h.command(args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = peer, peer, peer
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	h.startCommand(cmd)
	peer.Close()
	return newScreen(t, master), func() int {
		_ = cmd.Wait()
		return cmd.ProcessState.ExitCode()
	}
}

func TestRunInTheForegroundRelaysTheTerminal(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle(nil, terminal, shell("trap '/probe tty; exit 7' WINCH; /probe tty; echo ready; read line; echo got $line; while :; do sleep 0.05; done"))
	s, wait := onTerminal(t, h, 33, 44, "run", "--bundle", b.dir, newID())
	s.await("ready\r\n")
	if !strings.Contains(s.text(), `"columns":44,`) || !strings.Contains(s.text(), `"rows":33`) {
		t.Errorf("the size: %s", s.text())
	}
	s.enter("hello\r")
	s.await("got hello\r\n")
	if n := strings.Count(s.text(), "hello"); n != 2 { // the echo, once, and the answer
		t.Errorf("hello is there %d times: %q", n, s.text())
	}
	// The kernel tells the program, once the runtime has passed the size on.
	setSize(t, int(s.master.Fd()), 50, 60)
	s.await(`"columns":60,`)
	equal(t, "exit status", wait(), 7)
}

func TestKeysOfTheTerminalSignalTheProgramAndNotTheRuntime(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle(nil, terminal, shell("trap 'echo interrupted; exit 9' INT; echo ready; while :; do sleep 0.05; done"))
	s, wait := onTerminal(t, h, 24, 80, "run", "--bundle", b.dir, newID())
	s.await("ready\r\n")
	s.enter("\x03")
	s.await("interrupted\r\n")
	equal(t, "exit status", wait(), 9)
}

func TestTheTerminalOfTheCallerIsPutBack(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid"}, terminal)
	master, peer := ptyPair(t, 24, 80)
	before, err := unix.IoctlGetTermios(int(peer.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	cmd := h.command("run", "--bundle", b.dir, newID())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = peer, peer, peer
	newScreen(t, master)
	if r := h.finish(cmd); r.status != 0 {
		t.Errorf("status %d", r.status)
	}
	after, err := unix.IoctlGetTermios(int(peer.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "modes", after, before)
}

//proves:process.terminal config-linux.md#default-devices:1
func TestTheTerminalIsTheConsoleAndControlsTheSession(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle(nil, terminal, shell("/probe stat=/dev/console tty readlink=/proc/self/fd/0 pid; echo end >/dev/tty; sleep 0.1"))
	s, wait := onTerminal(t, h, 24, 80, "run", "--bundle", b.dir, newID())
	equal(t, "exit status", wait(), 0)
	s.await("end\r\n")
	text := s.text()
	if !strings.Contains(text, `"readlink=/proc/self/fd/0":"/dev/pts/0"`) || !strings.Contains(text, `"rdev":"136:0"`) {
		t.Errorf("not the container's own terminal: %s", text)
	}
	if strings.Contains(text, "error") {
		t.Errorf("%s", text)
	}
}
