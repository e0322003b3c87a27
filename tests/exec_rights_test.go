package tests

import (
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestExecHasTheCapabilitiesOfTheContainerAndNoInheritableOnes(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil, withCapabilities("CAP_KILL", "CAP_CHOWN"))
	sets := []string{"status=CapInh", "status=CapPrm", "status=CapEff", "status=CapBnd", "status=CapAmb"}
	for name, tt := range map[string]struct {
		flags []string
		want  []string
	}{
		"plain": {nil, []string{"0", "21", "21", "21", "0"}},
		"one more": {
			[]string{"-c", "CAP_NET_RAW", "-c", "CAP_SYS_CHROOT"},
			[]string{"0", "42021", "42021", "42021", "0"},
		},
		"another user": {[]string{"--user", "1000"}, []string{"0", "0", "0", "21", "0"}},
	} {
		s := parseSight(t, h.must(append(append(append([]string{"exec"}, tt.flags...), c.id, "/probe"), sets...)...))
		for i, set := range sets {
			got := strings.TrimLeft(get[string](t, s, set), "0")
			if got == "" {
				got = "0"
			}
			equal(t, name+": "+set, got, tt.want[i])
		}
	}
}

func TestExecRefusesACapabilityThatDoesNotExist(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	r := h.try("exec", "--cap", "CAP_NONSENSE", c.id, "/bin/true")
	if !strings.Contains(r.stderr, "CAP_NONSENSE") {
		t.Errorf("nothing is said of it: status %d, %q", r.status, r.stderr)
	}
}

// create has warned of what is wrong with the container.
func TestExecWarnsOnlyOfWhatItIsToldItself(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"sleep"}, func(s *specs.Spec) {
		s.Process.Capabilities = &specs.LinuxCapabilities{
			Bounding: []string{"CAP_KILL", "CAP_CAKE"}, Permitted: []string{"CAP_KILL"}, Ambient: []string{"CAP_KILL"},
		}
	})
	id := newID()
	r := h.try("create", "--bundle", b.dir, id)
	if strings.Count(r.stderr, "level=warning") != 2 {
		t.Errorf("create: %s", r.stderr)
	}
	h.must("start", id)
	r = h.try("exec", "--cap", "CAP_CHOWN", id, "/bin/true")
	equal(t, "what exec says", r.stderr, "")
	r = h.try("exec", "--cap", "CAP_BREAD", id, "/bin/true")
	if !strings.Contains(r.stderr, "CAP_BREAD") || strings.Contains(r.stderr, "CAP_CAKE") || strings.Contains(r.stderr, "ambient") {
		t.Error(r.stderr)
	}
	h.must("delete", "--force", id)
}

func TestExecIsUnderTheSeccompFilterOfTheContainer(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil, func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{
			DefaultAction: specs.ActAllow,
			Syscalls:      []specs.LinuxSyscall{{Names: []string{"mkdir", "mkdirat"}, Action: specs.ActErrno, ErrnoRet: pointer(uint(95))}},
		}
	})
	for _, flags := range [][]string{nil, {"--no-new-privs"}, {"--no-new-privs=false"}} {
		s := parseSight(t, h.must(append(append([]string{"exec"}, flags...), c.id, "/probe", "mkdir=/tmp/x", "status=Seccomp")...))
		equal(t, "mode", get[string](t, s, "status=Seccomp"), "2")
		equal(t, "mkdir", s.failure("mkdir=/tmp/x"), "operation not supported")
	}
}

func TestExecSetsNoNewPrivilegesAsItIsTold(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil, noNewPrivileges(false))
	for flag, want := range map[string]string{"--no-new-privs": "1", "--no-new-privs=false": "0"} {
		s := parseSight(t, h.must("exec", flag, c.id, "/probe", "status=NoNewPrivs"))
		equal(t, flag, get[string](t, s, "status=NoNewPrivs"), want)
	}
}

func TestExecSeesNoDescriptorOfTheCaller(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	leak, err := os.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer leak.Close()
	cmd := h.command("exec", c.id, "/probe", "fds")
	cmd.ExtraFiles = []*os.File{leak, leak, leak}
	r := h.finish(cmd)
	fds := get[map[string]string](t, parseSight(t, r.stdout), "fds")
	equal(t, "number of descriptors", len(fds), 3)
}

func TestExecWorksInAContainerThatIsOnlyCreated(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.create(h.newBundle([]string{"sleep"}))
	s := c.exec("pid", "list=/")
	if get[map[string]int](t, s, "pid")["pid"] < 2 {
		t.Errorf("pid: %s", s["pid"])
	}
	equal(t, "status", h.state(c.id).Status, specs.StateCreated)
	h.must("start", c.id)
}

func TestExecEndsWithTheContainer(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	cmd := h.command("exec", c.id, "/probe", "pid", "sleep")
	awaitText(t, h.startCommand(cmd), `"pid":`)
	h.must("kill", c.id, "KILL")
	_ = cmd.Wait()
	equal(t, "exit status", cmd.ProcessState.ExitCode(), 137)
}
