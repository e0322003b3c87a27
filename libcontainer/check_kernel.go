package libcontainer

import (
	"strconv"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/linux"
	"hull/libcontainer/link"
	"hull/libcontainer/seccomp"
)

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
	if len(f.program) == 0 && f.unknown == seccomp.IgnoreUnknown {
		for _, err := range seccomp.Misspelt(&f.profile) {
			c.add(Warning, "", err)
		}
	}
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
