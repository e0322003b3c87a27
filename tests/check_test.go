package tests

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// checked is what check found in a bundle: its exit status, its lines, and the
// same as JSON.
type checked struct {
	status   int
	lines    []string
	findings []checkFinding
}

type checkFinding struct {
	Level, Path, Object, Message, Hint string
}

// check checks a bundle twice, once for each form of output.
func (h *host) check(b *bundle) checked {
	h.t.Helper()
	text, coded := h.try("check", "--bundle", b.dir), h.try("check", "--json", "--bundle", b.dir)
	equal(h.t, "what it says on stderr", text.stderr+coded.stderr, "")
	equal(h.t, "status with --json", coded.status, text.status)
	c := checked{status: text.status}
	if err := json.Unmarshal([]byte(coded.stdout), &c.findings); err != nil {
		h.t.Fatalf("%v\n%s", err, coded.stdout)
	}
	if text.stdout != "" {
		c.lines = strings.Split(strings.TrimSuffix(text.stdout, "\n"), "\n")
	}
	equal(h.t, "findings", len(c.findings), len(c.lines))
	return c
}

// errors are the errors as create has them: without the word, and without the place
// in config.json that check puts in front if the message does not name it.
func (c *checked) errors() (list []string) {
	for i, line := range c.lines {
		text, ok := strings.CutPrefix(line, "error: ")
		if !ok {
			continue
		}
		f := c.findings[i]
		if f.Object != "" && strings.HasPrefix(text, f.Path+": "+f.Object) {
			text = strings.TrimPrefix(text, f.Path+": ")
		}
		list = append(list, text)
	}
	return list
}

// checkAgrees wants that check finds of a broken bundle the errors of which create
// has said all or, of very many, the first.
func (h *host) checkAgrees(b *bundle, said string) {
	h.t.Helper()
	c := h.check(b)
	said = strings.TrimPrefix(said, "check "+b.path("config.json")+": ")
	said, _, _ = strings.Cut(said, "; and ")
	// That this machine lacks cgroup v1 is true as well.
	list := slices.DeleteFunc(c.errors(), func(text string) bool { return strings.Contains(text, "only cgroup v1 has this limit") })
	if got := strings.Join(list, "; "); got != said && (len(list) <= 16 || !strings.HasPrefix(got, said)) {
		h.t.Errorf("check says\n%s\nand create\n%s", strings.Join(list, "\n"), said)
	}
}

// refusal is the message with which the runtime refuses to run a bundle, without
// the words that name the file; "" if it runs.
func (h *host) refusal(b *bundle, id string) string {
	h.t.Helper()
	log := filepath.Join(h.t.TempDir(), "log")
	cmd := h.command("--log", log, "--log-format", "json", "run", "--bundle", b.dir, id)
	if h.finish(cmd).status == 0 {
		return ""
	}
	var said string
	for line := range strings.Lines(readFile(h.t, log)) {
		var entry struct{ Level, Msg string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			h.t.Fatal(err)
		}
		if entry.Level == "error" {
			said = entry.Msg
		}
	}
	return strings.TrimPrefix(said, "check "+b.path("config.json")+": ")
}

func TestAGoodBundleIsGood(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.check(h.newBundle([]string{"pid"}))
	equal(t, "status", c.status, 0)
	equal(t, "lines", c.lines, nil)
	entries, err := os.ReadDir(h.root)
	if err != nil || len(entries) > 0 {
		t.Errorf("it left %v, %v", entries, err)
	}
}

// hostsQueues is a mount that only a host without /dev/mqueue refuses: of others,
// the container gets theirs.
const hostsQueues = "a host's queues"

