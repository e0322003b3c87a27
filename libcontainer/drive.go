package libcontainer

import (
	"context"
	"errors"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/linux"
	"hull/libcontainer/link"
	"hull/libcontainer/plan"
	"hull/nsenter"
)

// drive is the parent's side of the link to one init process.
type drive struct {
	runtime    *Runtime
	pid        int
	conn       *link.Conn
	plan       *plan.Plan
	namespaces *nsenter.Namespaces
	console    *os.File
}

func newDrive(r *Runtime, pid, socket int, p *plan.Plan, ns *nsenter.Namespaces) *drive {
	return &drive{runtime: r, pid: pid, conn: link.NewConn(socket), plan: p, namespaces: ns}
}

func (d *drive) close() { _ = d.conn.Close() }

// killWith kills init when ctx ends, which ends every wait for it, until stop is
// called, which tells whether it has. The caller must call stop before it reaps
// init: the pid is its own until then.
func (d *drive) killWith(ctx context.Context) (stop func() (killed bool)) {
	done := make(chan struct{})
	undo := context.AfterFunc(ctx, func() {
		defer close(done)
		_ = unix.Kill(d.pid, unix.SIGKILL)
	})
	return sync.OnceValue(func() bool {
		if undo() {
			return false
		}
		<-done
		return true
	})
}

// sendPlan sends the plan, then the sources in as many messages as it takes.
func (d *drive) sendPlan(files, sources []int) error {
	d.conn.Follow(link.Script(d.plan))
	if err := d.send(link.Message{Kind: link.Plan, Payload: plan.Encode(d.plan), Files: files}); err != nil {
		return err
	}
	for len(sources) > 0 {
		n := min(len(sources), link.MaxFiles)
		if err := d.send(link.Message{Kind: link.Sources, Files: sources[:n]}); err != nil {
			return err
		}
		sources = sources[n:]
	}
	return nil
}

func (d *drive) send(m link.Message) error {
	err := d.conn.Send(m)
	if errors.Is(err, link.ErrClosed) {
		// What init had to say last is still there to be read.
		_, err = d.receive()
	}
	return err
}

// receive returns the next message that is not a note. What init reports as its
// failure is the error, and so is its death.
func (d *drive) receive() (link.Message, error) {
	for {
		m, err := d.conn.Receive(func(b []byte) (error, bool) { return nsenter.IsFailure(b, d.namespaces) })
		if errors.Is(err, link.ErrClosed) {
			return m, d.died()
		}
		if err != nil {
			return m, err
		}
		switch m.Kind {
		case link.Note:
			d.runtime.warn(fault.Decode(m.Payload))
		case link.Failed:
			return m, fault.Decode(m.Payload)
		default:
			return m, nil
		}
	}
}

// unlessEnded returns err or, if that is but the consequence of it, why init has
// ended: systemd removes a scope with its last process.
func (d *drive) unlessEnded(err error) error {
	if linux.HasEnded(d.pid) {
		if _, cause := d.receive(); cause != nil {
			return cause
		}
	}
	return err
}

// died is the error of an init that ended without a word.
func (d *drive) died() error {
	return fault.New("start", "init", errors.New(howEnded(d.pid))).
		WithHint("linux.resources.memory.limit, linux.resources.pids.limit, or a limit of a cgroup above, may be too small; the kernel log tells of the out-of-memory killer")
}

// howEnded says how an init process ended, if it is a child of this one.
func howEnded(pid int) string {
	exit, err := linux.PeekExit(pid)
	switch {
	case err != nil:
		return "the init process ended without a report"
	case exit.Signal != 0:
		return "the init process was killed by " + unix.SignalName(exit.Signal)
	}
	return "the init process exited with status " + strconv.Itoa(exit.Code)
}

// converse answers init until it is done. Ready and hooks are what the parent
// does meanwhile.
func (d *drive) converse(answers answers) error {
	for !d.conn.Done() {
		m, err := d.receive()
		if err != nil {
			return err
		}
		if err := d.answer(m, answers); err != nil {
			return err
		}
	}
	if d.plan.Kind == plan.Create && d.plan.Process.Notifies {
		return nil // the filter is in force: init may be unable to say anything
	}
	return d.awaitEnd()
}

