package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// newUserHost is for an ordinary user: the one who runs the suite, or nobody.
func newUserHost(t *testing.T) *host {
	t.Helper()
	h := newHostOf(t)
	if os.Geteuid() == 0 {
		h.asNobody()
	}
	return h
}

// asNobody makes the commands of h those of an ordinary user, who can reach the
// runtime and owns the state directory.
func (h *host) asNobody() {
	h.t.Helper()
	if bySystemd() && !fileExists(fmt.Sprintf("/run/user/%d/systemd/private", nobody)) {
		lacks(h.t, "a manager of systemd's for nobody")
	}
	h.becomes(nobody)
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

// becomes makes the commands of h those of a user.
func (h *host) becomes(uid uint32) {
	h.t.Helper()
	id := fmt.Sprint(uid)
	h.as = uid
	h.through = []string{needTool(h.t, "setpriv"), "--reuid=" + id, "--regid=" + id, "--clear-groups"}
}

// within is h for a part of the test.
func (h *host) within(t *testing.T) *host {
	t.Helper()
	copied := *h
	copied.t = t
	return &copied
}

// rootlessBundle is a bundle of an ordinary user's with the configuration that
// spec writes for him.
func (h *host) rootlessBundle(commands []string, edits ...edit) *bundle {
	h.t.Helper()
	b := &bundle{dir: h.t.TempDir()}
	b.populate(h.t)
	reachable(h.t, b.dir) // for ids that are not the user's
	if h.as != 0 {
		for _, dir := range []string{b.dir, b.path("rootfs")} {
			if err := os.Chown(dir, int(h.as), int(h.as)); err != nil {
				h.t.Fatal(err)
			}
		}
	}
	h.must("spec", "--rootless", "--bundle", b.dir)
	if err := json.Unmarshal([]byte(readFile(h.t, b.path("config.json"))), &b.config); err != nil {
		h.t.Fatal(err)
	}
	b.config.Process.Terminal = false
	b.config.Process.Args = append([]string{"/probe"}, commands...)
	for _, edit := range edits {
		edit(b.config)
	}
	b.save(h.t)
	return b
}

// begin creates and starts a container of an ordinary user's.
func (h *host) begin(b *bundle) *container {
	h.t.Helper()
	c := &container{h: h, id: newID()}
	h.must("create", "--bundle", b.dir, c.id)
	h.t.Cleanup(c.delete)
	h.must("start", c.id)
	c.pid = h.state(c.id).Pid
	return c
}

// ownsCgroups reports whether the user of h may make cgroups beside his own.
func (h *host) ownsCgroups() bool {
	return h.as == 0 && onlyV2() && unix.Access(ownCgroup(h.t, ""), unix.W_OK) == nil
}

// userManagers are the ways for an ordinary user to limit a container: global
// flags by the name of what makes the cgroup.
func (h *host) userManagers() map[string][]string {
	h.t.Helper()
	if !h.ownsCgroups() {
		lacks(h.t, "a cgroup that an ordinary user was given")
	}
	ways := map[string][]string{"cgroupfs": {"--cgroup-manager", "cgroupfs"}}
	if fileExists(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "systemd/private")) {
		ways["systemd"] = []string{systemdFlag}
	}
	return ways
}

//proves:linux.namespaces[].type=user
func TestSpecWritesForAnOrdinaryUserWhatHeMayHave(t *testing.T) {
	h := newUserHost(t)
	b := h.rootlessBundle(nil)
	l := b.config.Linux
	equal(t, "uid mappings", l.UIDMappings, []specs.LinuxIDMapping{{HostID: h.uid(), Size: 1}})
	equal(t, "gid mappings", l.GIDMappings, []specs.LinuxIDMapping{{HostID: h.gid(), Size: 1}})
	equal(t, "resources", l.Resources, nil)
	for _, m := range b.config.Mounts {
		if slices.ContainsFunc(m.Options, func(o string) bool { return strings.HasPrefix(o, "gid=") || strings.HasPrefix(o, "uid=") }) {
			t.Errorf("%s has %v", m.Destination, m.Options)
		}
		if m.Destination == "/sys" {
			equal(t, "/sys", []any{m.Type, m.Source, slices.Contains(m.Options, "rbind"), slices.Contains(m.Options, "ro")}, []any{"none", "/sys", true, true})
		}
	}
	h.refuses([]string{"File config.json exists. Remove it first"}, "spec", "--rootless", "--bundle", b.dir)
	if err := os.Chmod(b.dir, 0o555); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(b.path("config.json"), filepath.Join(t.TempDir(), "away")); err == nil {
		h.refuses([]string{"config.json: permission denied"}, "spec", "--rootless", "--bundle", b.dir)
	}
	_ = os.Chmod(b.dir, 0o755)
}