// unrunnable are bundles that fail for one reason each, with the place in config.json
// and a part of what is said.
func unrunnable() map[string]struct {
	edit       edit
	path, says string
} {
	type bad = struct {
		edit       edit
		path, says string
	}
	return map[string]bad{
		"a property": {func(s *specs.Spec) { s.Process.Cwd = "tmp" }, "process.cwd", "absolute"},
		"a limit":    {resources(specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: pointer(int64(5))}}), "linux.resources.cpu.quota", "5 is not from 1000"},
		"an action":  {seccompOf(specs.LinuxSeccomp{DefaultAction: "SCMP_ACT_MAYBE"}), "linux.seccomp.defaultAction", "SCMP_ACT_MAYBE"},
		"two by two": {without(specs.UTSNamespace), "hostname", "needs a uts namespace"},
		"the root":   {func(s *specs.Spec) { s.Root.Path = "none" }, "root.path", "no such file"},
		"a cgroup":   {cgroupsPath("/"), "linux.cgroupsPath", "root of the hierarchy"},
		"a controller": {func(s *specs.Spec) {
			cgroupsPath("/hull-check-" + newID())(s)
			s.Linux.Resources.Unified = map[string]string{"cake.max": "1"}
		}, "linux.resources.unified.cake.max", "no such file"},
		"CPUs":                    {resources(specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "9000"}}), "linux.resources.cpu.cpus", "out of range"},
		"a page size":             {resources(specs.LinuxResources{HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "3MB"}}}), "linux.resources.hugepageLimits[0].limit", "page sizes"},
		"a namespace":             {joining("/no/such"), "linux.namespaces[1].path", "no such file"},
		"a wrong one":             {joining("/proc/self/ns/uts"), "linux.namespaces[1].path", "of type uts, not network"},
		"no namespace":            {joining("/etc/passwd"), "linux.namespaces[1].path", "not a namespace"},
		"a clock":                 {withClock(-1 << 32), "linux.timeOffsets", "out of range"},
		"a source":                {addMounts(bind("/no/such")), "mounts[7].source", "no such file"},
		"an open one":             {addMounts(bind("/no/such", "shared")), "mounts[7]", "no such file"},
		"a filesystem":            {addMounts(specs.Mount{Destination: "/x", Type: "cakefs"}), "mounts[7]", "no filesystem of that type"},
		"an option":               {addMounts(specs.Mount{Destination: "/x", Type: "tmpfs", Options: []string{"nosuidd"}}), "mounts[7]", "nosuidd"},
		"its value":               {addMounts(specs.Mount{Destination: "/x", Type: "tmpfs", Options: []string{"size=foo"}}), "mounts[7]", "size"},
		"a mode":                  {addMounts(specs.Mount{Destination: "/x", Type: "tmpfs", Options: []string{"mode=999"}}), "mounts[7]", "mode"},
		"an option of proc":       {addMounts(specs.Mount{Destination: "/x", Type: "proc", Options: []string{"hidepid=9"}}), "mounts[7]", "hidepid"},
		"a layer":                 {addMounts(specs.Mount{Destination: "/x", Type: "overlay", Source: "overlay", Options: []string{"lowerdir=/no/such"}}), "mounts[7]", "no such file"},
		"a host's disk":           {edits(inUserNamespace, addMounts(specs.Mount{Destination: "/x", Type: "ext4", Source: "/dev/null"})), "mounts[7]", "not permitted"},
		hostsQueues:               {edits(inUserNamespace, without(specs.IPCNamespace)), "mounts[4]", "not permitted"},
		"a cover of procfs":       {addMounts(specs.Mount{Destination: "/proc/sys", Type: "tmpfs"}), "mounts[7].destination", "cover procfs at /proc/sys"},
		"a cover of all":          {addMounts(specs.Mount{Destination: "/proc", Type: "tmpfs"}), "mounts[7].destination", "may not be mounted on /proc itself"},
		"a cover by a file":       {addMounts(at("/proc/self/exe", bind("/dev/null"))), "mounts[7].destination", "cover procfs at /proc/self/exe"},
		"a file over a directory": {addMounts(at("/tmp", bind("/dev/null"))), "mounts[7]", "attach: not a directory"},
		"a directory over a file": {addMounts(at("/probe", bind("/tmp"))), "mounts[7]", "attach: not a directory"},
		"a tmpfs over a file":     {addMounts(specs.Mount{Destination: "/probe", Type: "tmpfs"}), "mounts[7]", "attach: not a directory"},
		"a receiver":              {annotated("run.oci.pidfd_receiver", "/no/such"), "annotations.run.oci.pidfd_receiver", "no such file"},
		"no receiver":             {annotated("run.oci.pidfd_receiver", "/dev/null"), "annotations.run.oci.pidfd_receiver", "refused"},
		"a log of hooks":          {edits(annotated("run.oci.hooks.stdout", "/no/such/x"), startHook("/probe")), "annotations.run.oci.hooks.stdout", "no such file"},
		"lo":                      {func(s *specs.Spec) { s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"lo": {Name: "lo7"}} }, "linux.netDevices.lo", "cannot leave"},
		"another null":            {withNull(5), "linux.devices[0]", "must be the character device 1:3"},
		"ids of procfs":           {addMounts(idmapped("/proc")), "mounts[7]", "must support id-mapped mounts"},
		"a host's node":           {withDevice(inUserNamespace), "linux.devices[0].path", "open the host's node"},
		"a sysctl":                {func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net.ipv4.cake": "1"} }, "linux.sysctl.net.ipv4.cake", "no such parameter"},
		"open files": {func(s *specs.Spec) {
			s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Hard: 1 << 40}}
		}, "process.rlimits[0]", "fs.nr_open"},
		"a policy": {func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedISO} }, "process.scheduler", "invalid argument"},
		"memory nodes": {func(s *specs.Spec) {
			s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "1023"}
		}, "linux.memoryPolicy", "invalid argument"},
		"a program":      {func(s *specs.Spec) { s.Process.Args = []string{"cake"} }, "process.args[0]", "not found in $PATH"},
		"its path":       {func(s *specs.Spec) { s.Process.Args = []string{"/cake"} }, "process.args[0]", "no such file"},
		"an agent":       {seccompOf(notifying("/no/such")), "linux.seccomp.listenerPath", "no such file"},
		"an old machine": {seccompOf(specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: []specs.Arch{specs.ArchM68K}}), "linux.seccomp.architectures[0]", "not supported"},
		"a device":       {func(s *specs.Spec) { s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"cake0": {}} }, "linux.netDevices.cake0", ""},
		"a runtime hook": {func(s *specs.Spec) { s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/no/such"}}} }, "hooks.createRuntime[0]", "no such file"},
		"a hook inside":  {func(s *specs.Spec) { s.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/no/such"}}} }, "hooks.startContainer[0]", "no such file"},
		"a late hook":    {func(s *specs.Spec) { s.Hooks = &specs.Hooks{Poststart: []specs.Hook{{Path: "/etc"}}} }, "hooks.poststart[0]", "permission denied"},
	}
}

func seccompOf(p specs.LinuxSeccomp) edit {
	return func(s *specs.Spec) { s.Linux.Seccomp = &p }
}

func notifying(listener string) specs.LinuxSeccomp {
	return specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow, ListenerPath: listener,
		Syscalls: []specs.LinuxSyscall{{Names: []string{"mkdir"}, Action: specs.ActNotify}},
	}
}

func without(kind specs.LinuxNamespaceType) edit {
	return func(s *specs.Spec) {
		s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == kind })
	}
}

