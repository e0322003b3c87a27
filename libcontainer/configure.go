package libcontainer

import (
	"cmp"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/libcontainer/cgroup"
	"hull/libcontainer/plan"
	"hull/nsenter"
	"hull/spec"
)

// configure does all that can fail because the configuration is wrong. It has
// no side effect.
func (n *creation) configure() error {
	if err := n.load(); err != nil {
		return err
	}
	if err := n.placeCgroup(); err != nil {
		return err
	}
	if err := n.compile(); err != nil {
		return err
	}
	if err := n.planNotify(); err != nil {
		return err
	}
	if err := checkConsole(n.plan.Process.Terminal, n.options.ConsoleSocket, n.options.Lifetime); err != nil {
		return err
	}
	console, err := openConsole(n.options.ConsoleSocket, n.options.SetUpTerminal)
	n.console = console
	n.closers = append(n.closers, console.close)
	return err
}

// compile makes the plan of a configuration that has been examined.
func (n *creation) compile() error {
	n.dropMountLabel()
	cgroupMounts, err := n.cgroupMounts()
	if err != nil {
		return err
	}
	if n.spec.Process != nil {
		if n.rlimits, err = spec.Rlimits(n.spec.Process); err != nil {
			return err
		}
	}
	process, err := n.processInputs()
	if err != nil {
		return err
	}
	inputs := spec.Inputs{ID: n.id, Bundle: n.bundle, CgroupMounts: cgroupMounts, Process: process, Warn: n.runtime.warn}
	inputs.Opener = n.opener()
	if n.options.Pivot == NoPivot {
		inputs.Pivot = plan.MoveRoot
	}
	n.plan, n.sources, err = spec.Compile(n.spec, inputs)
	return spec.Join(refuseLabels(n.spec.Process), err, refuseGroups(n.spec), n.planResctrl(), n.findDevices())
}

// opener says who clones the sources of bind mounts.
func (n *creation) opener() spec.Opener {
	if os.Geteuid() != 0 {
		return spec.InitOpens
	}
	return spec.ParentOpens
}

// load reads and checks the configuration.
func (n *creation) load() error {
	path := n.configPath()
	var err error
	if n.config, err = spec.Read(path); err != nil {
		return err
	}
	if err = n.examine(); n.spec == nil {
		return fault.New("load", path, err)
	}
	if err != nil {
		return fault.New("check", path, err)
	}
	return nil
}

// configPath is where the configuration is.
func (n *creation) configPath() string {
	return inBundle(n.bundle, cmp.Or(n.options.ConfigFile, "config.json"))
}

// inBundle is where a path leads that a bundle names: from its directory on. None
// stays none.
func inBundle(bundle, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(bundle, path)
}

// examine decodes the configuration and says all that is wrong with the document,
// whoever is to carry it out. There is no spec if it cannot be parsed.
func (n *creation) examine() error {
	s, err := spec.Examine(n.config)
	n.spec = s
	if s == nil {
		return err
	}
	filter, filterErr := filterOf(s)
	if filterErr == nil {
		n.filter = filter
	}
	var resources *specs.LinuxResources
	if s.Linux != nil {
		resources = s.Linux.Resources
	}
	return spec.Join(err, filterErr, cgroup.Validate(resources))
}

// dropMountLabel leaves linux.mountLabel out where there is no SELinux: no
// filesystem would know the option.
func (n *creation) dropMountLabel() {
	if n.spec.Linux == nil || n.spec.Linux.MountLabel == "" || selinuxEnabled() {
		return
	}
	n.runtime.warn(fault.Newf("use", "linux.mountLabel", "ignored: SELinux is not enabled on this host"))
	n.spec.Linux.MountLabel = ""
}

func (n *creation) processInputs() (spec.ProcessInputs, error) {
	in := spec.ProcessInputs{Kind: plan.Create, Groups: groupsOf(n.spec), Warn: n.runtime.warn}
	held, err := heldCapabilities(n.spec)
	if err != nil {
		return in, err
	}
	in.Held = held
	if n.options.Keyring == CallersKeyring {
		in.Keyring = plan.KeepKeyring
	}
	in.PreserveFDs = uint32(n.preserve)
	return in, nil
}

// groupsOf says what becomes of the supplementary groups of the caller.
func groupsOf(s *specs.Spec) plan.Groups {
	if value, ok := s.Annotations[spec.AnnotationKeepGroups]; ok && value != "0" {
		return plan.KeepGroups
	}
	return plan.SetGroups
}

// checkPreserved checks that the descriptors to preserve are there.
func checkPreserved(count int) error {
	if count < 0 {
		return fault.Newf("preserve", "descriptors", "a negative number of them: %d", count)
	}
	for fd := 3; fd < 3+count; fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			return fault.Newf("preserve", "descriptors", "descriptor %d: %w", fd, err)
		}
	}
	return nil
}

// cgroupMounts asks what a mount of type cgroup stands for on this host.
func (n *creation) cgroupMounts() ([]plan.Mount, error) {
	if !mountsCgroup(n.spec) {
		return nil, nil
	}
	own := cgroup.SharedNamespace
	if spec.Namespace(n.spec, specs.CgroupNamespace) != nil {
		own = cgroup.OwnNamespace
	}
	sources, err := n.cgroup.Mounts(own)
	if err != nil {
		return nil, err
	}
	return planCgroupMounts(sources), nil
}

// refuseGroups refuses groups that init could not take on: an ordinary user whose
// user namespace has his own group only gives up setgroups(2) for it.
func refuseGroups(s *specs.Spec) error {
	if s.Process == nil || len(s.Process.User.AdditionalGids) == 0 || groupsOf(s) == plan.KeepGroups ||
		!spec.IsNew(s, specs.UserNamespace) || !nsenter.DeniesGroups(mappings(s.Linux.GIDMappings)) {
		return nil
	}
	return fault.New("set", "process.user.additionalGids", unix.EPERM).
		WithHint("a user namespace with no group but the user's own denies setgroups(2): map more groups with newgidmap(1), or leave them out")
}
