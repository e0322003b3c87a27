package libcontainer

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/libcontainer/plan"
	"hull/libcontainer/rootfs"
	"hull/spec"
)

// mountSources opens the sources of bind mounts as Create does, and forgets
// them: a clone that nobody attaches is nowhere to be seen.
func (c *checker) mountSources() {
	ids := idMapper{pid: os.Getpid()}
	defer ids.close()
	for i := range c.sources {
		s := &c.sources[i]
		if s.IDMap != nil && s.IDMap.UserNamespace == "" && len(s.IDMap.UIDs)+len(s.IDMap.GIDs) == 0 {
			continue // mapped as a user namespace that is not there yet
		}
		fd, err := openSource(&ids, s)
		if err == nil && s.Flags&plan.Recursive == 0 && viewOf(c.spec) == containerView && hasMountsBelow(s.Path) {
			unix.Close(fd)
			err = sourceFailure(s, unix.EINVAL)
		}
		if err != nil {
			c.fail(s.Name+".source", err)
			continue
		}
		unix.Close(fd)
	}
}

// hasMountsBelow reports whether something is mounted below a path of the host: a
// user namespace may not take it away (mount_namespaces(7), "Restrictions").
func hasMountsBelow(source string) bool {
	table, err := os.ReadFile("/proc/self/mountinfo")
	source, linkErr := filepath.EvalSymlinks(source)
	if err != nil || linkErr != nil {
		return false
	}
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) > 4 && f[4] != source && below(f[4], source) {
			return true
		}
	}
	return false
}

// filesystems looks for the types of new mounts. A type that only a module has
// counts, for mounting it loads the module.
func (c *checker) filesystems() {
	if c.plan == nil {
		return
	}
	known, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return
	}
	for i := range c.plan.Mounts {
		m := &c.plan.Mounts[i]
		name, _, _ := strings.Cut(m.Type, ".") // of "fuse.sshfs"
		if m.Kind != plan.NewFilesystem || name == "" {
			continue
		}
		switch kind := filesystemIn(string(known), name); {
		case kind == noType && !hasModule(name):
			c.fail("", noFilesystem(m))
		case kind == noType: // not loaded for a mere look
		default:
			c.fail("", c.foresee(m, kind))
		}
	}
}

// foresee returns the error of init with a filesystem whose type the kernel has.
func (c *checker) foresee(m *plan.Mount, kind filesystemKind) error {
	mounts := spec.Namespace(c.spec, specs.MountNamespace)
	if c.held&(1<<unix.CAP_SYS_ADMIN) == 0 || mounts != nil && mounts.Path != "" {
		return nil // paths among the options are those of another namespace
	}
	users := spec.Namespace(c.spec, specs.UserNamespace) != nil
	switch {
	case m.Type == "fuse" && m.Value("fd") == "", m.Type == "overlay" && m.Value("workdir") == "", kind == onDevice && !users && !isBlockDevice(m.Source):
		return rootfs.Attempt(m)
	case m.Type == "overlay" && !layersFit(m):
		return rootfs.Refused(m, unix.EINVAL)
	}
	if err := rootfs.Foresee(m); err != nil || !users {
		return err
	}
	return c.refusedUser(m, kind)
}

// refusedUser returns the error of init with a filesystem that a user namespace may
// not mount: of those with a device all but FUSE's, of the others those that the
// kernel's sources do not mark with FS_USERNS_MOUNT, and bpf, which it marks and
// gives to the delegated only.
func (c *checker) refusedUser(m *plan.Mount, kind filesystemKind) error {
	refused := kind == onDevice && m.Type != "fuseblk"
	switch m.Type {
	case "mqueue":
		refused = !spec.IsNew(c.spec, specs.IPCNamespace) && !exists("/dev/mqueue")
	case "proc":
		refused = spec.Namespace(c.spec, specs.PIDNamespace) == nil
	case "bpf", "configfs", "debugfs", "devtmpfs", "efivarfs", "fusectl", "hugetlbfs", "pstore", "securityfs", "tracefs":
		refused = true
	}
	if refused {
		return rootfs.Refused(m, unix.EPERM)
	}
	return nil
}

