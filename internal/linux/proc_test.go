package linux

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAProcessIsToldByStat(t *testing.T) {
	p, err := Stat(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if !p.Alive() || p.Ending() || p.StartTime == 0 || !p.Executed() {
		t.Errorf("got %+v", p)
	}
}

func TestAZombieIsNotAlive(t *testing.T) {
	cmd := exec.Command("/bin/true")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The end of its output says that it has exited, or is about to.
	if _, err := out.Read(make([]byte, 1)); err == nil {
		t.Fatal("output from true")
	}
	if p, err := Stat(cmd.Process.Pid); err != nil || !p.Ending() {
		t.Errorf("a process that has closed its output and lives on: %+v, %v", p, err)
	}
	for range 1000000 {
		if p, err := Stat(cmd.Process.Pid); err == nil && !p.Alive() {
			if err := cmd.Wait(); err != nil {
				t.Fatal(err)
			}
			if _, err := Stat(cmd.Process.Pid); !errors.Is(err, ErrNoProcess) {
				t.Errorf("after wait: %v", err)
			}
			return
		}
	}
	t.Error("an exited process counts as alive")
}

func TestACommandNameCannotForgeStat(t *testing.T) {
	p, err := parseStat([]byte("12 (a) Z 1 (b) S 1 2 3 4 5 64 7 8 9 10 11 12 13 14 15 16 17 18 777 0 0\n"))
	if err != nil {
		t.Fatal(err)
	}
	if p.State != 'S' || p.Executed() || p.StartTime != 777 {
		t.Errorf("got %+v", p)
	}
	p, err = parseStat([]byte("12 (a) Z 1 2 3 4 5 0 7 8 9 10 11 12 13 14 15 16 3 18 777 0 0\n"))
	if err != nil || !p.Alive() {
		t.Errorf("a process whose first thread has ended: %+v, %v", p, err)
	}
	for _, s := range []string{"", "12", "12 (x)", "12 (x) S 1"} {
		if _, err := parseStat([]byte(s)); err == nil {
			t.Errorf("%q was accepted", s)
		}
	}
}

func TestTheInnerPIDOfOurselvesIsOurPID(t *testing.T) {
	if pid, err := InnerPID(os.Getpid()); err != nil || pid != os.Getpid() {
		t.Errorf("got %d, %v", pid, err)
	}
}

func TestANumberThatIsOnlyThatOfASessionIsNoProcess(t *testing.T) {
	leader := exec.Command("/bin/sh", "-c", "sleep 1000 </dev/null >/dev/null 2>&1 & echo")
	leader.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if _, err := leader.Output(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Kill(-leader.Process.Pid, unix.SIGKILL) }()
	if err := unix.Kill(-leader.Process.Pid, 0); err != nil {
		t.Fatalf("nobody is left of the session: %v", err)
	}
	if fd, err := OpenProcess(leader.Process.Pid); !errors.Is(err, unix.ESRCH) {
		t.Errorf("%d, %v", fd, err)
	}
}

func TestAThreadIsNoProcess(t *testing.T) {
	ids := make(chan int)
	go func() {
		runtime.LockOSThread()
		ids <- unix.Gettid()
		<-ids
	}()
	if id := <-ids; id != os.Getpid() {
		if fd, err := OpenProcess(id); !errors.Is(err, unix.ESRCH) {
			t.Errorf("%d, %v", fd, err)
		}
	}
	ids <- 0
	fd, err := OpenProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
}
