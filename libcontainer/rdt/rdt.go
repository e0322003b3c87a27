// Package rdt gives containers a share of caches and memory bandwidth, and
// counts what they use of them, through the resctrl filesystem of a CPU with
// Intel RDT or something like it (config-linux.md, "IntelRdt"; resctrl.rst of the
// kernel).
//
// It does not mount resctrl: who does decides on options that hold for the whole
// machine. The mount point is a parameter of all that it does.
package rdt

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// MountPoint returns where resctrl is mounted for the calling process.
func MountPoint() (string, error) {
	mounts, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		found := m.FSType == "resctrl" && m.Root == "/"
		return !found, found
	})
	if err != nil {
		return "", fault.New("look for resctrl in", "/proc/self/mountinfo", err)
	}
	if len(mounts) == 0 {
		return "", fault.Newf("use", "linux.intelRdt", "no resctrl filesystem is mounted").
			WithHint("`mount -t resctrl resctrl /sys/fs/resctrl` does, if CPU and kernel have it") //nolint:dupword // type and source
	}
	return mounts[0].Mountpoint, nil
}

// Support is what this machine can do.
type Support struct {
	// Schemata says that there are classes of service, which takes a mounted
	// resctrl.
	Schemata bool
	// Monitoring says that there are monitoring groups.
	Monitoring bool
}

// Probe finds out what this machine can do for this process, which has to write to
// resctrl.
func Probe() Support {
	mount, err := MountPoint()
	if err != nil || unix.Faccessat(unix.AT_FDCWD, mount, unix.W_OK, unix.AT_EACCESS) != nil {
		return Support{}
	}
	return support(mount)
}

func support(mount string) Support {
	return Support{Schemata: exists(mount, "schemata"), Monitoring: exists(mount, "mon_groups")}
}

// Place is where the processes of a container are. The zero value is nowhere.
type Place struct {
	// Class is the directory of the class of service.
	Class string
	// Owned says that the class is removed with the container.
	Owned bool
	// Monitor is the directory of the monitoring group, or "".
	Monitor string
}

// Join puts a process into its place; its children will be there as well. Like
// everything in resctrl it is about a single thread: the process must not have
// any other.
func (p Place) Join(pid int) error {
	// The class comes first: a monitoring group takes only what is in its
	// class.
	for _, dir := range [...]string{p.Class, p.Monitor} {
		if dir == "" {
			continue
		}
		if err := write(filepath.Join(dir, "tasks"), strconv.Itoa(pid)); err != nil {
			return fault.New("join", dir, err)
		}
	}
	return nil
}

// Remove removes what was made for the container. What is gone is no error.
func (p Place) Remove() error {
	var errs []error
	if p.Monitor != "" {
		errs = append(errs, removeGroup(p.Monitor))
	}
	if p.Owned {
		errs = append(errs, removeGroup(p.Class))
	}
	return errors.Join(errs...)
}

// removeGroup removes a directory; the kernel moves the tasks in it up.
func removeGroup(dir string) error {
	if err := unix.Rmdir(dir); err != nil && !errors.Is(err, unix.ENOENT) {
		return fault.New("remove", dir, err)
	}
	return nil
}

// Group is the place of a container that is being made.
type Group struct {
	place  Place
	mount  string
	config *specs.LinuxIntelRdt
	// missing says that the class has to be made, made that it was.
	missing, made bool
	// mkdir is mkdir(2). In resctrl the new directory has its files at once;
	// elsewhere, that is in tests, somebody has to make them.
	mkdir func(path string, mode uint32) error
}

