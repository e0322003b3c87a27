package libcontainer

import (
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/inroot"
)

// resolveUser puts ExecOptions.User into the process.
func (e *execution) resolveUser() error {
	if e.options.User == "" {
		return nil
	}
	name, group, hasGroup := strings.Cut(e.options.User, ":")
	process := *e.options.Process
	if err := e.resolveName(name, &process.User.UID, &process.User.GID); err != nil {
		return err
	}
	if hasGroup {
		if err := e.resolveGroup(group, &process.User.GID); err != nil {
			return err
		}
	}
	e.options.Process = &process
	return nil
}

// parseID reads a decimal id, the whole of s. A name that looks like a number
// is a number, and nothing else does (CVE-2016-3697, CVE-2026-30892). The
// largest value is the kernel's "no id".
func parseID(s string) (id uint32, ok bool) {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	v, err := strconv.ParseUint(s, 10, 32)
	if err != nil || v == math.MaxUint32 {
		return 0, false
	}
	return uint32(v), true
}

// looksNumeric tells names, which are looked up, from what was meant as a
// number and is none.
func looksNumeric(s string) bool {
	return s == "" || strings.ContainsAny(s[:1], "0123456789+- ")
}

func (e *execution) resolveName(name string, uid, gid *uint32) error {
	if id, ok := parseID(name); ok {
		*uid = id
		return nil
	}
	if looksNumeric(name) {
		return fault.Newf("use user", strconv.Quote(e.options.User), "the uid is not a number from 0 to 4294967294")
	}
	f, err := e.openInContainer("/etc/passwd")
	if err != nil {
		return fault.New("use user", strconv.Quote(name), err)
	}
	defer f.Close()
	users, err := user.ParsePasswdFilter(f, func(u user.User) bool { return u.Name == name })
	if err != nil || len(users) == 0 {
		return fault.Newf("use user", strconv.Quote(name), "no such user in the container's /etc/passwd")
	}
	*uid, *gid = uint32(users[0].Uid), uint32(users[0].Gid)
	return nil
}

func (e *execution) resolveGroup(name string, gid *uint32) error {
	if id, ok := parseID(name); ok {
		*gid = id
		return nil
	}
	if looksNumeric(name) {
		return fault.Newf("use user", strconv.Quote(e.options.User), "the gid is not a number from 0 to 4294967294")
	}
	f, err := e.openInContainer("/etc/group")
	if err != nil {
		return fault.New("use group", strconv.Quote(name), err)
	}
	defer f.Close()
	groups, err := user.ParseGroupFilter(f, func(g user.Group) bool { return g.Name == name })
	if err != nil || len(groups) == 0 {
		return fault.Newf("use group", strconv.Quote(name), "no such group in the container's /etc/group")
	}
	*gid = uint32(groups[0].Gid)
	return nil
}

// openInContainer opens a regular file of the container, wherever its symbolic
// links lead inside.
func (e *execution) openInContainer(unsafePath string) (*os.File, error) {
	root, err := inroot.OpenRoot("/proc/" + strconv.Itoa(e.container.record.PID) + "/root")
	if err != nil {
		return nil, err
	}
	defer root.Close()
	// The pid was still init's after that, or else the root is another's.
	init, err := e.container.pidfd()
	if err != nil {
		return nil, err
	}
	unix.Close(init)
	// O_NONBLOCK: it may be a fifo.
	h, err := root.OpenFile(unsafePath, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil, fault.New("open the container's", unsafePath, err)
	}
	st, err := h.Stat()
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = unix.EINVAL
	}
	if err != nil {
		h.Close()
		return nil, fault.New("open the container's", unsafePath, err)
	}
	return os.NewFile(uintptr(h.FD()), unsafePath), nil
}
