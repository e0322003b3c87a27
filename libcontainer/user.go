package libcontainer

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/inroot"
	"hull/internal/passwd"
)

// resolveUser puts ExecOptions.User into the process. A user who is named
// without a group is in all of his own.
func (e *execution) resolveUser() error {
	if e.options.User == "" {
		return nil
	}
	name, group, hasGroup := strings.Cut(e.options.User, ":")
	process := *e.options.Process
	named, err := e.resolveName(name, &process.User)
	switch {
	case err != nil:
		return err
	case hasGroup:
		err = e.resolveGroup(group, &process.User.GID)
	case named:
		err = e.addGroups(name, &process.User)
	}
	e.options.Process = &process
	return err
}

// looksNumeric tells names, which are looked up, from what was meant as a number
// and is none. A name that looks like a number is a number (CVE-2016-3697,
// CVE-2026-30892).
func looksNumeric(s string) bool {
	return s == "" || strings.ContainsAny(s[:1], "0123456789+- ")
}

// resolveName sets the user, and the group too if it was a name.
func (e *execution) resolveName(name string, u *specs.User) (named bool, err error) {
	if id, ok := passwd.ParseID(name); ok {
		u.UID = id
		return false, nil
	}
	if looksNumeric(name) {
		return false, fault.Newf("use user", strconv.Quote(e.options.User), "the uid is not a number from 0 to 4294967294")
	}
	err = e.look("/etc/passwd", func(fd int) error {
		found, ok, err := passwd.FindUser(fd, func(u *passwd.User) bool { return u.Name == name })
		if err == nil && !ok {
			return fault.Newf("", "", "no such user in the container's /etc/passwd")
		}
		u.UID, u.GID = found.UID, found.GID
		return err
	})
	if err != nil {
		return false, fault.New("use user", strconv.Quote(name), err)
	}
	return true, nil
}

func (e *execution) resolveGroup(name string, gid *uint32) error {
	if id, ok := passwd.ParseID(name); ok {
		*gid = id
		return nil
	}
	if looksNumeric(name) {
		return fault.Newf("use user", strconv.Quote(e.options.User), "the gid is not a number from 0 to 4294967294")
	}
	err := e.look("/etc/group", func(fd int) error {
		found, ok, err := passwd.FindGroup(fd, name)
		if err == nil && !ok {
			return fault.Newf("", "", "no such group in the container's /etc/group")
		}
		*gid = found
		return err
	})
	if err != nil {
		return fault.New("use group", strconv.Quote(name), err)
	}
	return nil
}

// addGroups adds those that have the user as a member. A container need not have
// groups at all.
func (e *execution) addGroups(name string, u *specs.User) error {
	err := e.look("/etc/group", func(fd int) error {
		more, err := passwd.GroupsOf(fd, name)
		u.AdditionalGids = append(slices.Clip(u.AdditionalGids), more...)
		return err
	})
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fault.New("find the groups of", strconv.Quote(name), err)
	}
	return nil
}

// look reads a file of the container, wherever its symbolic links lead inside.
func (e *execution) look(unsafePath string, read func(fd int) error) error {
	root, err := inroot.OpenRoot("/proc/" + strconv.Itoa(e.container.record.PID) + "/root")
	if err != nil {
		return err
	}
	defer root.Close()
	// The pid was still init's after that, or else the root is another's.
	init, err := e.container.pidfd()
	if err != nil {
		return err
	}
	unix.Close(init)
	// O_NONBLOCK: it may be a fifo.
	h, err := root.OpenFile(unsafePath, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err == nil {
		defer h.Close()
		err = read(h.FD())
	}
	if err != nil {
		return fault.New("read the container's", unsafePath, err)
	}
	return nil
}