func TestAnOrdinaryUserRunsWhatSpecWroteForHim(t *testing.T) {
	h := newUserHost(t)
	b := h.rootlessBundle([]string{"ids", "list=/sys/fs/cgroup"})
	const noCgroup = "create cgroup "
	warnings := 1 // that he has no cgroup, unless he was given one
	if h.ownsCgroups() {
		warnings = 0
	}

	r := h.try("check", "--bundle", b.dir)
	if r.status != 2*warnings || strings.Count(r.stdout+r.stderr, "warning") != warnings || strings.Count(r.stdout+r.stderr, noCgroup) != warnings {
		t.Errorf("check: status %d\n%s%s", r.status, r.stdout, r.stderr)
	}

	id := newID()
	r = h.try("run", "--bundle", b.dir, id)
	if r.status != 0 || strings.Count(r.stderr, "\n") != warnings || strings.Count(r.stderr, noCgroup) != warnings {
		t.Fatalf("run: status %d\n%s", r.status, r.stderr)
	}
	s := parseSight(t, r.stdout)
	equal(t, "users", get[struct{ UID []uint32 }](t, s, "ids").UID, []uint32{0, 0, 0})
	// Not the host's, which the bind of its /sys would show.
	seen := get[[]string](t, s, "list=/sys/fs/cgroup")
	if onlyV2() {
		equal(t, "what he sees is not the root of all", slices.Contains(seen, "cgroup.events"), true)
		seen = slices.DeleteFunc(seen, func(name string) bool { return !strings.HasSuffix(name, ".slice") })
	}
	equal(t, "cgroups to be seen", seen, []string{})
	h.nothingRemains(id, b)
}

func TestAnOrdinaryUserAttendsToHisContainer(t *testing.T) {
	h := newUserHost(t)
	b := h.rootlessBundle([]string{"sleep"})
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

func TestTheLimitsOfAnOrdinaryUserHold(t *testing.T) {
	h := newUserHost(t)
	for name, flags := range h.userManagers() {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root, flags: flags}
			limits := specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: pointer(int64(64 << 20))}, Pids: &specs.LinuxPids{Limit: pointer(int64(66))}}
			b := h.rootlessBundle([]string{"sleep"}, func(s *specs.Spec) { s.Linux.Resources = &limits })
			c := h.create(b)
			h.must("start", c.id)
			dir := c.cgroup("")
			equal(t, "memory.max", readFile(t, dir+"/memory.max"), "67108864\n")
			equal(t, "pids.max", readFile(t, dir+"/pids.max"), "66\n")
			equal(t, "the cgroup of an exec", get[string](t, c.exec("read=/proc/self/cgroup"), "read=/proc/self/cgroup"), "0::/\n")
			equal(t, "processes", len(h.pids(c.id)), 1)
			equal(t, "limit that events tells of", c.stats().Memory.Usage.Limit, 64<<20)
			h.must("update", "--memory", "96M", "--pids-limit", "2", c.id)
			equal(t, "memory.max", readFile(t, dir+"/memory.max"), "100663296\n")
			if r := h.try("exec", c.id, "/bin/sh", "-c", "(echo child); echo end"); !strings.Contains(r.stderr, "can't fork") {
				t.Errorf("a third process: status %d\n%s%s", r.status, r.stdout, r.stderr)
			}
			h.must("pause", c.id)
			equal(t, "status", string(h.state(c.id).Status), "paused")
			h.must("resume", c.id)
			h.must("kill", c.id, "KILL")
			h.awaitStatus(c.id, specs.StateStopped)
			h.must("delete", c.id)
			h.nothingRemains(c.id, b)
			equal(t, "its cgroup is there", fileExists(dir), false)
		})
	}
}

//proves:linux.seccomp.listenerPath linux.seccomp.syscalls[].action=SCMP_ACT_NOTIFY
func TestAnOrdinaryUsersAgentGetsTheListener(t *testing.T) {
	h := newUserHost(t)
	a := newAgent(t)
	reachable(t, filepath.Dir(a.path))
	if err := os.Chmod(a.path, 0o666); err != nil {
		t.Fatal(err)
	}
	b := h.rootlessBundle([]string{makeGetpgid}, func(s *specs.Spec) {
		s.Linux.Seccomp = filter(specs.ActNotify, nil)
		s.Linux.Seccomp.ListenerPath = a.path
	})
	s := parseSight(t, h.must("run", "--bundle", b.dir, newID()))
	equal(t, "what the agent answered", get[called](t, s, makeGetpgid).Errno, unix.EXFULL)
	equal(t, "containers that the agent knows of", len(a.state(t).Fds), 1)
}
