package libcontainer

import (
	"errors"
	"os"
	"path"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/inroot"
	"hull/internal/linux"
	"hull/libcontainer/plan"
	"hull/spec"
)

// program looks for process.cwd and process.args[0] in the root filesystem as
// init is going to. Where hooks, mounts or devices may bring one, it says nothing.
func (c *checker) program() {
	p := c.spec.Process
	if p == nil {
		c.add(Warning, "process", fault.Newf("", "process", "is not set, so the container can be created, but not started"))
		return
	}
	root, ok := c.openLayout()
	if !ok || len(p.Args) == 0 {
		return
	}
	defer root.Close()
	if err := enterable(root, p.Cwd); err != nil {
		c.fail("", fault.New("enter process.cwd", p.Cwd, err))
		return
	}
	if cause := c.findArgument(root, p.Args[0]); cause != nil {
		c.fail("process.args[0]", fault.New("exec", `"`+p.Args[0]+`"`, cause).WithHint("%s", plan.ProgramHint(cause)))
	}
}

// enterable returns why init cannot enter a directory. One that is missing is made.
func enterable(root layout, dir string) error {
	if root.isOpen(dir) {
		return nil
	}
	h, err := root.OpenFile(dir, unix.O_PATH|unix.O_DIRECTORY)
	h.Close()
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ELOOP) { // ELOOP may end in a mount
		return nil
	}
	return err
}

// findArgument returns why process.args[0] cannot be executed.
func (c *checker) findArgument(root layout, name string) error {
	if !strings.Contains(name, "/") {
		return c.searchProgram(root, name)
	}
	if !path.IsAbs(name) {
		name = c.spec.Process.Cwd + "/" + name
	}
	err := c.findProgram(root, name)
	if err == nil {
		c.format(root, name)
	}
	return err
}

// searchProgram looks for name in the directories of PATH.
func (c *checker) searchProgram(root layout, name string) error {
	var dirs string
	for _, entry := range c.spec.Process.Env {
		if value, ok := strings.CutPrefix(entry, "PATH="); ok {
			dirs = value
		}
	}
	found := errors.New("executable file not found in $PATH")
	if dirs == "" {
		return found
	}
	for dir := range strings.SplitSeq(dirs, ":") {
		file := dir + "/" + name
		if !path.IsAbs(dir) {
			file = c.spec.Process.Cwd + "/" + file
		}
		err := c.findProgram(root, file)
		if err == nil {
			return nil
		}
		if errors.Is(err, unix.EACCES) {
			found = err
		}
	}
	return found
}

// findProgram returns why the process cannot execute a file, if that is known.
func (c *checker) findProgram(root layout, file string) error {
	if root.isOpen(file) {
		return nil
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
	return c.executableBy(h, &st)
}

// executableBy asks the kernel whether the process may execute a file: with its
// ids, and with no capability, unless one lets it pass anyway.
func (c *checker) executableBy(h inroot.Handle, st *unix.Stat_t) error {
	const become = 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID
	p, l := &c.plan.Process, c.spec.Linux
	ns := spec.Namespace(c.spec, specs.UserNamespace)
	if c.held&become != become || ns != nil && ns.Path != "" {
		return nil
	}
	uid, gid := p.UID, p.GID
	if ns != nil {
		uid, _ = spec.HostID(l.UIDMappings, p.UID)
		gid, _ = spec.HostID(l.GIDMappings, p.GID)
	}
	// Capabilities of a user namespace are about the files of its ids only
	// (user_namespaces(7)).
	if p.Capabilities.Effective&(1<<unix.CAP_DAC_OVERRIDE) != 0 &&
		(ns == nil || hasID(l.UIDMappings, st.Uid) && hasID(l.GIDMappings, st.Gid)) {
		return nil
	}
	return onThread(func() error {
		if p.Groups == plan.SetGroups {
			_ = linux.SetGroups(hostGroups(l, p.AdditionalGIDs))
		}
		_ = unix.Setfsgid(int(gid))
		_ = unix.Setfsuid(int(uid))
		dropCapabilities()
		return unix.Faccessat2(h.FD(), "", unix.X_OK, unix.AT_EACCESS|unix.AT_EMPTY_PATH)
	})
}

// hostGroups are groups as the host has them.
func hostGroups(l *specs.Linux, groups []uint32) []uint32 {
	if len(l.GIDMappings) == 0 {
		return groups
	}
	out := make([]uint32, len(groups))
	for i, g := range groups {
		out[i], _ = spec.HostID(l.GIDMappings, g)
	}
	return out
}

// hasID reports whether an id of the host is one of the user namespace.
func hasID(mappings []specs.LinuxIDMapping, host uint32) bool {
	for _, m := range mappings {
		if host >= m.HostID && host-m.HostID < m.Size {
			return true
		}
	}
	return false
}

// format says of a program that is neither a script nor for any machine that
// execve(2) has no loader for it. Who has told binfmt_misc of others knows better.
func (c *checker) format(root layout, file string) {
	if root.isOpen(file) || exists("/proc/sys/fs/binfmt_misc/status") {
		return
	}
	h, err := root.OpenFile(file, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return
	}
	f := os.NewFile(uintptr(h.FD()), file)
	defer f.Close()
	var magic [4]byte
	n, _ := f.Read(magic[:])
	if text := string(magic[:n]); !strings.HasPrefix(text, "#!") && text != "\x7fELF" {
		c.fail("process.args[0]", fault.New("exec", `"`+c.spec.Process.Args[0]+`"`, unix.ENOEXEC).
			WithHint("%s", plan.ProgramHint(unix.ENOEXEC)))
	}
}
