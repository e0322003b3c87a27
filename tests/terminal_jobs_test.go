package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// underJobControl follows the runtime with what a shell does when a job stops,
// and its user types then: a line, before the job continues.
const underJobControl = `"$0" "$@"; echo "first $?."; stty -a </dev/tty | grep -o -- '-\?icanon'; stty sane </dev/tty; read line </dev/tty; fg >/dev/null; echo "then $?."; exec sleep 1000`

func TestControlZStopsARuntimeWhoseContainerHasNoTerminal(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle(nil, shell("trap 'echo stop' TSTP; trap 'echo go' CONT; trap 'exit 3' USR1; sleep 0.2; echo ready; while :; do sleep 0.05; done"))
	d := atDesk(t, h, "-m", underJobControl, "run", "--bundle", b.dir, newID())
	d.await("ready\r\n")
	runtime := d.runtime()
	d.enter("\x1a")
	d.await("first 148.") // 128 + SIGTSTP
	d.await("stop\r\n")   // passed on, too, before it continues
	d.enter("\n")
	d.await("go\r\n")
	if err := unix.Kill(runtime, unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	d.await("then 3.")
}

func TestAStoppedRuntimeGivesTheTerminalBackUntilItIsContinued(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle(nil, terminal, shell("trap '' TSTP; trap 'exit 3' USR1; echo ready; while :; do sleep 0.05; done"))
	for name, stop := range map[string]struct {
		signal unix.Signal
		first  string
	}{
		"asked to stop":     {unix.SIGTSTP, "first 148.\r\nicanon"},
		"stopped by force":  {unix.SIGSTOP, "first 147."}, // the shell puts the terminal back
		"for reading early": {unix.SIGTTIN, "first 149.\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			d := atDesk(t, h, "-m", underJobControl, "run", "--bundle", b.dir, newID())
			d.await("ready\r\n")
			runtime := d.runtime()
			if err := unix.Kill(runtime, stop.signal); err != nil {
				t.Fatal(err)
			}
			d.await(stop.first)
			d.enter("\n")
			eventually(t, "the terminal is raw again", d.raw)
			if err := unix.Kill(runtime, unix.SIGUSR1); err != nil {
				t.Fatal(err)
			}
			d.await("then 3.")
			equal(t, "modes", d.modes(), d.before)
		})
	}
}

func TestARuntimeInTheBackgroundWaitsForTheTerminal(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle(nil, terminal, shell("echo ready; read line; echo got $line; exit 3"))
	script := strings.Replace(underJobControl, `"$@";`, `"$@" & until [ "$(cut -d " " -f 3 /proc/$!/stat)" = T ]; do sleep 0.02; done; echo stopped;`, 1)
	d := atDesk(t, h, "-m", script, "run", "--bundle", b.dir, newID())
	d.await("stopped")
	d.enter("\n")
	d.await("ready\r\n")
	d.enter("line\r")
	d.await("got line\r\n")
	d.await("then 3.")
	equal(t, "modes", d.modes(), d.before)
}

// Somebody takes the terminal while the runtime runs on, as a job that was never
// stopped: what it does at its end must not stop it (SIGTTOU).
func TestARuntimeThatIsMovedToTheBackgroundPutsTheTerminalBackAndEnds(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle(nil, terminal, shell("trap 'exit 3' USR1; echo ready; while :; do sleep 0.05; done"))
	now := filepath.Join(t.TempDir(), "now")
	d := atDesk(t, h, "-", "(until [ -e "+now+" ]; do sleep 0.05; done; exec "+suite.probe+" takeover sleep) & "+thenStay, "run", "--bundle", b.dir, newID())
	d.await("ready\r\n")
	if err := os.WriteFile(now, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	runtime := 0
	eventually(t, "the runtime is in the background", func() bool {
		group, err := unix.IoctlGetInt(int(d.master.Fd()), unix.TIOCGPGRP)
		return err == nil && group != d.shell
	})
	for _, child := range childrenOf(t, d.shell) {
		if name, err := os.Readlink(procPath(child, "exe")); err == nil && name == suite.runtime {
			runtime = child
		}
	}
	if err := unix.Kill(runtime, unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	d.await("status 3.")
	equal(t, "modes", d.modes(), d.before)
}

func TestWithoutAJobTheSignalsOfTheTerminalAreTheContainers(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle(nil, shell("for s in TSTP TTIN TTOU; do trap \"echo $s\" $s; done; trap 'exit 3' USR1; echo ready; while :; do sleep 0.05; done"))
	cmd := h.command("run", "--bundle", b.dir, newID())
	out := h.startCommand(cmd)
	awaitText(t, out, "ready")
	for sig, name := range map[unix.Signal]string{unix.SIGTSTP: "TSTP", unix.SIGTTIN: "TTIN", unix.SIGTTOU: "TTOU"} {
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		awaitText(t, out, name+"\n")
	}
	_ = cmd.Process.Signal(unix.SIGUSR1)
	_ = cmd.Wait()
	equal(t, "exit status", cmd.ProcessState.ExitCode(), 3)
}
