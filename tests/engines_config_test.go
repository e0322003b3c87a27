package tests

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// engineBundle is a bundle with the configuration that an engine wrote, with
// the paths of this machine in the place of the engine's.
func (h *host) engineBundle(name string, commands []string, edits ...edit) *bundle {
	h.t.Helper()
	var config specs.Spec
	if err := json.Unmarshal([]byte(readFile(h.t, "../spec/testdata/"+name+".json")), &config); err != nil {
		h.t.Fatal(err)
	}
	sources := h.t.TempDir()
	return h.newBundle(nil, append([]edit{func(s *specs.Spec) {
		*s = config
		s.Root.Path = "rootfs"
		s.Process.Args = append([]string{"/probe"}, commands...)
		s.Process.Terminal = false
		// The engine names a profile only where the kernel has AppArmor.
		s.Process.ApparmorProfile = ""
		s.Hooks = nil
		s.Linux.CgroupsPath = "/" + newID()
		if bySystemd() {
			s.Linux.CgroupsPath = "system.slice:docker:" + newID()
		}
		for i, m := range s.Mounts {
			if m.Type == "bind" {
				s.Mounts[i].Source = filepath.Join(sources, filepath.Base(m.Source))
				writeFile(h.t, s.Mounts[i].Source, "of the engine")
			}
		}
	}}, edits...)...)
}

func TestTheConfigurationOfDockerWorks(t *testing.T) {
	h := newHost(t)
	h.leavesNothing()
	commands := []string{
		"ids", "uname", "mounts", "pid", "status=Seccomp", "syscall=248", "kernel=600", "read=/etc/hosts", "read=/etc/resolv.conf",
		"read=/proc/sys/net/ipv4/ip_unprivileged_port_start", "read=/proc/keys", "list=/sys/firmware", "open=/dev/null",
		"mknod=/dev/shm/x:1:3", "mknod=/tmp/made:7:0", "open=/tmp/made", "list=/sys/fs/cgroup", "make=/tmp/new",
	}
	hook := filepath.Join(t.TempDir(), "seen")
	b := h.engineBundle("docker", append(commands, capabilityFields...), dockerProfile(t), func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{Prestart: []specs.Hook{{ //nolint:staticcheck // it is what Docker uses
			Path: "/bin/sh", Args: []string{"sh", "-c", `cat >"$0"; test -e /proc/$(sed 's/.*"pid":\([0-9]*\).*/\1/' "$0")/ns/net`, hook},
		}}}
	})
	s := h.run(b)
	id := get[identity](t, s, "ids")
	equal(t, "groups", id.Groups, []uint32{0, 10})
	equal(t, "hostname", get[map[string]string](t, s, "uname")["nodename"], b.config.Hostname)
	equal(t, "pid", get[map[string]int](t, s, "pid")["pid"], 1)
	equal(t, "seccomp", get[string](t, s, "status=Seccomp"), "2")
	equal(t, "add_key", s.failure("syscall=248"), "operation not permitted")
	equal(t, "the future", get[string](t, s, "kernel=600"), "errno 38")
	equal(t, "hosts", get[string](t, s, "read=/etc/hosts"), "of the engine")
	equal(t, "sysctl", get[string](t, s, "read=/proc/sys/net/ipv4/ip_unprivileged_port_start"), "0\n")
	equal(t, "keys", get[string](t, s, "read=/proc/keys"), "")
	equal(t, "firmware", get[[]string](t, s, "list=/sys/firmware"), []string{})
	get[string](t, s, "open=/dev/null")
	get[string](t, s, "make=/tmp/new")
	get[string](t, s, "mknod=/tmp/made:7:0")
	if s.failure("open=/tmp/made") == "" {
		t.Error("a device that no rule allows is opened")
	}
	equal(t, "capabilities", capabilitySets(t, s)["Eff"], 0xa80425fb)
	equal(t, "inheritable", capabilitySets(t, s)["Inh"], 0)
	for target, want := range map[string]string{
		"/proc": "proc", "/dev": "tmpfs", "/dev/pts": "devpts", "/sys": "sysfs", "/sys/fs/cgroup": cgroupMountType(), "/dev/mqueue": "mqueue", "/dev/shm": "tmpfs",
	} {
		equal(t, target, mountsOf(t, s)[target].kind, want)
	}
	for _, option := range []string{"nosuid", "noexec", "nodev"} {
		equal(t, "/proc "+option, mountsOf(t, s)["/proc"].has(option), true)
	}
	if text := readFile(t, hook); !strings.Contains(text, `"pid"`) {
		t.Errorf("the hook saw %s", text)
	}
}

func TestTheConfigurationOfContainerdWorks(t *testing.T) {
	h := newHost(t)
	h.leavesNothing()
	b := h.engineBundle("containerd", append([]string{
		"ids", "mounts", "prctl=no_new_privs", "list=/sys/devices/virtual", "read=/proc/interrupts", "open=/dev/zero", "open=/dev/ptmx",
		"write=/run/x:1", "list=/run",
	}, capabilityFields...))
	s := h.run(b)
	equal(t, "groups", get[identity](t, s, "ids").Groups, []uint32{0, 10})
	equal(t, "no_new_privs", get[int](t, s, "prctl=no_new_privs"), 1)
	equal(t, "interrupts", get[string](t, s, "read=/proc/interrupts"), "")
	get[string](t, s, "open=/dev/zero")
	get[string](t, s, "open=/dev/ptmx")
	equal(t, "/run", get[[]string](t, s, "list=/run"), []string{"x"})
	equal(t, "/run", mountsOf(t, s)["/run"].kind, "tmpfs")
	equal(t, "capabilities", capabilitySets(t, s)["Bnd"], 0xa80425fb)
	if _, err := os.Stat(b.path("rootfs/run/x")); err == nil {
		t.Error("/run is the image's")
	}
}