func isBlockDevice(path string) bool {
	var st unix.Stat_t
	return unix.Stat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFBLK
}

// layersFit reports whether an overlay may have its upper directories: both on one
// filesystem, none within the other. Making it to see would leave traces in them.
func layersFit(m *plan.Mount) bool {
	upper, err1 := filepath.EvalSymlinks(m.Value("upperdir"))
	work, err2 := filepath.EvalSymlinks(m.Value("workdir"))
	var one, other unix.Stat_t
	if err1 != nil || err2 != nil || unix.Stat(upper, &one) != nil || unix.Stat(work, &other) != nil {
		return true // another error
	}
	return m.Value("lowerdir") != "" && one.Dev == other.Dev && !below(upper, work) && !below(work, upper)
}

// noFilesystem is the error of init that mounts it.
func noFilesystem(m *plan.Mount) error {
	op, object := m.Describe()
	return fault.New(op, object, unix.ENODEV).WithHint("this kernel has no filesystem of that type")
}

// filesystemKind is what /proc/filesystems says of a type.
type filesystemKind int

const (
	noType filesystemKind = iota
	withoutDevice
	onDevice
)

// filesystemIn looks for a type in /proc/filesystems.
func filesystemIn(table, name string) filesystemKind {
	for line := range strings.Lines(table) {
		switch f := strings.Fields(line); {
		case len(f) == 0 || f[len(f)-1] != name:
		case len(f) == 1:
			return onDevice
		default:
			return withoutDevice
		}
	}
	return noType
}

// hasModule reports whether this kernel has a module of that name, or might.
func hasModule(name string) bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return true
	}
	modules, err := os.ReadFile("/lib/modules/" + unix.ByteSliceToString(u.Release[:]) + "/modules.dep")
	return err == nil && strings.Contains(string(modules), "/"+name+".ko")
}

// devices looks at nodes that init cannot make, and at those that the device
// rules keep from being opened.
func (c *checker) devices() {
	for i := range c.spec.Linux.Devices {
		d := &c.spec.Linux.Devices[i]
		path := fieldOf("linux.devices", i, "path")
		if spec.Namespace(c.spec, specs.UserNamespace) != nil {
			c.fail(path, hostNode(d))
		} else if c.held&(1<<unix.CAP_MKNOD) == 0 {
			c.fail(path, fault.New("make device", d.Path, unix.EPERM))
		}
		if r := c.spec.Linux.Resources; r != nil && !c.cgroup.Allows(r.Devices, d) {
			c.add(Warning, path, fault.Newf("", path, "no rule of linux.resources.devices allows to open %s", d.Path).
				WithHint("add one with allow, the type, the numbers and access rw"))
		}
	}
}

// hostNode is the error of init, which binds the host's node in a user
// namespace.
func hostNode(d *specs.LinuxDevice) error {
	if d.Type == "p" {
		return nil
	}
	const op = "open the host's node"
	var st unix.Stat_t
	err := unix.Lstat(d.Path, &st)
	switch {
	case err != nil:
		return fault.New("make device", d.Path, fault.New(op, "", err).
			WithHint("mknod(2) is not permitted here, so the host's node of the same path is bound"))
	case !isNode(&st, d):
		return fault.New("make device", d.Path, fault.New(op, "", unix.ENODEV).WithHint("it is another device"))
	}
	return nil
}

func isNode(st *unix.Stat_t, d *specs.LinuxDevice) bool {
	kind := uint32(unix.S_IFCHR)
	if d.Type == "b" {
		kind = unix.S_IFBLK
	}
	return st.Mode&unix.S_IFMT == kind && st.Rdev == unix.Mkdev(uint32(d.Major), uint32(d.Minor))
}
