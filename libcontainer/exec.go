package libcontainer

import (
	"context"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/libcontainer/cgroup"
	"hull/libcontainer/plan"
	"hull/nsenter"
	"hull/spec"
)

// ExecOptions say what to run in a container.
type ExecOptions struct {
	// Process is the whole process, if not nil. Only what confines it, and it
	// leaves out, is the container's: labels, capabilities, limits and what it
	// is worth to the scheduler. Else it is a copy of the container's own
	// process, as Edit changes it; slices and maps in it are shared with the
	// container's, and must be replaced, not written to.
	Process *specs.Process
	Edit    func(*specs.Process) error
	// User replaces Process.User.UID and GID, if not empty: UID[:GID], or
	// names that the container's own /etc/passwd and /etc/group know.
	User string
	// Stdio are its streams, unless it has a terminal.
	Stdio Stdio
	// ConsoleSocket, SetUpTerminal, PidfdSocket, PidFile, PreserveFDs and
	// Lifetime are as in CreateOptions.
	ConsoleSocket string
	SetUpTerminal func(master *os.File) error
	PidfdSocket   string
	PidFile       string
	PreserveFDs   int
	// Cgroup are cgroups below the container's for the process to be in,
	// instead of the container's own.
	Cgroup   []SubCgroup
	Lifetime Lifetime
	// Paused says what to do in a paused container.
	Paused PausedPolicy
}

// SubCgroup is a cgroup below a container's.
type SubCgroup = cgroup.Sub

// PausedPolicy says what Exec does in a paused container.
type PausedPolicy int

const (
	// RefusePaused returns ErrPaused.
	RefusePaused PausedPolicy = iota
	// IgnorePaused starts the process; it waits for Resume.
	IgnorePaused
)

// Exec runs a process in a running container and returns once it executes. The
// process is a child of the calling program. The error is ErrNotRunning or
// ErrPaused if the container is.
func (c *Container) Exec(ctx context.Context, o ExecOptions) (*Process, error) {
	if err := checkPreserved(o.PreserveFDs); err != nil {
		return nil, err
	}
	if err := checkPidFile(o.PidFile); err != nil {
		return nil, err
	}
	e := &execution{container: c, options: o, launch: launchStage(o.Stdio, "", o.PreserveFDs)}
	pidfd, err := c.execTarget(o.Paused)
	if err != nil {
		e.launch.abort()
		return nil, err
	}
	defer unix.Close(pidfd)
	defer func() { e.console.close() }()
	if err := e.compile(); err != nil {
		e.launch.abort()
		return nil, err
	}
	return e.run(ctx, pidfd)
}

// execTarget checks the status and returns a handle of the init process.
func (c *Container) execTarget(policy PausedPolicy) (int, error) {
	status, err := c.status()
	if err != nil {
		return -1, err
	}
	switch {
	case status == specs.StateStopped || status == specs.StateCreating:
		return -1, fault.New("exec in", c.record.ID, ErrNotRunning).WithHint("cannot exec in a stopped container")
	case status == StatusPaused && policy == RefusePaused:
		return -1, fault.New("exec in", c.record.ID, ErrPaused)
	}
	return c.pidfd()
}

// execution is one exec on its way.
type execution struct {
	container *Container
	options   ExecOptions
	launch    *launch
	spec      *specs.Spec
	plan      *plan.Plan
	rlimits   []plan.Limit
	// initial is process.execCPUAffinity.initial.
	initial []byte
	// filter is encoded as the link wants it.
	filter []byte
	// silenced is as Record.Silenced, of this process.
	silenced bool
	// console says who gets the terminal.
	console console
	// listener says who gets the filter's listener.
	listener *specs.LinuxSeccomp
}

func (e *execution) compile() error {
	c := e.container
	s, err := c.Config()
	if err != nil {
		return err
	}
	e.spec = s
	if err := e.edit(); err != nil {
		return err
	}
	if err := e.resolveUser(); err != nil {
		return err
	}
	if err := spec.ValidateProcess(s, e.options.Process); err != nil {
		return err
	}
	if err := refuseLabels(e.options.Process); err != nil {
		return err
	}
	in := spec.ProcessInputs{Kind: plan.Exec, Groups: groupsOf(s)}
	if in.Held, err = heldCapabilities(s); err != nil {
		return err
	}
	in.Warn = e.news(in)
	in.PreserveFDs = uint32(e.options.PreserveFDs)
	if c.record.CallersKeyring {
		in.Keyring = plan.KeepKeyring
	}
	process, err := spec.CompileProcess(s, e.options.Process, in)
	if err != nil {
		return err
	}
	e.plan = &plan.Plan{Kind: plan.Exec, ID: c.record.ID, Process: process}
	if e.rlimits, err = spec.Rlimits(e.options.Process); err != nil {
		return err
	}
	if e.initial, err = spec.InitialAffinity(e.options.Process); err != nil {
		return err
	}
	if err := checkConsole(process.Terminal, e.options.ConsoleSocket, e.options.Lifetime); err != nil {
		return err
	}
	if e.console, err = openConsole(e.options.ConsoleSocket, e.options.SetUpTerminal); err != nil {
		return err
	}
	return e.loadFilter()
}

