package tests

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// A container that was created and not started takes an exec: there is no
// program yet that its init could have executed.

//proves:linux.seccomp
func TestExecIsFilteredThoughTheContainerHasNoProcess(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle(nil, func(s *specs.Spec) {
		s.Process = nil
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{
			{Names: []string{"getpgid"}, Action: specs.ActErrno, ErrnoRet: pointer(uint(unix.EXFULL))},
		}}
	})
	c := h.create(b)
	const mode = "status=Seccomp"
	equal(t, "the mode of seccomp", get[string](t, c.exec(mode), mode), "2")
}

func TestExecEntersUserAndCgroupNamespacesOfAContainerThatIsCreated(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.create(h.newBundle([]string{"sleep"}, inUserNamespace, addNamespace(specs.CgroupNamespace, "")))
	s := c.exec("ids", "namespaces")
	for name, id := range get[map[string]string](t, s, "namespaces") {
		if name != "user" && name != "cgroup" {
			continue
		}
		want, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(c.pid), "ns", name))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, name, id, want)
	}
}

//proves:linux.seccomp.listenerPath
func TestAnAgentThatTakesNothingDoesNotHoldCreateForEver(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	path := filepath.Join(t.TempDir(), "agent")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	// It is all that waits to be accepted.
	first, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	b := h.newBundle([]string{"pid"}, func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, ListenerPath: path, Syscalls: []specs.LinuxSyscall{
			{Names: []string{"getpgid"}, Action: specs.ActNotify},
		}}
	})
	h.refuses([]string{"linux.seccomp.listenerPath", path, "has taken nothing for 10 s"}, "run", "--bundle", b.dir, newID())
	equal(t, "containers that are left", h.must("list", "-q"), "")
}
