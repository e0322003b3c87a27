package libcontainer

import (
	"errors"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/libcontainer/hook"
	"hull/libcontainer/plan"
	"hull/spec"
)

// hooks looks for the programs of hooks: of those that run before the root is
// changed, and of the runtime's own, on the host; of startContainer in the root
// filesystem. A poststop hook that fails is only a warning.
func (c *checker) hooks() {
	h := c.spec.Hooks
	if h == nil {
		return
	}
	for _, list := range [...]struct {
		name     string
		hooks    []specs.Hook
		severity Severity
	}{
		{"prestart", h.Prestart, Failure}, //nolint:staticcheck // deprecated, but in use
		{"createRuntime", h.CreateRuntime, Failure},
		{"createContainer", h.CreateContainer, Failure},
		{"poststart", h.Poststart, Failure},
		{"poststop", h.Poststop, Warning},
	} {
		for _, planned := range spec.Hooks(list.name, list.hooks) {
			err := executable(planned.Path)
			if err == nil {
				err = formatOnHost(planned.Path)
			}
			if err != nil {
				c.add(list.severity, planned.Name+".path", hook.NotRun(&planned, err))
			}
		}
	}
	if len(h.StartContainer) == 0 {
		return
	}
	c.hooksInside(spec.Hooks("startContainer", h.StartContainer))
}

func (c *checker) hooksInside(list []plan.Hook) {
	root, ok := c.openLayout()
	if !ok {
		return
	}
	defer root.Close()
	for i := range list {
		err := c.findProgram(root, list[i].Path)
		if err == nil {
			err = c.format(root, list[i].Path)
		}
		if errors.Is(err, unix.EISDIR) { // execve(2) says it so
			err = unix.EACCES
		}
		if err != nil {
			c.fail(list[i].Name+".path", hook.NotRun(&list[i], err))
		}
	}
}

// executable returns why the caller cannot execute the file at path.
func executable(path string) error {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return unix.EACCES
	}
	return unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS)
}
