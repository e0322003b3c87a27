package tests

import (
	"bytes"
	"crypto/md5" //nolint:gosec // what busybox has, to compare
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// desk is a terminal with a shell that stays: what ends does not hang the
// terminal up, and its modes can be asked for.
type desk struct {
	*screen
	shell int
	// before are the modes at first.
	before unix.Termios
}

// atDesk runs a script, in which "$0" "$@" is the runtime with the arguments.
// The shell is not to be told of signals; flags are its own, "-m" perhaps.
func atDesk(t *testing.T, h *host, flags, script string, args ...string) *desk {
	t.Helper()
	master, peer := ptyPair(t, 24, 80)
	cmd := exec.Command("/bin/sh", slices.Concat([]string{flags + "c", script}, h.command(args...).Args)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = peer, peer, peer
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	d := &desk{screen: newScreen(t, master)}
	d.before = d.modes()
	h.startCommand(cmd)
	peer.Close()
	d.shell = cmd.Process.Pid
	return d
}

// runtime is the pid of the runtime, which the shell has started.
func (d *desk) runtime() (pid int) {
	d.t.Helper()
	eventually(d.t, "the shell has a child", func() bool {
		children := childrenOf(d.t, d.shell)
		if len(children) > 0 {
			pid = children[0]
		}
		return len(children) > 0
	})
	return pid
}

// modes are those of the terminal, by its master.
func (d *desk) modes() unix.Termios {
	d.t.Helper()
	modes, err := unix.IoctlGetTermios(int(d.master.Fd()), unix.TCGETS)
	if err != nil {
		d.t.Fatal(err)
	}
	return *modes
}

func (d *desk) raw() bool { return d.modes().Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) == 0 }

// thenStay reports the status of the runtime and keeps the terminal open.
const thenStay = `"$0" "$@"; echo "status $?."; exec sleep 1000`

func TestTheTerminalIsPutBackHoweverTheContainerEnds(t *testing.T) {
	t.Parallel()
	signal := func(sig unix.Signal) func(*testing.T, *host, *desk, string) {
		return func(_ *testing.T, _ *host, d *desk, _ string) { _ = unix.Kill(d.runtime(), sig) }
	}
	for name, tt := range map[string]struct {
		end    func(*testing.T, *host, *desk, string)
		status string
	}{
		"by a key":         {func(_ *testing.T, _ *host, d *desk, _ string) { d.enter("\x03") }, "status 5."},
		"by SIGTERM":       {signal(unix.SIGTERM), "status 5."},
		"by SIGHUP":        {signal(unix.SIGHUP), "status 5."},
		"by SIGINT":        {signal(unix.SIGINT), "status 5."},
		"its init killed":  {func(_ *testing.T, h *host, _ *desk, id string) { _ = unix.Kill(h.state(id).Pid, unix.SIGKILL) }, "status 137."},
		"deleted by force": {func(_ *testing.T, h *host, _ *desk, id string) { h.must("delete", "--force", id) }, "status 137."},
	} {
		for _, command := range []string{"run", "exec"} {
			t.Run(command+" "+name, func(t *testing.T) {
				t.Parallel()
				h := newHost(t)
				script := "trap 'exit 5' TERM HUP INT; echo ready; while :; do sleep 0.05; done"
				id := newID()
				args := []string{"run", "--bundle", h.newBundle(nil, terminal, shell(script)).dir, id}
				if command == "exec" {
					id = h.start(nil).id
					args = []string{"exec", "--tty", id, "/bin/sh", "-c", script}
				}
				d := atDesk(t, h, "-", thenStay, args...)
				d.await("ready\r\n")
				if !d.raw() {
					t.Errorf("the terminal is not raw: %+v", d.modes())
				}
				tt.end(t, h, d, id)
				d.await(tt.status)
				equal(t, "modes", d.modes(), d.before)
			})
		}
	}
}

func TestTheTerminalIsPutBackWhenTheProgramCannotBeStarted(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle(nil, terminal, func(s *specs.Spec) {
		s.Process.Args = []string{"/bin/true"}
		s.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/bin/false"}}}
	})
	d := atDesk(t, h, "-", thenStay, "run", "--bundle", b.dir, newID())
	d.await("status 1.")
	equal(t, "modes", d.modes(), d.before)
}

func TestNoChangeOfTheWindowIsMissedWhileTheContainerStarts(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle(nil, terminal, shell("while :; do busybox stty size; sleep 0.02; done"))
	for round := range 4 {
		d := atDesk(t, h, "-", thenStay, "run", "--bundle", b.dir, newID())
		columns := uint16(100)
		for ; columns < 140; columns++ {
			setSize(t, int(d.master.Fd()), 30, columns)
			time.Sleep(time.Duration(200+100*round) * time.Microsecond)
		}
		d.await(fmt.Sprintf("30 %d\r\n", columns-1))
		d.enter("\x03")
		d.await("status")
	}
}

func TestATerminalThatKnowsNoSizeLeavesTheConfiguredOne(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	sized := func(s *specs.Spec) { s.Process.ConsoleSize = &specs.Box{Height: 12, Width: 34} }
	b := h.newBundle([]string{"tty"}, terminal, sized)
	file := processFile(t, &specs.Process{
		Terminal: true, ConsoleSize: &specs.Box{Height: 12, Width: 34}, Args: []string{"/probe", "tty"}, Cwd: "/",
	})
	for _, tt := range []struct{ rows, columns, wantRows, wantColumns int }{{0, 0, 12, 34}, {50, 60, 50, 60}} {
		for _, args := range [][]string{{"run", "--bundle", b.dir, newID()}, {"exec", "--process", file, h.start(nil).id}} {
			s, wait := onTerminal(t, h, uint16(tt.rows), uint16(tt.columns), args...)
			s.await(fmt.Sprintf(`"columns":%d,`, tt.wantColumns))
			s.await(fmt.Sprintf(`"rows":%d`, tt.wantRows))
			equal(t, "exit status", wait(), 0)
		}
	}
	// Nor has a pipe a size.
	if out := h.must("run", "--bundle", b.dir, newID()); !strings.Contains(out, `"columns":34,`) {
		t.Errorf("without a terminal outside: %s", out)
	}
}

// partly runs the runtime with only some of its streams on a terminal.
func partly(t *testing.T, h *host, args []string, streams func(cmd *exec.Cmd, peer *os.File)) (*desk, *exec.Cmd) {
	t.Helper()
	master, peer := ptyPair(t, 24, 80)
	cmd := h.command(args...)
	cmd.Stderr = peer
	streams(cmd, peer)
	d := &desk{screen: newScreen(t, master)}
	d.before = d.modes()
	h.startCommand(cmd)
	return d, cmd
}

func TestOnlyATerminalThatIsReadIsRaw(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	script := "read line; echo got $line; /probe tty"
	b := h.newBundle(nil, terminal, shell(script))

	var out bytes.Buffer
	d, cmd := partly(t, h, []string{"run", "--bundle", b.dir, newID()}, func(cmd *exec.Cmd, peer *os.File) {
		cmd.Stdin, cmd.Stdout = peer, &out
	})
	eventually(t, "the terminal that is read is raw", d.raw)
	d.enter("keys\r")
	if err := cmd.Wait(); err != nil || !strings.HasPrefix(out.String(), "keys\ngot keys\n{") || !strings.Contains(out.String(), `"columns":80,`) {
		t.Errorf("output %q, %v", out.String(), err)
	}
	if d.raw() {
		t.Error("the terminal stayed raw")
	}

	feed, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	defer w.Close()
	d, cmd = partly(t, h, []string{"run", "--bundle", b.dir, newID()}, func(cmd *exec.Cmd, peer *os.File) {
		cmd.Stdin, cmd.Stdout = feed, peer
	})
	if _, err := w.WriteString("pipe\n"); err != nil {
		t.Fatal(err)
	}
	d.await("got pipe\r\n")
	equal(t, "modes", d.modes(), d.before)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	d.await(`"columns":80,`)
}

// As with other runtimes: a terminal has no end.
func TestTheEndOfThePipeThatFeedsATerminalIsNotTheProgramsEnd(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle(nil, terminal, shell("busybox timeout 0.3 cat; echo status $?"))
	cmd := h.command("run", "--bundle", b.dir, newID())
	cmd.Stdin = strings.NewReader("fed\n")
	r := h.finish(cmd)
	if r.status != 0 || !strings.Contains(r.stdout, "fed\nfed\n") || !strings.Contains(r.stdout, "status 143\n") {
		t.Errorf("status %d: %q", r.status, r.stdout)
	}
}

func TestATerminalThatIsHungUpHangsTheContainersUp(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		script  string
		setctty bool
	}{
		"the controlling one":          {"trap 'exit 11' HUP; echo ready; while :; do sleep 0.05; done", true},
		"one that controls nothing":    {"trap 'exit 11' HUP; echo ready; while :; do sleep 0.05; done", false},
		"a program that only reads it": {"echo ready; while read line; do :; done; exit 11", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			b := h.newBundle(nil, terminal, shell(tt.script))
			master, peer := ptyPair(t, 24, 80)
			cmd := h.command("run", "--bundle", b.dir, newID())
			cmd.Stdin, cmd.Stdout, cmd.Stderr = peer, peer, peer
			cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: tt.setctty}
			h.startCommand(cmd)
			peer.Close()
			newScreen(t, master).await("ready")
			master.Close()
			_ = cmd.Wait()
			equal(t, "exit status", cmd.ProcessState.ExitCode(), 11)
		})
	}
}

