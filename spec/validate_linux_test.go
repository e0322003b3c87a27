package spec_test

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/spec"
)

func namespaceViolations() []violation {
	return []violation{
		{"a type nobody knows", func(s *specs.Spec) { join(s, "foo", "") }, []string{
			`linux.namespaces[` + last() + `].type: unknown namespace "foo" (one of cgroup, ipc, mount, network, pid, time, user, uts)`,
		}},
		{"twice the same", func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.PIDNamespace})
		}, []string{"linux.namespaces[" + last() + "].type: pid is already linux.namespaces[0]"}},
		{"a relative path", func(s *specs.Spec) { s.Linux.Namespaces[0].Path = "proc" }, []string{
			`linux.namespaces[0].path: "proc" is not an absolute path`,
		}},
		{"mappings without a user namespace", func(s *specs.Spec) {
			s.Linux.UIDMappings = []specs.LinuxIDMapping{{Size: 1}}
		}, []string{"linux.uidMappings: needs a user namespace"}},
		{"a user namespace without mappings", func(s *specs.Spec) { join(s, specs.UserNamespace, "") }, []string{
			"linux.uidMappings: must not be empty for a new user namespace", "linux.gidMappings: must not be empty for a new user namespace",
		}},
		{"a joined user namespace needs none", func(s *specs.Spec) { join(s, specs.UserNamespace, "/proc/1/ns/user") }, nil},
		{"a user namespace without root", func(s *specs.Spec) {
			mapIDs(s, specs.LinuxIDMapping{ContainerID: 1, HostID: 1, Size: 5})
			s.Process.User = specs.User{UID: 1, GID: 1}
		}, nil},
		{"mappings beyond the last ID and on top of each other", func(s *specs.Spec) {
			join(s, specs.UserNamespace, "")
			s.Linux.GIDMappings = []specs.LinuxIDMapping{{Size: 6}}
			s.Linux.UIDMappings = []specs.LinuxIDMapping{{Size: 10}, {ContainerID: 9, HostID: 20, Size: 1}, {ContainerID: 4294967290, HostID: 20, Size: 10}, {ContainerID: 50, HostID: 50}}
		}, []string{
			"linux.uidMappings[1].containerID: overlaps linux.uidMappings[0]",
			"linux.uidMappings[2].containerID: 4294967290 and size 10 go beyond the last ID",
			"linux.uidMappings[2].hostID: overlaps linux.uidMappings[1]",
			"linux.uidMappings[3].size: must be above 0",
		}},
		{"ids among mount options that are not mapped", func(s *specs.Spec) {
			mapIDs(s, specs.LinuxIDMapping{Size: 1})
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/x", Type: "tmpfs", Options: []string{"uid=7", "gid=0"}})
		}, []string{
			"mounts[2].options: gid=5 is not mapped in the user namespace",
			"mounts[7].options: uid=7 is not mapped in the user namespace",
		}},
		{"too many mappings", func(s *specs.Spec) {
			join(s, specs.UserNamespace, "/x")
			s.Linux.UIDMappings = make([]specs.LinuxIDMapping, 341)
		}, []string{"linux.uidMappings: 341 entries, the kernel takes 340"}},
		{"mappings whose text is longer than a page", func(s *specs.Spec) {
			join(s, specs.UserNamespace, "/x")
			for i := range uint32(200) {
				s.Linux.UIDMappings = append(s.Linux.UIDMappings, specs.LinuxIDMapping{ContainerID: 1000000000 + i, HostID: 2000000000 + i, Size: 1})
			}
		}, []string{"linux.uidMappings: 4800 bytes in /proc, the kernel takes less than 4096: use fewer or shorter entries"}},
		{"time offsets without a time namespace", func(s *specs.Spec) {
			s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"monotonic": {}}
		}, []string{"linux.timeOffsets: needs a time namespace"}},
		{"time offsets of a joined namespace", func(s *specs.Spec) {
			join(s, specs.TimeNamespace, "/proc/1/ns/time")
			s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"realtime": {}, "boottime": {Nanosecs: 1000000000}}
		}, []string{
			"linux.timeOffsets: cannot be set for a time namespace that is joined",
			"linux.timeOffsets.boottime.nanosecs: 1000000000 is not below one second",
			"linux.timeOffsets.realtime: unknown clock (one of monotonic, boottime)",
		}},
	}
}