// Plan works out the place of the container with the given ID in the resctrl
// that is mounted at mount, and checks that it can be made. It changes nothing.
func Plan(mount, id string, config *specs.LinuxIntelRdt) (*Group, error) {
	g := &Group{mount: mount, config: config, mkdir: unix.Mkdir}
	g.place = Place{Class: filepath.Join(mount, id), Owned: true}
	if config.ClosID != "" {
		g.place = Place{Class: filepath.Join(mount, config.ClosID)}
	}
	g.missing = !exists(g.place.Class)
	if err := g.checkClass(); err != nil {
		return nil, err
	}
	if config.EnableMonitoring {
		g.place.Monitor = filepath.Join(g.place.Class, "mon_groups", id)
		if err := g.checkMonitor(); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// checkClass follows the rules for closID in config-linux.md, "IntelRdt".
func (g *Group) checkClass() error {
	const closID = "linux.intelRdt.closID"
	switch {
	case g.place.Owned && !g.missing:
		return fault.Newf("make class", g.place.Class, "exists already").
			WithHint("remove it, or name it in %s to join it", closID)
	case g.missing && !g.place.Owned && len(g.values()) == 0:
		return fault.Newf("use", closID, "there is no %s", g.place.Class).
			WithHint("make and configure it beforehand, or set linux.intelRdt.schemata to have it made")
	case g.missing:
		return nil
	case !exists(g.place.Class, "tasks"):
		return fault.Newf("use", closID, "%s is not a class of service", g.place.Class)
	}
	return g.compare()
}

// compare checks that a class that is there already is what the configuration
// wants it to be. The rules name only these two properties: linux.intelRdt.schemata
// is written.
func (g *Group) compare() error {
	b, err := os.ReadFile(filepath.Join(g.place.Class, "schemata"))
	if err != nil {
		return fault.New("compare", "linux.intelRdt", err)
	}
	for _, v := range g.values() {
		if v.path == pathSchemata || g.agrees(v.text, string(b)) {
			continue
		}
		return fault.Newf("use", v.path, "%q differs from what %s has: %q", v.text, g.place.Class, strings.TrimSpace(string(b))).
			WithHint("another linux.intelRdt.closID makes another class")
	}
	return nil
}

func (g *Group) checkMonitor() error {
	switch {
	case !support(g.mount).Monitoring:
		return fault.Newf("use", "linux.intelRdt.enableMonitoring", "there is no %s/mon_groups", g.mount).
			WithHint("the CPU and the kernel have to support monitoring")
	case exists(g.place.Monitor):
		return fault.Newf("make monitoring group", g.place.Monitor, "exists already").
			WithHint("remove it, or give the container another ID")
	}
	return nil
}

// Place returns the place. It is there after Make.
func (g *Group) Place() Place { return g.place }

// Make makes what is missing of the place, and configures the class. If it fails,
// some of that may be there: the caller ends with Undo.
func (g *Group) Make() error {
	if g.missing {
		if err := g.makeGroup(g.place.Class); err != nil {
			return err
		}
		g.made = true
	}
	for _, v := range g.values() {
		if err := write(filepath.Join(g.place.Class, "schemata"), v.text+"\n"); err != nil {
			return g.explain(fault.New("write "+v.path+" to", g.place.Class, err))
		}
	}
	if g.place.Monitor == "" {
		return nil
	}
	return g.makeGroup(g.place.Monitor)
}

func (g *Group) makeGroup(dir string) error {
	err := g.mkdir(dir, 0o755)
	if err == nil {
		return nil
	}
	failed := fault.New("make", dir, err)
	if errors.Is(err, unix.ENOSPC) {
		return failed.WithHint("the CPU has no more of them: see num_closids and num_rmids in %s/info", g.mount)
	}
	return g.explain(failed)
}

// explain adds what the kernel has to say (resctrl.rst, "info/last_cmd_status").
func (g *Group) explain(failed *fault.Error) error {
	b, err := os.ReadFile(filepath.Join(g.mount, "info", "last_cmd_status"))
	if status := strings.TrimSpace(string(b)); err == nil && status != "ok" {
		failed.Hint = status
	}
	return failed
}

// Undo removes what Make has made, unless somebody else is in the class by now.
func (g *Group) Undo() error {
	p := g.place
	tasks, err := os.ReadFile(filepath.Join(p.Class, "tasks"))
	p.Owned = g.made && err == nil && len(tasks) == 0
	return p.Remove()
}

// write writes a file of resctrl, which takes what one write(2) gives it.
func write(path, text string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_TRUNC|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(text))
	return err
}

func exists(path ...string) bool {
	return unix.Access(filepath.Join(path...), unix.F_OK) == nil
}