// joining makes linux.namespaces a new one of mounts and one of networks by path.
func joining(path string) edit {
	return func(s *specs.Spec) {
		s.Hostname = ""
		s.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.MountNamespace}, {Type: specs.NetworkNamespace, Path: path}, {Type: specs.IPCNamespace}}
	}
}

func withClock(seconds int64) edit {
	return func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
		s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"monotonic": {Secs: seconds}}
	}
}

func idmapped(source string) specs.Mount {
	m, one := bind(source, "idmap"), []specs.LinuxIDMapping{{HostID: 1000, Size: 1}}
	m.UIDMappings, m.GIDMappings = one, one
	return m
}

func annotated(key, value string) edit {
	return func(s *specs.Spec) { s.Annotations = map[string]string{key: value} }
}

func TestAFilterThatDeniesExecveFailsTheCheck(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for name, p := range map[string]specs.LinuxSeccomp{
		"by default": {DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{{Names: []string{"read"}, Action: specs.ActAllow}}},
		"by a rule":  {DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"execve"}, Action: specs.ActErrno}}},
	} {
		b := h.newBundle([]string{"pid"}, seccompOf(p))
		c := h.check(b)
		equal(t, name, c.lines, []string{"error: linux.seccomp: denies execve, so that the program could not be started (allow execve in linux.seccomp.syscalls)"})
		if r := h.try("run", "--bundle", b.dir, newID()); r.status == 0 {
			t.Errorf("%s: it runs", name)
		}
	}
}

