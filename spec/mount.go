package spec

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/libcontainer/plan"
)

// Source is the source of a bind mount that the parent opens, because init may
// not be able to: it lacks the rights in its user namespace, or its mount
// namespace no longer belongs to the peer group of the source.
type Source struct {
	// Mount is the index in Plan.Mounts, and Name where the user wrote it.
	Mount int
	Name  string
	// Path is absolute on the host. The parent clones the mount there with
	// open_tree(2), with AT_RECURSIVE and AT_SYMLINK_NOFOLLOW as Flags say
	// (plan.Recursive, plan.SourceNoFollow).
	Path  string
	Flags plan.MountFlags
	// IDMap is applied to the clone, if not nil.
	IDMap *IDMap
}

// IDMap is the mapping of an ID-mapped mount: that of a user namespace made for
// it, of the one at UserNamespace or, if nothing is set, of the container's own.
type IDMap struct {
	UserNamespace string
	UIDs, GIDs    []specs.LinuxIDMapping
	// Flags has plan.Recursive when the whole tree is mapped ("ridmap").
	Flags plan.MountFlags
}

// mount is one entry of mounts, translated. It is a plan.Mount but for what
// depends on the host.
type mount struct {
	plan.Mount
	idMap *IDMap
}

// becomes reports whether an option asks for the propagation flag.
func (m *mount) becomes(flag uint64) bool {
	return slices.ContainsFunc(m.Propagation, func(f uint64) bool { return f&flag != 0 })
}

// translateMount translates mounts[i]. Warnings are about options that have no
// effect; warn may be nil.
func translateMount(p *problems, s *specs.Spec, i int, warn func(error)) mount {
	var (
		in   = &s.Mounts[i]
		name = at("mounts", i)
		o    = parseMountOptions(in.Options)
	)
	m := mount{Mount: plan.Mount{
		Name:        name,
		Source:      in.Source,
		Target:      filepath.Clean("/" + in.Destination),
		Type:        in.Type,
		Flags:       o.flags,
		Set:         o.attrs.set,
		Clear:       o.attrs.clear,
		RecSet:      o.treeAttrs.set,
		RecClear:    o.treeAttrs.clear,
		Propagation: o.propagation,
	}}
	// Some tools write the type "bind" without the option. No filesystem has
	// that name, so nothing else can be meant.
	o.bind = o.bind || in.Type == "bind"
	switch {
	case o.remount:
		m.Kind = plan.Reconfigure
	case o.bind:
		m.Kind = plan.Bind
	}
	switch {
	case in.Destination == "":
		p.add(at(name, "destination"), "must not be empty")
	case m.Target == "/" && m.Kind != plan.Reconfigure && Namespace(s, specs.MountNamespace) == nil:
		p.add(at(name, "destination"), "the root of the container can be covered only in a mount namespace")
	}
	possible(p, at(name, "destination"), in.Destination)
	if why := m.CoversProc(); why != "" && m.Flags&plan.CopySymlink == 0 {
		p.add(at(name, "destination"), "%w", fault.New("cover procfs at", m.Target, unix.EPERM).WithHint("%s", why))
	}
	if o.bind {
		bindOptions(p, &m, o)
	} else {
		filesystemOptions(p, &m, o, mountLabel(s))
		optionIDs(p, s, &m)
	}
	if Namespace(s, specs.UserNamespace) != nil && m.Kind == plan.NewFilesystem &&
		(in.Type == "sysfs" || in.Type == "mqueue") {
		m.Flags |= plan.FallbackBind
	}
	mountIDMap(p, s, in, &m, o)
	onlyTmpfs(&m, o)
	mountWarnings(in, &m, o, warn)
	return m
}

// onlyTmpfs takes back "tmpcopyup" unless it is for a new tmpfs: what is copied
// into another filesystem would stay there.
func onlyTmpfs(m *mount, o *mountOptions) {
	if m.Flags&plan.CopyUp != 0 && (m.Kind != plan.NewFilesystem || m.Type != "tmpfs") {
		m.Flags &^= plan.CopyUp
		o.unheard = append(o.unheard, "tmpcopyup")
	}
}

// bindOptions finishes a mount that gets no superblock of its own.
func bindOptions(p *problems, m *mount, o *mountOptions) {
	m.Type = ""
	if m.Kind == plan.Bind && m.Source == "" {
		p.add(at(m.Name, "source"), "must not be empty for a bind mount")
	}
	possible(p, at(m.Name, "source"), m.Source)
	// The kernel would ignore them, and who wrote them relies on them.
	for _, d := range o.data {
		p.add(at(m.Name, "options"), "%q is an option of a filesystem and not possible for a bind mount", optionText(d))
	}
}

// filesystemOptions finishes a mount with a superblock of its own.
func filesystemOptions(p *problems, m *mount, o *mountOptions, label plan.FSOption) {
	if m.Type == "" && m.Kind == plan.NewFilesystem {
		p.add(at(m.Name, "type"), "must not be empty unless the options have bind, rbind or remount")
	}
	m.Options = slices.Concat(o.superblock, o.data)
	switch {
	case isVirtual(m.Type):
	case m.Set&unix.MOUNT_ATTR_RDONLY != 0:
		m.Options = append(m.Options, plan.FSOption{Key: "ro", IsFlag: true})
	case m.Clear&unix.MOUNT_ATTR_RDONLY != 0 && m.Kind == plan.Reconfigure:
		m.Options = append(m.Options, plan.FSOption{Key: "rw", IsFlag: true})
	}
	hasContext := slices.ContainsFunc(o.data, func(d plan.FSOption) bool { return isContext(d.Key) })
	if label.Key != "" && takesContext(m.Type) && m.Kind == plan.NewFilesystem && !hasContext {
		m.Options = append(m.Options, label)
	}
}

