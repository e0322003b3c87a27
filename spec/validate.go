package spec

import (
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// maxUTSName is __NEW_UTS_LEN: the longest host or domain name in bytes.
const maxUTSName = 64

// Validate checks a configuration and reports everything that is wrong with it
// at once, as an InvalidError. It looks at the document only: whether files exist and
// what the kernel can do shows later. The parts that belong to other packages
// (linux.seccomp, linux.resources, linux.cgroupsPath) are theirs
// to check.
func Validate(s *specs.Spec) error { return validate(s).err() }

func validate(s *specs.Spec) *problems {
	p := new(problems)
	version(p, s.Version)
	noNUL(p, s)
	switch {
	case s.Root == nil:
		p.add("root", "must be set")
	case s.Root.Path == "":
		p.add("root.path", "must not be empty")
	default:
		possible(p, "root.path", s.Root.Path)
	}
	rootAccess(p, s)
	utsNames(p, s)
	validateProcess(p, s, s.Process)
	for i := range s.Mounts {
		translateMount(p, s, i, nil)
	}
	hooks(p, s.Hooks)
	if _, ok := s.Annotations[""]; ok {
		p.add("annotations", "a key must not be empty")
	}
	mountContext(p, s)
	if s.Linux != nil {
		validateLinux(p, s)
	}
	return p
}

// rootAccess checks root.readonly. Without a mount namespace of the container the
// host's own mount would become read-only, and stay so.
func rootAccess(p *problems, s *specs.Spec) {
	if s.Root != nil && s.Root.Readonly && Namespace(s, specs.MountNamespace) == nil {
		p.add("root.readonly", "needs a mount namespace, since the mount is the host's without one (set it to false)")
	}
}

func utsNames(p *problems, s *specs.Spec) {
	for _, f := range []struct{ path, value string }{
		{"hostname", s.Hostname},
		{"domainname", s.Domainname},
	} {
		if f.value != "" && Namespace(s, specs.UTSNamespace) == nil {
			p.add(f.path, "needs a uts namespace")
		}
		if len(f.value) > maxUTSName {
			p.add(f.path, "longer than %d bytes", maxUTSName)
		}
	}
}

func hooks(p *problems, h *specs.Hooks) {
	if h == nil {
		return
	}
	for _, list := range []struct {
		name  string
		hooks []specs.Hook
	}{
		{"prestart", h.Prestart}, //nolint:staticcheck // deprecated, but in use
		{"createRuntime", h.CreateRuntime},
		{"createContainer", h.CreateContainer},
		{"startContainer", h.StartContainer},
		{"poststart", h.Poststart},
		{"poststop", h.Poststop},
	} {
		for i, hook := range list.hooks {
			path := at("hooks", list.name, i)
			absolute(p, at(path, "path"), hook.Path)
			if hook.Timeout != nil && (*hook.Timeout <= 0 || int64(*hook.Timeout) > noID) {
				p.add(at(path, "timeout"), "%d is not a number of seconds above 0", *hook.Timeout)
			}
		}
	}
}

func validateLinux(p *problems, s *specs.Spec) {
	l := s.Linux
	namespaces(p, l.Namespaces)
	userNamespace(p, s)
	timeNamespace(p, s)
	sysctls(p, s)
	devices(p, s)
	netDevices(p, s)
	intelRdt(p, l.IntelRdt)
	rootPropagation(p, s)
	for i, path := range l.MaskedPaths {
		hidden(p, s, at("linux", "maskedPaths", i), path)
	}
	for i, path := range l.ReadonlyPaths {
		hidden(p, s, at("linux", "readonlyPaths", i), path)
	}
}

// hidden checks a masked or read-only path. Without a mount namespace of the
// container it would be hidden from the host as well.
func hidden(p *problems, s *specs.Spec, path, value string) {
	absolute(p, path, value)
	if Namespace(s, specs.MountNamespace) == nil {
		p.add(path, "needs a mount namespace")
	}
}

// namespaceTypes are the types that hull knows, sorted.
func namespaceTypes() []string {
	return []string{
		string(specs.CgroupNamespace), string(specs.IPCNamespace), string(specs.MountNamespace),
		string(specs.NetworkNamespace), string(specs.PIDNamespace), string(specs.TimeNamespace),
		string(specs.UserNamespace), string(specs.UTSNamespace),
	}
}

func namespaces(p *problems, list []specs.LinuxNamespace) {
	first := make(map[specs.LinuxNamespaceType]int, len(namespaceTypes()))
	for i, ns := range list {
		path := at("linux", "namespaces", i)
		if !slices.Contains(namespaceTypes(), string(ns.Type)) {
			p.add(at(path, "type"), "unknown namespace %q (one of %s)", ns.Type, strings.Join(namespaceTypes(), ", "))
			continue
		}
		if other, twice := first[ns.Type]; twice {
			p.add(at(path, "type"), "%s is already linux.namespaces[%d]", ns.Type, other)
		} else {
			first[ns.Type] = i
		}
		if ns.Path != "" {
			absolute(p, at(path, "path"), ns.Path)
		}
	}
}

// userNamespace checks the mappings. Those of a namespace that is joined are in
// force already; engines repeat them in the configuration, so they may be there.
func userNamespace(p *problems, s *specs.Spec) {
	ns := Namespace(s, specs.UserNamespace)
	for _, m := range []struct {
		path string
		list []specs.LinuxIDMapping
	}{
		{"linux.uidMappings", s.Linux.UIDMappings},
		{"linux.gidMappings", s.Linux.GIDMappings},
	} {
		idMappings(p, m.path, m.list)
		switch {
		case ns == nil && len(m.list) > 0:
			p.add(m.path, "needs a user namespace")
		case ns != nil && ns.Path == "" && len(m.list) == 0:
			p.add(m.path, "must not be empty for a new user namespace")
		}
	}
}

// maxOffset is KTIME_SEC_MAX / 2, which no clock of a time namespace may pass.
const maxOffset = int64(1<<63-1) / 1e9 / 2

func timeNamespace(p *problems, s *specs.Spec) {
	if len(s.Linux.TimeOffsets) == 0 {
		return
	}
	switch ns := Namespace(s, specs.TimeNamespace); {
	case ns == nil:
		p.add("linux.timeOffsets", "needs a time namespace")
	case ns.Path != "":
		p.add("linux.timeOffsets", "cannot be set for a time namespace that is joined")
	}
	for _, clock := range slices.Sorted(maps.Keys(s.Linux.TimeOffsets)) {
		offset := s.Linux.TimeOffsets[clock]
		path := at("linux", "timeOffsets", clock)
		if clock != "monotonic" && clock != "boottime" {
			p.add(path, "unknown clock (one of monotonic, boottime)")
		}
		if offset.Secs < -maxOffset || offset.Secs > maxOffset {
			p.add(at(path, "secs"), "%d is not from %d to %d", offset.Secs, -maxOffset, maxOffset)
		}
		if offset.Nanosecs >= 1e9 {
			p.add(at(path, "nanosecs"), "%d is not below one second", offset.Nanosecs)
		}
	}
}
