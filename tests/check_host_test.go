package tests

import (
	"encoding/binary"
	"os"
	"strconv"
	"strings"
	"testing"

	docker "github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func withSysctl(key, value string) edit {
	return func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{key: value} }
}

func TestCheckForeseesWhatTheKernelThinksOfParameters(t *testing.T) {
	h := newHost(t)
	for key, tt := range some(map[string]struct {
		value, says string
		also        edit
	}{
		"net.ipv4.ip_forward":             {value: "abc", says: "does not accept the value abc"},
		"net.core.somaxconn":              {value: "99999999999", says: "invalid argument"},
		"net.ipv4.ip_local_port_range":    {value: "60000 1000", says: "invalid argument"},
		"net.ipv4.conf.lo.forwarding":     {value: "on", says: "invalid argument"},
		"net.ipv4.conf.eth7.forwarding":   {value: "1", says: "no such parameter"},
		"net.ipv4.conf":                   {value: "1", says: "is a directory"},
		"net.ipv4.tcp_congestion_control": {value: "cake", says: "no such file"},
		"net.ipv4.ping_group_range":       {value: "0 2000000", says: "invalid argument", also: inUserNamespace},
		"kernel.shmmax":                   {value: "1G", says: "invalid argument"},
		"kernel.msgmax":                   {value: "-1", says: "invalid argument"},
		"fs.mqueue.msg_max":               {value: "0", says: "invalid argument"},
		"user.max_user_namespaces":        {value: "many", says: "invalid argument", also: inUserNamespace},
	}) {
		t.Run(key, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			change := edits(withSysctl(key, tt.value))
			if tt.also != nil {
				change = edits(change, tt.also)
			}
			h.checkForesees(h.newBundle([]string{"pid"}, change), "linux.sysctl."+key, tt.says)
		})
	}
}

func TestCheckLeavesTheHostsParametersAlone(t *testing.T) {
	h := newHost(t)
	const file = "/proc/sys/kernel/msgmax"
	before := readFile(t, file)
	b := h.newBundle([]string{"pid"}, withSysctl("kernel.msgmax", "12345"))
	equal(t, "what check says", h.check(b).lines, nil)
	equal(t, file, readFile(t, file), before)
	equal(t, "what run says", h.refusal(b, newID()), "")

	// One that is nobody's but the host's, and with a value that would do no harm.
	const whole = "/proc/sys/vm/stat_interval"
	before = readFile(t, whole)
	b = h.newBundle([]string{"pid"}, withSysctl("vm.stat_interval", strconv.Itoa(len(before)+7)))
	equal(t, "status for the host's", h.check(b).status, 1)
	equal(t, whole, readFile(t, whole), before)
}

func overlay(options ...string) specs.Mount {
	return specs.Mount{Destination: "/mnt", Type: "overlay", Source: "overlay", Options: options}
}

