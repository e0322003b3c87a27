package libcontainer

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/inroot"
	"hull/internal/linux"
	"hull/libcontainer/link"
)

// sysctls looks for parameters that the kernel does not have. The namespaces
// of a container have none that the host's lack, but for those of network
// devices, which are the container's own.
func (c *checker) sysctls() {
	if c.plan == nil {
		return
	}
	for _, s := range c.plan.Sysctls {
		if namesDevice(s.Key) || inroot.HasSysctl(s.Key) {
			continue
		}
		c.fail(fieldOf("linux.sysctl", -1, s.Key), inroot.SysctlFailure(s.Key, s.Value, unix.ENOENT))
	}
}

// namesDevice reports whether a parameter is one of a network device.
func namesDevice(key string) bool {
	f := strings.Split(key, ".")
	return len(f) > 3 && f[0] == "net" && (f[2] == "conf" || f[2] == "neigh") &&
		f[3] != "all" && f[3] != "default" && f[3] != "lo"
}

// seccomp compiles the filter: what libseccomp and the kernel refuse shows.
func (c *checker) seccomp() {
	f := &c.filter
	if c.spec.Process == nil || !f.wanted() {
		if p := c.spec.Linux.Seccomp; p != nil && p.DefaultAction == "" && len(p.Syscalls) == 0 {
			c.add(Warning, "", fault.Newf("", "linux.seccomp", "has no defaultAction, so there is no filter"))
		}
		return
	}
	_, err := f.compileAnew()
	c.fail("linux.seccomp", err)
	if f.notifies() {
		c.listener(f.profile.ListenerPath)
	}
}

// listener looks for what a filter that notifies takes.
func (c *checker) listener(path string) {
	if err := isSocket(path); path != "" && err != nil {
		c.fail("", listenerFailure(path, err))
	}
	barrier, err := linux.NewBarrier()
	if err == nil {
		err = barrier.Lift()
	}
	if err != nil {
		c.fail("linux.seccomp", link.NoBarrier(err))
	}
}

// isSocket returns why nothing can be sent to the Unix socket at path.
func isSocket(path string) error {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return unix.ECONNREFUSED // unix(7)
	}
	return nil
}

// fieldOf renders the path of a property of an object in a list, or of a map
// for an index below 0.
func fieldOf(list string, index int, name string) string {
	if index < 0 {
		return list + "." + name
	}
	return list + "[" + strconv.Itoa(index) + "]." + name
}
