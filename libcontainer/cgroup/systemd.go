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
			Path:        path.Join(base, below, c.rec.Unit),
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
	pid, err := dbus.PeerPID(bus)
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

// startUnit creates the transient unit with pid in it, and returns when
// systemd has moved it. A failed unit of the same name is cleared away.
func (c *Cgroup) startUnit(pid int) error {
	conn, err := dbus.Dial(c.rec.Bus, unitTimeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	err = c.runJob(conn, "StartTransientUnit", "ssa(sv)a(sa(sv))", c.startArguments(pid))
	if isError(err, "UnitExists") {
		c.resetUnit(conn)
		err = c.runJob(conn, "StartTransientUnit", "ssa(sv)a(sa(sv))", c.startArguments(pid))
	}
	if err != nil {
		return fault.New("start systemd unit", c.rec.Unit, err)
	}
	return nil
}

func (c *Cgroup) startArguments(pid int) *dbus.Writer {
	w := &dbus.Writer{}
	w.String(c.rec.Unit)
	w.String("replace")
	w.Array(8, func() {
		textProperty(w, "Description", "container "+c.rec.Unit)
		if strings.HasSuffix(c.rec.Unit, ".slice") {
			property(w, "Wants", "as", func() { w.Array(4, func() { w.String(c.rec.Slice) }) })
		} else {
			textProperty(w, "Slice", c.rec.Slice)
			// The container may make cgroups below its own.
			boolProperty(w, "Delegate")
			property(w, "PIDs", "au", func() { w.Array(4, func() { w.Uint32(uint32(pid)) }) })
		}
		for _, name := range [...]string{"MemoryAccounting", "CPUAccounting", "IOAccounting", "TasksAccounting"} {
			boolProperty(w, name)
		}
		property(w, "DefaultDependencies", "b", func() { w.Bool(false) })
	})
	w.Array(8, func() {}) // no auxiliary units
	return w
}

// stopUnit makes systemd forget the unit. One that is gone is no error.
func (c *Cgroup) stopUnit() error {
	conn, err := dbus.Dial(c.rec.Bus, unitTimeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	w := &dbus.Writer{}
	w.String(c.rec.Unit)
	w.String("replace")
	err = c.runJob(conn, "StopUnit", "ss", w)
	c.resetUnit(conn)
	if err != nil && !isError(err, "NoSuchUnit") {
		return fault.New("stop systemd unit", c.rec.Unit, err)
	}
	return nil
}

// resetUnit clears a failed unit away. That it did not fail is no error.
func (c *Cgroup) resetUnit(conn *dbus.Conn) {
	w := &dbus.Writer{}
	w.String(c.rec.Unit)
	_, _ = conn.Call(managerMethod("ResetFailedUnit"), "s", w)
}

// runJob calls a method that starts a job, and waits until it is done. The
// private socket gets the manager's signals without asking for them.
func (c *Cgroup) runJob(conn *dbus.Conn, method, signature string, args *dbus.Writer) error {
	reply, err := conn.Call(managerMethod(method), signature, args)
	if err != nil {
		return err
	}
	job, err := reply.String()
	if err != nil {
		return err
	}
	for {
		signal, err := conn.NextSignal()
		if err != nil {
			return err
		}
		if signal.Member != "JobRemoved" {
			continue
		}
		done, result, err := jobRemoved(signal.Body)
		if err != nil {
			return err
		}
		if done != job {
			continue
		}
		if result != "done" {
			return errors.New("the job ended with " + strconv.Quote(result))
		}
		return nil
	}
}

// jobRemoved parses JobRemoved(u id, o job, s unit, s result).
func jobRemoved(r *dbus.Reader) (job, result string, err error) {
	_, err = r.Uint32()
	for _, s := range [...]*string{&job, new(string), &result} {
		if err == nil {
			*s, err = r.String()
		}
	}
	return job, result, err
}

func managerMethod(member string) dbus.Method {
	return dbus.Method{
		Destination: "org.freedesktop.systemd1",
		Path:        "/org/freedesktop/systemd1",
		Interface:   "org.freedesktop.systemd1.Manager",
		Member:      member,
	}
}

func isError(err error, name string) bool {
	var e *dbus.Error
	return errors.As(err, &e) && e.Name == "org.freedesktop.systemd1."+name
}

// property appends an element of a(sv).
func property(w *dbus.Writer, name, signature string, value func()) {
	w.Struct()
	w.String(name)
	w.Variant(signature, value)
}

func textProperty(w *dbus.Writer, name, v string) {
	property(w, name, "s", func() { w.String(v) })
}

func boolProperty(w *dbus.Writer, name string) {
	property(w, name, "b", func() { w.Bool(true) })
}

func numberProperty(w *dbus.Writer, name string, v uint64) {
	property(w, name, "t", func() { w.Uint64(v) })
}
