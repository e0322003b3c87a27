package libcontainer

import (
	"os"
	"slices"
	"strconv"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/libcontainer/plan"
	"hull/spec"
)

// idMapper maps the ids of mounts. Engines write one mapping beside each of a
// container's volumes, and each namespace to name it by costs a process: the last
// one is kept.
type idMapper struct {
	// pid is the container's init.
	pid    int
	last   spec.IDMap
	userns *os.File
}

func (m *idMapper) close() {
	if m.userns != nil {
		m.userns.Close()
	}
}

// apply gives a detached mount the mapping of a user namespace
// (mount_setattr(2)).
func (m *idMapper) apply(mount int, to *spec.IDMap) error {
	if err := m.open(to); err != nil {
		return err
	}
	flags := uint(unix.AT_EMPTY_PATH)
	if to.Flags&plan.Recursive != 0 {
		flags |= unix.AT_RECURSIVE
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(m.userns.Fd())}
	return unix.MountSetattr(mount, "", flags, &attr)
}

func (m *idMapper) open(to *spec.IDMap) (err error) {
	if m.userns != nil && to.UserNamespace == m.last.UserNamespace &&
		slices.Equal(to.UIDs, m.last.UIDs) && slices.Equal(to.GIDs, m.last.GIDs) {
		return nil
	}
	m.close()
	m.last = *to
	switch {
	case to.UserNamespace != "":
		m.userns, err = os.Open(to.UserNamespace)
	case len(to.UIDs) == 0 && len(to.GIDs) == 0:
		m.userns, err = os.Open("/proc/" + strconv.Itoa(m.pid) + "/ns/user")
	default:
		m.userns, err = userNamespace(to.UIDs, to.GIDs)
	}
	return err
}

// userNamespace makes a user namespace with the given mappings, in which no
// process lives once the descriptor is there: an id-mapped mount needs one to
// name its mapping by (mount_setattr(2)).
func userNamespace(uids, gids []specs.LinuxIDMapping) (*os.File, error) {
	// A child that stops before it executes anything holds the namespace
	// until it is opened. PTRACE_TRACEME stops it at execve(2).
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"hull:userns"}, &syscall.ProcAttr{
		Sys: &syscall.SysProcAttr{
			Cloneflags:                 unix.CLONE_NEWUSER,
			UidMappings:                systemMappings(uids),
			GidMappings:                systemMappings(gids),
			GidMappingsEnableSetgroups: true,
			Ptrace:                     true,
			Pdeathsig:                  unix.SIGKILL,
		},
	})
	if err != nil {
		return nil, err
	}
	defer killAndReap(pid)
	return os.Open("/proc/" + strconv.Itoa(pid) + "/ns/user")
}

func systemMappings(in []specs.LinuxIDMapping) []syscall.SysProcIDMap {
	out := make([]syscall.SysProcIDMap, len(in))
	for i, m := range in {
		out[i] = syscall.SysProcIDMap{ContainerID: int(m.ContainerID), HostID: int(m.HostID), Size: int(m.Size)}
	}
	return out
}
