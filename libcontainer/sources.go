package libcontainer

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/libcontainer/cgroup"
	"hull/libcontainer/plan"
	"hull/spec"
)

// openSources clones the mounts that init could not reach, or not with the
// privileges of the container, and maps the ids of those that ask for it. The
// descriptors are detached mounts, in the order of the plan.
func openSources(pid int, sources []spec.Source) (fds []int, release func(), err error) {
	release = func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
	for i := range sources {
		fd, err := openSource(pid, &sources[i])
		if err != nil {
			release()
			return nil, nil, err
		}
		fds = append(fds, fd)
	}
	return fds, release, nil
}

func openSource(pid int, s *spec.Source) (int, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	if s.Flags&plan.Recursive != 0 {
		flags |= unix.AT_RECURSIVE
	}
	if s.Flags&plan.SourceNoFollow != 0 {
		flags |= unix.AT_SYMLINK_NOFOLLOW
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, s.Path, flags)
	if err != nil {
		return -1, fault.New("open source of", s.Name+" "+s.Path, err)
	}
	if s.IDMap == nil {
		return fd, nil
	}
	if err := mapIDs(fd, pid, s.IDMap); err != nil {
		unix.Close(fd)
		return -1, fault.New("map the ids of", s.Name+" "+s.Path, err).
			WithHint("the filesystem must support id-mapped mounts, and the kernel be 5.12 or newer")
	}
	return fd, nil
}

// mapIDs applies the mapping of a user namespace to a detached mount: of one
// made for the purpose, or of one that exists (mount_setattr(2)).
func mapIDs(mount, pid int, m *spec.IDMap) error {
	userns, err := openMapping(pid, m)
	if err != nil {
		return err
	}
	defer userns.Close()
	flags := uint(unix.AT_EMPTY_PATH)
	if m.Flags&plan.Recursive != 0 {
		flags |= unix.AT_RECURSIVE
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(userns.Fd())}
	return unix.MountSetattr(mount, "", flags, &attr)
}

func openMapping(pid int, m *spec.IDMap) (*os.File, error) {
	switch {
	case m.UserNamespace != "":
		return os.Open(m.UserNamespace)
	case len(m.UIDs) == 0 && len(m.GIDs) == 0: // the container's own
		return os.Open("/proc/" + strconv.Itoa(pid) + "/ns/user")
	}
	return userNamespace(m.UIDs, m.GIDs)
}

// planCgroupMounts translates what package cgroup says a mount of type cgroup
// stands for.
func planCgroupMounts(sources []cgroup.MountSource) []plan.Mount {
	const guarded = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC
	out := make([]plan.Mount, 0, len(sources))
	for _, s := range sources {
		m := plan.Mount{Target: s.Name, Set: guarded}
		switch s.Kind {
		case cgroup.Tmpfs:
			m.Type, m.Source = "tmpfs", "tmpfs"
			m.Options = []plan.FSOption{{Key: "mode", Value: "755"}}
		case cgroup.Cgroup2:
			m.Type, m.Source = "cgroup2", "cgroup"
		case cgroup.CgroupV1:
			m.Type, m.Source = "cgroup", "cgroup"
			m.Options = cgroupV1Options(s.Options)
		case cgroup.Bind:
			m.Kind, m.Source = plan.Bind, s.HostPath
		case cgroup.Symlink:
			m = plan.Mount{Kind: plan.Link, Target: s.Name, Source: s.Target}
		}
		out = append(out, m)
	}
	return out
}

func mountsCgroup(s *specs.Spec) bool {
	for i := range s.Mounts {
		if s.Mounts[i].Type == "cgroup" || s.Mounts[i].Type == "cgroup2" && filepath.IsAbs(s.Mounts[i].Destination) {
			return true
		}
	}
	return false
}

// cgroupV1Options splits the data of a cgroup v1 mount, "cpu,cpuacct" or
// "none,name=systemd", into parameters.
func cgroupV1Options(data string) []plan.FSOption {
	var out []plan.FSOption
	for part := range strings.SplitSeq(data, ",") {
		if key, value, ok := strings.Cut(part, "="); ok {
			out = append(out, plan.FSOption{Key: key, Value: value})
		} else {
			out = append(out, plan.FSOption{Key: part, IsFlag: true})
		}
	}
	return out
}
