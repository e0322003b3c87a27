package libcontainer

import (
	"os"
	"strconv"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

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
