package initproc

import (
	"errors"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/linux"
	"hull/libcontainer/plan"
)

// takeIDs makes the process who the program shall be, but keeps its own
// capabilities permitted. The order is the kernel's: the bounding set while CAP_SETPCAP is there, ids
// while CAP_SETUID is.
func (s *stage) takeIDs() (err error) {
	p := &s.plan.Process
	if s.own, err = ownCapabilities(); err != nil {
		return fault.New("read capabilities", "", err)
	}
	s.caps = s.grantable(p.Capabilities)
	unix.Umask(int(p.Umask))
	ownStreams(p)
	if err := dropBounding(s.caps.Bounding); err != nil {
		return err
	}
	if err := s.setGroups(); err != nil {
		return err
	}
	if err := setIDs(p); err != nil {
		return err
	}
	// The program is looked up with the rights that it will have.
	return setCapabilities(s.own, s.caps.Effective, 0)
}

// takeCapabilities lets go of what the program shall not have, but for what
// loading the filter takes.
func (s *stage) takeCapabilities() error {
	if err := s.keepForFilter(); err != nil {
		return err
	}
	if err := s.setOwn(s.caps.Effective); err != nil {
		return err
	}
	if err := raiseAmbient(s.caps.Ambient); err != nil {
		return err
	}
	if s.plan.Process.NoNewPrivs {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fault.New("set", "process.noNewPrivileges", err)
		}
	}
	return nil
}

// keepForFilter keeps CAP_SYS_ADMIN permitted, which a filter without
// no_new_privs takes (seccomp(2)), and not effective. Nobody has to drop it
// under the filter: execve(2) computes the program's capabilities from the
// other sets (capabilities(7), "Transformation of capabilities").
func (s *stage) keepForFilter() error {
	const admin = 1 << unix.CAP_SYS_ADMIN
	if len(s.filter.Program) == 0 || s.plan.Process.NoNewPrivs {
		return nil
	}
	if s.own&admin == 0 {
		return fault.New("load", "linux.seccomp", unix.EPERM).
			WithHint("without process.noNewPrivileges it takes CAP_SYS_ADMIN")
	}
	s.kept = admin
	return nil
}

func (s *stage) setOwn(effective uint64) error {
	return setCapabilities(s.caps.Permitted|s.kept, effective, s.caps.Inheritable)
}

// setGroups takes the supplementary groups of the program. Where an unprivileged
// user mapped a single group, the kernel denies it for good (user_namespaces(7)):
// those of the caller stay.
func (s *stage) setGroups() error {
	p := &s.plan.Process
	if p.Groups == plan.KeepGroups {
		return nil
	}
	err := linux.SetGroups(p.AdditionalGIDs)
	if err == nil {
		return nil
	}
	denied := errors.Is(err, unix.EPERM) && s.own&(1<<unix.CAP_SETGID) != 0
	if denied && len(p.AdditionalGIDs) == 0 {
		return nil
	}
	failed := fault.New("set", "process.user.additionalGids", err)
	switch {
	case denied:
		failed.Hint = "setgroups(2) is denied in this user namespace: map more groups with newgidmap(1), or leave them out"
	case errors.Is(err, unix.EINVAL):
		failed.Hint = hintUnmapped
	}
	return failed
}

const hintUnmapped = "the id is not mapped in the container's user namespace"

// setIDs takes the group and the user of the program.
func setIDs(p *plan.Process) error {
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return fault.New("keep capabilities", "", err)
	}
	if err := linux.SetGID(p.GID); err != nil {
		return unmapped("process.user.gid", err)
	}
	if err := linux.SetUID(p.UID); err != nil {
		return unmapped("process.user.uid", err)
	}
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 0, 0, 0, 0); err != nil {
		return fault.New("keep capabilities", "", err)
	}
	return nil
}

func unmapped(object string, cause error) error {
	err := fault.New("set", object, cause)
	if errors.Is(cause, unix.EINVAL) {
		err.Hint = hintUnmapped
	}
	return err
}

// ownCapabilities returns what this process is permitted, and what it can
// still gain.
func ownCapabilities() (permitted uint64, err error) {
	var data [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, err
	}
	return uint64(data[0].Permitted) | uint64(data[1].Permitted)<<32, nil
}

// grantable drops what hull does not hold itself, with a note: config.md says
// that a value which cannot be granted MUST be logged as a warning.
func (s *stage) grantable(c plan.Capabilities) plan.Capabilities {
	own := s.own
	if wanted := c.Bounding | c.Permitted; wanted&^own != 0 {
		s.note(fault.Newf("grant", "process.capabilities", "hull itself lacks the capabilities 0x%x", wanted&^own))
	}
	return plan.Capabilities{
		Bounding:    c.Bounding & own,
		Permitted:   c.Permitted & own,
		Effective:   c.Effective & own,
		Inheritable: c.Inheritable & own,
		Ambient:     c.Ambient & own,
	}
}

// dropBounding leaves keep in the bounding set. EINVAL ends the loop: there is
// no such capability in this kernel.
func dropBounding(keep uint64) error {
	for c := range 64 {
		if keep&(1<<c) != 0 {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0)
		if errors.Is(err, unix.EINVAL) {
			return nil
		}
		if err != nil {
			return fault.New("set", "process.capabilities.bounding", err)
		}
	}
	return nil
}

// setCapabilities sets three of the sets of the thread. Inheritable is what the
// configuration says and nothing more (CVE-2022-29162).
func setCapabilities(permitted, effective, inheritable uint64) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{
		{Effective: uint32(effective), Permitted: uint32(permitted), Inheritable: uint32(inheritable)},
		{Effective: uint32(effective >> 32), Permitted: uint32(permitted >> 32), Inheritable: uint32(inheritable >> 32)},
	}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fault.New("set", "process.capabilities", err).
			WithHint("effective must be within permitted, and inheritable within bounding")
	}
	return nil
}

// raiseAmbient sets the ambient set, which init does not have itself.
func raiseAmbient(ambient uint64) error {
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fault.New("clear", "process.capabilities.ambient", err)
	}
	for bit := range 64 {
		if ambient&(1<<bit) == 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(bit), 0, 0); err != nil {
			return fault.New("raise", "process.capabilities.ambient", err).
				WithHint("ambient capabilities must be in permitted and inheritable")
		}
	}
	return nil
}
