// Package controllers mounts cgroup v1 controllers that a hybrid machine leaves
// unmounted or on the v2 hierarchy, and gives them back.
//
// The mounts are private to a mount namespace, but the hierarchies are the
// machine's: while they exist, the controllers are gone from v2. A hierarchy
// ends at the last unmount only if it has no cgroups then, and removed cgroups
// linger; so Release has to be called after the namespace is gone.
//
// It refuses machines without v1: there is nothing to mount beside.
package controllers

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const root = "/sys/fs/cgroup"

// Free returns those of names that the kernel has and no v1 hierarchy holds.
// On a machine without v1 that is none.
func Free(names ...string) ([]string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(root, &st); err != nil {
		return nil, fmt.Errorf("statfs %s: %w", root, err)
	}
	if st.Type != unix.TMPFS_MAGIC {
		return nil, nil
	}
	var free []string
	for _, name := range names {
		id, err := hierarchy(name)
		if err != nil {
			return nil, err
		}
		if id == "0" {
			free = append(free, name)
		}
	}
	return free, nil
}

// OnV2 returns the controllers that the v2 hierarchy of a hybrid machine holds.
func OnV2() ([]string, error) {
	text, err := os.ReadFile(filepath.Join(root, "unified", "cgroup.controllers"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return strings.Fields(string(text)), err
}

// Mount mounts names on v1 below /sys/fs/cgroup. The caller is alone in a
// private mount namespace: the directory there is replaced by a copy, because
// mount points made in the original would be seen by the whole machine.
func Mount(names []string) error {
	if len(names) == 0 {
		return nil
	}
	dir, err := os.MkdirTemp("", "hull-cgroup-")
	if err != nil {
		return err
	}
	if err := unix.Mount("cgroup", dir, "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount tmpfs on %s: %w", dir, err)
	}
	if err := copyRoot(dir); err != nil {
		return err
	}
	for _, name := range names {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			return err
		}
		if err := mount(name, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	if err := unix.Unmount(root, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s: %w", root, err)
	}
	if err := unix.Mount(dir, root, "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move %s to %s: %w", dir, root, err)
	}
	return os.Remove(dir)
}

// copyRoot binds the hierarchies that are mounted, and copies the links.
func copyRoot(dir string) error {
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		from, to := filepath.Join(root, entry.Name()), filepath.Join(dir, entry.Name())
		if target, err := os.Readlink(from); err == nil {
			if err := os.Symlink(target, to); err != nil {
				return err
			}
			continue
		}
		if err := os.Mkdir(to, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("bind %s: %w", from, err)
		}
	}
	return nil
}

func mount(name, path string) error {
	if err := unix.Mount("cgroup", path, "cgroup", 0, name); err != nil {
		return fmt.Errorf("mount v1 controller %s: %w", name, err)
	}
	return nil
}

// Release gives names back, wherever they were mounted.
func Release(names []string) error {
	errs := make([]error, 0, len(names))
	for _, name := range names {
		errs = append(errs, release(name))
	}
	return errors.Join(errs...)
}

// release mounts and unmounts a hierarchy until that ends it: the kernel frees
// removed cgroups in its own time.
func release(name string) (err error) {
	path, err := os.MkdirTemp("", "hull-cgroup-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(path)) }()
	for range 100 {
		id, err := hierarchy(name)
		if err != nil {
			return err
		}
		if id == "0" {
			return nil
		}
		if err := mount(name, path); err != nil {
			return err
		}
		if err := prune(path); err != nil {
			return err
		}
		if err := unix.Unmount(path, 0); err != nil {
			return fmt.Errorf("unmount %s: %w", path, err)
		}
		time.Sleep(50 * time.Millisecond) // nothing tells when a hierarchy has ended
	}
	return fmt.Errorf("v1 controller %s is still in use", name)
}

// prune removes the cgroups below path that nobody is in.
func prune(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		child := filepath.Join(path, entry.Name())
		if err := prune(child); err != nil {
			return err
		}
		if err := unix.Rmdir(child); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("remove cgroup %s: %w", child, err)
		}
	}
	return nil
}

// hierarchy returns the number of the v1 hierarchy that holds a controller, "0"
// when none does and "" when the kernel lacks it; see cgroups(7), /proc/cgroups.
func hierarchy(name string) (string, error) {
	text, err := os.ReadFile("/proc/cgroups")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 4 && fields[0] == name && fields[3] == "1" {
			return fields[1], nil
		}
	}
	return "", nil
}
