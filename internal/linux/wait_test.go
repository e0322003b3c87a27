package linux

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestWaitAnyLeavesTheStatusToTheOwner(t *testing.T) {
	cmd := exec.Command("/bin/sh", "-c", "exit 7")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		pid, err := WaitAny()
		if err != nil || pid != cmd.Process.Pid {
			t.Fatalf("WaitAny() = %d, %v, want %d", pid, err, cmd.Process.Pid)
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("Wait() = %v, want exit status 7", err)
	}
}

func TestReapRemovesTheZombie(t *testing.T) {
	p, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release() //nolint:errcheck // the process is gone
	pid, err := WaitAny()
	if err != nil {
		t.Fatal(err)
	}
	if err := Reap(pid); err != nil {
		t.Fatal(err)
	}
	if _, err := WaitAny(); !errors.Is(err, unix.ECHILD) {
		t.Errorf("WaitAny() after Reap = %v, want ECHILD", err)
	}
}

func TestPeekExitTellsHowTheChildEndedAndLeavesItToTheOwner(t *testing.T) {
	for script, want := range map[string]Exit{
		"exit 0":        {},
		"exit 255":      {Code: 255},
		"kill -KILL $$": {Signal: unix.SIGKILL},
		"kill -TERM $$": {Signal: unix.SIGTERM},
	} {
		t.Run(script, func(t *testing.T) {
			cmd := exec.Command("/bin/sh", "-c", script)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if got, err := PeekExit(cmd.Process.Pid); err != nil || got != want {
					t.Errorf("PeekExit() = %+v, %v, want %+v", got, err, want)
				}
			}
			_ = cmd.Wait()
			if _, err := PeekExit(cmd.Process.Pid); !errors.Is(err, unix.ECHILD) {
				t.Errorf("PeekExit() of a collected child = %v, want ECHILD", err)
			}
		})
	}
}

// stopped starts a child that is stopped by ptrace(2), and kills it a little
// later; the result tells whether it has.
func stopped(t *testing.T) (child *exec.Cmd, killed *atomic.Bool) {
	t.Helper()
	runtime.LockOSThread() // ptrace(2) is of a thread
	t.Cleanup(runtime.UnlockOSThread)
	child = exec.Command("/bin/sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	killed = new(atomic.Bool)
	kill := func() {
		killed.Store(true)
		_ = child.Process.Kill()
	}
	t.Cleanup(func() {
		kill()
		_ = child.Wait()
	})
	if _, err := Trace(child.Process.Pid); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(50*time.Millisecond, kill)
	return child, killed
}

func TestAStopOfATracedChildIsNotItsEnd(t *testing.T) {
	t.Run("PeekExit", func(t *testing.T) {
		child, _ := stopped(t)
		if got, err := PeekExit(child.Process.Pid); err != nil || got != (Exit{Signal: unix.SIGKILL}) {
			t.Errorf("PeekExit() = %+v, %v, want SIGKILL", got, err)
		}
	})
	t.Run("WaitAny", func(t *testing.T) {
		child, killed := stopped(t)
		pid, err := WaitAny()
		if err != nil || pid != child.Process.Pid || !killed.Load() {
			t.Errorf("WaitAny() = %d, %v, killed %v, want %d after it was killed", pid, err, killed.Load(), child.Process.Pid)
		}
	})
}
