package tty

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openPty returns both ends of a new pseudoterminal: pts(4).
func openPty(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	cerr := control(master, func(m int) {
		if err = unix.IoctlSetPointerInt(m, unix.TIOCSPTLCK, 0); err != nil {
			return
		}
		var n uint32
		if n, err = unix.IoctlGetUint32(m, unix.TIOCGPTN); err == nil {
			slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(int(n)), os.O_RDWR|unix.O_NOCTTY, 0)
		}
	})
	if err := errors.Join(cerr, err); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = slave.Close() })
	return master, slave
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	return r, w
}

// inTerminal starts a shell script whose controlling terminal is slave.
func inTerminal(t *testing.T, slave *os.File, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }) // its session
	_ = slave.Close()
	return cmd
}

// attach is SetUp and Attach, as a caller does the two.
func attach(master *os.File, s Streams) (*Session, error) {
	if err := s.SetUp(master); err != nil {
		return nil, err
	}
	return Attach(master, s)
}

func TestWhatTheContainerPrintsLastIsShown(t *testing.T) {
	master, slave := openPty(t)
	in, _ := pipe(t)
	out, outW := pipe(t)
	s, err := attach(master, Streams{In: in, Out: outW, Err: outW})
	if err != nil {
		t.Fatal(err)
	}
	// The background sleep holds the terminal after the end of the shell.
	cmd := inTerminal(t, slave, `trap '' HUP; sleep 3 & echo first; echo last`)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_ = outW.Close()
	got, err := io.ReadAll(out)
	if err != nil || string(got) != "first\nlast\n" {
		t.Errorf("shown %q, %v", got, err)
	}
}

func TestKeysGoToTheContainer(t *testing.T) {
	master, slave := openPty(t)
	in, inW := pipe(t)
	out, outW := pipe(t)
	s, err := attach(master, Streams{In: in, Out: outW, Err: outW})
	if err != nil {
		t.Fatal(err)
	}
	cmd := inTerminal(t, slave, `stty -echo; echo ready; trap 'echo interrupted; exit 5' INT; read line; echo "<$line>"; while :; do sleep 0.01; done`)
	lines := bufio.NewReader(out)
	expect := func(want string) {
		t.Helper()
		if line, err := lines.ReadString('\n'); err != nil || line != want+"\n" {
			t.Errorf("shown %q, %v, want %s", line, err, want)
		}
	}
	expect("ready")
	send := func(keys string) {
		t.Helper()
		if _, err := inW.WriteString(keys); err != nil {
			t.Fatal(err)
		}
	}
	send("hello\n")
	expect("<hello>")
	send("\x03") // control-C: its terminal makes it a signal
	expect("interrupted")
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 5 {
		t.Errorf("the shell ended with %v, want status 5", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestTheCallersTerminalIsRawUntilClose(t *testing.T) {
	_, caller := openPty(t)
	before, err := getTermios(caller)
	if err != nil {
		t.Fatal(err)
	}
	master, _ := openPty(t)
	s, err := attach(master, Streams{In: caller, Out: caller, Err: caller})
	if err != nil {
		t.Fatal(err)
	}
	during, err := getTermios(caller)
	if err != nil {
		t.Fatal(err)
	}
	if during.Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) != 0 || during.Oflag&unix.OPOST == 0 {
		t.Errorf("not raw, or without output processing: %+v", during)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if after, err := getTermios(caller); err != nil || !reflect.DeepEqual(after, before) {
		t.Errorf("after Close %+v, %v, before Attach %+v", after, err, before)
	}
}

func TestTheContainersTerminalHasTheSizeOfTheCallers(t *testing.T) {
	callerMaster, caller := openPty(t)
	resize := func(rows, columns uint16) {
		t.Helper()
		var err error
		cerr := control(callerMaster, func(fd int) {
			err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns})
		})
		if err := errors.Join(cerr, err); err != nil {
			t.Fatal(err)
		}
	}
	resize(30, 100)
	master, slave := openPty(t)
	in, _ := pipe(t)
	s, err := attach(master, Streams{In: in, Out: caller, Err: caller})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	size := func() string {
		t.Helper()
		stty := exec.Command("stty", "size")
		stty.Stdin = slave
		got, err := stty.Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(got))
	}
	if got := size(); got != "30 100" {
		t.Errorf("at first %s", got)
	}
	resize(40, 80)
	s.Resize()
	if got := size(); got != "40 80" {
		t.Errorf("after Resize %s", got)
	}
}

