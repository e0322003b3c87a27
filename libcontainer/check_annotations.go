package libcontainer

import (
	"errors"
	"path/filepath"

	"golang.org/x/sys/unix"

	"hull/spec"
)

// annotations looks at the paths that annotations name.
func (c *checker) annotations() {
	if path := c.receiver(); path != "" {
		if err := isSocket(path); err != nil {
			c.fail("", receiverFailure(path, err))
		}
	}
	h := c.spec.Hooks
	if h == nil {
		return
	}
	severity := Warning
	if len(h.Prestart)+len(h.CreateRuntime)+len(h.CreateContainer)+len(h.StartContainer)+len(h.Poststart) > 0 { //nolint:staticcheck // prestart is deprecated, but in use
		severity = Failure
	} else if len(h.Poststop) == 0 {
		return
	}
	for _, name := range [...]string{spec.AnnotationHookStdout, spec.AnnotationHookStderr} {
		path := inBundle(c.bundle, c.spec.Annotations[name])
		if path == "" {
			continue
		}
		if err := appendable(path); err != nil {
			c.add(severity, "", hookOutputFailure(name, path, err))
		}
	}
}

// appendable returns why openForAppending cannot open or make a file.
func appendable(path string) error {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	switch {
	case errors.Is(err, unix.ENOENT):
		return unix.Faccessat(unix.AT_FDCWD, filepath.Dir(path), unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	case err != nil:
		return err
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return unix.EISDIR
	}
	return unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS)
}
