package spec_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/spec"
)

func ptr[T any](v T) *T { return &v }

// drop removes the namespaces of a type.
func drop(s *specs.Spec, t specs.LinuxNamespaceType) {
	s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == t })
}

// join adds a namespace; with an empty path it is a new one.
func join(s *specs.Spec, t specs.LinuxNamespaceType, path string) {
	drop(s, t)
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: t, Path: path})
}

func mapIDs(s *specs.Spec, m ...specs.LinuxIDMapping) {
	join(s, specs.UserNamespace, "")
	s.Linux.UIDMappings, s.Linux.GIDMappings = m, m
}

// violation is a change to the default configuration, and all that is wrong
// with it then.
type violation struct {
	name   string
	change func(s *specs.Spec)
	want   []string
}

func TestEachViolationIsNamedByItsPath(t *testing.T) {
	for _, list := range [][]violation{
		processViolations(), schedulingViolations(), mountViolations(), namespaceViolations(), linuxViolations(), otherViolations(),
	} {
		for _, c := range list {
			t.Run(c.name, func(t *testing.T) {
				s := spec.Default()
				c.change(s)
				err := spec.Validate(s)
				var got []string
				if all := spec.InvalidError(nil); errors.As(err, &all) {
					for _, one := range all {
						got = append(got, one.Error())
					}
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
				}
			})
		}
	}
}

func otherViolations() []violation {
	return []violation{
		{"nothing is wrong", func(*specs.Spec) {}, nil},
		{"no version", func(s *specs.Spec) { s.Version = "" }, []string{"ociVersion: must be set"}},
		{"no root", func(s *specs.Spec) { s.Root = nil }, []string{"root: must be set"}},
		{"an empty root", func(s *specs.Spec) { s.Root.Path = "" }, []string{"root.path: must not be empty"}},
		{"a read-only root of the host", func(s *specs.Spec) { s.Linux = nil; s.Hostname = "" }, []string{
			"root.readonly: needs a mount namespace, since the mount is the host's without one (set it to false)",
		}},
		{"no process is not wrong", func(s *specs.Spec) { s.Process = nil }, nil},
		{"a long hostname", func(s *specs.Spec) { s.Hostname = strings.Repeat("h", 65) }, []string{"hostname: longer than 64 bytes"}},
		{"names without a uts namespace", func(s *specs.Spec) { drop(s, specs.UTSNamespace); s.Domainname = "d" }, []string{
			"hostname: needs a uts namespace", "domainname: needs a uts namespace",
		}},
		{"a relative hook", func(s *specs.Spec) {
			s.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "/x"}, {Path: "x"}}}
		}, []string{`hooks.poststop[1].path: "x" is not an absolute path`}},
		{"a hook without time", func(s *specs.Spec) {
			s.Hooks = &specs.Hooks{CreateContainer: []specs.Hook{{Path: "/x", Timeout: ptr(0)}}}
		}, []string{"hooks.createContainer[0].timeout: 0 is not a number of seconds above 0"}},
		{"an annotation without a key", func(s *specs.Spec) { s.Annotations = map[string]string{"": "v"} }, []string{
			"annotations: a key must not be empty",
		}},
		{"NUL bytes", func(s *specs.Spec) {
			s.Process.Args[0] += "\x00x"
			s.Mounts[1].Options[2] += "\x00"
			s.Annotations = map[string]string{"a": "\x00"}
			s.Linux.CgroupsPath = "/\x00"
		}, []string{
			"process.args[0]: must not contain a NUL byte", "mounts[1].options[2]: must not contain a NUL byte",
			"annotations.a: must not contain a NUL byte", "linux.cgroupsPath: must not contain a NUL byte",
		}},
		{"everything at once", func(s *specs.Spec) { s.Process.Args = nil; s.Process.Cwd = "a"; s.Root.Path = "" }, []string{
			"root.path: must not be empty", "process.args: must not be empty", `process.cwd: "a" is not an absolute path`,
		}},
	}
}

