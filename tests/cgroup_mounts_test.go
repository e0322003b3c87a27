package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// hierarchies are the places of the machine's hierarchies of control groups, by
// their controllers; "" is v2.
func hierarchies(t *testing.T) map[string]string {
	t.Helper()
	out := make(map[string]string)
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return map[string]string{"": ""}
	}
	for line := range strings.Lines(readFile(t, "/proc/self/cgroup")) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, _, _ := strings.Cut(rest, ":")
		name := strings.TrimPrefix(controllers, "name=")
		if controllers == "" {
			name = "unified"
		}
		if _, err := os.Stat(filepath.Join("/sys/fs/cgroup", name, "cgroup.procs")); err == nil {
			out[controllers] = "/" + name
		}
	}
	return out
}

// A mount of type cgroup is all that the host has, v1, v2 or both, and of each no
// more than the container's part.
//
//proves:mounts[].type mounts[].options linux.namespaces[].type=cgroup
func TestACgroupMountIsEachHierarchyFromTheContainersGroupOn(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	trees := hierarchies(t)
	for name, tt := range map[string]struct {
		edits []edit
		own   bool
	}{
		"in the namespace of the host": {[]edit{dropNamespace(specs.CgroupNamespace)}, false},
		"in a namespace of its own":    {[]edit{addNamespace(specs.CgroupNamespace, "")}, true},
		"in a user namespace":          {[]edit{inUserNamespace, dropNamespace(specs.CgroupNamespace)}, false},
		"in user and own namespaces":   {[]edit{inUserNamespace, addNamespace(specs.CgroupNamespace, "")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			commands := []string{"mounts", "list=/sys/fs/cgroup"}
			for _, at := range trees {
				commands = append(commands, "read=/sys/fs/cgroup"+at+"/cgroup.procs", "mkdir=/sys/fs/cgroup"+at+"/x", "list=/sys/fs/cgroup"+at)
			}
			c := h.start(commands, append(tt.edits, allCapabilities)...)
			s := c.see()
			seen := mountsOf(t, s)
			for controllers, at := range trees {
				m := seen["/sys/fs/cgroup"+at]
				kind := "cgroup"
				if controllers == "" {
					kind = "cgroup2"
				}
				root := "/"
				if !tt.own {
					root = strings.TrimPrefix(c.cgroup(controllers), "/sys/fs/cgroup"+at)
				}
				equal(t, controllers, []string{m.kind, m.root}, []string{kind, root})
				equal(t, controllers+": processes", get[string](t, s, "read=/sys/fs/cgroup"+at+"/cgroup.procs"), "1\n")
				if !strings.Contains(s.failure("mkdir=/sys/fs/cgroup"+at+"/x"), "read-only file system") {
					t.Errorf("%s: a cgroup was made: %q", controllers, s.failure("mkdir=/sys/fs/cgroup"+at+"/x"))
				}
				for _, o := range []string{"ro", "nosuid", "nodev", "noexec"} {
					equal(t, controllers+" is "+o, m.has(o), true)
				}
			}
		})
	}
}

//proves:mounts[].type mounts[].options=rw
func TestACgroupMountIsWrittenToIfItIsNotReadOnly(t *testing.T) {
	h := newHost(t)
	h.leavesNothing()
	trees := hierarchies(t)
	var commands []string
	for _, at := range trees {
		commands = append(commands, "mkdir=/sys/fs/cgroup"+at+"/inner")
	}
	c := h.start(commands, addNamespace(specs.CgroupNamespace, ""), allCapabilities, func(s *specs.Spec) {
		for i := range s.Mounts {
			if s.Mounts[i].Type == "cgroup" {
				s.Mounts[i].Options = []string{"nosuid", "nodev", "noexec", "relatime", "rw"}
			}
		}
	})
	s := c.see()
	for controllers, at := range trees {
		get[string](t, s, "mkdir=/sys/fs/cgroup"+at+"/inner")
		if _, err := os.Stat(filepath.Join(c.cgroup(controllers), "inner")); err != nil {
			t.Error(err)
		}
	}
	c.delete()
}

//proves:mounts[].type mounts[].options
func TestOptionsOfCgroup2AreItsOwn(t *testing.T) {
	h := newHost(t)
	own := addNamespace(specs.CgroupNamespace, "")
	s := h.probe([]string{"mounts", "read=/cg2/cgroup.procs"}, own, addMounts(filesystem("cgroup2", "/cg2", "nsdelegate", "memory_recursiveprot", "ro")))
	m := mountsOf(t, s)["/cg2"]
	equal(t, "mount", []any{m.kind, m.root, m.has("ro")}, []any{"cgroup2", "/", true})
	equal(t, "processes", get[string](t, s, "read=/cg2/cgroup.procs"), "1\n")
	h.fails([]string{"mounts[7]", "/cg2", "cgroup2", "cake"}, own, addMounts(filesystem("cgroup2", "/cg2", "cake")))
}
