package cgroup

import (
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// system is where the kernel shows its hierarchies. Only tests change it, to
// look at another mount of the same kernel.
type system struct {
	// root is the v2 mount, or the directory with a mount per hierarchy.
	root string
	// self lists the cgroups of this process.
	self string
	// mountinfo lists the mounts of this process.
	mountinfo string
}

func standardSystem() system {
	return system{
		root:      "/sys/fs/cgroup",
		self:      "/proc/self/cgroup",
		mountinfo: "/proc/self/mountinfo",
	}
}

// tree is one mounted hierarchy and the place of this process in it.
type tree struct {
	controllers string
	mount       string
	own         string
}

// trees returns the mounted hierarchies. It trusts the standard places, which
// one statfs each confirms, and reads the mount table only for a hierarchy
// that is elsewhere: the table of a busy node has thousands of lines.
func (s system) trees() ([]tree, error) {
	content, err := readFile(s.self)
	if err != nil {
		return nil, fault.New("read", s.self, err)
	}
	onlyV2 := isType(s.root, unix.CGROUP2_SUPER_MAGIC)
	var (
		ts    []tree
		table *mountTable
	)
	for line := range strings.Lines(content) {
		_, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		controllers, own, ok := strings.Cut(rest, ":")
		if !ok || (onlyV2 && controllers != "") {
			continue
		}
		mount := s.standardMount(controllers)
		if onlyV2 {
			mount = s.root
		}
		if mount == "" {
			if table == nil {
				if table, err = readMountTable(s.mountinfo); err != nil {
					return nil, err
				}
			}
			mount = table.find(controllers)
		}
		if mount != "" {
			ts = append(ts, tree{controllers, mount, own})
		}
	}
	return ts, nil
}

// standardMount returns the usual mount of a hierarchy, or "" if it is not
// there.
func (s system) standardMount(controllers string) string {
	if controllers == "" {
		if dir := s.root + "/unified"; isType(dir, unix.CGROUP2_SUPER_MAGIC) {
			return dir
		}
		return ""
	}
	if dir := s.root + "/" + strings.TrimPrefix(controllers, "name="); isType(dir, unix.CGROUP_SUPER_MAGIC) {
		return dir
	}
	return ""
}

func isType(path string, magic int64) bool {
	var st unix.Statfs_t
	err := retry(func() error { return unix.Statfs(path, &st) })
	return err == nil && st.Type == magic
}

// mountTable is the cgroup part of /proc/PID/mountinfo.
type mountTable []*mountinfo.Info

func readMountTable(path string) (*mountTable, error) {
	content, err := readFile(path)
	if err != nil {
		return nil, fault.New("read", path, err)
	}
	t, err := mountinfo.GetMountsFromReader(strings.NewReader(content), mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil {
		return nil, fault.New("parse", path, err)
	}
	return (*mountTable)(&t), nil
}

// find returns the mount point of a hierarchy, or "".
func (t *mountTable) find(controllers string) string {
	for _, m := range *t {
		switch {
		case controllers == "" && m.FSType == "cgroup2":
			return m.Mountpoint
		case controllers != "" && m.FSType == "cgroup" && hasAll(m.VFSOptions, controllers):
			return m.Mountpoint
		}
	}
	return ""
}

func hasAll(options, controllers string) bool {
	for c := range strings.SplitSeq(controllers, ",") {
		if !hasField(options, c) {
			return false
		}
	}
	return true
}

// root returns which directory of its hierarchy is mounted at point.
func (t *mountTable) root(point string) string {
	for _, m := range *t {
		if m.Mountpoint == point {
			return m.Root
		}
	}
	return "/"
}
