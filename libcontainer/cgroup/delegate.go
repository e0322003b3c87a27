package cgroup

import (
	"errors"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// errNotV2 is the cause when something of cgroup v1 would be given away: its
// limits would be, too.
var errNotV2 = errors.New("cgroup v1 cannot be delegated")

// Owner is a user and group of the host that a cgroup is given to.
type Owner struct{ UID, GID int }

// SameGroup leaves the group of what is given away as it is.
const SameGroup = -1

// Delegate makes owner the owner of the v2 cgroup, so that a container with its
// own cgroup namespace and a writable cgroup mount can manage what is below it,
// and not its own limits. v1 cgroups stay as they are (config-linux.md, "Cgroup
// ownership").
func (c *Cgroup) Delegate(owner Owner) error {
	if !c.onlyV2() {
		return nil
	}
	return give(c.unified().dir(), owner)
}

// useLeaf checks that the cgroup can have what Sink makes.
func (c *Cgroup) useLeaf(name string) error {
	if c.rec.Driver != Disabled && !c.onlyV2() {
		return fault.New("delegate cgroup", name, errNotV2)
	}
	c.leaf = name
	return nil
}

// onlyV2 reports whether the container has a cgroup of v2 and no other.
func (c *Cgroup) onlyV2() bool { return c.unified() != nil && len(c.rec.Hierarchies) == 1 }

// Sink moves the process init into Config.Leaf, and gives that one away: the
// limits stay where the process cannot reach them. All controllers of the
// container's cgroup are there.
func (c *Cgroup) Sink(init int, owner Owner) error {
	if c.leaf == "" || !c.onlyV2() {
		return nil
	}
	below := *c.unified()
	below.Path = path.Join(below.Path, c.leaf)
	if err := below.mkdir(); err != nil {
		return err
	}
	file := below.dir() + "/cgroup.procs"
	if err := writeFile(file, strconv.Itoa(init)); err != nil {
		return fault.New("move process "+strconv.Itoa(init)+" to", file, err)
	}
	below.enableWithin(strings.Count(c.leaf, "/") + 1)
	return give(below.dir(), owner)
}

// give changes the owner of a cgroup and of those files in it that the kernel
// lists for that.
func give(dir string, owner Owner) error {
	for _, name := range append(delegable(), "") {
		file := path.Join(dir, name)
		// The list covers controllers that this cgroup may not have.
		if err := unix.Chown(file, owner.UID, owner.GID); err != nil && !errors.Is(err, unix.ENOENT) {
			return fault.New("delegate", file, err)
		}
	}
	return nil
}

// delegable lists the files; a kernel without the list has these three.
func delegable() []string {
	list, err := readFile("/sys/kernel/cgroup/delegate")
	if err != nil {
		return []string{"cgroup.procs", "cgroup.subtree_control", "cgroup.threads"}
	}
	return strings.Fields(list)
}
