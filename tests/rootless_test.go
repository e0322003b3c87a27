package tests

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// asNobody makes the commands of h those of an ordinary user, who can reach the
// runtime and owns the state directory.
func (h *host) asNobody() {
	h.t.Helper()
	id := strconv.Itoa(nobody)
	h.through = []string{needTool(h.t, "setpriv"), "--reuid=" + id, "--regid=" + id, "--clear-groups"}
	h.binary = filepath.Join(h.t.TempDir(), "hull")
	copyFile(h.t, suite.runtime, h.binary)
	for _, err := range []error{os.Chmod(h.binary, 0o755), os.Chown(h.root, nobody, nobody)} {
		if err != nil {
			h.t.Fatal(err)
		}
	}
	reachable(h.t, filepath.Dir(h.binary))
	reachable(h.t, filepath.Dir(h.root))
}

// rootlessBundle is a bundle of nobody's with the configuration that spec writes
// for him.
func (h *host) rootlessBundle(commands ...string) *bundle {
	h.t.Helper()
	b := &bundle{dir: h.t.TempDir()}
	reachable(h.t, b.dir)
	b.populate(h.t)
	for _, dir := range []string{b.dir, b.path("rootfs")} {
		if err := os.Chown(dir, nobody, nobody); err != nil {
			h.t.Fatal(err)
		}
	}
	h.must("spec", "--rootless", "--bundle", b.dir)
	if err := json.Unmarshal([]byte(readFile(h.t, b.path("config.json"))), &b.config); err != nil {
		h.t.Fatal(err)
	}
	b.config.Process.Terminal = false
	b.config.Process.Args = append([]string{"/probe"}, commands...)
	b.save(h.t)
	return b
}

func TestAnOrdinaryUserRunsWhatSpecWroteForHim(t *testing.T) {
	h := newHost(t)
	h.asNobody()
	b := h.rootlessBundle("ids", "list=/sys/fs/cgroup")
	const noCgroup = "create cgroup "

	r := h.try("check", "--bundle", b.dir)
	if r.status != 2 || strings.Count(r.stdout+r.stderr, "warning") != 1 || !strings.Contains(r.stdout+r.stderr, noCgroup) {
		t.Errorf("check: status %d\n%s%s", r.status, r.stdout, r.stderr)
	}

	id := newID()
	r = h.try("run", "--bundle", b.dir, id)
	if r.status != 0 || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, noCgroup) {
		t.Fatalf("run: status %d\n%s", r.status, r.stderr)
	}
	s := parseSight(t, r.stdout)
	equal(t, "users", get[struct{ UID []uint32 }](t, s, "ids").UID, []uint32{0, 0, 0})
	// Not the host's, which the bind of its /sys would show.
	equal(t, "cgroups to be seen", get[[]string](t, s, "list=/sys/fs/cgroup"), []string{})
	h.nothingRemains(id, b)
}

func TestAnOrdinaryUserAttendsToHisContainer(t *testing.T) {
	h := newHost(t)
	h.asNobody()
	b := h.rootlessBundle("sleep")
	c := &container{h: h, id: newID()}
	h.must("create", "--bundle", b.dir, c.id)
	t.Cleanup(c.delete)
	equal(t, "status", string(h.state(c.id).Status), "created")
	h.must("start", c.id)
	equal(t, "status", string(h.state(c.id).Status), "running")
	equal(t, "uid of an exec", get[struct{ UID []uint32 }](t, c.exec("ids"), "ids").UID, []uint32{0, 0, 0})
	if list := h.must("list", "-q"); !strings.Contains(list, c.id) {
		t.Errorf("list: %q", list)
	}
	h.must("delete", "--force", c.id)
	h.nothingRemains(c.id, b)
}

//proves:linux.seccomp.listenerPath linux.seccomp.syscalls[].action=SCMP_ACT_NOTIFY
func TestAnOrdinaryUsersAgentGetsTheListener(t *testing.T) {
	h := newHost(t)
	h.asNobody()
	a := newAgent(t)
	reachable(t, filepath.Dir(a.path))
	if err := os.Chmod(a.path, 0o666); err != nil {
		t.Fatal(err)
	}
	b := h.rootlessBundle(makeGetpgid)
	b.config.Linux.Seccomp = filter(specs.ActNotify, nil)
	b.config.Linux.Seccomp.ListenerPath = a.path
	b.save(t)
	s := parseSight(t, h.must("run", "--bundle", b.dir, newID()))
	equal(t, "what the agent answered", get[called](t, s, makeGetpgid).Errno, unix.EXFULL)
	equal(t, "containers that the agent knows of", len(a.state(t).Fds), 1)
}
