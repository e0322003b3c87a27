package tty

import (
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hull/internal/testkit"
)

// open is Open, closed at the end of the test.
func open(t *testing.T, rows, columns uint16) (master, peer int) {
	t.Helper()
	master, peer, err := Open(rows, columns)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Close(master)
		unix.Close(peer)
	})
	return master, peer
}

func TestOpenMakesATerminalOfTheSize(t *testing.T) {
	testkit.RequireRoot(t)
	for _, want := range []unix.Winsize{{}, {Row: 24, Col: 80}, {Row: 65535, Col: 1}, {Col: 7}} {
		master, peer := open(t, want.Row, want.Col)
		for name, fd := range map[string]int{"master": master, "peer": peer} {
			if got, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); err != nil || *got != want {
				t.Errorf("the %s has size %+v, %v, want %+v", name, got, err, want)
			}
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("the %s would be inherited: %#x, %v", name, flags, err)
			}
		}
	}
}

func TestWhatIsWrittenToOneEndArrivesAtTheOther(t *testing.T) {
	testkit.RequireRoot(t)
	master, peer := open(t, 0, 0)
	for _, tt := range []struct {
		from, to       int
		written, wants string
	}{
		{peer, master, "out\n", "out\r\n"},
		{master, peer, "in\n", "in\n"},
	} {
		if _, err := unix.Write(tt.from, []byte(tt.written)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 16)
		n, err := unix.Read(tt.to, buf)
		if err != nil || string(buf[:n]) != tt.wants {
			t.Errorf("%q arrived as %q, %v, want %q", tt.written, buf[:max(n, 0)], err, tt.wants)
		}
	}
}

func TestNothingButADevptsMultiplexerIsOpened(t *testing.T) {
	testkit.In(t, unix.CLONE_NEWNS, func() {
		if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			name  string
			entry string // of /dev/pts
			cause error
			words string
		}{
			{"nothing", "", unix.ENOENT, "no such file or directory (process.terminal needs a mount of type devpts at /dev/pts)"},
			{"a file", "file ptmx", nil, "not the multiplexer of a devpts"},
			{"another device", "char ptmx 1 3", nil, "not the multiplexer of a devpts"},
			{"a node for a devpts that is not there", "char ptmx 5 2", unix.ENOENT, "no such file or directory"},
			{"a link to the host's", "symlink ptmx /proc/1/root/dev/pts/ptmx", unix.ELOOP, "too many levels of symbolic links"},
		} {
			if err := unix.Mount("tmpfs", "/dev/pts", "tmpfs", 0, ""); err != nil {
				t.Fatal(err)
			}
			if tt.entry != "" {
				testkit.Tree(t, "/dev/pts", tt.entry)
			}
			master, _, err := Open(24, 80)
			if err == nil || master != -1 || !strings.Contains(err.Error(), tt.words) {
				t.Errorf("%s: Open() = %d, %v, want %q", tt.name, master, err, tt.words)
			}
			if tt.cause != nil && !errors.Is(err, tt.cause) {
				t.Errorf("%s: Open() = %v, want cause %v", tt.name, err, tt.cause)
			}
			if err := unix.Unmount("/dev/pts", unix.MNT_DETACH); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// The kernel opens a node 5:2 anywhere with the devpts that is mounted on the
// directory pts beside it (Documentation/filesystems/devpts.rst).
func TestANodeBesideADevptsIsNotItsMultiplexer(t *testing.T) {
	testkit.In(t, unix.CLONE_NEWNS, func() {
		err := errors.Join(
			unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""),
			unix.Mount("tmpfs", "/dev/pts", "tmpfs", 0, ""))
		if err != nil {
			t.Fatal(err)
		}
		testkit.Tree(t, "/dev/pts", "char ptmx 5 2", "dir pts")
		if err := unix.Mount("devpts", "/dev/pts/pts", "devpts", 0, "newinstance"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Open(24, 80); err == nil || !strings.Contains(err.Error(), "not the multiplexer of a devpts") {
			t.Errorf("Open() = %v", err)
		}
	})
}

func TestEachDevptsHasItsOwnTerminals(t *testing.T) {
	testkit.In(t, unix.CLONE_NEWNS, func() {
		err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, "")
		if err == nil {
			err = unix.Mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=0620")
		}
		if err != nil {
			t.Fatal(err)
		}
		_, peer := open(t, 0, 0)
		name, err := os.Readlink(filepath.Join("/proc/self/fd", strconv.Itoa(peer)))
		if err != nil || name != "/dev/pts/0" {
			t.Errorf("the peer is %q, %v, want the first of the container's", name, err)
		}
	})
}

func TestBecomeControlsTheTerminalAndUsesItAsStandardStreams(t *testing.T) {
	testkit.In(t, unix.CLONE_NEWNS, func() {
		_, peer := open(t, 24, 80)
		if err := Become(-1); !errors.Is(err, unix.EBADF) {
			t.Errorf("Become(-1) = %v, want EBADF", err)
		}
		session, err := unix.Setsid()
		if err != nil {
			t.Fatal(err)
		}
		signal.Ignore(unix.SIGHUP) // comes when the master is closed
		restore := keepStdio(t)
		err = Become(peer)
		var streams [3]unix.Stat_t
		for fd := range streams {
			_ = unix.Fstat(fd, &streams[fd])
		}
		controls, sidErr := unix.IoctlGetInt(0, unix.TIOCGSID)
		tty, ttyErr := os.Open("/dev/tty")
		restore()
		if err != nil {
			t.Fatal(err)
		}
		var want unix.Stat_t
		if err := unix.Fstat(peer, &want); err != nil {
			t.Fatal(err)
		}
		for fd, st := range streams {
			if st.Rdev != want.Rdev {
				t.Errorf("standard stream %d is device %#x, want %#x", fd, st.Rdev, want.Rdev)
			}
		}
		if sidErr != nil || controls != session {
			t.Errorf("the terminal is of session %d, %v, want %d", controls, sidErr, session)
		}
		if ttyErr != nil {
			t.Errorf("there is no controlling terminal: %v", ttyErr)
		}
		tty.Close()
	})
}

// keepStdio returns what brings the standard streams of the test back.
func keepStdio(t *testing.T) (restore func()) {
	t.Helper()
	var kept [3]int
	for fd := range kept {
		duplicate, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			t.Fatal(err)
		}
		kept[fd] = duplicate
	}
	return func() {
		for fd, duplicate := range kept {
			_ = unix.Dup3(duplicate, fd, 0)
			unix.Close(duplicate)
		}
	}
}
