package cgroup

import (
	"errors"
	"path"
	"slices"
	"strings"

	"hull/internal/fault"
)

// maxName is the longest file name that the kernel takes.
const maxName = 255

// maxPath is PATH_MAX less what the kernel takes for the mount and for the names
// of files.
const maxPath = 4095 - 512

var (
	errRootPath   = errors.New("the root of the hierarchy cannot be the cgroup of a container")
	errUncleanDir = errors.New("the path must be absolute and clean")
	errLongName   = fault.Newf("", "", "it has a name of more than %d bytes", maxName)
	errLongPath   = fault.Newf("", "", "it is longer than %d bytes", maxPath)
	errNewline    = errors.New("it must be one line, for /proc/PID/cgroup to be readable")
)

// resolvePaths fills in the hierarchies of a cgroupfs cgroup.
func (c *Cgroup) resolvePaths(cfg Config) error {
	trees, err := c.system.trees()
	if err != nil {
		return err
	}
	if len(trees) == 0 {
		err := fault.New("find cgroup hierarchies in", c.system.root, errors.New("none is mounted"))
		if c.unwritable != Tolerate {
			return err
		}
		c.warn(err)
	}
	locate, err := c.locator(cfg)
	if err != nil {
		return err
	}
	for _, t := range trees {
		h := Hierarchy{Controllers: t.controllers, Mount: t.mount, Path: locate(t)}
		if err := checkPath(h.Path); err != nil {
			return fault.Newf("", "linux.cgroupsPath", "%q: %w", cfg.Path, err)
		}
		c.rec.Hierarchies = append(c.rec.Hierarchies, h)
	}
	return nil
}

// locator returns the function from a hierarchy to the container's path in it.
// A path that climbs is cut off at its own start: "../../x" is "x".
func (c *Cgroup) locator(cfg Config) (func(tree) string, error) {
	if strings.HasPrefix(cfg.Path, "/") {
		p := path.Clean(cfg.Path)
		return func(tree) string { return p }, nil
	}
	name := cfg.Path
	if name == "" {
		name = cfg.ID
	}
	name = path.Clean("/" + name)
	if name == "/" {
		return nil, fault.Newf("", "linux.cgroupsPath", "%q: %w", cfg.Path, errRootPath)
	}
	table, err := readMountTable(c.system.mountinfo)
	if err != nil {
		return nil, err
	}
	return func(t tree) string {
		own := beneath(table.root(t.mount), t.own)
		if t.controllers == "" {
			own = path.Dir(own)
		}
		return path.Join(own, name)
	}, nil
}

// beneath returns own, the path of a cgroup in its hierarchy, as seen below a
// mount of the directory root: in a container that shares the host's cgroup
// namespace, /proc/self/cgroup has the host's paths and the mount begins at
// the container's. A path outside of the mount is taken to be its top.
func beneath(root, own string) string {
	if root == "/" {
		return path.Clean("/" + own)
	}
	rest, ok := strings.CutPrefix(own, root)
	if !ok || (rest != "" && rest[0] != '/') {
		return "/"
	}
	return path.Clean("/" + rest)
}

// checkPath refuses what must never be created, killed or removed.
func checkPath(p string) error {
	switch {
	case p == "/":
		return errRootPath
	case !strings.HasPrefix(p, "/"), path.Clean(p) != p:
		return errUncleanDir
	case strings.ContainsRune(p, '\n'):
		return errNewline
	case len(p) > maxPath:
		return errLongPath
	}
	for name := range strings.SplitSeq(p, "/") {
		if len(name) > maxName {
			return errLongName
		}
	}
	return nil
}

var errLeadsOut = errors.New("a path below the container's cgroup must not climb")

// CleanBelow returns a path below the container's cgroup as Config takes it,
// without slashes at its ends; one that could lead out is refused.
func CleanBelow(name string) (string, error) {
	if slices.Contains(strings.Split(name, "/"), "..") {
		return "", errLeadsOut
	}
	return strings.TrimPrefix(path.Clean("/"+name), "/"), nil
}
