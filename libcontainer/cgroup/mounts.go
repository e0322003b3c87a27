package cgroup

import (
	"path"
	"strings"
)

// Namespace is the cgroup namespace that the container will have.
type Namespace int

const (
	// SharedNamespace is the creator's: the container must be shown only its
	// own part of each hierarchy.
	SharedNamespace Namespace = iota
	// OwnNamespace begins at the container's cgroup: mounting the hierarchy
	// shows no more than that.
	OwnNamespace
)

// MountKind is what to do for one MountSource.
type MountKind int

const (
	// Tmpfs is a tmpfs to hold the others (mode 0755).
	Tmpfs MountKind = iota
	// Cgroup2 is a mount of type cgroup2.
	Cgroup2
	// CgroupV1 is a mount of type cgroup with Options as its data.
	CgroupV1
	// Bind is a bind mount of HostPath.
	Bind
	// Symlink is a symbolic link to Target.
	Symlink
)

// MountSource is one step of what a mount of type "cgroup" stands for.
type MountSource struct {
	Kind MountKind
	// Name is the directory below the mount's destination, empty for the
	// destination itself.
	Name string
	// Options is the data of a CgroupV1 mount.
	Options string
	// HostPath is the source of a Bind, in the host's mount namespace.
	HostPath string
	// Target is what a Symlink points at, in its own directory.
	Target string
}

// Mounts returns what to mount, in order, for a config.json mount of type
// "cgroup". A container without a cgroup gets the hierarchies as its namespace
// shows them, or, in the creator's namespace, an empty directory.
func (c *Cgroup) Mounts(own Namespace) ([]MountSource, error) {
	hs := c.rec.Hierarchies
	if len(hs) == 0 && own == OwnNamespace {
		trees, err := c.system.trees()
		if err != nil {
			return nil, err
		}
		for _, t := range trees {
			hs = append(hs, Hierarchy{Controllers: t.controllers, Mount: t.mount})
		}
	}
	if len(hs) == 1 && hs[0].v2() {
		return []MountSource{hs[0].mount(own, "")}, nil
	}
	ms := []MountSource{{Kind: Tmpfs}}
	for i := range hs {
		name := path.Base(hs[i].Mount)
		ms = append(ms, hs[i].mount(own, name))
		if !strings.Contains(hs[i].Controllers, ",") {
			continue
		}
		for controller := range strings.SplitSeq(hs[i].Controllers, ",") {
			ms = append(ms, MountSource{Kind: Symlink, Name: controller, Target: name})
		}
	}
	return ms, nil
}

func (h *Hierarchy) mount(own Namespace, name string) MountSource {
	switch {
	case own == SharedNamespace:
		return MountSource{Kind: Bind, Name: name, HostPath: h.dir()}
	case h.v2():
		return MountSource{Kind: Cgroup2, Name: name}
	case strings.HasPrefix(h.Controllers, "name="):
		return MountSource{Kind: CgroupV1, Name: name, Options: "none," + h.Controllers}
	}
	return MountSource{Kind: CgroupV1, Name: name, Options: h.Controllers}
}