// edit derives the process from the container's own, if it is not given.
func (e *execution) edit() error {
	own := e.spec.Process
	if own == nil {
		own = &specs.Process{Cwd: "/"}
	}
	if e.options.Process != nil {
		e.options.Process = confined(*e.options.Process, own)
		return nil
	}
	process := *own
	e.options.Process = &process
	if e.options.Edit == nil {
		return nil
	}
	return e.options.Edit(&process)
}

// news returns what passes on a warning, unless it is one about the container's own
// process: create has given that, and who starts a shell has not asked for it.
func (e *execution) news(in spec.ProcessInputs) func(error) {
	known := make(map[string]bool)
	in.Warn = func(err error) { known[err.Error()] = true }
	if _, err := spec.CompileProcess(e.spec, e.spec.Process, in); err != nil {
		return e.container.runtime.warn // of a container that was created otherwise
	}
	return func(err error) {
		if !known[err.Error()] {
			e.container.runtime.warn(err)
		}
	}
}

// confined returns p with what it leaves out of how a process is confined, as the
// container's own has it: nobody who starts a shell in a container means to be
// outside of its profile, or to have more rights than it has. An engine that
// wants that says so, with empty lists or "unconfined".
func confined(p specs.Process, own *specs.Process) *specs.Process {
	if p.ApparmorProfile == "" {
		p.ApparmorProfile = own.ApparmorProfile
	}
	if p.SelinuxLabel == "" {
		p.SelinuxLabel = own.SelinuxLabel
	}
	if p.Capabilities == nil {
		p.Capabilities = own.Capabilities
	}
	if len(p.Rlimits) == 0 {
		p.Rlimits = own.Rlimits
	}
	if p.OOMScoreAdj == nil {
		p.OOMScoreAdj = own.OOMScoreAdj
	}
	if p.Scheduler == nil {
		p.Scheduler = own.Scheduler
	}
	if p.IOPriority == nil {
		p.IOPriority = own.IOPriority
	}
	if p.ExecCPUAffinity == nil {
		p.ExecCPUAffinity = own.ExecCPUAffinity
	}
	return &p
}

func (e *execution) run(ctx context.Context, pidfd int) (*Process, error) {
	c := e.container
	if err := e.launch.pin(e.initial); err != nil {
		e.launch.abort()
		return nil, err
	}
	ns, join, err := e.target(pidfd)
	if err != nil {
		e.launch.abort()
		return nil, err
	}
	defer closeJoins(ns)
	defer join.Close()
	pid, fd, err := e.launch.enter(places{join, c.resctrl()}, ns)
	if err != nil {
		return nil, err
	}
	defer e.launch.reap()
	d := newDrive(c.runtime, pid, fd, e.plan, ns)
	defer d.close()
	stop := d.killWith(ctx)
	err = e.drive(d, join, stop)
	if stop() {
		err = fault.New("exec in", c.record.ID, context.Cause(ctx))
	}
	if err != nil {
		killAndReap(pid)
		d.discardConsole()
		return nil, err
	}
	return &Process{pid: pid, console: d.console}, nil
}

// target opens the namespaces and the cgroup that the process is to join.
func (e *execution) target(pidfd int) (*nsenter.Namespaces, cgroup.Join, error) {
	ns, err := e.container.joinAll(pidfd)
	if err != nil {
		return nil, cgroup.Join{}, err
	}
	join, err := e.container.cgroup.JoinAt(e.options.Cgroup, e.container.record.PID, joinCredentials(ns))
	if err != nil {
		closeJoins(ns)
		return nil, join, err
	}
	return ns, join, nil
}

// drive ends with the program executing. Once init has all that it asks for, the
// program may run at any moment, and signals are its own: stop is called. Only the
// agent of a filter could keep init waiting then.
func (e *execution) drive(d *drive, join cgroup.Join, stop func() bool) error {
	c, o := e.container, e.options
	root, release, err := c.openChroot()
	if err != nil {
		return err
	}
	err = d.sendPlan(root, nil)
	release()
	if err != nil {
		return err
	}
	err = d.converse(answers{
		console: func(master *os.File) error { return e.console.take(d, master) },
		ready: func() ([]byte, error) {
			if err := limit(d.pid, e.rlimits); err != nil {
				return nil, err
			}
			if err := c.runtime.adjustOOMScore(d.pid, o.Process.OOMScoreAdj); err != nil {
				return nil, err
			}
			if err := settle(join, d.pid); err != nil {
				return nil, err
			}
			if err := sendPidfd(o.PidfdSocket, d.pid); err != nil {
				return nil, err
			}
			if !e.plan.Process.Notifies {
				stop()
			}
			return e.filter, nil
		},
		listener: func(fd int) error { return c.sendListener(e.listener, specs.StateRunning, fd, d.pid) },
	})
	if err != nil {
		return err
	}
	if e.silenced || e.plan.Process.LimitsMemory() {
		if err := notExecuted(d.pid, 0, func() string { return o.Process.Args[0] }); err != nil {
			return err
		}
	}
	return writePidFile(o.PidFile, d.pid)
}