// answers are what the parent does at each point where init waits for it.
type answers struct {
	// rootReady runs the hooks of the runtime.
	rootReady func() error
	// console takes the master of the terminal.
	console func(master *os.File) error
	// ready completes the process from outside and returns its filter.
	ready func() (filter []byte, err error)
	// listener takes the seccomp notification descriptor.
	listener func(fd int) error
}

func (d *drive) answer(m link.Message, a answers) error {
	switch m.Kind {
	case link.RootReady:
		if err := a.rootReady(); err != nil {
			return err
		}
		return d.send(link.Message{Kind: link.Proceed})
	case link.Console:
		if len(m.Files) != 1 {
			return fault.Newf("receive", "the terminal", "%d descriptors", len(m.Files))
		}
		return a.console(os.NewFile(uintptr(m.Files[0]), "/dev/ptmx"))
	case link.Ready:
		filter, err := a.ready()
		if err != nil {
			return err
		}
		return d.send(link.Message{Kind: link.Finish, Payload: filter})
	case link.Listener:
		if len(m.Files) != 1 {
			return fault.Newf("receive", "the seccomp listener", "%d descriptors", len(m.Files))
		}
		err := a.listener(m.Files[0])
		unix.Close(m.Files[0])
		if err != nil {
			return err
		}
		return d.send(link.Message{Kind: link.Listened})
	default:
		return fault.Newf("follow", "the link", "unexpected message %v", m.Kind)
	}
}

// awaitEnd waits until init has let go of the link: the container is created,
// or the program of an exec executes.
func (d *drive) awaitEnd() error {
	for {
		m, err := d.conn.Receive(nil)
		if errors.Is(err, link.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		switch m.Kind {
		case link.Failed:
			return fault.Decode(m.Payload)
		case link.Note:
			d.runtime.warn(fault.Decode(m.Payload))
		default:
			return fault.Newf("follow", "the link", "unexpected message %v", m.Kind)
		}
	}
}

// limit sets of the resource limits of an init what it could not set itself.
func limit(pid int, limits []plan.Limit) error {
	for i := range limits {
		l := &limits[i]
		var err error
		if l.OfParent() {
			err = unix.Prlimit(pid, int(l.Resource), &unix.Rlimit{Cur: l.Soft, Max: l.Hard}, nil)
		} else {
			err = allow(pid, l)
		}
		if err != nil {
			return limitFailure(l, err)
		}
	}
	return nil
}

// allow has an init be able to set a limit itself, and no more.
func allow(pid int, l *plan.Limit) error {
	var now unix.Rlimit
	if err := unix.Prlimit(pid, int(l.Resource), nil, &now); err != nil || l.Hard <= now.Max {
		return err
	}
	now.Max = l.Hard
	return unix.Prlimit(pid, int(l.Resource), &now, nil)
}

func limitFailure(l *plan.Limit, cause error) error {
	e := fault.New("set", l.Name, cause)
	if errors.Is(cause, unix.EPERM) {
		e.Hint = "raising a hard limit takes CAP_SYS_RESOURCE, and RLIMIT_NOFILE is bounded by fs.nr_open"
	}
	return e
}

// adjustOOMScore sets process.oomScoreAdj; nil leaves the inherited one.
func (r *Runtime) adjustOOMScore(pid int, adjustment *int) error {
	if adjustment == nil {
		return nil
	}
	path := "/proc/" + strconv.Itoa(pid) + "/oom_score_adj"
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		_, err = unix.Write(fd, []byte(strconv.Itoa(*adjustment)))
		unix.Close(fd)
	}
	if err == nil {
		return nil
	}
	failed := fault.New("set process.oomScoreAdj to", strconv.Itoa(*adjustment), err).
		WithHint("lowering the score below hull's own takes CAP_SYS_RESOURCE")
	if r.Privilege == Rootless {
		r.warn(failed)
		return nil
	}
	return failed
}
