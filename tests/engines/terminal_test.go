//go:build engines

package engines

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a command of an engine on a pseudo-terminal: what a user types,
// and sees.
type terminal struct {
	master *os.File
	cmd    *exec.Cmd
	cancel context.CancelFunc
	mu     sync.Mutex
	shown  strings.Builder
}

// open runs a command of the engine on a terminal of 33 rows and 77 columns.
func (e *engine) open(args ...string) *terminal {
	master, peer := pty()
	defer peer.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience())
	t := &terminal{master: master, cancel: cancel, cmd: e.command(ctx, slices.Concat(e.cli, args)...)}
	t.cmd.Stdin, t.cmd.Stdout, t.cmd.Stderr = peer, peer, peer
	t.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	t.resize(33, 77)
	if err := t.cmd.Start(); err != nil {
		fail("%v", err)
	}
	go t.watch()
	return t
}

func (t *terminal) watch() {
	buf := make([]byte, 4096)
	for {
		n, err := t.master.Read(buf)
		t.mu.Lock()
		t.shown.Write(buf[:n])
		t.mu.Unlock()
		if err != nil { // EIO: nobody has the other end open
			return
		}
	}
}

func (t *terminal) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.shown.String()
}

// await waits until the terminal shows text.
func (t *terminal) await(text string) { t.awaitWhile(text, func() {}) }

// awaitWhile is await that does something again and again.
func (t *terminal) awaitWhile(text string, again func()) {
	shows := func() bool {
		again()
		return strings.Contains(t.text(), text)
	}
	if err := attempt(func() { eventually("", shows) }); err != nil {
		t.close()
		fail("the terminal does not show %q but %q", text, t.text())
	}
}

func (t *terminal) enter(text string) {
	if _, err := t.master.WriteString(text); err != nil {
		fail("%v", err)
	}
}

func (t *terminal) resize(rows, columns uint16) {
	if err := unix.IoctlSetWinsize(int(t.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}); err != nil {
		fail("resize the terminal: %v", err)
	}
}

// isFollowed makes the terminal smaller and waits until the shell on it sees that. Who
// shows the first size may not listen for others yet: it is told again.
func (t *terminal) isFollowed() {
	t.enter("until stty size | grep \"20 6[0]\"; do sleep 0.1; done\n")
	told := time.Time{}
	t.awaitWhile("20 60", func() {
		if time.Since(told) > time.Second {
			told = time.Now()
			t.resize(20, 61)
			t.resize(20, 60)
		}
	})
}

// end waits for the command and returns its exit status.
func (t *terminal) end() int {
	defer t.close()
	_ = t.cmd.Wait()
	return t.cmd.ProcessState.ExitCode()
}

func (t *terminal) close() {
	t.cancel()
	t.master.Close()
}

func pty() (master, peer *os.File) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		fail("%v", err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		fail("%v", err)
	}
	other, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		fail("%v", errno)
	}
	return os.NewFile(uintptr(fd), "master"), os.NewFile(other, "peer")
}
