package inroot

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hull/internal/testkit"
)

func read(t *testing.T, h Handle, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	var buf [4096]byte
	n, err := unix.Read(h.FD(), buf[:])
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func TestSysctlPathFollowsTheRuleOfSysctl8(t *testing.T) {
	for key, want := range map[string]string{
		"kernel.shmmax":                     "sys/kernel/shmmax",
		"net.ipv4.conf.eth0/100.forwarding": "sys/net/ipv4/conf/eth0.100/forwarding",
		"net/ipv4/conf/eth0.100/forwarding": "sys/net/ipv4/conf/eth0.100/forwarding",
		"a":                                 "sys/a",
		"":                                  "",
		"kernel..x":                         "",
		"kernel/../x":                       "",
		"net./.x":                           "",
		"net.//.x":                          "",
		"/kernel":                           "",
		"kernel.":                           "",
	} {
		got, ok := sysctlPath(key)
		if got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v, want %q", key, got, ok, want)
		}
	}
}

func TestWriteSysctlWritesInTheContainersNamespaces(t *testing.T) {
	before, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if err != nil {
		t.Skip(err)
	}
	testkit.In(t, syscall.CLONE_NEWNET|syscall.CLONE_NEWNS, func() {
		var p Proc
		defer p.Close()
		const key = "net.ipv4.ip_unprivileged_port_start"
		if err := p.WriteSysctl(key, "77"); err != nil {
			t.Fatal(err)
		}
		h, err := p.OpenWhole("sys/net/ipv4/ip_unprivileged_port_start", unix.O_RDONLY)
		if got := read(t, h, err); got != "77\n" {
			t.Errorf("it is %q", got)
		}
		err = p.WriteSysctl(key, "many")
		if !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "write sysctl "+key+": invalid argument (the kernel does not accept") {
			t.Errorf("a bad value: %v", err)
		}
		if err := p.WriteSysctl("net.nothing", "1"); !errors.Is(err, unix.ENOENT) {
			t.Errorf("an unknown key: %v", err)
		}
	})
	if testkit.Inside(t) {
		return
	}
	if after, _ := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start"); !bytes.Equal(after, before) {
		t.Errorf("the host's value was %q and is %q", before, after)
	}
}

func TestThePrivateProcfsIsNotCoveredByMounts(t *testing.T) {
	testkit.In(t, syscall.CLONE_NEWNS, func() {
		if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("/proc/self/sched", "/proc/self/comm", "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		var p Proc
		defer p.Close()
		if err := p.WriteThread("comm", "behind"); err != nil {
			t.Fatal(err)
		}
		h, err := p.OpenThread("comm", unix.O_RDONLY)
		if got := read(t, h, err); got != "behind\n" {
			t.Errorf("comm is %q", got)
		}
		if _, err := p.OpenSelf("../sys/kernel/ostype", unix.O_RDONLY); !errors.Is(err, unix.ENOENT) {
			t.Errorf("the process room shows /proc/sys: %v", err)
		}
		if _, err := p.OpenSelf("exe", unix.O_RDONLY); !errors.Is(err, unix.ELOOP) {
			t.Errorf("a magic link was followed: %v", err)
		}
	})
}

func TestTheHostsProcfsIsTakenOnlyWhereNothingIsMounted(t *testing.T) {
	testkit.In(t, syscall.CLONE_NEWNS|syscall.CLONE_NEWUSER, func() {
		// The pid namespace is the host's: a new procfs is refused.
		if _, err := newProcfs(processesOnly); !errors.Is(err, unix.EPERM) {
			t.Fatalf("a new procfs: %v", err)
		}
		if err := unix.Mount("/proc/self/sched", "/proc/self/comm", "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		fd, err := unix.Open("/proc", unix.O_PATH|unix.O_DIRECTORY, 0)
		if err != nil {
			t.Fatal(err)
		}
		host, err := verifyProcfs(Own(fd))
		if err != nil {
			t.Fatal(err)
		}
		defer host.Close()
		if _, err := openBelow(host, "self/comm", unix.O_RDONLY, 0); !errors.Is(err, unix.EXDEV) {
			t.Errorf("a covered file was opened: %v", err)
		}
		var p Proc
		defer p.Close()
		h, err := p.OpenSelf("status", unix.O_RDONLY)
		if got := read(t, h, err); !strings.HasPrefix(got, "Name:") {
			t.Errorf("status is %q", got)
		}
	})
}

func TestAnythingButTheRootOfAProcfsIsRefused(t *testing.T) {
	for _, path := range []string{"/", "/proc/sys", "/sys"} {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if h, err := verifyProcfs(Own(fd)); err == nil {
			h.Close()
			t.Errorf("%s passed for a procfs", path)
		}
	}
}
