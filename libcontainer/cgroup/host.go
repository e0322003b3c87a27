package cgroup

import (
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"hull/internal/dbus"
)

// Facts is what a host has for cgroups that this process may make.
type Facts struct {
	// V1 and V2 are the controllers of each version, sorted. V2 has "cgroup",
	// the core, wherever cgroups can be made.
	V1, V2 []string
	// Systemd says whether a service manager answers.
	Systemd bool
}

// Host looks at the hierarchies that are mounted, and for systemd. A hierarchy
// in which this process may not make a cgroup is left out.
func Host() Facts {
	var f Facts
	trees, err := standardSystem().trees()
	if err != nil {
		return f
	}
	for _, t := range trees {
		dir, ok := t.writable()
		if !ok {
			continue
		}
		if t.controllers == "" {
			has, _ := readFile(dir + "/cgroup.controllers")
			f.V2 = append(strings.Fields(has), "cgroup")
			continue
		}
		if !strings.HasPrefix(t.controllers, "name=") {
			f.V1 = append(f.V1, strings.Split(t.controllers, ",")...)
		}
	}
	slices.Sort(f.V1)
	slices.Sort(f.V2)
	_, err = dbus.PeerPID(systemManager, unitTimeout)
	f.Systemd = err == nil
	return f
}

// writable returns where in the tree this process may make cgroups: at its root,
// or in what it was given (cgroups(7), "Delegation").
func (t tree) writable() (dir string, ok bool) {
	for _, dir := range [...]string{t.mount, path.Join(t.mount, path.Clean("/"+t.own))} {
		if unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK, unix.AT_EACCESS) == nil {
			return dir, true
		}
	}
	return "", false
}
