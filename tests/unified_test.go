package tests

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// onlyUnified has the runtime see a machine whose cgroups are v2 and nothing
// else: in a mount namespace in which nothing else is mounted.
func (h *host) onlyUnified(args ...string) result {
	h.t.Helper()
	return h.finish(h.unifiedCommand(args...))
}

func (h *host) unifiedCommand(args ...string) *exec.Cmd {
	return onlyUnified("rw", append([]string{suite.runtime, "--root", h.root}, args...)...)
}

// onlyUnified is a command in a mount namespace where cgroup v2 is mounted with
// the options, and nothing else of cgroups. The options are those of all mounts
// of v2, until the next of this kind.
func onlyUnified(options string, command ...string) *exec.Cmd {
	const script = `umount -R /sys/fs/cgroup && mount -t cgroup2 -o "$0" cgroup2 /sys/fs/cgroup && exec "$@"`
	return exec.Command("unshare", append([]string{"--mount", "--propagation", "private", "sh", "-c", script, options}, command...)...)
}

func TestAMachineWithCgroupV2AloneRunsContainers(t *testing.T) {
	needTool(t, "unshare")
	h := newHost(t)
	h.leavesNothing()
	must := func(args ...string) string {
		t.Helper()
		r := h.onlyUnified(args...)
		if r.status != 0 {
			t.Fatalf("%v: exit status %d\n%s", args, r.status, r.stderr)
		}
		return r.stdout
	}
	const group, kmsg = "read=/proc/self/cgroup", "open=/dev/kmsg"
	b := h.newBundle([]string{group, kmsg, "open=/dev/null", "mounts"}, addNamespace(specs.CgroupNamespace, ""), allCapabilities, func(s *specs.Spec) {
		s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/kmsg", Type: "c", Major: 1, Minor: 11}}
	})
	s := parseSight(t, must("run", "--bundle", b.dir, newID()))
	if own := get[string](t, s, group); !strings.Contains(own, "0::/\n") {
		t.Errorf("its cgroup is not the root of its namespace: %q", own)
	}
	equal(t, "a device that is not allowed", s.failure(kmsg), "operation not permitted")
	get[string](t, s, "open=/dev/null")
	equal(t, "/sys/fs/cgroup", mountsOf(t, s)["/sys/fs/cgroup"].kind, "cgroup2")

	b.config.Process.Args = []string{"/probe", "sleep"}
	b.save(t)
	id := newID()
	must("run", "--detach", "--bundle", b.dir, id)
	equal(t, "the cgroup of an exec", get[string](t, parseSight(t, must("exec", id, "/probe", group)), group), get[string](t, s, group))
	must("pause", id)
	var state specs.State
	if err := json.Unmarshal([]byte(must("state", id)), &state); err != nil {
		t.Fatal(err)
	}
	equal(t, "status", string(state.Status), "paused")
	must("delete", "--force", id)
}

func TestExecEntersTheCgroupOfAContainerWhereNamespacesDelegate(t *testing.T) {
	needTool(t, "unshare")
	h := newHost(t)
	b := h.newBundle([]string{"sleep"}, addNamespace(specs.CgroupNamespace, ""))
	id := newID()
	t.Cleanup(func() { h.onlyUnified("delete", "--force", id) })
	if r := h.onlyUnified("run", "--detach", "--bundle", b.dir, id); r.status != 0 {
		t.Fatal(r.stderr)
	}
	// As systemd mounts it: the kernel then refuses to let a process into the
	// container's cgroup from outside of the container's cgroup namespace, if
	// the process is in this namespace already.
	t.Cleanup(func() { _ = onlyUnified("rw", "true").Run() })
	const group = "read=/proc/self/cgroup"
	r := h.finish(onlyUnified("nsdelegate", suite.runtime, "--root", h.root, "exec", id, "/probe", group))
	if r.status != 0 {
		t.Fatal(r.stderr)
	}
	if own := get[string](t, parseSight(t, r.stdout), group); !strings.Contains(own, "0::/\n") {
		t.Errorf("it is in %q", own)
	}
}
