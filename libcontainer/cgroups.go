package libcontainer

import (
	"errors"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/user"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/libcontainer/cgroup"
	"hull/spec"
)

// placeCgroup works out where the container's cgroup is going to be, without any
// effect.
func (n *creation) placeCgroup() (err error) {
	r := n.runtime
	cfg := cgroup.Config{ID: n.id, Warn: r.warn}
	if n.spec.Linux != nil {
		cfg.Path = n.spec.Linux.CgroupsPath
	}
	if r.Privilege == Rootless {
		cfg.Unwritable = cgroup.Tolerate
	}
	if cfg.Leaf, err = pathBelow(n.spec, spec.AnnotationDelegate); err != nil {
		return err
	}
	switch r.Cgroup {
	case Cgroupfs:
		cfg.Driver = cgroup.Cgroupfs
	case NoCgroup:
		cfg.Driver = cgroup.Disabled
	case Systemd:
		cfg.Driver, cfg.Bus = cgroup.Systemd, r.Manager
		if cfg.Subgroup, err = pathBelow(n.spec, spec.AnnotationSubgroup); err != nil {
			return err
		}
		if cfg.Properties, err = unitProperties(n.spec.Annotations); err != nil {
			return err
		}
	}
	n.cgroup, err = cgroup.New(cfg)
	return err
}

// pathBelow reads an annotation that is a path below the container's cgroup.
func pathBelow(s *specs.Spec, key string) (string, error) {
	name, err := cgroup.CleanBelow(s.Annotations[key])
	if err != nil {
		return "", fault.New("use annotations."+key, strconv.Quote(s.Annotations[key]), err)
	}
	return name, nil
}

// unitProperties reads the annotations that are properties of systemd's unit.
func unitProperties(annotations map[string]string) ([]cgroup.Property, error) {
	var list []cgroup.Property
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		name, ok := strings.CutPrefix(key, spec.AnnotationSystemdPrefix)
		if !ok {
			continue
		}
		p, err := cgroup.ParseProperty(name, annotations[key])
		if err != nil {
			return nil, fault.New("use annotations."+key, strconv.Quote(annotations[key]), err)
		}
		list = append(list, p)
	}
	return list, nil
}

// giveCgroup makes the container's user the owner of its cgroup where that can
// be of use (config-linux.md, "Cgroup ownership"). The spec leaves it to the
// runtime: that the caller may not is a warning.
func (n *creation) giveCgroup(pid int) error {
	if n.spec.Process == nil || !spec.IsNew(n.spec, specs.CgroupNamespace) || !slices.ContainsFunc(n.spec.Mounts, mountsWritableCgroup) {
		return nil
	}
	uid, err := hostID(pid, "uid_map", int64(n.spec.Process.User.UID))
	if err != nil || uid == os.Geteuid() {
		return err
	}
	err = n.cgroup.Delegate(cgroup.Owner{UID: uid, GID: cgroup.SameGroup})
	if errors.Is(err, unix.EPERM) {
		n.runtime.warn(err)
		return nil
	}
	return err
}

func mountsWritableCgroup(m specs.Mount) bool {
	return m.Source == "cgroup" && m.Destination == "/sys/fs/cgroup" && !slices.Contains(m.Options, "ro")
}

// sinkInit moves init into the cgroup that belongs to the container's root, if
// an annotation asks for one. By now init has its cgroup namespace, whose root
// is the cgroup with the limits.
func (n *creation) sinkInit(pid int) error {
	if n.spec.Annotations[spec.AnnotationDelegate] == "" {
		return nil
	}
	uid, err := hostID(pid, "uid_map", 0)
	if err != nil {
		return err
	}
	gid, err := hostID(pid, "gid_map", 0)
	if err != nil {
		return err
	}
	return n.cgroup.Sink(pid, cgroup.Owner{UID: uid, GID: gid})
}

// hostID returns what an id in the user namespace of a process is out here.
func hostID(pid int, file string, id int64) (int, error) {
	path := "/proc/" + strconv.Itoa(pid) + "/" + file
	ranges, err := user.ParseIDMapFile(path)
	if err != nil {
		return 0, fault.New("read", path, pathless(err))
	}
	for _, r := range ranges {
		if id >= r.ID && id-r.ID < r.Count {
			return int(r.ParentID + id - r.ID), nil
		}
	}
	return 0, fault.Newf("translate id", strconv.FormatInt(id, 10), "%s does not have it", path)
}
