package nsenter

import (
	"strings"

	"golang.org/x/sys/unix"
)

// Names renders CLONE_NEW* flags with the words of config.json, as "pid,
// network".
func Names(flags uint64) string {
	var names []string
	for _, n := range [...]struct {
		flag uint64
		name string
	}{
		{unix.CLONE_NEWUSER, "user"},
		{unix.CLONE_NEWPID, "pid"},
		{unix.CLONE_NEWNET, "network"},
		{unix.CLONE_NEWNS, "mount"},
		{unix.CLONE_NEWIPC, "ipc"},
		{unix.CLONE_NEWUTS, "uts"},
		{unix.CLONE_NEWCGROUP, "cgroup"},
		{unix.CLONE_NEWTIME, "time"},
	} {
		if flags&n.flag != 0 {
			names = append(names, n.name)
		}
	}
	if len(names) == 0 {
		return "init process, no"
	}
	return strings.Join(names, ", ")
}