func TestAProgramMayCloseItsTerminalAndOpenItAgain(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle(nil, terminal, shell("exec </dev/null >/dev/null 2>&1; sleep 0.2; echo late >/dev/console; read key </dev/console; echo got $key >/dev/console"))
	s, wait := onTerminal(t, h, 24, 80, "run", "--bundle", b.dir, newID())
	s.await("late\r\n")
	s.enter("key\r")
	s.await("got key\r\n")
	equal(t, "exit status", wait(), 0)
}

func TestTheLastOutputIsNeverLost(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"sleep"})
	const line, lines = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n", 3000
	if err := os.WriteFile(b.path("rootfs/text"), []byte(strings.Repeat(line, lines)), 0o644); err != nil {
		t.Fatal(err)
	}
	c := h.create(b)
	h.must("start", c.id)
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for range 25 {
				out, err := h.command("exec", "--tty", c.id, "/bin/sh", "-c", "cat /text; echo end").Output()
				if err != nil || len(out) != len(line)*lines+len("end\n") || !bytes.HasSuffix(out, []byte("de\nend\n")) {
					t.Errorf("%d bytes, %v: ...%q", len(out), err, out[max(0, len(out)-20):])
					return
				}
			}
		})
	}
	work.Wait()
	// And no terminal stays.
	equal(t, "terminals", get[[]string](t, c.exec("list=/dev/pts"), "list=/dev/pts"), []string{"ptmx"})
}

