package libcontainer

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/linux"
	"hull/libcontainer/cgroup"
	"hull/libcontainer/hook"
	"hull/libcontainer/netdev"
	"hull/libcontainer/plan"
	"hull/libcontainer/rdt"
	"hull/nsenter"
	"hull/spec"
	"hull/state"
)

// CreateOptions say what the bundle does not.
type CreateOptions struct {
	// Bundle is the directory of the bundle. Relative paths start from the
	// working directory.
	Bundle string
	// ConfigFile is the name or path of the configuration, from Bundle on;
	// config.json if empty.
	ConfigFile string
	// Stdio are the streams of the container's process, unless it has a
	// terminal.
	Stdio Stdio
	// ConsoleSocket is the path of a listening AF_UNIX socket that gets the
	// master of the process's terminal. Without it, the master is
	// Container.Init().Console().
	ConsoleSocket string
	// SetUpTerminal, if not nil, gets the master that becomes
	// Container.Init().Console() as soon as there is one, which stays open: to
	// give it a size, or modes, that the program finds.
	SetUpTerminal func(master *os.File) error
	// PidfdSocket is the path of a listening AF_UNIX socket that gets a pidfd
	// of the process.
	PidfdSocket string
	// PidFile is a file to write the pid to once the container is created.
	PidFile string
	// Pivot is how the root is changed; the zero value uses pivot_root(2).
	Pivot Pivot
	// Keyring says whose session keyring the container gets.
	Keyring Keyring
	// ListenFDs is how many sockets of the caller, from descriptor 3 on, the
	// process gets as those of socket activation (sd_listen_fds(3)), and
	// ListenNames is what they are called, as in LISTEN_FDNAMES, if anything.
	ListenFDs   int
	ListenNames string
	// Notify says whether the process gets a socket for sd_notify(3).
	Notify Notify
	// PreserveFDs is how many descriptors more the process inherits.
	PreserveFDs int
	// Lifetime says whether the caller stays with the process.
	Lifetime Lifetime
}

// Lifetime says whether the caller stays until a process ends.
type Lifetime int

const (
	// Attached callers can relay a terminal themselves.
	Attached Lifetime = iota
	// Detached callers go away, so that a terminal takes a ConsoleSocket.
	Detached
)

// Pivot is how the container's root becomes its own.
type Pivot int

const (
	// PivotRoot uses pivot_root(2).
	PivotRoot Pivot = iota
	// NoPivot moves the mount and uses chroot(2), for hosts whose root is a
	// ramdisk. A process with CAP_SYS_CHROOT can leave it.
	NoPivot
)

// Keyring says whose session keyring a container gets.
type Keyring int

const (
	// NewKeyring makes one for the container.
	NewKeyring Keyring = iota
	// CallersKeyring shares the caller's.
	CallersKeyring
)

