package spec

import (
	"path/filepath"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/libcontainer/plan"
)

// Inputs is what config.json does not say.
type Inputs struct {
	// ID is the container's.
	ID string
	// Bundle is the absolute path of the directory that relative paths of the
	// configuration start from.
	Bundle string
	// Pivot is plan.PivotRoot or, for --no-pivot, plan.MoveRoot.
	Pivot plan.PivotMode
	// DeviceSource is plan.BindHost where hull itself may not make nodes, because
	// it runs in a user namespace. For a container in a user namespace Compile
	// sees to that.
	DeviceSource plan.DeviceSource
	// Opener says who clones the sources of bind mounts in a user namespace.
	Opener Opener
	// CgroupMounts are the steps that take the place of a mount of type cgroup:
	// which they are depends on the host's hierarchies. A Target is relative to
	// the destination of the mount. To each step but a Link, Compile adds the
	// name and the attributes of the mount; to the first its propagation; to
	// each of type cgroup or cgroup2 its filesystem options.
	CgroupMounts []plan.Mount
	// Process is about the container's own process.
	Process ProcessInputs
	// Warn gets what has no effect although it was asked for. It may be nil.
	Warn func(error)
}

// Opener is who clones the sources of bind mounts of a container in a user
// namespace.
type Opener uint8

const (
	// ParentOpens lets sources be where only the caller can look.
	ParentOpens Opener = iota
	// InitOpens is for a caller who may not clone mounts: a plain user.
	InitOpens
)

// Compile translates s, which has passed Validate, into the plan of the
// container's init, and says which sources of bind mounts (those with
// plan.Supplied) the parent has to open. It looks at the host: the root
// filesystem and the bind sources must exist. The error is an InvalidError of
// all that is wrong; the plan that comes with it is for looking at only.
//
// The State of hooks, the flags of the seccomp filter, resource limits and
// oom_score_adj are not part of what it does.
func Compile(s *specs.Spec, in Inputs) (*plan.Plan, []Source, error) {
	c := compiler{spec: s, in: in, plan: &plan.Plan{
		Kind:          plan.Create,
		ID:            in.ID,
		MaskedPaths:   cleaned(linux(s).MaskedPaths),
		ReadonlyPaths: cleaned(linux(s).ReadonlyPaths),
		MountLabel:    mountLabel(s),
		Hostname:      s.Hostname,
		Domainname:    domainname(s),
	}}
	steps := [...]func() error{c.rootfs, c.mounts, c.devices, c.sysctls, c.process}
	var errs [len(steps)]error
	for i, step := range steps {
		c.found = problems{}
		errs[i] = step()
	}
	if h := s.Hooks; h != nil {
		c.plan.CreateContainer = Hooks("createContainer", h.CreateContainer)
		c.plan.StartContainer = Hooks("startContainer", h.StartContainer)
	}
	return c.plan, c.sources, Join(errs[:]...)
}

// Hooks translates one list of hooks, all but the state that they read. Name is
// that of the list: "poststop".
func Hooks(name string, list []specs.Hook) []plan.Hook {
	if len(list) == 0 {
		return nil
	}
	out := make([]plan.Hook, len(list))
	for i, h := range list {
		out[i] = plan.Hook{Name: at("hooks", name, i), Path: h.Path, Args: h.Args, Env: h.Env}
		if h.Timeout != nil {
			out[i].TimeoutSeconds = uint32(*h.Timeout)
		}
	}
	return out
}

type compiler struct {
	spec    *specs.Spec
	in      Inputs
	plan    *plan.Plan
	sources []Source
	found   problems
}

func (c *compiler) rootfs() error {
	path, err := resolveDir(filepath.Join(c.in.Bundle, c.spec.Root.Path), c.spec.Root.Path)
	if err != nil {
		return err
	}
	r := &c.plan.Rootfs
	r.Path, r.Pivot = path, c.in.Pivot
	if c.spec.Root.Readonly {
		r.Access = plan.ReadOnly
	}
	if Namespace(c.spec, specs.MountNamespace) == nil {
		// Any change of propagation would be one of the host's.
		r.Pivot = plan.ChrootOnly
		return nil
	}
	r.HostPropagation, r.Propagation = rootPropagation(&c.found, c.spec)
	if r.Pivot == plan.MoveRoot && r.Propagation&unix.MS_PRIVATE != 0 {
		// The old root stays below the new one, and mounts of the host that are
		// private there could never be unmounted.
		return fault.Newf("", "linux.rootfsPropagation", "%s is not possible without pivot_root", linux(c.spec).RootfsPropagation)
	}
	return c.found.err()
}

// resolveDir returns the absolute path of a directory without symbolic links.
// If written is absolute, joined is not used.
func resolveDir(joined, written string) (string, error) {
	path := joined
	if filepath.IsAbs(written) {
		path = written
	}
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fault.Newf("", "root.path", "open %s: %w", fault.Shorten(path), err).WithHint("it must be a directory")
	}
	_ = unix.Close(fd) // O_PATH: there is nothing to lose
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", fault.Newf("", "root.path", "resolve %s: %w", fault.Shorten(path), cause(err))
	}
	return resolved, nil
}

// rootPropagation translates linux.rootfsPropagation. What the container sees of
// the host's mounts arrives by way of slaves; nothing goes back, because sources
// of shared mounts are supplied by the parent. That is why "shared" does not make
// the host's tree shared.
func rootPropagation(p *problems, s *specs.Spec) (host, root uint64) {
	value := linux(s).RootfsPropagation
	if value == "" {
		return unix.MS_SLAVE | unix.MS_REC, 0
	}
	o := findOption(value)
	if o == nil || o.kind != propagation {
		p.add("linux.rootfsPropagation", "unknown propagation %q (one of shared, slave, private, unbindable)", value)
		return 0, 0
	}
	host = unix.MS_SLAVE | unix.MS_REC
	if o.flag&(unix.MS_PRIVATE|unix.MS_UNBINDABLE) != 0 {
		host = unix.MS_PRIVATE | unix.MS_REC
	}
	return host, o.flag
}