// last is the index of a namespace that is appended to the default ones, of
// which there is one more on a host with the unified hierarchy.
func last() string { return string('0' + rune(len(spec.Default().Linux.Namespaces))) }

func linuxViolations() []violation {
	sysctl := func(keys ...string) func(*specs.Spec) {
		return func(s *specs.Spec) {
			s.Linux.Sysctl = map[string]string{}
			for _, k := range keys {
				s.Linux.Sysctl[k] = "1"
			}
		}
	}
	device := func(d ...specs.LinuxDevice) func(*specs.Spec) { return func(s *specs.Spec) { s.Linux.Devices = d } }
	return []violation{
		{"sysctls of namespaces are not wrong", sysctl("net.ipv4.ip_forward", "net/ipv4/conf/eth0.1/forwarding", "kernel.shmmax",
			"fs.mqueue.msg_max", "kernel.domainname", "kernel/msgmni"), nil},
		{"sysctls of the host", sysctl("kernel.core_pattern", "fs.file-max", "vm.swappiness", "fs/mqueue.x"), []string{
			"linux.sysctl.fs.file-max: does not belong to a namespace, so it would change the host",
			"linux.sysctl.fs/mqueue.x: does not belong to a namespace, so it would change the host",
			"linux.sysctl.kernel.core_pattern: does not belong to a namespace, so it would change the host",
			"linux.sysctl.vm.swappiness: does not belong to a namespace, so it would change the host",
		}},
		{"sysctls that climb", sysctl("net/../kernel/core_pattern", "net.//.kernel.core_pattern", "net..x", "net", "", "net.ipv4.", "/net/x"), []string{
			"linux.sysctl: not the name of a kernel parameter (a path below /proc/sys with dots or with slashes, no part of it empty, ., .. or longer than 255 bytes)",
			"linux.sysctl./net/x: not the name of a kernel parameter (a path below /proc/sys with dots or with slashes, no part of it empty, ., .. or longer than 255 bytes)",
			"linux.sysctl.net: not the name of a kernel parameter (a path below /proc/sys with dots or with slashes, no part of it empty, ., .. or longer than 255 bytes)",
			"linux.sysctl.net..x: not the name of a kernel parameter (a path below /proc/sys with dots or with slashes, no part of it empty, ., .. or longer than 255 bytes)",
			"linux.sysctl.net.//.kernel.core_pattern: not the name of a kernel parameter (a path below /proc/sys with dots or with slashes, no part of it empty, ., .. or longer than 255 bytes)",
			"linux.sysctl.net.ipv4.: not the name of a kernel parameter (a path below /proc/sys with dots or with slashes, no part of it empty, ., .. or longer than 255 bytes)",
			"linux.sysctl.net/../kernel/core_pattern: not the name of a kernel parameter (a path below /proc/sys with dots or with slashes, no part of it empty, ., .. or longer than 255 bytes)",
		}},
		{"the hostname by two ways", sysctl("kernel.hostname"), []string{"linux.sysctl.kernel.hostname: set hostname instead"}},
		{"sysctls of namespaces that are the host's", func(s *specs.Spec) {
			sysctl("net.a.b", "kernel.sem", "fs.mqueue.a", "kernel.domainname", "user.max_user_namespaces")(s)
			s.Linux.Namespaces, s.Hostname = []specs.LinuxNamespace{{Type: specs.MountNamespace}}, ""
		}, []string{
			"linux.sysctl.fs.mqueue.a: needs a namespace of type ipc",
			"linux.sysctl.kernel.domainname: needs a namespace of type uts",
			"linux.sysctl.kernel.sem: needs a namespace of type ipc",
			"linux.sysctl.net.a.b: needs a namespace of type network",
			"linux.sysctl.user.max_user_namespaces: needs a namespace of type user",
		}},
		{"devices", device(
			specs.LinuxDevice{Path: "dev/a", Type: "c", Major: 1, Minor: 1},
			specs.LinuxDevice{Path: "/", Type: "p"},
			specs.LinuxDevice{Path: "/dev/b", Type: "x"},
			specs.LinuxDevice{Path: "/dev/c", Type: "b", Major: -1, Minor: 1 << 20},
			specs.LinuxDevice{Path: "/dev/d", Type: "u", UID: ptr(uint32(4294967295))},
		), []string{
			`linux.devices[0].path: "dev/a" is not an absolute path of a file`, `linux.devices[1].path: "/" is not an absolute path of a file`,
			`linux.devices[2].type: unknown type "x" (one of b, c, p, u)`, "linux.devices[3].major: -1 is not from 0 to 4095",
			"linux.devices[3].minor: 1048576 is not from 0 to 1048575", "linux.devices[4].uid: 4294967295 is not an ID",
		}},
		{"two devices in one place", device(
			specs.LinuxDevice{Path: "/dev/a", Type: "c", Major: 1}, specs.LinuxDevice{Path: "/dev/./a", Type: "c", Major: 1},
			specs.LinuxDevice{Path: "/dev/a", Type: "c", Major: 2},
		), []string{"linux.devices[2].path: /dev/a is already another device in linux.devices[0]"}},
		{"network devices", func(s *specs.Spec) {
			s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"eth0": {Name: "eth%d"}, "a/b": {}, "x": {Name: "sixteen-letters-"}}
		}, []string{
			"linux.netDevices.a/b: not the name of a network device (1 to 15 bytes without blank, slash, colon and percent sign, but not . or ..)",
			`linux.netDevices.x.name: "sixteen-letters-" is neither the name of a network device nor a template that ends in %d`,
		}},
		{"templates of network devices", func(s *specs.Spec) {
			s.Linux.NetDevices = map[string]specs.LinuxNetDevice{
				"a": {Name: "thirteen-lett%d"}, "b": {Name: "fourteen-lette%d"}, "c": {Name: "%d"}, "d": {Name: "e%d%d"}, "e": {Name: "e%dx"}, "f%d": {}, "g": {Name: "e%d"}, "h": {Name: "e%d"},
			}
		}, []string{
			`linux.netDevices.b.name: "fourteen-lette%d" is neither the name of a network device nor a template that ends in %d`,
			`linux.netDevices.c.name: "%d" is neither the name of a network device nor a template that ends in %d`,
			`linux.netDevices.d.name: "e%d%d" is neither the name of a network device nor a template that ends in %d`,
			`linux.netDevices.e.name: "e%dx" is neither the name of a network device nor a template that ends in %d`,
			"linux.netDevices.f%d: not the name of a network device (1 to 15 bytes without blank, slash, colon and percent sign, but not . or ..)",
		}},
		{"two network devices of one name", func(s *specs.Spec) {
			s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"a": {Name: "b"}, "b": {}, "c": {Name: "a"}}
		}, []string{"linux.netDevices.b: linux.netDevices.a gets the name b as well"}},
		{"network devices without a namespace", func(s *specs.Spec) {
			drop(s, specs.NetworkNamespace)
			s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"eth0": {}}
		}, []string{"linux.netDevices.eth0: needs a network namespace"}},
		{"resource director", func(s *specs.Spec) {
			s.Linux.IntelRdt = &specs.LinuxIntelRdt{ClosID: "a/b", L3CacheSchema: "L3:\n", MemBwSchema: "L3:0=1", Schemata: []string{"a", "b\n"}}
		}, []string{
			`linux.intelRdt.closID: "a/b" is not the name of a directory`, "linux.intelRdt.l3CacheSchema: must be one line",
			"linux.intelRdt.memBwSchema: must be one line that starts with MB:", "linux.intelRdt.schemata[1]: must be one line",
		}},
		{"the default class of the resource director", func(s *specs.Spec) { s.Linux.IntelRdt = &specs.LinuxIntelRdt{ClosID: "/"} }, nil},
		{"propagation", func(s *specs.Spec) { s.Linux.RootfsPropagation = "ro" }, []string{
			`linux.rootfsPropagation: unknown propagation "ro" (one of shared, slave, private, unbindable)`,
		}},
		{"hidden paths", func(s *specs.Spec) {
			s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = []string{"/a", "b"}, []string{"c"}
		}, []string{`linux.maskedPaths[1]: "b" is not an absolute path`, `linux.readonlyPaths[0]: "c" is not an absolute path`}},
		{"hidden paths of the host", func(s *specs.Spec) {
			drop(s, specs.MountNamespace)
			s.Root.Readonly = false
			s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = []string{"/a"}, nil
		}, []string{"linux.maskedPaths[0]: needs a mount namespace"}},
	}
}
