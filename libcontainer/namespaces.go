package libcontainer

import (
	"errors"
	"fmt"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/libcontainer/cgroup"
	"hull/nsenter"
	"hull/spec"
)

// cloneFlag returns the CLONE_NEW* of a namespace type that Validate knows.
func cloneFlag(t specs.LinuxNamespaceType) uint64 {
	switch t {
	case specs.PIDNamespace:
		return unix.CLONE_NEWPID
	case specs.NetworkNamespace:
		return unix.CLONE_NEWNET
	case specs.MountNamespace:
		return unix.CLONE_NEWNS
	case specs.IPCNamespace:
		return unix.CLONE_NEWIPC
	case specs.UTSNamespace:
		return unix.CLONE_NEWUTS
	case specs.UserNamespace:
		return unix.CLONE_NEWUSER
	case specs.CgroupNamespace:
		return unix.CLONE_NEWCGROUP
	case specs.TimeNamespace:
		return unix.CLONE_NEWTIME
	}
	return 0
}

// namespaceFlags returns the flags of all namespaces that the configuration
// names, new or joined.
func namespaceFlags(s *specs.Spec) (flags uint64) {
	if s.Linux == nil {
		return 0
	}
	for _, ns := range s.Linux.Namespaces {
		flags |= cloneFlag(ns.Type)
	}
	return flags
}

// sharesPIDs reports whether the container has no pid namespace of its own: none,
// or one that it joins.
func sharesPIDs(s *specs.Spec) bool {
	return !spec.IsNew(s, specs.PIDNamespace)
}

// namespacesOf says where the container's init is to live, and opens what it
// joins.
func namespacesOf(s *specs.Spec) (*nsenter.Namespaces, error) {
	out := new(nsenter.Namespaces)
	if s.Linux == nil {
		return out, nil
	}
	for i, ns := range s.Linux.Namespaces {
		flag := cloneFlag(ns.Type)
		if ns.Path == "" {
			out.New |= flag
			continue
		}
		join, err := openNamespace(i, &ns)
		if err != nil {
			closeJoins(out)
			return nil, err
		}
		out.Join = append(out.Join, join)
	}
	configure(out, s.Linux)
	return out, nil
}

// configure says what new user and time namespaces are like.
func configure(ns *nsenter.Namespaces, l *specs.Linux) {
	ns.UIDMappings = mappings(l.UIDMappings)
	ns.GIDMappings = mappings(l.GIDMappings)
	for clock, o := range l.TimeOffsets {
		ns.ClockOffsets = append(ns.ClockOffsets, nsenter.ClockOffset{Clock: clock, Seconds: o.Secs, Nanoseconds: o.Nanosecs})
	}
}

// openNamespace opens linux.namespaces[i], which is to be joined.
func openNamespace(i int, ns *specs.LinuxNamespace) (nsenter.Join, error) {
	flag := cloneFlag(ns.Type)
	f, err := openNamespaceFile(ns.Path, flag)
	if err != nil {
		return nsenter.Join{}, fault.New("open", fmt.Sprintf("linux.namespaces[%d].path %s", i, ns.Path), err)
	}
	return nsenter.Join{
		Name: fmt.Sprintf("linux.namespaces[%d] (%s at %s)", i, ns.Type, ns.Path),
		Type: flag,
		File: f,
	}, nil
}

// openNamespaceFile opens a namespace that has to be of the type of flag
// (config-linux.md, "Namespaces").
func openNamespaceFile(path string, flag uint64) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a fifo would wait
	if err != nil {
		return nil, pathless(err)
	}
	kind, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_NSTYPE)
	switch {
	case err != nil:
		err = fault.New("", "", unix.EINVAL).WithHint("not a namespace")
	case uint64(kind) != flag:
		err = fault.New("", "", unix.EINVAL).WithHint("a namespace of type %s, not %s", nsenter.Names(uint64(kind)), nsenter.Names(flag))
	default:
		return f, nil
	}
	f.Close()
	return nil, err
}

func closeJoins(ns *nsenter.Namespaces) {
	for _, j := range ns.Join {
		j.File.Close()
	}
}

