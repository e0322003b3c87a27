package libcontainer

import (
	"errors"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/libcontainer/plan"
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
	if err := c.enterable(root, p.Cwd); err != nil {
		c.fail("", fault.New("enter process.cwd", p.Cwd, err))
		return
	}
	if cause := c.findArgument(root, p.Args[0]); cause != nil {
		c.unusable(p.Args[0], cause, plan.ProgramHint(cause))
	}
}

// unusable adds the error of init with the program file.
func (c *checker) unusable(file string, cause error, hint string) {
	c.fail("process.args[0]", &fault.Error{Op: "exec", Object: `"` + file + `"`, Cause: cause, Hint: hint})
}

// enterable returns why init cannot enter a directory. One that is missing is made.
func (c *checker) enterable(root layout, dir string) error {
	if root.isOpen(dir) {
		return nil
	}
	h, err := root.OpenFile(dir, unix.O_PATH|unix.O_DIRECTORY)
	h.Close()
	missing := errors.Is(err, unix.ENOENT)
	if err != nil && !missing {
		if errors.Is(err, unix.ELOOP) { // which may end in a mount
			return nil
		}
		return err
	}
	who, known := c.initIdentity()
	if !known {
		return nil
	}
	if err := root.approach(dir, &who, toPass); err != nil {
		return err
	}
	if missing && root.approach(dir, &who, toMake) != nil {
		return unix.ENOENT
	}
	return nil
}

// findArgument returns why process.args[0] cannot be executed.
func (c *checker) findArgument(root layout, name string) error {
	if !strings.Contains(name, "/") {
		return c.searchProgram(root, name)
	}
	err := c.findProgram(root, c.fromCwd(name))
	if err == nil {
		c.formatOf(root, name)
	}
	return err
}

// formatOf adds the error of execve(2) with a program that is there.
func (c *checker) formatOf(root layout, file string) {
	if err := c.format(root, file); err != nil {
		c.unusable(file, err, plan.ExecutionHint(err))
	}
}

// searchProgram looks for name in the directories of PATH.
func (c *checker) searchProgram(root layout, name string) error {
	var dirs string
	for _, entry := range c.spec.Process.Env {
		if value, ok := strings.CutPrefix(entry, "PATH="); ok {
			dirs = value
		}
	}
	found := plan.ErrNotInPath
	if dirs == "" {
		return found
	}
	for dir := range strings.SplitSeq(dirs, ":") {
		if dir == "" {
			dir = "."
		}
		file := dir + "/" + name
		err := c.findProgram(root, c.fromCwd(file))
		if err == nil {
			c.formatOf(root, file)
			return nil
		}
		if errors.Is(err, unix.EACCES) {
			found = err
		}
	}
	return found
}

// fromCwd makes a path of the process absolute.
func (c *checker) fromCwd(file string) string {
	if path.IsAbs(file) {
		return file
	}
	return c.spec.Process.Cwd + "/" + file
}

// findProgram returns why the process cannot execute a file, if that is known.
func (c *checker) findProgram(root layout, file string) error {
	if err := root.hides(file); err != nil {
		return err
	}
	if root.isOpen(file) {
		return nil
	}
	who, known := c.programIdentity()
	if known {
		if err := root.approach(path.Dir(root.resolve(file)), &who, toPass); err != nil {
			return err
		}
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
	if known {
		return who.access(h.FD(), unix.X_OK)
	}
	return nil
}
