package state_test

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hull/internal/testkit"
	"hull/state"
)

func TestTheGateLetsInitGoAndTellsTheOutcome(t *testing.T) {
	root := t.TempDir()
	d := create(t, root, "c")
	if d.HasGate() {
		t.Error("HasGate() before MakeGate")
	}
	gate, err := d.MakeGate()
	if err != nil {
		t.Fatal(err)
	}
	if !d.HasGate() {
		t.Error("HasGate() after MakeGate is false")
	}
	passed := make(chan error)
	go func() { // init
		buf := make([]byte, 8)
		n, err := unix.Read(gate.Wait, buf)
		if err == nil && n != 1 {
			err = unix.EBADMSG
		}
		passed <- err
	}()
	select {
	case err := <-passed:
		t.Fatalf("init passed the closed gate: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	result, err := reopen(t, root).Open()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(result)
	if err := <-passed; err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(gate.Result, []byte("fared well")); err != nil {
		t.Fatal(err)
	}
	gate.Close()
	buf := make([]byte, 64)
	n, err := unix.Read(result, buf)
	if err != nil || string(buf[:n]) != "fared well" {
		t.Errorf("the outcome is %q, %v", buf[:max(n, 0)], err)
	}
	if n, err = unix.Read(result, buf); n != 0 || err != nil {
		t.Errorf("behind it there is %d, %v, want the end", n, err)
	}
	for range 2 {
		d.RemoveGate()
	}
	if d.HasGate() {
		t.Error("HasGate() after RemoveGate")
	}
}

func TestAGateWithoutInitSaysSo(t *testing.T) {
	d := create(t, t.TempDir(), "c")
	gate, err := d.MakeGate()
	if err != nil {
		t.Fatal(err)
	}
	gate.Close() // init has died
	if fd, err := d.Open(); !errors.Is(err, state.ErrInitGone) {
		t.Errorf("Open() = %d, %v, want ErrInitGone", fd, err)
	}
	d.RemoveGate()
	if fd, err := d.Open(); !errors.Is(err, unix.ENOENT) {
		t.Errorf("Open() of a gate that is gone = %d, %v, want ENOENT", fd, err)
	}
}

func TestAGateIsMadeOnce(t *testing.T) {
	root := t.TempDir()
	d := create(t, root, "c")
	testkit.Tree(t, root, "symlink c/exec.fifo /dev/null")
	if _, err := d.MakeGate(); !errors.Is(err, unix.EEXIST) {
		t.Errorf("MakeGate() over something = %v, want EEXIST", err)
	}
	if fd, err := d.Open(); err == nil {
		unix.Close(fd)
		t.Error("Open() followed a symbolic link")
	}
}