func mappings(in []specs.LinuxIDMapping) []nsenter.IDMapping {
	out := make([]nsenter.IDMapping, len(in))
	for i, m := range in {
		out[i] = nsenter.IDMapping{ContainerID: m.ContainerID, HostID: m.HostID, Size: m.Size}
	}
	return out
}

// joinAll opens a container's namespaces to be joined all at once, through its
// init process (setns(2) with a pidfd, Linux 5.8). Those that the container
// shares with the caller are left out where joining them is an error: a process
// cannot enter the user namespace that it is in.
func (c *Container) joinAll(pidfd int) (*nsenter.Namespaces, error) {
	flags := c.record.Namespaces
	if flags&unix.CLONE_NEWUSER != 0 {
		same, err := sameNamespace("user", c.record.PID)
		if err != nil {
			return nil, err
		}
		if same {
			flags &^= unix.CLONE_NEWUSER
		}
	}
	ns := new(nsenter.Namespaces)
	if flags == 0 {
		return ns, nil
	}
	fd, err := unix.FcntlInt(uintptr(pidfd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fault.New("use", c.record.ID, err)
	}
	const both = unix.CLONE_NEWUSER | unix.CLONE_NEWCGROUP
	if flags&both == both {
		// It is entered later than the user namespace. From there the pidfd of
		// an init whose memory is not that namespace's, because its program
		// cannot be read there, or was not executed yet, opens nothing any more
		// (ptrace(2), "Ptrace access mode checking"); a file of its own does.
		own, err := c.openNamespaceOfInit("cgroup")
		if err != nil {
			unix.Close(fd)
			return nil, err
		}
		ns.Join = append(ns.Join, c.join(unix.CLONE_NEWCGROUP, own))
		flags &^= unix.CLONE_NEWCGROUP
	}
	ns.Join = append(ns.Join, c.join(flags, os.NewFile(uintptr(fd), "pidfd")))
	return ns, nil
}

func (c *Container) join(flags uint64, file *os.File) nsenter.Join {
	return nsenter.Join{
		Name: "the " + nsenter.Names(flags) + " namespaces of container " + c.record.ID,
		Type: flags,
		File: file,
	}
}

// openNamespaceOfInit opens a namespace by its name in /proc/PID/ns.
func (c *Container) openNamespaceOfInit(name string) (*os.File, error) {
	path := fmt.Sprintf("/proc/%d/ns/%s", c.record.PID, name)
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.New("open", path, pathless(err))
	}
	// The pid was still init's after that, or else the namespace is another's.
	init, err := c.pidfd()
	if err != nil {
		f.Close()
		return nil, err
	}
	unix.Close(init)
	return f, nil
}

// openChroot opens the root directory of a container without a mount namespace
// of its own, which does not come with its namespaces; else there is none.
func (c *Container) openChroot() (files []int, release func(), err error) {
	if c.record.Namespaces&unix.CLONE_NEWNS != 0 {
		return nil, func() {}, nil
	}
	path := fmt.Sprintf("/proc/%d/root", c.record.PID)
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fault.New("open the root of", c.record.ID, err)
	}
	// The pid was still init's after that, or else the root is another's.
	init, err := c.pidfd()
	if err != nil {
		unix.Close(fd)
		return nil, nil, err
	}
	unix.Close(init)
	return []int{fd}, func() { unix.Close(fd) }, nil
}

func sameNamespace(name string, pid int) (bool, error) {
	var own, theirs unix.Stat_t
	other := fmt.Sprintf("/proc/%d/ns/%s", pid, name)
	if err := errors.Join(unix.Stat("/proc/self/ns/"+name, &own), unix.Stat(other, &theirs)); err != nil {
		return false, fault.New("compare namespaces with", other, err)
	}
	return own.Dev == theirs.Dev && own.Ino == theirs.Ino, nil
}

// heldCapabilities are those that the container's processes can be granted.
func heldCapabilities(s *specs.Spec) (uint64, error) {
	if spec.Namespace(s, specs.UserNamespace) != nil {
		return spec.AllCapabilities, nil
	}
	return spec.HeldCapabilities()
}

// joinCredentials says whether a process enters its cgroup from another user
// namespace.
func joinCredentials(ns *nsenter.Namespaces) cgroup.Credentials {
	if ns.EntersUser() {
		return cgroup.OtherCredentials
	}
	return cgroup.OwnCredentials
}