// withNull makes /dev/null another device.
func withNull(minor int64) edit {
	return func(s *specs.Spec) {
		s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/null", Type: "c", Major: 1, Minor: minor}}
	}
}

// withDevice adds a device that the host lacks, and the rule for it.
func withDevice(also ...edit) edit {
	return func(s *specs.Spec) {
		for _, f := range also {
			f(s)
		}
		major, minor := int64(250), int64(77)
		s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/cake", Type: "c", Major: major, Minor: minor}}
		s.Linux.Resources.Devices = append(s.Linux.Resources.Devices,
			specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: &major, Minor: &minor, Access: "rwm"})
	}
}

func TestCheckSaysWhatCreateSays(t *testing.T) {
	h := newHost(t)
	loadOverlay()
	for name, tt := range some(unrunnable()) {
		t.Run(name, func(t *testing.T) {
			if name == hostsQueues && fileExists("/dev/mqueue") {
				lacks(t, "a lack of /dev/mqueue")
			}
			h := &host{t: t, root: h.root}
			h.checkForesees(h.newBundle([]string{"pid"}, tt.edit), tt.path, tt.says)
		})
	}
}

// checkForesees wants that check finds one error in a bundle, about path, and
// that run has the same.
func (h *host) checkForesees(b *bundle, path, says string) {
	h.t.Helper()
	c := h.check(b)
	equal(h.t, "status", c.status, 1)
	if len(c.lines) != 1 || !strings.Contains(c.lines[0], says) || !strings.Contains(c.lines[0], path) {
		h.t.Fatalf("it lacks %q about %s: %q", says, path, c.lines)
	}
	equal(h.t, "level and path", []string{c.findings[0].Level, c.findings[0].Path}, []string{"error", path})
	id := newID()
	equal(h.t, "what run says", h.refusal(b, id), c.errors()[0])
	h.nothingRemains(id, b)
}

func TestCheckSaysEverythingAtOnce(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid"}, seccompOf(specs.LinuxSeccomp{DefaultAction: "SCMP_ACT_MAYBE"}), addMounts(bind("/no/such")),
		resources(specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: pointer(int64(-7))}, Unified: map[string]string{"cake.max": "1"}}),
		func(s *specs.Spec) {
			s.Process.Cwd, s.Process.Args = "tmp", []string{"/cake"}
			s.Hooks = &specs.Hooks{Poststart: []specs.Hook{{Path: "/no/such"}}}
		})
	text := change(t, []byte(readFile(t, b.path("config.json"))), 5, "hostname")
	if err := os.WriteFile(b.path("config.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	c := h.check(b)
	equal(t, "status", c.status, 1)
	var paths []string
	for _, f := range c.findings {
		paths = append(paths, f.Path)
	}
	for _, want := range []string{
		"hostname", "process.cwd", "linux.seccomp.defaultAction", "linux.resources.memory.limit",
		"linux.resources.unified.cake.max", "mounts[7].source", "hooks.poststart[0]",
	} {
		if !slices.Contains(paths, want) {
			t.Errorf("%v lacks %s", paths, want)
		}
	}
	// What comes from the document, run says at once, too.
	said := h.refusal(b, newID())
	for _, want := range []string{"hostname", "process.cwd", "linux.seccomp.defaultAction", "linux.resources.memory.limit"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q lacks %s", said, want)
		}
	}
}

