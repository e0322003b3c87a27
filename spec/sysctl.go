package spec

import (
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/libcontainer/plan"
)

// sysctls translates linux.sysctl in the order of the names, so that equal
// configurations behave equally. A parameter must belong to a namespace that
// the container has, or writing it would change the host.
func sysctls(p *problems, s *specs.Spec) []plan.Sysctl {
	names := slices.Sorted(maps.Keys(linux(s).Sysctl))
	list := make([]plan.Sysctl, 0, len(names))
	for _, name := range names {
		path := at("linux", "sysctl", name)
		key := dotted(name)
		if !wellFormed(key) {
			p.add(path, "not the name of a kernel parameter (%s)", parameterNames)
			continue
		}
		switch ns, known := sysctlNamespace(key); {
		case key == "kernel.hostname":
			p.add(path, "set hostname instead")
		case !known:
			p.add(path, "does not belong to a namespace, so it would change the host")
		case Namespace(s, ns) == nil:
			p.add(path, "needs a namespace of type %s", ns)
		}
		if key == domainnameKey {
			domainnameSysctl(p, s, path, linux(s).Sysctl[name])
			continue
		}
		list = append(list, plan.Sysctl{Key: key, Value: linux(s).Sysctl[name]})
	}
	return list
}

// domainnameKey is the one parameter that a system call sets as well, and without
// the rights of the host's root that its file takes.
const domainnameKey = "kernel.domainname"

// domainnameSysctl checks that value, found at path, can be the domain name.
func domainnameSysctl(p *problems, s *specs.Spec, path, value string) {
	if s.Domainname != "" && s.Domainname != value {
		p.add(path, "contradicts domainname")
	}
	if len(value) > maxUTSName {
		p.add(path, "longer than %d bytes", maxUTSName)
	}
}

// domainname is the domain name that s asks for in either way.
func domainname(s *specs.Spec) string {
	if s.Domainname != "" {
		return s.Domainname
	}
	for name, value := range linux(s).Sysctl {
		if dotted(name) == domainnameKey {
			return value
		}
	}
	return ""
}

// dotted brings a name that uses slashes ("net/ipv4/conf/eth0.1/forwarding")
// into the form with dots, where slash and dot change places. As in sysctl(8),
// the first separator decides.
func dotted(name string) string {
	first := strings.IndexAny(name, "./")
	if first < 0 || name[first] == '.' {
		return name
	}
	return swapSeparators(name)
}

func swapSeparators(name string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '.':
			return '/'
		case '/':
			return '.'
		}
		return r
	}, name)
}

// parameterNames says what wellFormed accepts.
const parameterNames = "a path below /proc/sys with dots or with slashes, no part of it empty, ., .. or longer than 255 bytes"

// wellFormed refuses names that do not stay below /proc/sys or that leave the
// directory of their first component, which decides about the namespace.
func wellFormed(key string) bool {
	for component := range strings.SplitSeq(swapSeparators(key), "/") {
		if component == "" || component == "." || component == ".." || len(component) > maxName {
			return false
		}
	}
	return strings.ContainsRune(key, '.') && len(key) <= maxPath-len("/proc/sys/")
}

// SysctlNamespace returns the type of the namespace that a parameter is part of,
// named with dots; known is false for one that is the whole host's.
func SysctlNamespace(key string) (kind specs.LinuxNamespaceType, known bool) {
	return sysctlNamespace(key)
}

// sysctlNamespace returns the type of the namespace that key is part of.
func sysctlNamespace(key string) (specs.LinuxNamespaceType, bool) {
	switch key {
	case "kernel.auto_msgmni", "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.msg_next_id",
		"kernel.sem", "kernel.sem_next_id",
		"kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_next_id", "kernel.shm_rmid_forced":
		return specs.IPCNamespace, true
	case domainnameKey, "kernel.hostname":
		return specs.UTSNamespace, true
	}
	top, _, _ := strings.Cut(key, ".")
	switch {
	case top == "net":
		return specs.NetworkNamespace, true
	case top == "user":
		return specs.UserNamespace, true
	case strings.HasPrefix(key, "fs.mqueue."):
		return specs.IPCNamespace, true
	}
	return "", false
}

// ownNamespaces refuses what would change the host, because linux.namespaces joins
// the host's namespace by its path: parameters, and the names of a host.
func ownNamespaces(s *specs.Spec) error {
	for _, name := range slices.Sorted(maps.Keys(linux(s).Sysctl)) {
		kind, _ := sysctlNamespace(dotted(name))
		if err := notTheHosts(s, kind, at("linux", "sysctl", dotted(name))); err != nil {
			return err
		}
	}
	if s.Hostname != "" {
		return notTheHosts(s, specs.UTSNamespace, "hostname")
	}
	if s.Domainname != "" {
		return notTheHosts(s, specs.UTSNamespace, "domainname")
	}
	return nil
}

// notTheHosts is an error about the value at path if the container joins the
// host's namespace of a kind.
func notTheHosts(s *specs.Spec, kind specs.LinuxNamespaceType, path string) error {
	ns := Namespace(s, kind)
	if ns == nil || ns.Path == "" {
		return nil
	}
	var host, joined unix.Stat_t
	own := "/proc/thread-self/ns/" + procName(kind)
	if err := unix.Stat(own, &host); err != nil {
		return fault.New("stat", own, err)
	}
	if err := unix.Stat(ns.Path, &joined); err != nil {
		return fault.New("stat", ns.Path, err)
	}
	if host.Dev == joined.Dev && host.Ino == joined.Ino {
		return fault.Newf("", path, "%s is the %s namespace of the host", ns.Path, kind)
	}
	return nil
}

// procName is the name in /proc/PID/ns of a namespace type that has parameters.
func procName(kind specs.LinuxNamespaceType) string {
	if kind == specs.NetworkNamespace {
		return "net"
	}
	return string(kind)
}
