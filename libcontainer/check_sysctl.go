package libcontainer

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/inroot"
	"hull/libcontainer/plan"
	"hull/spec"
)

// sysctls writes the parameters as init will, in namespaces that end with the
// thread they are made for. Without the rights to make some, it only looks for
// parameters that the host's namespaces have not: the container's have no others.
func (c *checker) sysctls() {
	if c.plan == nil || len(c.plan.Sysctls) == 0 {
		return
	}
	found := make([]error, len(c.plan.Sysctls))
	_ = onThread(func() error {
		var door inroot.Proc
		defer door.Close()
		try := lookForSysctl
		if unix.Unshare(unix.CLONE_NEWNET|unix.CLONE_NEWIPC) == nil {
			try = door.WriteSysctl
		}
		for i := range c.plan.Sysctls {
			found[i] = c.trySysctl(&c.plan.Sysctls[i], try)
		}
		return nil
	})
	for i, err := range found {
		c.fail(fieldOf("linux.sysctl", -1, c.plan.Sysctls[i].Key), err)
	}
}

func lookForSysctl(key, value string) error {
	if inroot.HasSysctl(key) {
		return nil
	}
	return inroot.SysctlFailure(key, value, unix.ENOENT)
}

// trySysctl returns the error of init with one parameter: what write says of it,
// unless that is said of other namespaces than init's.
func (c *checker) trySysctl(s *plan.Sysctl, write func(key, value string) error) error {
	kind, _ := spec.SysctlNamespace(s.Key)
	switch {
	case kind == specs.UserNamespace:
		return tryUserSysctl(s)
	case kind != specs.NetworkNamespace && kind != specs.IPCNamespace:
		return nil // the host's, which create refuses and nothing may write
	case c.bringsDevice(s.Key):
		return nil
	case s.Key == congestionControl:
		return tryCongestionControl(s)
	case s.Key == pingGroups && c.makesUsers() && !c.mapsGroups(s.Value):
		return inroot.SysctlFailure(s.Key, s.Value, unix.EINVAL)
	}
	return write(s.Key, s.Value)
}

// makesUsers reports whether the container gets a user namespace of its own.
func (c *checker) makesUsers() bool { return spec.IsNew(c.spec, specs.UserNamespace) }

// tryUserSysctl is for limits of user namespaces, of which no thread can make
// one: they are numbers from 0 to INT_MAX (kernel/ucount.c), as C writes them.
func tryUserSysctl(s *plan.Sysctl) error {
	if err := lookForSysctl(s.Key, s.Value); err != nil {
		return err
	}
	word, _, _ := strings.Cut(strings.TrimSpace(s.Value), " ")
	if n, err := strconv.ParseInt(word, 0, 32); s.Value != "" && (err != nil || n < 0) {
		return inroot.SysctlFailure(s.Key, s.Value, unix.EINVAL)
	}
	return nil
}

// congestionControl is not tried: writing it loads a module.
const congestionControl = "net.ipv4.tcp_congestion_control"

func tryCongestionControl(s *plan.Sysctl) error {
	available, _ := os.ReadFile("/proc/sys/net/ipv4/tcp_available_congestion_control")
	if len(available) == 0 || slices.Contains(strings.Fields(string(available)), s.Value) || hasModule("tcp_"+s.Value) {
		return nil
	}
	return inroot.SysctlFailure(s.Key, s.Value, unix.ENOENT)
}

// pingGroups are ids, of which the kernel wants those at both ends to be mapped
// (ping_group_range of ip-sysctl.rst).
const pingGroups = "net.ipv4.ping_group_range"

func (c *checker) mapsGroups(list string) bool {
	for word := range strings.FieldsSeq(list) {
		gid, err := strconv.ParseUint(word, 10, 32)
		if _, mapped := spec.HostID(c.spec.Linux.GIDMappings, uint32(gid)); err == nil && !mapped {
			return false
		}
	}
	return true
}

// bringsDevice reports whether a parameter is one of a network device that the
// container is going to have: it is moved there, or it is in a namespace that is
// joined or that hooks may change.
func (c *checker) bringsDevice(key string) bool {
	f := strings.Split(key, ".")
	if len(f) < 4 || f[0] != "net" || f[2] != "conf" && f[2] != "neigh" {
		return false
	}
	if f[3] == "all" || f[3] == "default" || f[3] == "lo" {
		return false
	}
	return !spec.IsNew(c.spec, specs.NetworkNamespace) || c.hooksBuild() || len(c.spec.Linux.NetDevices) > 0
}