func TestWhatIsOnlySuspiciousIsAWarning(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid"}, withDevice(), func(s *specs.Spec) {
		s.Linux.Resources.Devices = s.Linux.Resources.Devices[:1]
		s.Process.Capabilities.Bounding = append(s.Process.Capabilities.Bounding, "CAP_CAKE")
		s.Annotations = map[string]string{
			"run.oci.hooks.stdour": "/dev/null", "com.example": "x", "org.systemd.property.Nice": "1",
		}
		s.Solaris = &specs.Solaris{}
		s.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "/no/such"}}}
		s.Linux.MountLabel = "a:b:c:d"
	})
	text := change(t, []byte(readFile(t, b.path("config.json"))), []string{"/proc/x"}, "linux", "maskedPath")
	if err := os.WriteFile(b.path("config.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	c := h.check(b)
	equal(t, "status", c.status, 2)
	for i, want := range []checkFinding{
		{Path: "linux.maskedPath", Message: "unknown property", Hint: "did you mean linux.maskedPaths?"},
		{Path: "annotations.run.oci.hooks.stdour", Message: "unknown annotation, it has no effect", Hint: "did you mean run.oci.hooks.stdout?"},
		{Path: "linux.mountLabel", Object: "use linux.mountLabel", Message: "ignored: SELinux is not enabled on this host"},
		{Path: "process.capabilities.bounding[3]", Message: `unknown capability "CAP_CAKE" ignored`},
		{Path: "linux.devices[0].path", Message: "no rule of linux.resources.devices allows to open /dev/cake", Hint: "add one with allow, the type, the numbers and access rw"},
		{Path: "hooks.poststop[0]", Object: "run hook hooks.poststop[0] (/no/such)", Message: "no such file or directory", Hint: "the file is missing, or its interpreter"},
		{Path: "solaris", Message: "is for another platform and has no effect"},
		{Path: "annotations.org.systemd.property.Nice", Message: "has no effect", Hint: "it takes systemd as the manager of cgroups: --systemd-cgroup"},
	} {
		want.Level = "warning"
		if i >= len(c.findings) {
			t.Fatalf("there is no %+v in\n%s", want, strings.Join(c.lines, "\n"))
		}
		equal(t, "finding", c.findings[i], want)
	}
	equal(t, "first line", c.lines[0], "warning: linux.maskedPath: unknown property (did you mean linux.maskedPaths?)")
	equal(t, "what run says", h.refusal(b, newID()), "")
}

func TestABundleThatCannotBeReadFailsTheCheck(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid"})
	for name, text := range map[string]string{"half": `{"ociVersion": "1.0`, "nothing": "", "a list": "[]"} {
		if err := os.WriteFile(b.path("config.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c := h.check(b)
		equal(t, "status of "+name, c.status, 1)
		equal(t, name, c.lines, []string{"error: " + h.refusal(b, newID())})
	}
	r := h.try("check", "--bundle", "/no/such")
	equal(t, "without a bundle", []any{r.status, r.stdout}, []any{1, "error: open /no/such/config.json: no such file or directory\n"})
	equal(t, "with an argument", h.try("check", "x").status, 1)
}

func TestCheckReadsAnotherConfiguration(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid"})
	if err := os.WriteFile(b.path("other.json"), []byte(`{"ociVersion": "1.0.0"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	r := h.try("check", "--bundle", b.dir, "--config", "other.json")
	equal(t, "it", []any{r.status, r.stdout}, []any{1, "error: root: must be set\n"})
}
