package cgroup

import (
	"errors"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hull/internal/dbus"
	"hull/internal/fault"
	"hull/internal/linux"
)

// talk has a conversation with the manager. One that is executed again (systemctl
// daemon-reexec) closes all its connections and goes on with what it was told: the
// conversation is had once more then, and must bear it. All of them together have
// the time of one, which is about a method.
func (c *Cgroup) talk(method string, conversation func(conn *dbus.Conn) error) (err error) {
	timeout := unitTimeout
	if c.hangs {
		timeout = hangTimeout
	}
	deadline := time.Now().Add(timeout)
	defer func() { c.hangs = c.hangs || errors.Is(err, unix.ETIMEDOUT) }()
	for lost := 0; ; lost++ {
		conn, err := dial(c.rec.Bus, deadline)
		if err != nil {
			err = c.explainCall(method, err)
		} else {
			err = conversation(conn)
			conn.Close()
		}
		if !dbus.IsLost(err) || lost == restarts {
			return err
		}
	}
}

// restarts bounds how often a manager may hang up on a conversation.
const restarts = 3

// dial connects to a manager. One that is starting again has a socket on which it
// does not listen yet, for some 100 ms.
func dial(bus string, deadline time.Time) (conn *dbus.Conn, err error) {
	err = awaitListener(deadline, func(left time.Duration) error {
		conn, err = dbus.Dial(bus, left)
		return err
	})
	return conn, err
}

// patience is when it is not worth another attempt.
const patience = 100 * time.Millisecond

// awaitListener calls connect until it is not refused, or the time is over. A slow
// machine takes long to start its manager again, and the socket that a dead one has
// left looks the same.
func awaitListener(deadline time.Time, connect func(left time.Duration) error) error {
	for {
		err := connect(time.Until(deadline))
		if !errors.Is(err, unix.ECONNREFUSED) || time.Until(deadline) < patience {
			return err
		}
		linux.AwaitSchedule()
	}
}

// startUnit creates the transient unit with pid in it, and returns when
// systemd has moved it. A failed unit of the same name is cleared away.
func (c *Cgroup) startUnit(pid int) error {
	asked := false
	return c.talk("StartTransientUnit", func(conn *dbus.Conn) error {
		before := asked
		asked = true
		err := c.runJob(conn, "StartTransientUnit", "ssa(sv)a(sa(sv))", c.startArguments(pid))
		if !isError(err, "UnitExists") {
			return err
		}
		if before && c.awaitInUnit(pid) {
			return nil
		}
		c.resetUnit(conn)
		err = c.runJob(conn, "StartTransientUnit", "ssa(sv)a(sa(sv))", c.startArguments(pid))
		if isError(err, "UnitExists") {
			// Since EnsureUnused: it is somebody else's, to kill and to remove.
			c.rec = Record{Driver: Disabled}
		}
		return err
	})
}

// awaitInUnit reports whether systemd, which was asked for the unit before it was
// executed again, puts the process into it as it was asked to.
func (c *Cgroup) awaitInUnit(pid int) bool {
	for begun := time.Now(); time.Since(begun) < unitTimeout; linux.AwaitSchedule() {
		if c.hasInUnit(pid) {
			return true
		}
	}
	return false
}

// hasInUnit reports whether systemd has put the process into the unit.
func (c *Cgroup) hasInUnit(pid int) bool {
	content, err := readFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	return err == nil && strings.Contains(content, "/"+c.rec.Unit+"\n")
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
		for _, p := range c.properties {
			property(w, p.name, p.value.Signature, func() { w.Value(p.value) })
		}
	})
	w.Array(8, func() {}) // no auxiliary units
	return w
}

// attach has a user's service manager bring pid in. The user may not move it:
// the kernel wants the cgroup above both, that of the place it comes from as
// well, to be the user's (cgroups(7), "Delegation").
func (c *Cgroup) attach(pid int, subs []Sub, init int) error {
	u := c.unified()
	if u == nil {
		return fault.New("move process to", c.rec.Unit, ErrNoCgroup)
	}
	below, err := CleanBelow(u.sub(subs, init))
	if err != nil {
		return fault.New("move process to", c.rec.Unit, err)
	}
	_, inner, _ := strings.Cut(u.Path, "/"+c.rec.Unit)
	w := &dbus.Writer{}
	w.String(c.rec.Unit)
	w.String(path.Join("/", inner, below))
	w.Array(4, func() { w.Uint32(uint32(pid)) })
	return c.talk("AttachProcessesToUnit", func(conn *dbus.Conn) error {
		_, err := c.callManager(conn, "AttachProcessesToUnit", "ssau", w)
		return err
	})
}

// stopUnit makes systemd forget the unit. One that is gone is no error.
func (c *Cgroup) stopUnit() error {
	w := &dbus.Writer{}
	w.String(c.rec.Unit)
	w.String("replace")
	err := c.talk("StopUnit", func(conn *dbus.Conn) error {
		err := c.runJob(conn, "StopUnit", "ss", w)
		if dbus.IsLost(err) {
			return err
		}
		c.resetUnit(conn)
		if isError(err, "NoSuchUnit") {
			return nil
		}
		return err
	})
	if (errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ECONNREFUSED)) && !c.isThere() {
		return nil // it went with its manager
	}
	return err
}

// isThere reports whether there is anything of the cgroup.
func (c *Cgroup) isThere() bool {
	return slices.ContainsFunc(c.rec.Hierarchies, func(h Hierarchy) bool { return h.exists() })
}

// resetUnit clears a failed unit away. That it did not fail is no error.
func (c *Cgroup) resetUnit(conn *dbus.Conn) {
	w := &dbus.Writer{}
	w.String(c.rec.Unit)
	_, _ = c.callManager(conn, "ResetFailedUnit", "s", w)
}

// What the manager is called on its socket.
const (
	systemdName = "org.freedesktop.systemd1"
	systemdPath = "/org/freedesktop/systemd1"
)

// callManager calls a method of systemd about the unit. The error says which,
// and what systemd said.
func (c *Cgroup) callManager(conn *dbus.Conn, method, signature string, args *dbus.Writer) (*dbus.Reader, error) {
	reply, err := conn.Call(dbus.Method{
		Destination: systemdName,
		Path:        systemdPath,
		Interface:   "org.freedesktop.systemd1.Manager",
		Member:      method,
	}, signature, args)
	if err != nil {
		return nil, c.explainCall(method, err)
	}
	return reply, nil
}

func (c *Cgroup) explainCall(method string, err error) error {
	f := fault.New("call systemd's "+method+" for", c.rec.Unit, err)
	if errors.Is(err, unix.ETIMEDOUT) {
		return f.WithHint("no answer in time")
	}
	return f
}

// runJob calls a method that starts a job, and waits until it is done. The
// private socket gets the manager's signals without asking for them.
func (c *Cgroup) runJob(conn *dbus.Conn, method, signature string, args *dbus.Writer) error {
	reply, err := c.callManager(conn, method, signature, args)
	if err != nil {
		return err
	}
	job, err := reply.String()
	for err == nil {
		var signal dbus.Signal
		if signal, err = conn.NextSignal(); err != nil || signal.Member != "JobRemoved" {
			continue
		}
		var done, result string
		if done, result, err = jobRemoved(signal.Body); err != nil || done != job {
			continue
		}
		if result == "done" {
			return nil
		}
		err = errors.New("the job ended with " + strconv.Quote(result))
	}
	return c.explainCall(method, err)
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

func isError(err error, name string) bool {
	var e *dbus.Error
	return errors.As(err, &e) && e.Name == "org.freedesktop.systemd1."+name
}
