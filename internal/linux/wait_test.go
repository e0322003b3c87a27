package linux

import (
	"errors"
	"os"
	"os/exec"
	"testing"

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