// Create makes a container from a bundle and holds its process back until
// Start. It returns an error, and leaves nothing, if any of the configuration
// cannot be applied. Cancelling ctx ends an attempt.
//
// The process is a child of the calling program, which therefore has to wait
// for it, or to exit and leave that to its own parent or subreaper.
func (r *Runtime) Create(ctx context.Context, id string, o CreateOptions) (*Container, error) {
	n := &creation{runtime: r, options: o, id: id}
	if err := n.begin(); err != nil {
		return nil, err
	}
	if err := n.configure(); err != nil {
		n.launch.abort()
		n.finish(err)
		return nil, err
	}
	c, err := n.build(ctx)
	n.finish(err)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// creation is a container on its way.
type creation struct {
	runtime *Runtime
	options CreateOptions
	id      string

	bundle   string
	preserve int
	launch   *launch
	config   []byte
	spec     *specs.Spec
	plan     *plan.Plan
	sources  []spec.Source
	rlimits  []plan.Limit
	filter   filterSource
	cgroup   *cgroup.Cgroup
	// join is how the process gets into the cgroup.
	join cgroup.Join
	// resctrl is the class of service, or nil.
	resctrl *rdt.Group
	// devices are those of the host to be moved, or nil.
	devices   *netdev.Set
	container *Container
	// console says who gets the terminal.
	console console
	// hookOutput is where hooks print to.
	hookOutput hook.Output
	// remains says that something of the container could not be undone.
	remains bool
	// undo is what to do if creation fails, last first.
	undo []func()
	// closers is what to do in any case.
	closers []func()
}

func (n *creation) finish(err error) {
	if err != nil {
		for i := len(n.undo) - 1; i >= 0; i-- {
			n.undo[i]()
		}
	}
	for _, f := range n.closers {
		f()
	}
	if err != nil && n.container != nil {
		_ = n.container.Close()
	}
}

// begin checks the options and starts the init stage.
func (n *creation) begin() (err error) {
	if err := state.ValidateID(n.id); err != nil {
		return err
	}
	if n.bundle, err = filepath.Abs(n.options.Bundle); err != nil {
		return fault.New("find bundle", n.options.Bundle, err)
	}
	n.preserve = n.options.ListenFDs + n.options.PreserveFDs
	if err := checkPreserved(n.preserve); err != nil {
		return err
	}
	if err := checkPidFile(n.options.PidFile); err != nil {
		return err
	}
	n.launch = launchStage(n.options.Stdio, n.bundle, n.preserve)
	return nil
}

// build makes the container that configure has worked out.
func (n *creation) build(ctx context.Context) (*Container, error) {
	namespaces, gate, err := n.prepare()
	if err != nil {
		n.launch.abort()
		return nil, err
	}
	defer gate.Close()
	defer closeJoins(namespaces)
	pid, fd, err := n.launch.enter(places{n.join, n.container.resctrl()}, namespaces)
	if err != nil {
		return nil, err
	}
	defer n.launch.reap()
	n.undo = append(n.undo, func() { killAndReap(pid) })
	d := newDrive(n.runtime, pid, fd, n.plan, namespaces)
	defer d.close()
	stop := d.killWith(ctx)
	err = n.drive(d, gate)
	stop()
	if ctx.Err() != nil {
		err = fault.New("create", n.id, context.Cause(ctx))
	}
	if err != nil {
		d.discardConsole()
		return nil, err
	}
	n.container.init = &Process{pid: pid, console: d.console}
	return n.container, nil
}

// prepare makes what the process needs to be born: the container's directory
// and cgroup. Its record comes before anything else, and the gate last: without
// it, nothing has entered the cgroup yet (see Container.unborn).
func (n *creation) prepare() (ns *nsenter.Namespaces, gate state.Gate, err error) {
	if err := n.makeDirectory(); err != nil {
		return nil, gate, err
	}
	if err := n.makeResctrl(); err != nil {
		return nil, gate, err
	}
	if ns, err = namespacesOf(n.spec); err != nil {
		return nil, gate, err
	}
	if err = n.joinCgroup(ns); err == nil {
		// From here on, what is in the cgroup counts as the container's.
		gate, err = n.container.dir.MakeGate()
	}
	if err != nil {
		closeJoins(ns)
	}
	return ns, gate, err
}

// makeDirectory makes the record of the container before anything else of it
// exists.
func (n *creation) makeDirectory() error {
	dir, err := state.Create(n.runtime.Root, n.id)
	if err != nil {
		return err
	}
	n.undo = append(n.undo, func() {
		if !n.remains {
			n.tolerate(dir.Remove())
		}
	})
	// The record names the cgroup, and delete --force kills whom it finds there.
	if err := n.cgroup.EnsureUnused(); err != nil {
		return err
	}
	record := n.record()
	if record.HostMounts, err = hostMounts(n.plan); err != nil {
		return err
	}
	n.closers = append(n.closers, dir.Unlock)
	n.container = &Container{runtime: n.runtime, dir: dir, record: record, cgroup: n.cgroup}
	n.undo = append(n.undo, func() { n.tolerate(n.container.unmount()) })
	if err := dir.Save(record); err != nil || n.options.Notify == NoNotify {
		return err
	}
	return dir.MakeNotifyDir()
}

func (n *creation) record() *state.Record {
	s := n.spec
	cg := n.cgroup.Record()
	record := &state.Record{
		OCIVersion:  s.Version,
		ID:          n.id,
		Bundle:      n.bundle,
		Rootfs:      n.plan.Rootfs.Path,
		Annotations: s.Annotations,
		Created:     time.Now().UTC(),
		Owner:       os.Geteuid(),
		Namespaces:  namespaceFlags(s),
		SharesPIDs:  sharesPIDs(s),
		HasProcess:  s.Process != nil,
		Creating:    true,
		Resctrl:     n.resctrlRecord(),
		Cgroup:      &cg,

		CallersKeyring: n.options.Keyring == CallersKeyring,
	}
	if s.Hooks != nil {
		record.Poststart = spec.Hooks("poststart", s.Hooks.Poststart)
		record.Poststop = spec.Hooks("poststop", s.Hooks.Poststop)
	}
	return record
}

// tolerate reports a failure while something worse is being undone. The record
// stays, so that delete --force can finish.
func (n *creation) tolerate(err error) {
	if err != nil {
		n.remains = true
		n.runtime.warn(err)
	}
}

// joinCgroup makes the container's cgroup and says how the process gets there.
func (n *creation) joinCgroup(ns *nsenter.Namespaces) error {
	if err := n.cgroup.Create(); err != nil {
		n.cgroup.Withdraw()
		return err
	}
	n.undo = append(n.undo, func() {
		// What createContainer hooks left is there, if no pid namespace
		// took it away with init.
		n.tolerate(n.cgroup.Kill())
		n.tolerate(n.cgroup.Remove())
	})
	var resources *specs.LinuxResources
	if n.spec.Linux != nil {
		resources = n.spec.Linux.Resources
	}
	join, err := n.cgroup.Join(joinCredentials(ns), resources)
	if err != nil {
		return err
	}
	n.closers = append(n.closers, join.Close)
	n.join = join
	return nil
}

// killAndReap ends a child that is still ours.
func killAndReap(pid int) {
	_ = unix.Kill(pid, unix.SIGKILL)
	_ = linux.Reap(pid)
}
