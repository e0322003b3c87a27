package tests

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/tests/controllers"
)

// The controllers of the network are only in cgroup v1, and few machines mount
// them: here it is done in a mount namespace, on one hierarchy for both.

//proves:linux.resources.network.classID
//proves:linux.resources.network.priorities[].name linux.resources.network.priorities[].priority
//proves:config-linux.md#network:1 config-linux.md#network:2
func TestPacketsHaveTheClassAndPriorityOfTheContainer(t *testing.T) {
	needTool(t, "unshare")
	names, err := controllers.Free("net_cls", "net_prio")
	if err != nil {
		t.Fatal(err)
	}
	if len(names) != 2 {
		lacks(t, "net_cls and net_prio of cgroup v1, free to mount")
	}
	t.Cleanup(func() {
		if err := controllers.Release(names); err != nil {
			t.Error(err)
		}
	})
	h := newHost(t)
	h.leavesNothing()
	mounts := t.TempDir()
	run := func(b *bundle) result {
		const script = `for c in net_cls net_prio; do mkdir -p "$0/$c" && mount -t cgroup -o $c cgroup "$0/$c" || exit; done; exec "$@"`
		return h.finish(exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", script, mounts,
			suite.runtime, "--root", h.root, "run", "--bundle", b.dir, newID()))
	}
	class, priorities := "read="+cgroupRoot+"/net_cls/net_cls.classid", "read="+cgroupRoot+"/net_prio/net_prio.ifpriomap"
	limits := func(interfaceName string) edit {
		return resources(specs.LinuxResources{Network: &specs.LinuxNetwork{
			ClassID:    pointer(uint32(0x100001)),
			Priorities: []specs.LinuxInterfacePriority{{Name: interfaceName, Priority: 5}},
		}})
	}
	// The file shows the interfaces of its reader's namespace.
	r := run(h.newBundle([]string{class, priorities}, dropNamespace(specs.NetworkNamespace), limits("lo")))
	if r.status != 0 {
		t.Fatal(r.stderr)
	}
	s := parseSight(t, r.stdout)
	equal(t, "class", get[string](t, s, class), "1048577\n")
	if text := get[string](t, s, priorities); !strings.Contains(text, "lo 5\n") {
		t.Errorf("priorities:\n%s", text)
	}
	r = run(h.newBundle([]string{"pid"}, limits("none9")))
	for _, want := range []string{"linux.resources.network.priorities[0]", "none9 5", "not a network interface of the host"} {
		if r.status == 0 || !strings.Contains(r.stderr, want) {
			t.Errorf("status %d, want %q\n%s", r.status, want, r.stderr)
		}
	}
}

//proves:linux.resources.network.classID config-linux.md#unified:3
func TestNetworkLimitsWithoutTheirControllersAreRefused(t *testing.T) {
	if hasController("net_cls") {
		lacks(t, "a machine without net_cls")
	}
	newHost(t).fails([]string{"linux.resources.network.classID", "not mounted here"}, resources(specs.LinuxResources{
		Network: &specs.LinuxNetwork{ClassID: pointer(uint32(1))},
	}))
}