// withLayers adds an overlay of directories that are made in the bundle.
func withLayers(upper, work string) func(*testing.T, *bundle) {
	return func(t *testing.T, b *bundle) {
		t.Helper()
		for _, name := range []string{"lower", upper, work} {
			if err := os.MkdirAll(b.path(name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		addMounts(overlay("lowerdir="+b.path("lower"), "upperdir="+b.path(upper), "workdir="+b.path(work)))(b.config)
		b.save(t)
	}
}

func remount(target string, options ...string) specs.Mount {
	return specs.Mount{Destination: target, Options: append([]string{"remount"}, options...)}
}

// loadOverlay has the kernel load the module: check does not for a mere look, and
// trusts what is not loaded.
func loadOverlay() {
	if fd, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC); err == nil {
		unix.Close(fd)
	}
}

func TestCheckForeseesMountsThatFail(t *testing.T) {
	h := newHost(t)
	loadOverlay()
	from := func(path, kind string) edit {
		return addMounts(specs.Mount{Destination: "/mnt", Type: kind, Source: path})
	}
	inside := func(m specs.Mount) edit { return edits(inUserNamespace, addMounts(m)) }
	for name, tt := range some(map[string]struct {
		prepare    func(*testing.T, *bundle)
		edit       edit
		path, says string
	}{
		"no disk":                  {nothing, from("/dev/cake", "ext4"), "mounts[7]", "no such file"},
		"a device, but no disk":    {nothing, from("/dev/null", "ext4"), "mounts[7]", "losetup(8)"},
		"an image":                 {nothing, from("/etc/passwd", "ext4"), "mounts[7]", "losetup(8)"},
		"an overlay of nothing":    {nothing, addMounts(overlay()), "mounts[7]", "it takes lowerdir"},
		"an overlay of one":        {nothing, addMounts(overlay("lowerdir=/etc")), "mounts[7]", "it takes lowerdir"},
		"an overlay without work":  {nothing, addMounts(overlay("lowerdir=/etc", "upperdir=/etc")), "mounts[7]", "upperdir and workdir go together"},
		"work in the upper layer":  {withLayers("upper", "upper/work"), edits(), "mounts[7]", "two directories apart"},
		"work above it":            {withLayers("work/upper", "work"), edits(), "mounts[7]", "two directories apart"},
		"FUSE without a server":    {nothing, from("fuse", "fuse"), "mounts[7]", "it takes fd"},
		"the host's kernel":        {nothing, inside(specs.Mount{Destination: "/mnt", Type: "debugfs"}), "mounts[7]", "may not mount this filesystem"},
		"the host's processes":     {nothing, edits(inUserNamespace, without(specs.PIDNamespace)), "mounts[0]", "the pid namespace"},
		"files of nobody":          {nothing, inside(specs.Mount{Destination: "/mnt", Type: "tmpfs", Options: []string{"uid=4000000"}}), "mounts[7].options", "uid=4000000 is not mapped"},
		"mounts below the source":  {nothing, inside(bind("/sys")), "mounts[7]", "use rbind"},
		"a change of no mount":     {nothing, addMounts(remount("/tmp", "ro")), "mounts[7]", "not a mount point"},
		"a change of nothing":      {nothing, addMounts(remount("/cake", "ro")), "mounts[7]", "neither the image nor a mount before has it"},
		"a bind mount on procfs":   {nothing, func(s *specs.Spec) { s.Mounts[0] = at("/proc", bind("/tmp")) }, "mounts[0]", "not a procfs"},
		"a link for procfs":        {replaced("proc", func(name string) error { return os.Symlink("tmp", name) }), edits(), "mounts[0]", "ordinary directory"},
		"a file for sysfs":         {replaced("sys", func(name string) error { return os.WriteFile(name, nil, 0o600) }), edits(), "mounts[5]", "ordinary directory"},
		"a target behind a file":   {nothing, addMounts(at("/probe/x", specs.Mount{Type: "tmpfs"})), "mounts[7]", "a file on the way"},
		"a target in a circle":     {linked("circle", "circle"), addMounts(at("/circle/x", specs.Mount{Type: "tmpfs"})), "mounts[7]", "circle of symbolic links"},
		"a target in private":      {private("rootfs/tmp"), inside(at("/tmp/x/y", specs.Mount{Type: "tmpfs"})), "mounts[7]", "permission denied"},
		"a target to be made":      {hosts("rootfs/tmp"), inside(at("/tmp/x/y", specs.Mount{Type: "tmpfs"})), "mounts[7]", "may not write to"},
		"a missing target of ours": {hosts("rootfs"), inside(at("/cake", bind("/etc/hostname"))), "mounts[7]", "may not write to"},
		"a private bundle":         {private("."), inUserNamespace, "root.path", "must be able to reach it"},
		"a device over a file":     {nothing, withNullAt("/probe"), "linux.devices[0].path", "the image has something else there"},
		"a device behind a file":   {nothing, withNullAt("/probe/null"), "linux.devices[0].path", "a file on the way"},
	}) {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			b := h.newBundle([]string{"pid"}, tt.edit)
			tt.prepare(t, b)
			h.checkForesees(b, tt.path, tt.says)
		})
	}
}

