package libcontainer

import (
	"errors"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/inroot"
	"hull/libcontainer/plan"
)

// program looks for process.args[0] in the root filesystem as init is going to.
// Where hooks or mounts may bring it, it says nothing.
func (c *checker) program() {
	p := c.spec.Process
	if p == nil || len(p.Args) == 0 || p.Args[0] == "" || c.fillsRoot() {
		return
	}
	root, err := inroot.OpenRoot(c.plan.Rootfs.Path)
	if err != nil {
		return
	}
	defer root.Close()
	var cause error
	if name := p.Args[0]; strings.Contains(name, "/") {
		cause = findProgram(root, path.Join("/", p.Cwd, name), name)
	} else {
		cause = c.searchProgram(root, name)
	}
	if cause != nil {
		c.fail("process.args[0]", fault.New("exec", `"`+p.Args[0]+`"`, cause))
	}
}

// searchProgram looks for name in the directories of PATH.
func (c *checker) searchProgram(root inroot.Root, name string) error {
	var dirs string
	for _, entry := range c.spec.Process.Env {
		if value, ok := strings.CutPrefix(entry, "PATH="); ok {
			dirs = value
		}
	}
	for dir := range strings.SplitSeq(dirs, ":") {
		file := path.Join("/", c.spec.Process.Cwd, dir, name)
		if path.IsAbs(dir) {
			file = path.Join(dir, name)
		}
		if findProgram(root, file, file) == nil {
			return nil
		}
	}
	return errors.New("executable file not found in $PATH")
}

// findProgram returns why the file cannot be executed, if it cannot. The name is
// as it was written: if it is absolute, it does not start from elsewhere.
func findProgram(root inroot.Root, file, name string) error {
	if path.IsAbs(name) {
		file = name
	}
	h, err := root.Open(file)
	if err != nil {
		return err
	}
	defer h.Close()
	st, err := h.Stat()
	switch {
	case err != nil:
		return err
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return unix.EISDIR
	case st.Mode&0o111 == 0:
		return unix.EACCES
	}
	return nil
}

// fillsRoot reports whether the container is going to have files that its root
// filesystem has not: from hooks, or from mounts but those of the kernel.
func (c *checker) fillsRoot() bool {
	if c.plan == nil || c.plan.Rootfs.Path == "" {
		return true
	}
	if h := c.spec.Hooks; h != nil && len(h.Prestart)+len(h.CreateRuntime)+len(h.CreateContainer) > 0 { //nolint:staticcheck // prestart is deprecated, but in use
		return true
	}
	for i := range c.plan.Mounts {
		m := &c.plan.Mounts[i]
		if !isKernels(m) {
			return true
		}
	}
	return false
}

// isKernels reports whether a mount is at a place where no image has programs.
func isKernels(m *plan.Mount) bool {
	for _, dir := range [...]string{"/dev", "/proc", "/sys"} {
		if m.Target == dir || strings.HasPrefix(m.Target, dir+"/") {
			return true
		}
	}
	return m.Kind == plan.Reconfigure
}
