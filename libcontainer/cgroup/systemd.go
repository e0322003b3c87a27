package cgroup

import (
	"errors"
	"path"
	"strconv"
	"strings"
	"time"

	"hull/internal/dbus"
	"hull/internal/fault"
)

// systemManager is the private socket of the system's manager. It is there as
// soon as systemd is, and saves the way through a bus daemon.
const systemManager = "/run/systemd/private"

// unitTimeout is how long systemd may take for a job.
const unitTimeout = 30 * time.Second

// hangTimeout is how long one that has not answered before may take to be told of
// the end: what cannot be undone now is left to the next delete.
const hangTimeout = 2 * time.Second

// resolveUnit fills in the unit and where systemd will put its cgroup: below
// the manager's own, which is the root of what it manages.
func (c *Cgroup) resolveUnit(cfg Config) error {
	c.rec.Bus = cfg.Bus
	slice := "user.slice"
	if cfg.Bus == "" {
		c.rec.Bus, slice = systemManager, "system.slice"
	}
	if err := c.nameUnit(cfg, slice); err != nil {
		return err
	}
	below, err := expandSlice(c.rec.Slice)
	if err != nil {
		return fault.Newf("", "linux.cgroupsPath", "%q: %w", cfg.Path, err)
	}
	c.subgroup = cfg.Subgroup
	trees, err := c.system.trees()
	if err != nil {
		return err
	}
	base, err := managerCgroup(c.rec.Bus)
	if err != nil {
		return err
	}
	for _, t := range trees {
		c.rec.Hierarchies = append(c.rec.Hierarchies, Hierarchy{
			Controllers: t.controllers,
			Mount:       t.mount,
			Path:        path.Join(base, below, c.rec.Unit, c.subgroup),
		})
	}
	return nil
}

// nameUnit takes linux.cgroupsPath apart: slice:prefix:name, of which slice
// and prefix may be empty. A name that ends in .slice is the unit itself.
func (c *Cgroup) nameUnit(cfg Config, slice string) error {
	prefix, name := "hull", cfg.ID
	if cfg.Path != "" {
		f := strings.Split(cfg.Path, ":")
		if len(f) != 3 || f[2] == "" {
			return fault.Newf("", "linux.cgroupsPath", "%q: it does not have the form slice:prefix:name", cfg.Path).
				WithHint("the systemd cgroup driver is in use")
		}
		prefix, name = f[1], f[2]
		if f[0] != "" {
			slice = f[0]
		}
	}
	unit := name
	if !strings.HasSuffix(name, ".slice") {
		if prefix != "" {
			unit = prefix + "-" + unit
		}
		unit += ".scope"
	}
	if strings.Contains(unit, "/") {
		return fault.Newf("", "linux.cgroupsPath", "%q: the name of a unit must not have a slash", cfg.Path)
	}
	c.rec.Unit, c.rec.Slice = unit, slice
	return nil
}

var errSliceName = errors.New("the slice is not of the form a-b.slice")

// expandSlice returns where a slice is: "a-b.slice" is "/a.slice/a-b.slice"
// (systemd.slice(5)).
func expandSlice(slice string) (string, error) {
	name, ok := strings.CutSuffix(slice, ".slice")
	if !ok || name == "" || strings.Contains(name, "/") {
		return "", errSliceName
	}
	if name == "-" {
		return "/", nil
	}
	var dir strings.Builder
	for i, c := range name + "-" {
		if c != '-' {
			continue
		}
		if i == 0 || name[i-1] == '-' {
			return "", errSliceName
		}
		dir.WriteString("/" + name[:i] + ".slice")
	}
	return dir.String(), nil
}

// managerCgroup returns the cgroup that the manager behind the socket has as
// its root. The kernel says which process that is.
func managerCgroup(bus string) (string, error) {
	pid := 0
	err := awaitListener(time.Now().Add(unitTimeout), func(left time.Duration) (err error) {
		pid, err = dbus.PeerPID(bus, left)
		return err
	})
	if err != nil {
		return "", err
	}
	file := "/proc/" + strconv.Itoa(pid) + "/cgroup"
	content, err := readFile(file)
	if err != nil {
		return "", fault.New("read", file, err)
	}
	for _, kind := range [...]string{":name=systemd:", "0::"} {
		for line := range strings.Lines(content) {
			if _, own, ok := strings.Cut(strings.TrimSuffix(line, "\n"), kind); ok {
				return strings.TrimSuffix(own, "/init.scope"), nil
			}
		}
	}
	return "", fault.Newf("find the cgroup of systemd in", file, "it is not there")
}