func processViolations() []violation {
	return []violation{
		{"no arguments", func(s *specs.Spec) { s.Process.Args = nil }, []string{"process.args: must not be empty"}},
		{"an empty command", func(s *specs.Spec) { s.Process.Args = []string{"", "a"} }, []string{"process.args[0]: must not be empty"}},
		{"no working directory", func(s *specs.Spec) { s.Process.Cwd = "" }, []string{`process.cwd: "" is not an absolute path`}},
		{"a variable without a value", func(s *specs.Spec) { s.Process.Env = []string{"A=1", "B", "=c"} }, []string{
			`process.env[2]: "=c" is not of the form NAME=VALUE`, `process.env[1]: "B" is not of the form NAME=VALUE`,
		}},
		{"the ID that is none", func(s *specs.Spec) {
			s.Process.User = specs.User{UID: 4294967295, GID: 4294967295, AdditionalGids: []uint32{1, 4294967295}}
		}, []string{
			"process.user.uid: 4294967295 is not an ID", "process.user.gid: 4294967295 is not an ID",
			"process.user.additionalGids[1]: 4294967295 is not an ID",
		}},
		{"an ID that is not mapped", func(s *specs.Spec) {
			mapIDs(s, specs.LinuxIDMapping{HostID: 1000, Size: 10})
			s.Process.User = specs.User{UID: 10, GID: 9, AdditionalGids: []uint32{11}}
		}, []string{
			"process.user.uid: 10 is not mapped in the user namespace",
			"process.user.additionalGids[0]: 11 is not mapped in the user namespace",
		}},
		{"a umask beyond the mode", func(s *specs.Spec) { s.Process.User.Umask = ptr(uint32(512)) }, []string{
			"process.user.umask: 512 is above 511 (0777)",
		}},
		{"rlimits", func(s *specs.Spec) {
			s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_CPU"}, {Type: "RLIMIT_X"}, {Type: "RLIMIT_CPU"}, {Type: "RLIMIT_AS", Soft: 2, Hard: 1}}
		}, []string{
			`process.rlimits[1].type: unknown resource limit "RLIMIT_X" (one of RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_CORE, RLIMIT_RSS, RLIMIT_NPROC, RLIMIT_NOFILE, RLIMIT_MEMLOCK, RLIMIT_AS, RLIMIT_LOCKS, RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_RTPRIO, RLIMIT_RTTIME)`, "process.rlimits[2].type: RLIMIT_CPU is already rlimits[0]",
			"process.rlimits[3].soft: 2 is above the hard limit 1",
		}},
		{"oom_score_adj", func(s *specs.Spec) { s.Process.OOMScoreAdj = ptr(1001) }, []string{"process.oomScoreAdj: 1001 is not from -1000 to 1000"}},
		{"a console too large", func(s *specs.Spec) { s.Process.ConsoleSize = &specs.Box{Height: 65536, Width: 65535} }, []string{
			"process.consoleSize.height: 65536 is above 65535",
		}},
		{"a console size without a terminal is ignored", func(s *specs.Spec) {
			s.Process.Terminal = false
			s.Process.ConsoleSize = &specs.Box{Height: 65536}
		}, nil},
		{"unknown capabilities are not wrong", func(s *specs.Spec) { s.Process.Capabilities.Bounding = []string{"CAP_NEW"} }, nil},
		{"CPU lists", func(s *specs.Spec) {
			s.Process.ExecCPUAffinity = &specs.CPUAffinity{Initial: "3-1", Final: "x"}
		}, []string{
			`process.execCPUAffinity.initial: range "3-1" is backwards`, `process.execCPUAffinity.final: "x" is neither a number nor a range`,
		}},
	}
}

