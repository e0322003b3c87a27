package libcontainer

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/linux"
	"hull/libcontainer/plan"
	"hull/spec"
)

// identity is as whom something is done to files: with ids of the host, and with
// capabilities over some of them.
type identity struct {
	uid, gid uint32
	// groups are set if they are not nil.
	groups []uint32
	// caps are those over the files that isOwn is true for.
	caps  uint64
	isOwn func(*unix.Stat_t) bool
}

// programIdentity is that of the process. It is not known if the caller cannot
// try it, or if it depends on a namespace that is joined.
func (c *checker) programIdentity() (who identity, known bool) {
	p := &c.plan.Process
	if who, known = c.hostIdentity(p.UID, p.GID); !known {
		return who, false
	}
	if p.Groups == plan.SetGroups {
		who.groups = hostGroups(c.spec.Linux, p.AdditionalGIDs)
	}
	who.caps = p.Capabilities.Effective
	return who, true
}

// initIdentity is that of init while it builds the container: of the root of the
// user namespace, if there is one.
func (c *checker) initIdentity() (who identity, known bool) {
	if c.makesUsers() {
		return c.hostIdentity(0, 0)
	}
	return identity{
		uid: uint32(unix.Geteuid()), gid: uint32(unix.Getegid()),
		caps: c.held, isOwn: everybodys,
	}, spec.Namespace(c.spec, specs.UserNamespace) == nil
}

// hostIdentity is that of ids of the container, with all its capabilities: those of
// a user namespace are about the files of its ids only (user_namespaces(7)).
func (c *checker) hostIdentity(uid, gid uint32) (who identity, known bool) {
	l := c.spec.Linux
	switch {
	case spec.Namespace(c.spec, specs.UserNamespace) == nil:
		who = identity{uid: uid, gid: gid, caps: ^uint64(0), isOwn: everybodys}
	case c.makesUsers():
		hostUID, mapped := spec.HostID(l.UIDMappings, uid)
		hostGID, alike := spec.HostID(l.GIDMappings, gid)
		if !mapped || !alike {
			return who, false
		}
		who = identity{uid: hostUID, gid: hostGID, caps: ^uint64(0), isOwn: func(st *unix.Stat_t) bool {
			return hasID(l.UIDMappings, st.Uid) && hasID(l.GIDMappings, st.Gid)
		}}
	default:
		return who, false
	}
	const become = 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID
	own := who.uid == uint32(unix.Geteuid()) && who.gid == uint32(unix.Getegid())
	return who, own || c.held&become == become
}

func everybodys(*unix.Stat_t) bool { return true }

// access asks the kernel whether somebody may do to a file what mode says, as
// faccessat(2) has it: with no capability, unless one lets it pass anyway. A
// filesystem that is read-only nobody writes to.
func (who *identity) access(fd int, mode uint32) error {
	const flags = unix.AT_EACCESS | unix.AT_EMPTY_PATH
	err := onThread(func() error {
		if who.groups != nil {
			_ = linux.SetGroups(who.groups)
		}
		_ = unix.Setfsgid(int(who.gid))
		_ = unix.Setfsuid(int(who.uid))
		dropCapabilities()
		return unix.Faccessat2(fd, "", mode, flags)
	})
	var st unix.Stat_t
	if err == unix.EACCES && unix.Fstat(fd, &st) == nil && who.overrides(&st, mode) { //nolint:errorlint // of the call above
		return nil
	}
	return err
}

// overrides reports whether a capability lets pass what the mode of a file does not
// (capabilities(7)).
func (who *identity) overrides(st *unix.Stat_t, mode uint32) bool {
	enough := uint64(1 << unix.CAP_DAC_OVERRIDE)
	if mode == unix.X_OK && st.Mode&unix.S_IFMT == unix.S_IFDIR {
		enough |= 1 << unix.CAP_DAC_READ_SEARCH
	}
	return who.caps&enough != 0 && who.isOwn(st)
}

// hostGroups are groups as the host has them.
func hostGroups(l *specs.Linux, groups []uint32) []uint32 {
	if len(l.GIDMappings) == 0 {
		return groups
	}
	out := make([]uint32, len(groups))
	for i, g := range groups {
		out[i], _ = spec.HostID(l.GIDMappings, g)
	}
	return out
}

// hasID reports whether an id of the host is one of the user namespace.
func hasID(mappings []specs.LinuxIDMapping, host uint32) bool {
	for _, m := range mappings {
		if host >= m.HostID && host-m.HostID < m.Size {
			return true
		}
	}
	return false
}