func TestAClosedOutputDoesNotBlockTheContainer(t *testing.T) {
	master, slave := openPty(t)
	in, _ := pipe(t)
	out, outW := pipe(t)
	_ = out.Close()
	s, err := attach(master, Streams{In: in, Out: outW, Err: outW})
	if err != nil {
		t.Fatal(err)
	}
	// More than a terminal buffers.
	if err := inTerminal(t, slave, `head -c 1000000 /dev/zero`).Wait(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAPipeIsNoTerminal(t *testing.T) {
	r, _ := pipe(t)
	_, slave := openPty(t)
	if IsTerminal(r) || !IsTerminal(slave) {
		t.Errorf("IsTerminal: pipe %v, pty %v", IsTerminal(r), IsTerminal(slave))
	}
}

// panicky is a subprocess's: what it does to its terminal is seen from outside.
const panicky = "HULL_TTY_PANIC"

func TestAPanicGivesTheTerminalBack(t *testing.T) {
	if os.Getenv(panicky) != "" {
		panicWhileShowing(t)
	}
	master, slave := openPty(t)
	before, err := getTermios(master)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestAPanicGivesTheTerminalBack$")
	cmd.Env = append(os.Environ(), panicky+"=1")
	cmd.Stdin = slave
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "panic: while raw") {
		t.Errorf("%v\n%s", err, out)
	}
	if after, err := getTermios(master); err != nil || !reflect.DeepEqual(after, before) {
		t.Errorf("after the panic %+v, %v, before %+v", after, err, before)
	}
}

func panicWhileShowing(t *testing.T) {
	t.Helper()
	master, slave := openPty(t)
	s, err := attach(master, Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	if now, err := getTermios(os.Stdin); err != nil || now.Lflag&unix.ICANON != 0 {
		t.Fatalf("not raw: %v, %v", now, err)
	}
	s.print = func(b []byte) {
		if len(b) > 0 {
			panic("while raw")
		}
	}
	if _, err := slave.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	<-s.shown
	select {}
}

func TestWhatIsTypedAfterTheEndIsLeftToTheNext(t *testing.T) {
	callerMaster, caller := openPty(t)
	master, _ := openPty(t)
	s, err := attach(master, Streams{In: caller, Out: caller, Err: caller})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := callerMaster.WriteString("next\n"); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(caller).ReadString('\n')
	if err != nil || line != "next\n" {
		t.Errorf("read %q, %v", line, err)
	}
}

func TestSessionsThatShareATerminalMayEndInAnyOrder(t *testing.T) {
	for _, order := range [][]int{{0, 1}, {1, 0}} {
		_, caller := openPty(t)
		before, err := getTermios(caller)
		if err != nil {
			t.Fatal(err)
		}
		var sessions [2]*Session
		for i := range sessions {
			master, _ := openPty(t)
			if sessions[i], err = attach(master, Streams{In: caller, Out: caller, Err: caller}); err != nil {
				t.Fatal(err)
			}
		}
		for _, i := range order {
			if err := sessions[i].Close(); err != nil {
				t.Fatal(err)
			}
		}
		if after, err := getTermios(caller); err != nil || !reflect.DeepEqual(after, before) {
			t.Errorf("order %v: after %+v, %v, before %+v", order, after, err, before)
		}
	}
}

func TestNobodyIsWaitedForWhoDoesNotTakeTheOutput(t *testing.T) {
	master, slave := openPty(t)
	in, _ := pipe(t)
	_, outW := pipe(t)
	stuff(t, outW)
	s, err := attach(master, Streams{In: in, Out: outW, Err: outW})
	if err != nil {
		t.Fatal(err)
	}
	// Not more than the terminal holds: who prints it is not kept waiting.
	if err := inTerminal(t, slave, `head -c 100 /dev/zero`).Wait(); err != nil {
		t.Error(err)
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-closed:
		t.Error("Close did not wait")
	case <-time.After(20 * time.Millisecond):
	}
	s.Abandon()
	s.Abandon()
	<-closed
}

// stuff fills a pipe, which may hold much less than its size of small writes, and
// from the start if its user has many (pipe(7), "pipe-user-pages-soft").
func stuff(t *testing.T, w *os.File) {
	t.Helper()
	conn, err := w.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = conn.Write(func(fd uintptr) bool {
		var full error
		for full == nil {
			_, full = unix.Write(int(fd), make([]byte, 1))
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
}
