package rtnl_test

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"hull/internal/rtnl"
	"hull/internal/testkit"
)

// dial opens a socket in the namespace of the test.
func dial(t *testing.T) *rtnl.Conn {
	t.Helper()
	c, err := rtnl.Dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestTheLoopbackDeviceIsFoundAndSetUp(t *testing.T) {
	testkit.In(t, unix.CLONE_NEWNET, func() {
		c := dial(t)
		lo, err := c.ByName("lo")
		if want := (rtnl.Link{Index: 1, Name: "lo"}); err != nil || lo != want {
			t.Fatalf("%+v, %v", lo, err)
		}
		if err := c.Set(lo.Index, rtnl.Change{Up: true}); err != nil {
			t.Fatal(err)
		}
		if lo, err = c.ByIndex(lo.Index); err != nil || !lo.Up {
			t.Errorf("%+v, %v", lo, err)
		}
		list, err := c.Addresses(lo.Index)
		if err != nil || len(list) == 0 {
			t.Fatalf("%+v, %v", list, err)
		}
		for _, a := range list {
			// 127.0.0.1 and ::1 have the scope of a host.
			if !a.Permanent() || a.Global() {
				t.Errorf("%+v: permanent %v, global %v", a, a.Permanent(), a.Global())
			}
			// What the device has is not added again.
			if err := c.AddAddress(lo.Index, &a); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestADeviceThatIsNotThereIsENODEV(t *testing.T) {
	testkit.RequireRoot(t)
	if _, err := dial(t).ByName("hull-none"); !errors.Is(err, unix.ENODEV) {
		t.Errorf("%v", err)
	}
}

// another returns a network namespace that nobody is in.
func another(t *testing.T) *os.File {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own := open(t)
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	other := open(t)
	if err := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	return other
}

// open opens the network namespace of the calling thread.
func open(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestTheKernelExplainsWhatItRefuses(t *testing.T) {
	testkit.In(t, unix.CLONE_NEWNET, func() {
		err := dial(t).Set(1, rtnl.Change{Namespace: int(another(t).Fd())})
		var refused *rtnl.RefusedError
		if !errors.As(err, &refused) || refused.Errno != unix.EINVAL {
			t.Errorf("moving lo: %v", err)
		}
	})
}

func TestASocketIsOpenedInAnotherNamespaceAndTheThreadComesBack(t *testing.T) {
	testkit.In(t, unix.CLONE_NEWNET, func() {
		own, err := os.Readlink("/proc/thread-self/ns/net")
		if err != nil {
			t.Fatal(err)
		}
		if err := dial(t).Set(1, rtnl.Change{Up: true}); err != nil {
			t.Fatal(err)
		}
		there, err := rtnl.DialIn(int(another(t).Fd()))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = there.Close() }()
		if lo, err := there.ByName("lo"); err != nil || lo.Up {
			t.Errorf("lo, which is up here, is %+v there, %v", lo, err)
		}
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks {
			if ns, err := os.Readlink("/proc/self/task/" + task.Name() + "/ns/net"); err == nil && ns != own {
				t.Errorf("thread %s is in %s, not in %s", task.Name(), ns, own)
			}
		}
		if _, err := rtnl.DialIn(int(os.Stderr.Fd())); err == nil {
			t.Error("the standard error is a network namespace")
		}
	})
}
