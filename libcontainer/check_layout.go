package libcontainer

import (
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"hull/internal/inroot"
	"hull/libcontainer/plan"
)

// maxLinks is how many symbolic links a path may have (path_resolution(7)).
const maxLinks = 40

// layout is a root filesystem as it lies on the host, and what of it the
// container is going to see otherwise.
type layout struct {
	inroot.Root
	// filled are the places of mounts and devices, without symbolic links.
	filled []string
	// masked are the paths that init hides at the end, without symbolic links.
	masked []string
	// empty are those of filled where nothing is but what comes after it.
	empty []string
}

// openLayout opens the root filesystem, unless there is none or hooks may bring
// what it lacks.
func (c *checker) openLayout() (l layout, ok bool) {
	if c.plan == nil || c.plan.Rootfs.Path == "" || c.hooksBuild() {
		return l, false
	}
	root, err := inroot.OpenRoot(c.plan.Rootfs.Path)
	if err != nil {
		return l, false
	}
	l.Root = root
	for i := range c.plan.Mounts {
		m := &c.plan.Mounts[i]
		at := l.resolve(m.Target)
		l.filled = append(l.filled, at)
		l.empty = slices.DeleteFunc(l.empty, func(covered string) bool { return below(covered, at) })
		if at != "/" && m.Kind == plan.NewFilesystem && m.Type == "tmpfs" && m.Flags&plan.CopyUp == 0 {
			l.empty = append(l.empty, at)
		}
	}
	for i := range c.plan.Devices {
		l.filled = append(l.filled, l.resolve(c.plan.Devices[i].Path))
	}
	for _, hidden := range c.plan.MaskedPaths {
		if at := l.resolve(hidden); at != "/" {
			l.masked = append(l.masked, at)
		}
	}
	return l, true
}

// hides returns why a program cannot be executed that is hidden: a new tmpfs and a
// masked directory are empty, and a masked file is covered with /dev/null.
func (l *layout) hides(file string) error {
	at := l.resolve(file)
	for _, place := range l.empty {
		// The place itself is among those that are filled.
		brings := func(other string) bool { return other != place && below(other, place) && below(at, other) }
		if at != place && below(at, place) && !slices.ContainsFunc(l.filled, brings) {
			return unix.ENOENT
		}
	}
	for _, hidden := range l.masked {
		switch {
		case at == hidden:
			return unix.EACCES
		case below(at, hidden):
			return unix.ENOENT
		}
	}
	return nil
}

// hooksBuild reports whether hooks run while the container is built, and may
// bring what its configuration lacks.
func (c *checker) hooksBuild() bool {
	h := c.spec.Hooks
	return h != nil && len(h.Prestart)+len(h.CreateRuntime)+len(h.CreateContainer) > 0 //nolint:staticcheck // prestart is deprecated, but in use
}

// isOpen reports whether what a path leads to is open: it passes a place that is
// filled, or lacks a directory that is made for one.
func (l *layout) isOpen(unsafePath string) bool {
	open := false
	l.walk(unsafePath, func(at string, there bool) bool {
		open = slices.ContainsFunc(l.filled, func(place string) bool {
			return below(at, place) || !there && below(place, at)
		})
		return !open
	})
	return open
}

// resolve returns the path without symbolic links, as far as it exists.
func (l *layout) resolve(unsafePath string) string {
	end := "/"
	l.walk(unsafePath, func(at string, _ bool) bool {
		end = at
		return true
	})
	return end
}

// walk goes along a path, through its symbolic links, and says of each step where
// it is and whether that exists, until visit has enough.
func (l *layout) walk(unsafePath string, visit func(at string, there bool) bool) {
	at, rest, links := "/", unsafePath, 0
	for rest != "" && links <= maxLinks {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		at = path.Join(at, name)
		h, err := l.OpenFile(at, unix.O_PATH|unix.O_NOFOLLOW)
		if err == nil {
			content, linkErr := h.Readlink("")
			h.Close()
			if linkErr == nil {
				rest = content + "/" + rest
				at = path.Dir(at)
				if path.IsAbs(content) {
					at = "/"
				}
				links++
				continue
			}
		}
		if !visit(at, err == nil) {
			return
		}
	}
}

// purpose is what for a directory is gone to.
type purpose int

const (
	// toPass is for what is in it already.
	toPass purpose = iota
	// toMake is for what is missing, or for the directory if it is missing itself.
	toMake
)

// approach goes to a directory as somebody, as far as it exists, and returns why he
// gets no further.
func (l *layout) approach(unsafeDir string, who *identity, why purpose) error {
	var (
		last inroot.Handle
		err  error
	)
	l.walk(unsafeDir, func(at string, there bool) bool {
		if !there {
			return false
		}
		last.Close()
		if last, err = l.OpenFile(at, unix.O_PATH|unix.O_DIRECTORY); err == nil {
			err = who.access(last.FD(), unix.X_OK)
		}
		return err == nil
	})
	defer last.Close()
	if err == nil && why == toMake && last.Valid() {
		return who.access(last.FD(), unix.W_OK)
	}
	return err
}

// below reports whether a clean absolute path is dir or within it.
func below(file, dir string) bool {
	return file == dir || dir == "/" || strings.HasPrefix(file, dir+"/")
}
