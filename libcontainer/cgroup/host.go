package cgroup

import (
	"slices"
	"strings"

	"hull/internal/dbus"
)

// Facts is what a host has for cgroups.
type Facts struct {
	// V1 and V2 are the controllers of each version, sorted. V2 has "cgroup",
	// the core, wherever the hierarchy is mounted.
	V1, V2 []string
	// Systemd says whether a service manager answers.
	Systemd bool
}

// Host looks at the hierarchies that are mounted, and for systemd.
func Host() Facts {
	var f Facts
	trees, err := standardSystem().trees()
	if err != nil {
		return f
	}
	for _, t := range trees {
		if t.controllers == "" {
			has, _ := readFile(t.mount + "/cgroup.controllers")
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
