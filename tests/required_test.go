package tests

import (
	"encoding/json"
	"maps"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// What the specification calls REQUIRED, of objects that are there.
func TestWhatIsRequiredMustBeThere(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid"}, inUserNamespace)
	// With a terminal its size counts.
	good := change(t, []byte(readFile(t, b.path("config.json"))), true, "process", "terminal")
	ids := object("containerID", 0, "hostID", 100000, "size", 65536)
	device := object("path", "/dev/x", "type", "c", "major", 1, "minor", 3)
	for _, tt := range []struct {
		lacks string
		of    map[string]any // what the path has, and one property more
		path  []any
	}{
		//proves:config.md#root:4
		{"root.path", object("path", "rootfs", "readonly", true), []any{"root"}},
		//proves:config.md#process:5
		{"process.cwd", object("cwd", "/", "args", []any{"/probe"}, "terminal", true), []any{"process"}},
		//proves:config.md#process:3
		{"process.consoleSize.height", object("height", 25, "width", 80), []any{"process", "consoleSize"}},
		//proves:config.md#process:4
		{"process.consoleSize.width", object("height", 25, "width", 80), []any{"process", "consoleSize"}},
		//proves:config.md#process:7
		{"process.args", object("cwd", "/", "args", []any{"/probe"}, "terminal", true), []any{"process"}},
		//proves:config.md#posix-process:1
		{"process.rlimits[0].type", object("type", "RLIMIT_CORE", "soft", 1, "hard", 2), []any{"process", "rlimits", 0}},
		//proves:config.md#posix-process:4
		{"process.rlimits[0].soft", object("type", "RLIMIT_CORE", "soft", 1, "hard", 2), []any{"process", "rlimits", 0}},
		//proves:config.md#posix-process:6
		{"process.rlimits[0].hard", object("type", "RLIMIT_CORE", "soft", 0, "hard", 2), []any{"process", "rlimits", 0}},
		//proves:config.md#linux-process:5
		{"process.scheduler.policy", object("policy", "SCHED_BATCH", "nice", 1), []any{"process", "scheduler"}},
		//proves:config.md#linux-process:6
		{"process.ioPriority.class", object("class", "IOPRIO_CLASS_BE", "priority", 1), []any{"process", "ioPriority"}},
		//proves:config.md#linux-process:7
		{"process.ioPriority.priority", object("class", "IOPRIO_CLASS_BE", "priority", 1), []any{"process", "ioPriority"}},
		//proves:config.md#mounts:2
		{"mounts[0].destination", object("destination", "/proc", "type", "proc", "source", "proc"), []any{"mounts", 0}},
		//proves:config.md#posix-platform-hooks:1
		{"hooks.prestart[0].path", object("path", "/bin/true", "timeout", 1), []any{"hooks", "prestart", 0}},
		//proves:config.md#posix-platform-hooks:6
		{"hooks.createRuntime[0].path", object("path", "/bin/true", "timeout", 1), []any{"hooks", "createRuntime", 0}},
		//proves:config-linux.md#namespaces:1
		{"linux.namespaces[0].type", object("type", "pid", "path", "/proc/self/ns/pid"), []any{"linux", "namespaces", 0}},
		//proves:config-linux.md#user-namespace-mappings:1
		{"linux.uidMappings[0].containerID", ids, []any{"linux", "uidMappings", 0}},
		//proves:config-linux.md#user-namespace-mappings:2
		{"linux.uidMappings[0].hostID", ids, []any{"linux", "uidMappings", 0}},
		//proves:config-linux.md#user-namespace-mappings:3
		{"linux.gidMappings[0].size", ids, []any{"linux", "gidMappings", 0}},
		//proves:config-linux.md#devices:2
		{"linux.devices[0].type", device, []any{"linux", "devices", 0}},
		//proves:config-linux.md#devices:3
		{"linux.devices[0].path", device, []any{"linux", "devices", 0}},
		//proves:config-linux.md#allowed-device-list:2
		{"linux.resources.devices[0].allow", object("allow", true, "access", "r"), []any{"linux", "resources", "devices", 0}},
		//proves:config-linux.md#block-io:1
		{
			"linux.resources.blockIO.weightDevice[0].major", object("major", 8, "minor", 0, "weight", 10),
			[]any{"linux", "resources", "blockIO", "weightDevice", 0},
		},
		//proves:config-linux.md#block-io:3
		{
			"linux.resources.blockIO.throttleReadBpsDevice[0].minor", object("major", 8, "minor", 0, "rate", 10),
			[]any{"linux", "resources", "blockIO", "throttleReadBpsDevice", 0},
		},
		//proves:config-linux.md#block-io:4
		{
			"linux.resources.blockIO.throttleWriteBpsDevice[0].rate", object("major", 8, "minor", 0, "rate", 10),
			[]any{"linux", "resources", "blockIO", "throttleWriteBpsDevice", 0},
		},
		//proves:config-linux.md#block-io:5
		{
			"linux.resources.blockIO.throttleReadIOPSDevice[0].major", object("major", 8, "minor", 0, "rate", 10),
			[]any{"linux", "resources", "blockIO", "throttleReadIOPSDevice", 0},
		},
		//proves:config-linux.md#block-io:6
		{
			"linux.resources.blockIO.throttleWriteIOPSDevice[0].rate", object("major", 8, "minor", 0, "rate", 10),
			[]any{"linux", "resources", "blockIO", "throttleWriteIOPSDevice", 0},
		},
		//proves:config-linux.md#huge-page-limits:1
		{
			"linux.resources.hugepageLimits[0].pageSize", object("pageSize", "2MB", "limit", 0),
			[]any{"linux", "resources", "hugepageLimits", 0},
		},
		//proves:config-linux.md#huge-page-limits:2
		{"linux.resources.hugepageLimits[0].limit", object("pageSize", "2MB", "limit", 0), []any{"linux", "resources", "hugepageLimits", 0}},
		//proves:config-linux.md#network:1
		{
			"linux.resources.network.priorities[0].name", object("name", "lo", "priority", 1),
			[]any{"linux", "resources", "network", "priorities", 0},
		},
		//proves:config-linux.md#network:2
		{
			"linux.resources.network.priorities[0].priority", object("name", "lo", "priority", 1),
			[]any{"linux", "resources", "network", "priorities", 0},
		},
		//proves:config-linux.md#memory-policy:1
		{"linux.memoryPolicy.mode", object("mode", "MPOL_BIND", "nodes", "0"), []any{"linux", "memoryPolicy"}},
		//proves:config-linux.md#seccomp:1
		{
			"linux.seccomp.defaultAction", object("defaultAction", "SCMP_ACT_ALLOW", "syscalls", []any{
				object("names", []any{"getpgid"}, "action", "SCMP_ACT_ERRNO"),
			}), []any{"linux", "seccomp"},
		},
		//proves:config-linux.md#seccomp:9 config-linux.md#seccomp:10
		{"linux.seccomp.syscalls[0].names", object("names", []any{"getpgid"}, "action", "SCMP_ACT_ERRNO"), []any{"linux", "seccomp", "syscalls", 0}},
		//proves:config-linux.md#seccomp:11
		{"linux.seccomp.syscalls[0].action", object("names", []any{"getpgid"}, "action", "SCMP_ACT_ERRNO"), []any{"linux", "seccomp", "syscalls", 0}},
		//proves:config-linux.md#seccomp:13
		{
			"linux.seccomp.syscalls[0].args[0].index", object("index", 0, "value", 1, "op", "SCMP_CMP_EQ"),
			[]any{"linux", "seccomp", "syscalls", 0, "args", 0},
		},
		//proves:config-linux.md#seccomp:14
		{
			"linux.seccomp.syscalls[0].args[0].value", object("index", 0, "value", 1, "op", "SCMP_CMP_EQ"),
			[]any{"linux", "seccomp", "syscalls", 0, "args", 0},
		},
		//proves:config-linux.md#seccomp:15
		{
			"linux.seccomp.syscalls[0].args[0].op", object("index", 0, "value", 1, "op", "SCMP_CMP_EQ"),
			[]any{"linux", "seccomp", "syscalls", 0, "args", 0},
		},
		//proves:config-linux.md#personality:1
		{"linux.personality.domain", object("domain", "LINUX", "flags", []any{}), []any{"linux", "personality"}},
	} {
		name := tt.lacks[strings.LastIndex(tt.lacks, ".")+1:]
		whole, lacking := plant(t, good, tt.of, tt.path), plant(t, good, objectLess(tt.of, name), tt.path)
		create := func(text []byte) string {
			writeFile(t, b.path("config.json"), string(text))
			id := newID()
			r := h.try("create", "--bundle", b.dir, id)
			if r.status == 0 {
				t.Errorf("%s: create succeeded", tt.lacks)
				h.must("delete", "--force", id)
			}
			return r.stderr
		}
		// The whole one fails for its terminal, or for what the machine lacks.
		if said := create(whole); strings.Contains(said, tt.lacks) && !strings.Contains(said, "set linux.resources") {
			t.Errorf("%s is there, and yet: %s", tt.lacks, said)
		}
		if said := create(lacking); !strings.Contains(said, tt.lacks) {
			t.Errorf("%s is not there, and the error is: %s", tt.lacks, said)
		}
	}
}

// objectLess is an object without one of its members.
func objectLess(of map[string]any, name string) map[string]any {
	rest := maps.Clone(of)
	delete(rest, name)
	return rest
}

// plant puts a value into a configuration. What the path leads through is made;
// a list that it leads through has that one element then.
func plant(t *testing.T, text []byte, value any, path []any) []byte {
	t.Helper()
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(planted(tree, value, path))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func planted(at, value any, path []any) any {
	if len(path) == 0 {
		return value
	}
	name, ok := path[0].(string)
	if !ok {
		return []any{planted(nil, value, path[1:])}
	}
	members, ok := at.(map[string]any)
	if !ok {
		members = map[string]any{}
	}
	members[name] = planted(members[name], value, path[1:])
	return members
}

func TestValuesThatNeedEachOtherAreCheckedTogether(t *testing.T) {
	h := newHost(t)
	weights := specs.LinuxWeightDevice{}
	weights.Major, weights.Minor = 8, 0
	for name, tt := range some(map[string]struct {
		edit  edit
		words []string
	}{
		//proves:config-linux.md#cpu:1 config-linux.md#cpu:2
		"a burst above the quota": {
			resources(specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: pointer(int64(50000)), Burst: pointer(uint64(50001))}}),
			[]string{"linux.resources.cpu.burst", "50001", "50000"},
		},
		//proves:config-linux.md#block-io:2
		"a device without any weight": {
			resources(specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{WeightDevice: []specs.LinuxWeightDevice{weights}}}),
			[]string{"linux.resources.blockIO.weightDevice[0]", "weight or leafWeight"},
		},
		//proves:config-linux.md#rdma:1
		"an RDMA device without any limit": {
			resources(specs.LinuxResources{Rdma: map[string]specs.LinuxRdma{"mlx5_1": {}}}),
			[]string{"linux.resources.rdma.mlx5_1", "hcaHandles or hcaObjects"},
		},
		//proves:config.md#posix-platform-mounts:3
		"a mount with users and no groups": {
			addMounts(specs.Mount{
				Destination: "/mnt", Source: "/tmp", Options: []string{"bind", "idmap"},
				UIDMappings: []specs.LinuxIDMapping{{HostID: 1000, Size: 1}},
			}), []string{"mounts[7].gidMappings"},
		},
		//proves:config.md#posix-platform-mounts:6
		"a mount with groups and no users": {
			addMounts(specs.Mount{
				Destination: "/mnt", Source: "/tmp", Options: []string{"bind", "idmap"},
				GIDMappings: []specs.LinuxIDMapping{{HostID: 1000, Size: 1}},
			}), []string{"mounts[7].uidMappings"},
		},
		//proves:config-linux.md#seccomp:8
		"metadata for no listener": {
			withFilter(&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, ListenerMetadata: "x"}),
			[]string{"linux.seccomp.listenerMetadata"},
		},
		//proves:config-linux.md#seccomp:2
		"an errno for a default that has none": {
			withFilter(&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, DefaultErrnoRet: pointer(uint(1))}),
			[]string{"linux.seccomp.defaultErrnoRet"},
		},
		//proves:config-linux.md#seccomp:12
		"an errno for an action that has none": {
			withFilter(filter(specs.ActLog, pointer(uint(1)))), []string{"linux.seccomp.syscalls[0].errnoRet"},
		},
		"an idmap of nothing": {
			addMounts(bind("/tmp", "idmap")), []string{"mounts[7].options", "idmap"},
		},
	}) {
		t.Run(name, func(t *testing.T) {
			(&host{t: t, root: h.root}).fails(tt.words, tt.edit)
		})
	}
}

//proves:config-linux.md#intelrdt:3
func TestNothingOfResctrlIsTouchedUnasked(t *testing.T) {
	t.Parallel()
	strace := needTool(t, "strace")
	h := newHost(t)
	files := func(edits ...edit) string {
		t.Helper()
		log := filepath.Join(t.TempDir(), "calls")
		run := h.command("run", "--bundle", h.newBundle([]string{"pid"}, edits...).dir, newID())
		_ = exec.Command(strace, append([]string{"-f", "-e", "trace=%file", "-o", log}, run.Args...)...).Run()
		return readFile(t, log)
	}
	if calls := files(); strings.Contains(calls, "resctrl") || !strings.Contains(calls, "config.json") {
		t.Error("there are system calls about resctrl, or none at all")
	}
}