// optionIDs refuses files of a new filesystem that would belong to ids which the
// user namespace has not.
func optionIDs(p *problems, s *specs.Spec, m *mount) {
	if m.Type != "tmpfs" && m.Type != "devpts" || !IsNew(s, specs.UserNamespace) {
		return
	}
	for _, o := range m.Options {
		mappings := linux(s).UIDMappings
		switch o.Key {
		case "gid":
			mappings = linux(s).GIDMappings
		case "uid":
		default:
			continue
		}
		id, err := strconv.ParseUint(o.Value, 10, 32)
		if _, mapped := HostID(mappings, uint32(id)); err == nil && !mapped && len(mappings) > 0 {
			p.add(at(m.Name, "options"), "%s is not mapped in the user namespace", optionText(o))
		}
	}
}

// mountLabel is linux.mountLabel as an option of a filesystem, without a key if
// there is none.
func mountLabel(s *specs.Spec) plan.FSOption {
	label := linux(s).MountLabel
	if label == "" {
		return plan.FSOption{}
	}
	option := plan.FSOption{Key: "context", Value: label}
	if kind := s.Annotations[AnnotationMountContext]; kind != "" {
		option.Key = kind
	}
	return option
}

// mountContext checks the annotation that says which context linux.mountLabel is.
func mountContext(p *problems, s *specs.Spec) {
	if kind := s.Annotations[AnnotationMountContext]; kind != "" && !isContext(kind) {
		p.add(at("annotations", AnnotationMountContext), "unknown context %q (one of context, fscontext, defcontext, rootcontext)", kind)
	}
}

// isVirtual says whether a filesystem has no device behind it that has to stay
// unwritten: then "ro" is about the mount only. Its superblock may be shared
// with other mounts, and init still has to make mount points in a tmpfs.
func isVirtual(fstype string) bool {
	switch fstype {
	case "cgroup", "cgroup2", "devpts", "mqueue", "proc", "sysfs", "tmpfs":
		return true
	}
	return false
}

// takesContext says whether a new mount of the type may get an SELinux
// context: not where the superblock exists already, as that of mqueue, which init
// labels another way, or where the policy labels every file.
func takesContext(fstype string) bool {
	switch fstype {
	case "cgroup", "cgroup2", "mqueue", "proc", "sysfs":
		return false
	}
	return true
}

// mountIDMap fills in the mapping that "idmap", "ridmap", uidMappings and
// gidMappings ask for.
func mountIDMap(p *problems, s *specs.Spec, in *specs.Mount, m *mount, o *mountOptions) {
	mapped := len(in.UIDMappings) > 0 || len(in.GIDMappings) > 0
	if o.idMap == "" && !mapped {
		return
	}
	if m.Kind != plan.Bind {
		p.add(m.Name, "only a bind mount can be ID-mapped")
		return
	}
	m.idMap = &IDMap{UIDs: in.UIDMappings, GIDs: in.GIDMappings}
	if o.idMapScope == wholeTree {
		m.idMap.Flags = plan.Recursive
	}
	if _, inline, ok := strings.Cut(o.idMap, "="); ok {
		var err error
		m.idMap.UIDs, m.idMap.GIDs, err = inlineMappings(inline, linux(s).UIDMappings, linux(s).GIDMappings)
		if err != nil {
			p.add(at(m.Name, "options"), "%q: %w", o.idMap, err)
			return
		}
	} else if !mapped {
		containerIDMap(p, s, m)
		return
	}
	if len(m.idMap.UIDs) == 0 {
		p.add(at(m.Name, "uidMappings"), "must not be empty when there are GID mappings")
	}
	if len(m.idMap.GIDs) == 0 {
		p.add(at(m.Name, "gidMappings"), "must not be empty when there are UID mappings")
	}
	idMappings(p, at(m.Name, "uidMappings"), m.idMap.UIDs)
	idMappings(p, at(m.Name, "gidMappings"), m.idMap.GIDs)
}

// containerIDMap makes m mapped like the container's user namespace, which is
// what "idmap" without mappings means (config.md, "Linux mount options").
func containerIDMap(p *problems, s *specs.Spec, m *mount) {
	switch ns := Namespace(s, specs.UserNamespace); {
	case ns == nil:
		p.add(at(m.Name, "options"), "idmap needs uidMappings and gidMappings, or a user namespace")
	case ns.Path != "":
		m.idMap.UserNamespace = ns.Path
	}
}

// mountWarnings reports what is accepted but does nothing, or soon will not be
// accepted.
func mountWarnings(in *specs.Mount, m *mount, o *mountOptions, warn func(error)) {
	if warn == nil {
		return
	}
	if in.Destination != "" && !filepath.IsAbs(in.Destination) {
		warn(fault.Newf("", at(m.Name, "destination"), "relative paths are deprecated, %s is used", m.Target))
	}
	ineffective := slices.Clone(o.unheard)
	if o.bind {
		for _, opt := range o.superblock {
			ineffective = append(ineffective, opt.Key)
		}
	}
	for _, opt := range ineffective {
		warn(fault.Newf("", at(m.Name, "options"), "%q has no effect here", opt))
	}
}

// optionText renders an option as it was written.
func optionText(o plan.FSOption) string {
	if o.IsFlag {
		return o.Key
	}
	return o.Key + "=" + o.Value
}
