package tests

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// hull in a container of hull's: root there has capabilities and a cgroupfs that
// can be written.

// nest is a container in which the runtime runs.
type nest struct {
	*container
	outer *bundle
	// inside is the runtime in it.
	inside *host
	// limited says that what it makes can have limits.
	limited bool
}

// settle moves the program of a nest into a cgroup below the container's own if that
// is of v2: only so can those beside it have controllers.
const settle = `if [ -e /sys/fs/cgroup/cgroup.procs ]; then
		mkdir /sys/fs/cgroup/program && echo 0 >/sys/fs/cgroup/program/cgroup.procs &&
		for c in $(cat /sys/fs/cgroup/cgroup.controllers); do echo +$c >/sys/fs/cgroup/cgroup.subtree_control; done
	fi;`

// newNest starts a container in which the runtime can run, once the script has.
func newNest(t *testing.T, script string, edits ...edit) *nest {
	t.Helper()
	needBusybox(t)
	if bySystemd() {
		lacks(t, "a systemd in a container")
	}
	h := newHost(t)
	b := h.newBundle(nil, append([]edit{shell(script + " echo; exec sleep 1000"), allCapabilities, writableCgroup, writableRoot, noNewPrivileges(false), func(s *specs.Spec) {
		s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/run", Type: "tmpfs", Source: "tmpfs"})
		for i, m := range s.Mounts {
			if m.Type == "sysfs" {
				s.Mounts[i].Options = slices.DeleteFunc(m.Options, func(o string) bool { return o == "ro" })
			}
		}
	}}, edits...)...)
	linkFile(t, suite.runtime, b.path("rootfs/hull"))
	c := h.create(b)
	h.must("start", c.id)
	eventually(t, "it has settled", func() bool { return readFile(t, c.out) != "" })
	inside := &host{t: t, root: "/run/hull", binary: "/hull", through: h.command("exec", c.id).Args}
	limited := (onlyV2() || len(b.config.Linux.UIDMappings) == 0) && hasController("memory") && hasController("pids")
	return &nest{container: c, outer: b, inside: inside, limited: limited}
}

// bundle puts a bundle into the nest and returns where it is there.
func (n *nest) bundle(commands []string, edits ...edit) string {
	t := n.h.t
	t.Helper()
	name := "/" + newID()
	b := &bundle{dir: n.outer.path("rootfs" + name)}
	for _, dir := range []string{b.dir, b.path("rootfs")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b.populate(t)
	n.outer.handOver(t)
	n.inside.must("spec", "--bundle", name)
	decodeStrictly(t, readFile(t, b.path("config.json")), &b.config)
	b.config.Process.Terminal = false
	b.config.Process.Args = append([]string{"/probe"}, commands...)
	for _, edit := range edits {
		edit(b.config)
	}
	b.save(t)
	return name
}

// cgroups are those of a container in the nest.
func (n *nest) cgroups(id string) (found []string) {
	n.h.t.Helper()
	for _, controller := range allCgroups() {
		out, err := exec.Command("find", strings.TrimSuffix(n.cgroup(controller), "/program"), "-name", id).Output()
		if err != nil {
			n.h.t.Fatal(err)
		}
		found = append(found, strings.Fields(string(out))...)
	}
	return found
}

// checkLimits tries a container in the nest with a limit of 9 pids.
func (n *nest) checkLimits(id string) {
	h := n.inside
	h.t.Helper()
	forks := func() int {
		const fork = "fork=20"
		return get[struct{ Children int }](h.t, parseSight(h.t, h.must("exec", id, "/probe", fork)), fork).Children
	}
	if n := forks(); n >= 9 {
		h.t.Errorf("%d children where 9 processes may be", n)
	}
	h.must("update", "--pids-limit", "50", id)
	equal(h.t, "children after an update", forks(), 20)
	h.must("pause", id)
	equal(h.t, "status", string(h.state(id).Status), "paused")
	h.refuses([]string{"cannot exec in a paused container"}, "exec", id, "/probe", "pid")
	h.must("resume", id)
	equal(h.t, "status", h.state(id).Status, specs.StateRunning)
	h.must("pause", id) // to be killed so
}

// A container may run containers, with all that they can be told, and nothing is
// left of those in it.
//
//proves:linux.cgroupsPath
func TestAContainerRunsContainers(t *testing.T) {
	t.Parallel()
	for name, also := range map[string]edit{
		"in the cgroup namespace of the host":            dropNamespace(specs.CgroupNamespace),
		"in a cgroup namespace":                          addNamespace(specs.CgroupNamespace, ""),
		"in a cgroup namespace, and in a user namespace": edits(inUserNamespace, addNamespace(specs.CgroupNamespace, "")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNest(t, settle, also)
			h, id := n.inside, newID()
			limits := func(s *specs.Spec) {
				if n.limited {
					s.Linux.Resources.Memory = &specs.LinuxMemory{Limit: pointer(int64(64 << 20))}
					s.Linux.Resources.Pids = &specs.LinuxPids{Limit: pointer(int64(9))}
				}
			}
			bundle := n.bundle([]string{"sleep"}, limits)
			r := h.try("create", "--bundle", bundle, id)
			if r.status != 0 {
				t.Fatal(r.stderr)
			}
			equal(t, "status", h.state(id).Status, specs.StateCreated)
			h.must("start", id)
			equal(t, "processes that ps knows", len(h.pids(id)), 1)
			if n.limited {
				n.checkLimits(id)
			} else if !onlyV2() {
				equal(t, "warnings:\n"+r.stderr, strings.Count(r.stderr, "without limits of its own"), 1)
			}
			h.must("delete", "--force", id)
			equal(t, "its cgroups", n.cgroups(id), nil)
			h.must("run", "--bundle", n.bundle([]string{"pid"}), newID())
			// Who is inside ends with the container around him.
			h.must("run", "--detach", "--bundle", bundle, id)
			n.h.must("delete", "--force", n.id)
			n.h.nothingRemains(n.id, n.outer)
			n.h.nothingRemains(id, n.outer)
		})
	}
}

// Where the program is in the way of controllers, a limit says so; without one, all
// is well.
func TestALimitInAContainerNeedsAControllerThatCanBePassedOn(t *testing.T) {
	if !onlyV2() {
		lacks(t, "cgroup v2 alone")
	}
	needController(t, "pids")
	n := newNest(t, "", addNamespace(specs.CgroupNamespace, ""))
	n.inside.must("run", "--bundle", n.bundle([]string{"pid"}), newID())
	id := newID()
	n.inside.refuses([]string{
		"set linux.resources.pids.limit", "/sys/fs/cgroup has the pids controller, and processes in it", "move them to a cgroup below",
	}, "run", "--bundle", n.bundle([]string{"pid"}, resources(specs.LinuxResources{Pids: &specs.LinuxPids{Limit: pointer(int64(9))}})), id)
	equal(t, "its cgroups", n.cgroups(id), nil)
}
