package cli

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hull/libcontainer"
)

// hostProcess is a child that is in no container.
type hostProcess struct{ cmd *exec.Cmd }

func (h hostProcess) Pid() int                     { return h.cmd.Process.Pid }
func (h hostProcess) Signal(sig unix.Signal) error { return unix.Kill(h.Pid(), sig) }
func (h hostProcess) Console() *os.File            { return nil }

func (h hostProcess) Wait() (libcontainer.ExitStatus, error) {
	var exit *exec.ExitError
	if err := h.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return libcontainer.ExitStatus{}, err
	}
	status, ok := h.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return libcontainer.ExitStatus{Signal: status.Signal()}, nil
	}
	return libcontainer.ExitStatus{Code: status.ExitStatus()}, nil
}

// start runs a shell script and returns it and a reader of what it prints.
func start(t *testing.T, script string) (hostProcess, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", script)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return hostProcess{cmd}, bufio.NewReader(out)
}

func inForeground(t *testing.T) (*foreground, context.Context) {
	t.Helper()
	fg, ctx := newProgram([]string{"hull"}, Build{}, os.Stdout, os.Stderr).newForeground(t.Context())
	t.Cleanup(fg.close)
	<-fg.caught
	return fg, ctx
}

func TestTheStatusIsThatOfAShell(t *testing.T) {
	for script, want := range map[string]int{"exit 0": 0, "exit 3": 3, "kill -KILL $$": 137, "kill -TERM $$": 143} {
		fg, _ := inForeground(t)
		c, _ := start(t, script)
		if got, err := fg.run(c, func() error { return nil }); err != nil || got != want {
			t.Errorf("%s: %d, %v, want %d", script, got, err, want)
		}
	}
}

func TestOrphansAreReapedAndTheStatusIsKept(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) //nolint:errcheck // as before
	// kill -0 finds a zombie: the shell ends well only once its orphan is
	// reaped, and gives up after some time.
	c, _ := start(t, `orphan=$(sh -c 'sleep 0.01 >&- 2>&- & echo $!')
		for i in $(seq 500); do kill -0 $orphan 2>&- || exit 7; sleep 0.01; done`)
	fg, _ := inForeground(t)
	status, err := fg.run(c, func() error { return nil })
	if err != nil || status != 7 {
		t.Errorf("run() = %d, %v, want 7", status, err)
	}
}

func TestSignalsGoToTheProcess(t *testing.T) {
	fg, _ := inForeground(t)
	c, out := start(t, `trap 'echo usr1' USR1; trap 'exit 4' TERM; echo ready; while :; do sleep 0.01; done`)
	if _, err := out.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	done := make(chan int)
	go func() {
		status, err := fg.run(c, func() error { return nil })
		if err != nil {
			t.Error(err)
		}
		done <- status
	}()
	for _, ignored := range []unix.Signal{unix.SIGPIPE, unix.SIGURG, unix.SIGCHLD, unix.SIGWINCH} {
		fg.handle(ignored) // would end the shell, or do nothing
	}
	fg.handle(unix.SIGUSR1)
	if line, err := out.ReadString('\n'); err != nil || line != "usr1\n" {
		t.Errorf("the process printed %q, %v", line, err)
	}
	fg.handle(unix.SIGTERM)
	if status := <-done; status != 4 {
		t.Errorf("exit status %d, want 4", status)
	}
}

func TestASignalBeforeTheProcessEndsTheCreation(t *testing.T) {
	fg, ctx := inForeground(t)
	fg.handle(unix.SIGTERM)
	<-ctx.Done()
	if err := interruption(ctx, ctx.Err()); err == nil || err.Error() != "interrupted by SIGTERM" {
		t.Errorf("interruption() = %v", err)
	}
}

func TestASignalBeforeTheProcessIsDeliveredToIt(t *testing.T) {
	fg, _ := inForeground(t)
	fg.handle(unix.SIGTERM) // too late to stop Create
	c, _ := start(t, "exec sleep 5")
	if status, err := fg.run(c, func() error { return nil }); err != nil || status != 143 {
		t.Errorf("run() = %d, %v, want 143", status, err)
	}
}

func TestASignalToThisProgramArrives(t *testing.T) {
	fg, _ := inForeground(t)
	got := make(chan int)
	c, _ := start(t, "kill -USR2 $PPID; exec sleep 5")
	go func() {
		status, err := fg.run(c, func() error { return nil })
		if err != nil {
			t.Error(err)
		}
		got <- status
	}()
	if status := <-got; status != 128+int(unix.SIGUSR2) {
		t.Errorf("exit status %d, want that of SIGUSR2", status)
	}
}