func withNullAt(path string) edit {
	return func(s *specs.Spec) {
		s.Linux.Devices = []specs.LinuxDevice{{Path: path, Type: "c", Major: 1, Minor: 3}}
	}
}

// replaced puts something in the place of a directory of the image.
func replaced(name string, by func(string) error) func(*testing.T, *bundle) {
	return func(t *testing.T, b *bundle) {
		t.Helper()
		err := os.Remove(b.path("rootfs/" + name))
		if err == nil {
			err = by(b.path("rootfs/" + name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// hosts gives a directory of the bundle to the root of the host.
func hosts(name string) func(*testing.T, *bundle) { return owned(name, 0o755) }

// private makes a directory of the bundle one for nobody else.
func private(name string) func(*testing.T, *bundle) { return owned(name, 0o700) }

func owned(name string, mode os.FileMode) func(*testing.T, *bundle) {
	return func(t *testing.T, b *bundle) {
		t.Helper()
		err := os.Chown(b.path(name), 0, 0)
		if err == nil {
			err = os.Chmod(b.path(name), mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// foreignProgram is the start of a program for another machine of the same kind.
func foreignProgram(t *testing.T) string {
	t.Helper()
	header := []byte(readFile(t, suite.probe)[:4096])
	binary.NativeEndian.PutUint16(header[18:], 0x7777) // e_machine
	return string(header)
}

func TestCheckForeseesProgramsThatCannotBeExecuted(t *testing.T) {
	h := newHost(t)
	masking := func(paths ...string) edit { return func(s *specs.Spec) { s.Linux.MaskedPaths = paths } }
	for name, tt := range some(map[string]struct {
		prepare    func(*testing.T, *bundle)
		edit       edit
		path, says string
	}{
		"a missing interpreter":    {withFile("tmp/x", "#!/bin/cake\n", 0o755), args("/tmp/x"), "process.args[0]", "not its interpreter"},
		"one with a carriage":      {withFile("tmp/x", "#!/probe\r\n", 0o755), args("/tmp/x"), "process.args[0]", "not its interpreter"},
		"one that is a directory":  {withFile("tmp/x", "#!/tmp\n", 0o755), args("/tmp/x"), "process.args[0]", "permission denied"},
		"one beside the directory": {withFile("tmp/x", "#!cake\n", 0o755), args("/tmp/x"), "process.args[0]", "not its interpreter"},
		"no interpreter":           {withFile("tmp/x", "#! \n", 0o755), args("/tmp/x"), "process.args[0]", "exec format error"},
		"one in PATH":              {withFile("bin/x", "#!/bin/cake\n", 0o755), args("x"), "process.args[0]", "not its interpreter"},
		"one below the directory":  {withFile("tmp/x", "#!/bin/cake\n", 0o755), edits(args("./x"), cwd("/tmp")), "process.args[0]", `exec "./x"`},
		"another machine's":        {withFile("tmp/x", foreignProgram(t), 0o755), args("/tmp/x"), "process.args[0]", "not a program for this machine"},
		"a hidden directory":       {withFile("tmp/x", "#!/probe\n", 0o755), edits(args("/tmp/x"), masking("/tmp")), "process.args[0]", "no such file"},
		"a hidden file":            {nothing, masking("/probe"), "process.args[0]", "permission denied"},
		"an empty directory":       {withFile("tmp/x", "#!/probe\n", 0o755), edits(args("/tmp/x"), addMounts(specs.Mount{Destination: "/tmp", Type: "tmpfs"})), "process.args[0]", "no such file"},
		"a private directory":      {both(withFile("tmp/x", "#!/probe\n", 0o755), private("rootfs/tmp")), edits(args("/tmp/x"), user(1001)), "process.args[0]", "permission denied"},
		"a private cwd":            {private("rootfs/tmp"), edits(inUserNamespace, cwd("/tmp")), "process.cwd", "permission denied"},
		"a cwd to be made":         {hosts("rootfs/tmp"), edits(inUserNamespace, cwd("/tmp/x")), "process.cwd", "no such file"},
		"a hook's interpreter":     {withFile("tmp/x", "#!/bin/cake\n", 0o755), startHook("/tmp/x"), "hooks.startContainer[0]", "or its interpreter"},
		"a hook that is text":      {withFile("tmp/x", "hello\n", 0o755), startHook("/tmp/x"), "hooks.startContainer[0]", "script without #!"},
		"a program not found":      {nothing, args("probee"), "process.args[0]", "no directory of the variable PATH has it"},
	}) {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			b := h.newBundle([]string{"pid"}, tt.edit)
			tt.prepare(t, b)
			h.checkForesees(b, tt.path, tt.says)
		})
	}
}

func both(first, second func(*testing.T, *bundle)) func(*testing.T, *bundle) {
	return func(t *testing.T, b *bundle) {
		t.Helper()
		first(t, b)
		second(t, b)
	}
}

func TestCheckKnowsWhoseProgramsCapabilitiesOpen(t *testing.T) {
	h := newHost(t)
	for name, change := range map[string]edit{
		"a group":        func(s *specs.Spec) { s.Process.User.AdditionalGids = []uint32{0} },
		"an override":    withCapabilities("CAP_DAC_OVERRIDE"),
		"reading at all": withCapabilities("CAP_DAC_READ_SEARCH"),
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			b := h.newBundle(nil, args("/tmp/x", "pid"), user(1000), change)
			both(withFile("tmp/x", "#!/probe\n", 0o755), owned("rootfs/tmp", 0o750))(t, b)
			equal(t, "what check says", h.check(b).lines, nil)
			equal(t, "what run says", h.refusal(b, newID()), "")
		})
	}
}

func TestCheckForeseesAMemoryNodeThatIsNotThere(t *testing.T) {
	h := newHost(t)
	b := h.newBundle([]string{"pid"}, resources(specs.LinuxResources{CPU: &specs.LinuxCPU{Mems: "63"}}))
	h.checkForesees(b, "linux.resources.cpu.mems", "")
}

func TestCheckForeseesALimitOfMemoryThatIsMeantInMegabytes(t *testing.T) {
	h := newHost(t)
	b := h.newBundle([]string{"pid"}, resources(specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: pointer(int64(512))}}))
	h.checkForesees(b, "linux.resources.memory.limit", "it is in bytes")
}

func TestCheckWarnsOfWhatIsMeantOtherwise(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	p, err := docker.GetDefaultProfile(&specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{}}})
	if err != nil {
		t.Fatal(err)
	}
	p.Syscalls = append(p.Syscalls, specs.LinuxSyscall{Names: []string{"opnat"}, Action: specs.ActErrno})
	b := h.newBundle([]string{"pid"}, seccompOf(*p), cgroupsPath("/hull/../"+newID()),
		annotated("run.oci.keep_original_groups", "maybe"),
		addMounts(specs.Mount{Destination: "/tmp", Type: "tmpfs", Options: []string{"ro", "rw", "exec,noexec"}}, bind("/etc", "shared", "private")))
	c := h.check(b)
	equal(t, "status", c.status, 2)
	for _, want := range []string{
		`"ro" has no effect, because "rw" comes after it`,
		`"exec" has no effect, because "noexec" comes after it`,
		`"shared" has no effect, because "private" comes after it`,
		`"maybe" counts as yes (only "0" is no)`,
		`linux.cgroupsPath: has .. in it; the cgroup is /`,
		`unknown system call "opnat", so its rule has no effect (did you mean openat?)`,
	} {
		if !strings.Contains(strings.Join(c.lines, "\n"), want) {
			t.Errorf("it lacks %s", want)
		}
	}
	equal(t, "warnings", len(c.lines), 6)
	equal(t, "what run says", h.refusal(b, newID()), "")
}