func TestNoInputIsLostOrComesOutOfOrder(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	const size = 2 << 20
	b := h.newBundle(nil, terminal, shell(fmt.Sprintf("busybox stty raw -echo; echo ready; busybox head -c %d | busybox md5sum", size)))
	cmd := h.command("run", "--bundle", b.dir, newID())
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	h.startCommand(cmd)
	ready := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(out, ready); err != nil {
		t.Fatal(err)
	}
	typed := make([]byte, size)
	for i := range typed {
		typed[i] = byte(rand.IntN(256))
	}
	go in.Write(typed) //nolint:errcheck // the sum tells
	sum, err := io.ReadAll(out)
	want := md5.Sum(typed)
	if err != nil || !strings.HasPrefix(string(sum), hex.EncodeToString(want[:])) {
		t.Errorf("sum %q, %v", sum, err)
	}
}

func TestStreamsThatSomebodyMakesNonBlockingStillShowAll(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle(nil, terminal, shell("echo ready; read line; busybox dd if=/dev/zero bs=1000 count=2000 2>/dev/null; echo end; read line; echo got $line"))
	master, peer := ptyPair(t, 24, 80)
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := h.command("run", "--bundle", b.dir, newID())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = peer, w, peer
	h.startCommand(cmd)
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		t.Fatal(err)
	}
	for _, f := range []*os.File{peer, w} {
		if err := unix.SetNonblock(int(f.Fd()), true); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	if _, err := master.WriteString("\rlast\r"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond) // the pipe is full
	shown, err := io.ReadAll(out)
	if n := bytes.Count(shown, []byte{0}); n != 2_000_000 || !bytes.HasSuffix(shown, []byte("end\ngot last\n")) {
		t.Errorf("%d bytes of zero, %v, then %q", n, err, shown[max(0, len(shown)-40):])
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestASignalEndsTheWaitForSomebodyToTakeTheLastOutput(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle(nil, terminal, shell("busybox dd if=/dev/zero bs=1000 count=72 2>/dev/null; kill -KILL $$; echo never"))
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	id := newID()
	cmd := h.command("run", "--bundle", b.dir, id)
	cmd.Stdout = w
	h.startCommand(cmd)
	w.Close()
	eventually(t, "the container has ended", func() bool { return strings.Contains(h.try("state", id).stdout, `"stopped"`) })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	for range 5 {
		// The first may come before it waits, and the next must not come before it has
		// cleaned up.
		_ = cmd.Process.Signal(unix.SIGTERM)
		select {
		case <-ended:
			h.nothingRemains(id, b)
			return
		case <-time.After(2 * time.Second):
		}
	}
	t.Error("it still waits")
}
