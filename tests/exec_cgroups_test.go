package tests

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Which cgroup an exec joins where init is no longer in the container's own.

// moved starts a container whose init has gone into cgroups of its own, own/deeper,
// in each hierarchy; those of v2 have all controllers, so that nobody can be in the
// container's own.
func moved(t *testing.T, edits ...edit) *container {
	t.Helper()
	needBusybox(t)
	h := newHost(t)
	const script = `for top in /sys/fs/cgroup /sys/fs/cgroup/*; do
		[ -e $top/cgroup.procs ] || continue
		mkdir -p $top/own/deeper $top/other
		for cpuset in $top/own $top/own/deeper $top/other; do
			[ -e $top/cpuset.cpus ] && [ ! -e $top/cgroup.controllers ] || continue
			for f in cpuset.cpus cpuset.mems; do cat $top/$f >$cpuset/$f; done
		done
		echo 0 >$top/own/deeper/cgroup.procs
		[ -e $top/cgroup.controllers ] && for c in $(cat $top/cgroup.controllers); do echo +$c >$top/cgroup.subtree_control; done
	done 2>/dev/null
	echo moved; exec sleep 1000`
	c := h.create(h.newBundle(nil, append([]edit{shell(script), allCapabilities, writableCgroup, addNamespace(specs.CgroupNamespace, "")}, edits...)...))
	h.must("start", c.id)
	eventually(t, "init has moved", func() bool { return readFile(t, c.out) == "moved\n" })
	for _, controller := range allCgroups() {
		if dir := c.cgroup(controller); !strings.HasSuffix(dir, c.id+"/own/deeper") && !strings.HasSuffix(dir, ".scope/own/deeper") {
			t.Fatalf("init is in %s", dir)
		}
	}
	return c
}

// execIn runs a process in the container, which goes on, and returns the cgroups that
// it is in below the container's, by controller.
func (c *container) execIn(flags ...string) map[string]string {
	t := c.h.t
	t.Helper()
	pidFile := filepath.Join(t.TempDir(), "pid")
	line := append(append([]string{"exec", "--detach", "--pid-file", pidFile}, flags...), c.id, "/probe", "sleep")
	c.h.must(line...)
	pid, err := strconv.Atoi(readFile(t, pidFile))
	if err != nil {
		t.Fatal(err)
	}
	in := map[string]string{}
	for _, controller := range allCgroups() {
		top := strings.TrimSuffix(c.cgroup(controller), "/own/deeper")
		in[controller] = strings.TrimPrefix(cgroupOf(t, pid, controller), top)
	}
	return in
}

// v1 and v2 without controllers let a process be anywhere: there it is the
// container's own, with its limits. Else it is where init has gone.
func TestExecJoinsTheContainersCgroupOrWhereInitHasGone(t *testing.T) {
	t.Parallel()
	for name, also := range map[string]edit{
		"root of the host": func(*specs.Spec) {}, "root of a user namespace": inUserNamespace,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name != "root of the host" && !onlyV2() {
				lacks(t, "cgroups that a user namespace may change: v2 alone")
			}
			c := moved(t, also)
			want, below := map[string]string{}, map[string]string{}
			for _, controller := range allCgroups() {
				want[controller], below[controller] = "", "/other"
				top := strings.TrimSuffix(c.cgroup(controller), "/own/deeper")
				if given, err := os.ReadFile(top + "/cgroup.subtree_control"); err == nil && len(given) > 1 {
					want[controller] = "/own/deeper"
				}
			}
			equal(t, "where an exec is", c.execIn(), want)
			equal(t, "where one is that says where", c.execIn("--cgroup", "/other"), below)
			if onlyV2() && hasController("pids") {
				equal(t, "what nobody can be in", want[""], "/own/deeper")
				top := strings.TrimSuffix(c.cgroup(""), "/deeper")
				writeFile(t, top+"/cgroup.subtree_control", "+pids")
				c.h.refuses([]string{"join " + top, "device or resource busy", "gives controllers to the cgroups below it"},
					"exec", "--cgroup", "own", c.id, "/probe", "pid")
			}
			c.h.refuses([]string{"/none", "no such file or directory"}, "exec", "--cgroup", "none", c.id, "/probe", "pid")
			c.h.must("pause", c.id)
			c.h.must("delete", "--force", c.id)
		})
	}
}
