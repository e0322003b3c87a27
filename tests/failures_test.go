package tests

import (
	"os"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// lateFailures are configurations that fail only after something of the
// container exists.
var lateFailures = map[string]struct {
	edit  edit
	words []string
}{
	"a filesystem that does not exist": {
		addMounts(specs.Mount{Destination: "/dev/x", Type: "cakefs", Source: "x"}), []string{"cakefs", "/dev/x", "mounts[7]"},
	},
	"a device where a directory is": {
		func(s *specs.Spec) {
			s.Linux.Devices = []specs.LinuxDevice{{Path: "/etc", Type: "c", Major: 1, Minor: 3}}
		},
		[]string{"make device /etc", "file exists"},
	},
	"a parameter that does not exist": {sysctl("net.ipv4.cake", "1"), []string{"sysctl", "net.ipv4.cake"}},
	"a program that does not exist": {
		func(s *specs.Spec) { s.Process.Args = []string{"/cake"} }, []string{"exec", "/cake", "no such file or directory"},
	},
	"a working directory that is a file": {cwdAt("/probe"), []string{"process.cwd", "/probe", "not a directory"}},
	"a limit of the cgroup": {
		resources(specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "999"}}), []string{"linux.resources.cpu.cpus", "999"},
	},
	"a namespace to join": {
		edits(firstNamespaces, addNamespace(specs.NetworkNamespace, "/proc/self/ns/uts")), []string{"linux.namespaces[4]"},
	},
	"a seccomp agent": {
		withFilter(&specs.LinuxSeccomp{
			DefaultAction: specs.ActAllow, ListenerPath: "/nowhere",
			Syscalls: []specs.LinuxSyscall{{Names: []string{getpgid}, Action: specs.ActNotify}},
		}), []string{"linux.seccomp.listenerPath", "/nowhere"},
	},
	"a prestart hook":        {failingHook(func(h *specs.Hooks) *[]specs.Hook { return &h.Prestart }), []string{"prestart", "exit status 3"}}, //nolint:staticcheck // deprecated
	"a createRuntime hook":   {failingHook(func(h *specs.Hooks) *[]specs.Hook { return &h.CreateRuntime }), []string{"createRuntime", "exit status 3"}},
	"a createContainer hook": {failingHook(func(h *specs.Hooks) *[]specs.Hook { return &h.CreateContainer }), []string{"createContainer", "exit status 3"}},
	"a root that is a file":  {func(s *specs.Spec) { s.Root.Path = "rootfs/probe" }, []string{"rootfs/probe", "not a directory"}},
}

func failingHook(list func(*specs.Hooks) *[]specs.Hook) edit {
	return func(s *specs.Spec) {
		s.Hooks = new(specs.Hooks)
		*list(s.Hooks) = []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "exit 3"}}}
	}
}

//proves:runtime.md#errors:1 runtime.md#lifecycle:2 runtime.md#create:6
func TestAFailureNamesItsObjectAndLeavesNothing(t *testing.T) {
	h := newHost(t)
	for name, tt := range some(lateFailures) {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			b := h.newBundle([]string{"pid"}, tt.edit)
			h.failsWith(b, tt.words)
			before := inventory(t)
			h.refuses(tt.words, "create", "--bundle", b.dir, newID())
			for what, count := range inventory(t) {
				if count > before[what] {
					t.Errorf("create: %s: %d before, %d after", what, before[what], count)
				}
			}
			entries, err := os.ReadDir(h.root)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if e.Name()[0] != '.' {
					t.Errorf("%s is left in the state directory", e.Name())
				}
			}
		})
	}
}