func schedulingViolations() []violation {
	sched := func(c specs.Scheduler) func(*specs.Spec) { return func(s *specs.Spec) { s.Process.Scheduler = &c } }
	memory := func(m specs.LinuxMemoryPolicy) func(*specs.Spec) {
		return func(s *specs.Spec) { s.Linux.MemoryPolicy = &m }
	}
	return []violation{
		{"no policy", sched(specs.Scheduler{}), []string{`process.scheduler.policy: unknown policy "" (one of SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_ISO, SCHED_IDLE, SCHED_DEADLINE)`}},
		{"a flag nobody knows", sched(specs.Scheduler{Policy: specs.SchedOther, Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagReclaim, "F"}}), []string{
			`process.scheduler.flags[1]: unknown flag "F" (one of SCHED_FLAG_RESET_ON_FORK, SCHED_FLAG_RECLAIM, SCHED_FLAG_DL_OVERRUN, SCHED_FLAG_KEEP_POLICY, SCHED_FLAG_KEEP_PARAMS, SCHED_FLAG_UTIL_CLAMP_MIN, SCHED_FLAG_UTIL_CLAMP_MAX)`,
		}},
		{"too nice", sched(specs.Scheduler{Policy: specs.SchedBatch, Nice: 20}), []string{"process.scheduler.nice: 20 is not from -20 to 19"}},
		{"priority without real time", sched(specs.Scheduler{Policy: specs.SchedOther, Priority: 1}), []string{
			"process.scheduler.priority: needs the policy SCHED_FIFO or SCHED_RR",
		}},
		{"real time without priority", sched(specs.Scheduler{Policy: specs.SchedRR}), []string{"process.scheduler.priority: 0 is not from 1 to 99"}},
		{"a deadline for others", sched(specs.Scheduler{Policy: specs.SchedIdle, Deadline: 1}), []string{
			"process.scheduler.runtime: runtime, deadline and period need the policy SCHED_DEADLINE",
		}},
		{"a deadline before the work is done", sched(specs.Scheduler{Policy: specs.SchedDeadline, Runtime: 2, Deadline: 1}), []string{
			"process.scheduler.runtime: must be above 0, at most deadline, and that at most period",
		}},
		{"I/O priority", func(s *specs.Spec) { s.Process.IOPriority = &specs.LinuxIOPriority{Class: "X", Priority: 8} }, []string{
			`process.ioPriority.class: unknown class "X" (one of IOPRIO_CLASS_RT, IOPRIO_CLASS_BE, IOPRIO_CLASS_IDLE)`, "process.ioPriority.priority: 8 is not from 0 to 7",
		}},
		{"personality", func(s *specs.Spec) {
			s.Linux.Personality = &specs.LinuxPersonality{Domain: "BSD", Flags: []specs.LinuxPersonalityFlag{"F"}}
		}, []string{"linux.personality.flags: must be empty, as no flag is supported", `linux.personality.domain: unknown domain "BSD" (one of LINUX, LINUX32)`}},
		{"a memory policy nobody knows", memory(specs.LinuxMemoryPolicy{Mode: "M", Flags: []specs.MemoryPolicyFlagType{"F"}}), []string{
			`linux.memoryPolicy.mode: unknown mode "M" (one of MPOL_DEFAULT, MPOL_PREFERRED, MPOL_BIND, MPOL_INTERLEAVE, MPOL_LOCAL, MPOL_PREFERRED_MANY, MPOL_WEIGHTED_INTERLEAVE)`, `linux.memoryPolicy.flags[0]: unknown flag "F" (one of MPOL_F_STATIC_NODES, MPOL_F_RELATIVE_NODES, MPOL_F_NUMA_BALANCING)`,
		}},
		{"nodes where none may be", memory(specs.LinuxMemoryPolicy{Mode: specs.MpolLocal, Nodes: "0"}), []string{
			"linux.memoryPolicy.nodes: must be empty for the mode MPOL_LOCAL",
		}},
		{"no nodes where some must be", memory(specs.LinuxMemoryPolicy{Mode: specs.MpolBind}), []string{
			"linux.memoryPolicy.nodes: must not be empty for the mode MPOL_BIND",
		}},
		{"nodes that no kernel has", memory(specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "0-1024"}), []string{
			"linux.memoryPolicy.nodes: 1024 is above 1023",
		}},
		{"static and relative nodes", memory(specs.LinuxMemoryPolicy{
			Mode: specs.MpolBind, Nodes: "0",
			Flags: []specs.MemoryPolicyFlagType{specs.MpolFStaticNodes, specs.MpolFRelativeNodes},
		}), []string{"linux.memoryPolicy.flags: MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other"}},
	}
}

