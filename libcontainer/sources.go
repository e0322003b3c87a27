package libcontainer

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/libcontainer/cgroup"
	"hull/libcontainer/plan"
	"hull/spec"
)

// view is the mount namespace in which sources of bind mounts are looked for.
type view int

const (
	hostView view = iota
	// containerView is the copy of the host's mounts that init begins with. In
	// it a user namespace has locked the attributes that the host gave them
	// (mount_namespaces(7)); those of a clone made on the host the container
	// could clear again.
	containerView
)

func viewOf(s *specs.Spec) view {
	mounts := spec.Namespace(s, specs.MountNamespace)
	if spec.Namespace(s, specs.UserNamespace) != nil && mounts != nil && mounts.Path == "" {
		return containerView
	}
	return hostView
}

// openSources clones the mounts that init could not reach, or not with the
// privileges of the container, and maps the ids of those that ask for it. The
// descriptors are detached mounts, in the order of the plan.
func openSources(pid int, sources []spec.Source, from view) (fds []int, release func(), err error) {
	release = func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
	if len(sources) == 0 {
		return nil, release, nil
	}
	ids := idMapper{pid: pid}
	defer ids.close()
	open := func() error {
		for i := range sources {
			fd, err := openSource(&ids, &sources[i])
			if err != nil {
				return err
			}
			fds = append(fds, fd)
		}
		return nil
	}
	if from == containerView {
		err = inMountsOf(pid, open)
	} else {
		err = open()
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return fds, release, nil
}

// inMountsOf calls f on a thread in the mount namespace of a process, with the
// rights of this one. The thread ends with it.
func inMountsOf(pid int, f func() error) error {
	path := "/proc/" + strconv.Itoa(pid) + "/ns/mnt"
	ns, err := os.Open(path)
	if err != nil {
		return fault.New("open", path, pathless(err))
	}
	defer ns.Close()
	return onThread(func() error {
		// A thread that shares its root with others may not leave them.
		err := unix.Unshare(unix.CLONE_FS)
		if err == nil {
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNS)
		}
		if err != nil {
			return fault.New("enter the mounts of", "init", err)
		}
		return f()
	})
}

// onThread calls f on a thread that ends afterwards. The first thread of the
// process cannot end, and /proc/self would show what becomes of it: while it is
// held here, the next goroutine gets another.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			done <- onThread(f)
			runtime.UnlockOSThread()
			return
		}
		done <- f()
	}()
	return <-done
}

func openSource(ids *idMapper, s *spec.Source) (int, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	if s.Flags&plan.Recursive != 0 {
		flags |= unix.AT_RECURSIVE
	}
	if s.Flags&(plan.SourceNoFollow|plan.CopySymlink) != 0 {
		flags |= unix.AT_SYMLINK_NOFOLLOW
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, s.Path, flags)
	if err != nil {
		return -1, sourceFailure(s, err)
	}
	if s.IDMap == nil {
		return fd, nil
	}
	if err := ids.apply(fd, s.IDMap); err != nil {
		unix.Close(fd)
		return -1, fault.New("map the ids of", s.Name+" "+s.Path, err).
			WithHint("the filesystem must support id-mapped mounts, and the kernel be 5.12 or newer")
	}
	return fd, nil
}

func sourceFailure(s *spec.Source, err error) error {
	return &fault.Error{Op: "open source of", Object: s.Name + " " + s.Path, Cause: err, Hint: s.Flags.SourceHint(err)}
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