func (c *compiler) mounts() error {
	c.plan.Mounts = make([]plan.Mount, 0, len(c.spec.Mounts))
	for i := range c.spec.Mounts {
		m := translateMount(&c.found, c.spec, i, nonNil(c.in.Warn))
		switch {
		case m.Type == "cgroup" && m.Kind == plan.NewFilesystem:
			c.plan.Mounts = append(c.plan.Mounts, expandCgroup(m.Mount, c.in.CgroupMounts)...)
		case m.Kind == plan.Bind:
			c.bind(m)
		default:
			c.plan.Mounts = append(c.plan.Mounts, m.Mount)
		}
	}
	return c.found.err()
}

// bind appends a bind mount and says who opens its source, and when.
func (c *compiler) bind(m mount) {
	if !filepath.IsAbs(m.Source) {
		m.Source = filepath.Join(c.in.Bundle, m.Source)
	}
	if m.idMap != nil && c.in.Opener == InitOpens {
		c.found.add(m.Name, "an id-mapped mount takes CAP_SYS_ADMIN where its filesystem was mounted: root can have it, and not an ordinary user")
	}
	userns := Namespace(c.spec, specs.UserNamespace) != nil
	if m.idMap != nil || userns && c.in.Opener == ParentOpens || m.becomes(unix.MS_SHARED) && !userns {
		m.Flags |= plan.Supplied
		c.sources = append(c.sources, Source{
			Mount: len(c.plan.Mounts),
			Name:  m.Name,
			Path:  m.Source,
			Flags: m.Flags & (plan.Recursive | plan.SourceNoFollow | plan.CopySymlink),
			IDMap: m.idMap,
		})
	} else if ns := Namespace(c.spec, specs.MountNamespace); ns == nil || ns.Path == "" {
		// In a namespace that is joined the path may be another file.
		c.statSource(&m)
	}
	m.cutOff(c.plan.Rootfs.HostPropagation)
	c.plan.Mounts = append(c.plan.Mounts, m.Mount)
}

// cutOff makes a bind mount what the host's mounts become for the container, if its
// source is cloned before they do: what the container mounts on their peer would
// appear on the host.
func (m *mount) cutOff(host uint64) {
	if host&unix.MS_PRIVATE != 0 && m.becomes(unix.MS_SLAVE) {
		// A private mount is a slave of nobody.
		host = unix.MS_SLAVE | unix.MS_REC
		if m.Flags&plan.Supplied == 0 {
			m.Flags |= plan.CloneFirst
		}
	}
	early := m.Flags&(plan.Supplied|plan.CloneFirst) != 0
	if early && host != 0 && !m.becomes(unix.MS_SHARED) {
		m.Propagation = slices.Concat([]uint64{host}, m.Propagation)
	}
}

// statSource finds out whether a missing target is to be a file.
func (c *compiler) statSource(m *mount) {
	flags := 0
	if m.Flags&(plan.SourceNoFollow|plan.CopySymlink) != 0 {
		flags = unix.AT_SYMLINK_NOFOLLOW
	}
	var st unix.Stat_t
	if err := unix.Fstatat(unix.AT_FDCWD, m.Source, &st, flags); err != nil {
		c.found.add(at(m.Name, "source"), "%w", fault.New("stat", m.Source, err))
		return
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		m.Flags |= plan.SourceIsFile
	}
}

// expandCgroup puts the steps of a cgroup mount in its place: see Inputs.
func expandCgroup(m plan.Mount, steps []plan.Mount) []plan.Mount {
	out := make([]plan.Mount, len(steps))
	for i := range steps {
		step := steps[i]
		step.Name = m.Name
		step.Target = filepath.Join(m.Target, step.Target)
		if step.Kind != plan.Link {
			// The user's wish wins over what the step brings along.
			step.Set = step.Set&^(m.Clear|m.RecSet|m.RecClear) | m.Set
			step.Clear, step.RecSet, step.RecClear = m.Clear, m.RecSet, m.RecClear
		}
		if step.Kind == plan.NewFilesystem && (step.Type == "cgroup" || step.Type == "cgroup2") {
			step.Options = slices.Concat(step.Options, m.Options)
		}
		if i == 0 {
			step.Propagation = slices.Concat(step.Propagation, m.Propagation)
		}
		out[i] = step
	}
	return out
}

func (c *compiler) devices() error {
	policy := populateDev
	if slices.ContainsFunc(c.plan.Mounts, func(m plan.Mount) bool { return m.Kind == plan.Bind && m.Target == "/dev" }) {
		policy = keepDev
	}
	source := c.in.DeviceSource
	if Namespace(c.spec, specs.UserNamespace) != nil {
		source = plan.BindHost
	}
	addDevices(c.plan, devices(&c.found, c.spec), policy, source)
	return c.found.err()
}

func (c *compiler) sysctls() error {
	c.plan.Sysctls = sysctls(&c.found, c.spec)
	if err := c.found.err(); err != nil {
		return err
	}
	return ownNamespaces(c.spec)
}

func (c *compiler) process() (err error) {
	in := c.in.Process
	if in.Warn == nil {
		in.Warn = c.in.Warn
	}
	c.plan.Process, err = CompileProcess(c.spec, c.spec.Process, in)
	return err
}

func cleaned(paths []string) []string {
	out := make([]string, len(paths))
	for i, p := range paths {
		out[i] = filepath.Clean(p)
	}
	return out
}