func mountViolations() []violation {
	mount := func(m specs.Mount) func(*specs.Spec) { return func(s *specs.Spec) { s.Mounts = []specs.Mount{m} } }
	one := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1, Size: 1}}
	return []violation{
		{"no destination", mount(specs.Mount{Type: "tmpfs"}), []string{"mounts[0].destination: must not be empty"}},
		{"the root as destination", mount(specs.Mount{Destination: "/../.", Type: "tmpfs"}), nil},
		{"the root as destination on the host", func(s *specs.Spec) {
			mount(specs.Mount{Destination: "/../.", Type: "tmpfs"})(s)
			s.Linux = nil
			s.Hostname = ""
			s.Root.Readonly = false
		}, []string{"mounts[0].destination: the root of the container can be covered only in a mount namespace"}},
		{"no type", mount(specs.Mount{Destination: "/x"}), []string{
			"mounts[0].type: must not be empty unless the options have bind, rbind or remount",
		}},
		{"a bind without a source", mount(specs.Mount{Destination: "/x", Options: []string{"bind"}}), []string{
			"mounts[0].source: must not be empty for a bind mount",
		}},
		{"options of a filesystem on a bind", mount(specs.Mount{Destination: "/x", Source: "/", Options: []string{"rbind", "size=1m", "foo"}}), []string{
			`mounts[0].options: "size=1m" is an option of a filesystem and not possible for a bind mount`,
			`mounts[0].options: "foo" is an option of a filesystem and not possible for a bind mount`,
		}},
		{"idmap of a filesystem", mount(specs.Mount{Destination: "/x", Type: "tmpfs", UIDMappings: one, GIDMappings: one}), []string{
			"mounts[0]: only a bind mount can be ID-mapped",
		}},
		{"idmap without anything to map", mount(specs.Mount{Destination: "/x", Source: "/", Options: []string{"bind", "idmap"}}), []string{
			"mounts[0].options: idmap needs uidMappings and gidMappings, or a user namespace",
		}},
		{"half a mapping", mount(specs.Mount{Destination: "/x", Source: "/", Options: []string{"bind"}, UIDMappings: one}), []string{
			"mounts[0].gidMappings: must not be empty when there are UID mappings",
		}},
		{"an empty range", mount(specs.Mount{Destination: "/x", Source: "/", Options: []string{"bind"}, UIDMappings: one, GIDMappings: []specs.LinuxIDMapping{{}}}), []string{
			"mounts[0].gidMappings[0].size: must be above 0",
		}},
		{"an inline mapping out of shape", mount(specs.Mount{Destination: "/x", Source: "/", Options: []string{"bind", "idmap=uids=0-1"}}), []string{
			`mounts[0].options: "idmap=uids=0-1": "0-1" is not of the form ID-ID-SIZE`,
		}},
		{"an inline mapping of something else", mount(specs.Mount{Destination: "/x", Source: "/", Options: []string{"bind", "idmap=pids=0-1-1"}}), []string{
			`mounts[0].options: "idmap=pids=0-1-1": "pids=0-1-1" is neither uids=LIST nor gids=LIST`,
		}},
		{"an inline mapping relative to nothing", mount(specs.Mount{Destination: "/x", Source: "/", Options: []string{"bind", "idmap=uids=@0-5-1;gids=0-0-1"}}), []string{
			`mounts[0].options: "idmap=uids=@0-5-1;gids=0-0-1": "0-5-1": the container's user namespace does not map 5`,
		}},
	}
}

func TestRealConfigurationsAreValid(t *testing.T) {
	for _, name := range []string{"default", "rootless", "docker", "containerd"} {
		s, err := spec.Load("testdata/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		if err := spec.Validate(s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAConfigurationWithoutLinuxIsValid(t *testing.T) {
	s := &specs.Spec{Version: "1.0.0", Root: &specs.Root{Path: "r"}, Process: &specs.Process{Args: []string{"a"}, Cwd: "/"}}
	if err := spec.Validate(s); err != nil {
		t.Error(err)
	}
}

func TestAProcessForExecIsCheckedAgainstTheContainer(t *testing.T) {
	s := spec.Default()
	mapIDs(s, specs.LinuxIDMapping{Size: 5})
	err := spec.ValidateProcess(s, &specs.Process{Args: []string{"a\x00"}, Cwd: "/", User: specs.User{UID: 6}})
	want := "process.args[0]: must not contain a NUL byte; process.user.uid: 6 is not mapped in the user namespace"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
