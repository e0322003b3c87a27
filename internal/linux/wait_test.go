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

func TestAChildHasEndedWhenItIsAZombie(t *testing.T) {
	cmd := exec.Command("/bin/cat")
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if HasEnded(cmd.Process.Pid) {
		t.Error("it has ended while it waits for input")
	}
	_ = stdin.Close()
	if _, err := PeekExit(cmd.Process.Pid); err != nil || !HasEnded(cmd.Process.Pid) {
		t.Errorf("it has not ended: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if HasEnded(cmd.Process.Pid) {
		t.Error("one that was collected is nobody's child")
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
