package libcontainer

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/libcontainer/cgroup"
	"hull/libcontainer/plan"
	"hull/libcontainer/seccomp"
	"hull/libcontainer/seccomp/profile"
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
	// process gets as those of socket activation (sd_listen_fds(3)).
	ListenFDs int
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
	rlimits  []spec.Rlimit
	cgroup   *cgroup.Cgroup
	// adopt says that the stage has to be put into the cgroup.
	adopt     bool
	container *Container
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
	n.launch = launchStage(n.options.Stdio, n.bundle, n.preserve)
	return nil
}

// configure does all that can fail because the configuration is wrong. It has
// no side effect.
func (n *creation) configure() error {
	if err := n.load(); err != nil {
		return err
	}
	n.dropMountLabel()
	var path string
	if n.spec.Linux != nil {
		path = n.spec.Linux.CgroupsPath
	}
	var err error
	if n.cgroup, err = n.runtime.newCgroup(n.id, path); err != nil {
		return err
	}
	cgroupMounts, err := n.cgroupMounts()
	if err != nil {
		return err
	}
	if n.spec.Process != nil {
		if n.rlimits, err = spec.Rlimits(n.spec.Process); err != nil {
			return err
		}
	}
	process, err := n.processInputs()
	if err != nil {
		return err
	}
	inputs := spec.Inputs{ID: n.id, Bundle: n.bundle, CgroupMounts: cgroupMounts, Process: process, Warn: n.runtime.warn}
	if n.options.Pivot == NoPivot {
		inputs.Pivot = plan.MoveRoot
	}
	if n.plan, n.sources, err = spec.Compile(n.spec, inputs); err != nil {
		return err
	}
	if count := n.options.ListenFDs; count > 0 {
		n.plan.Process.Env = append(n.plan.Process.Env, "LISTEN_FDS="+strconv.Itoa(count), "LISTEN_PID=1")
	}
	return checkConsole(n.plan.Process.Terminal, n.options.ConsoleSocket, n.options.Lifetime)
}

// load reads and checks the configuration.
func (n *creation) load() error {
	path := n.options.ConfigFile
	if path == "" {
		path = "config.json"
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(n.bundle, path)
	}
	var err error
	if n.config, err = spec.Read(path); err != nil {
		return err
	}
	if n.spec, err = spec.Decode(n.config); err != nil {
		return fault.New("load", path, err)
	}
	if err := spec.Validate(n.spec); err != nil {
		return fault.New("check", path, err)
	}
	if p := seccompOf(n.spec); p != nil {
		if err := profile.Validate(p); err != nil {
			return fault.New("check", path, err)
		}
	}
	return nil
}

// dropMountLabel leaves linux.mountLabel out where there is no SELinux: no
// filesystem would know the option.
func (n *creation) dropMountLabel() {
	if n.spec.Linux == nil || n.spec.Linux.MountLabel == "" || selinuxEnabled() {
		return
	}
	n.runtime.warn(fault.Newf("use", "linux.mountLabel", "ignored: SELinux is not enabled on this host"))
	n.spec.Linux.MountLabel = ""
}

func (n *creation) processInputs() (spec.ProcessInputs, error) {
	in := spec.ProcessInputs{Kind: plan.Create, Warn: n.runtime.warn}
	held, err := heldCapabilities(n.spec)
	if err != nil {
		return in, err
	}
	in.Held = held
	if n.options.Keyring == CallersKeyring {
		in.Keyring = plan.KeepKeyring
	}
	in.PreserveFDs = uint32(n.preserve)
	return in, nil
}

// checkPreserved checks that the descriptors to preserve are there.
func checkPreserved(count int) error {
	if count < 0 {
		return fault.Newf("preserve", "descriptors", "a negative number of them: %d", count)
	}
	for fd := 3; fd < 3+count; fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			return fault.Newf("preserve", "descriptors", "descriptor %d: %w", fd, err)
		}
	}
	return nil
}

// cgroupMounts asks what a mount of type cgroup stands for on this host.
func (n *creation) cgroupMounts() ([]plan.Mount, error) {
	if !mountsCgroup(n.spec) {
		return nil, nil
	}
	own := cgroup.SharedNamespace
	if spec.Namespace(n.spec, specs.CgroupNamespace) != nil {
		own = cgroup.OwnNamespace
	}
	sources, err := n.cgroup.Mounts(own)
	if err != nil {
		return nil, err
	}
	return planCgroupMounts(sources), nil
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
	stage, err := n.launch.wait()
	if err != nil {
		return nil, err
	}
	if n.adopt {
		if err := n.cgroup.Adopt(stage.PID()); err != nil {
			stage.Abort()
			return nil, err
		}
	}
	pid, fd, err := stage.Enter(namespaces)
	if err != nil {
		return nil, err
	}
	defer stage.Reap()
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
// and cgroup. Its record comes before anything else.
func (n *creation) prepare() (ns *nsenter.Namespaces, gate state.Gate, err error) {
	if err := n.makeDirectory(); err != nil {
		return nil, gate, err
	}
	if gate, err = n.container.dir.MakeGate(); err != nil {
		return nil, gate, err
	}
	if ns, err = namespacesOf(n.spec); err != nil {
		gate.Close()
		return nil, gate, err
	}
	if err = n.joinCgroup(ns); err != nil {
		gate.Close()
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
	n.undo = append(n.undo, func() { n.tolerate(dir.Remove()) })
	record, err := n.record()
	if err != nil {
		return err
	}
	n.closers = append(n.closers, dir.Unlock)
	n.container = &Container{runtime: n.runtime, dir: dir, record: record, cgroup: n.cgroup}
	return dir.Save(record)
}

func (n *creation) record() (*state.Record, error) {
	s := n.spec
	cg, err := json.Marshal(n.cgroup.Record())
	if err != nil {
		return nil, fault.New("encode cgroup record of", n.id, err)
	}
	record := &state.Record{
		OCIVersion:  s.Version,
		ID:          n.id,
		Bundle:      n.bundle,
		Rootfs:      n.plan.Rootfs.Path,
		Annotations: s.Annotations,
		Created:     time.Now().UTC(),
		Owner:       os.Geteuid(),
		Namespaces:  namespaceFlags(s),
		HasProcess:  s.Process != nil,
		Creating:    true,
		SharesPID:   sharesPID(s),
		Cgroup:      cg,
	}
	if s.Hooks != nil {
		record.Poststart = spec.Hooks("poststart", s.Hooks.Poststart)
		record.Poststop = spec.Hooks("poststop", s.Hooks.Poststop)
	}
	return record, nil
}

func sharesPID(s *specs.Spec) bool {
	ns := spec.Namespace(s, specs.PIDNamespace)
	return ns == nil || ns.Path != ""
}

// tolerate reports a failure while something worse is being undone.
func (n *creation) tolerate(err error) {
	if err != nil {
		n.runtime.warn(err)
	}
}

// joinCgroup makes the container's cgroup and says how the process gets there.
func (n *creation) joinCgroup(ns *nsenter.Namespaces) error {
	if err := n.cgroup.EnsureUnused(); err != nil {
		return err
	}
	n.undo = append(n.undo, func() {
		// What createContainer hooks left is there, if no pid namespace
		// took it away with init.
		n.tolerate(n.cgroup.Kill())
		n.tolerate(n.cgroup.Remove())
	})
	if err := n.cgroup.Create(); err != nil {
		return err
	}
	join, err := n.cgroup.Join(joinCredentials(ns))
	if err != nil {
		return err
	}
	n.closers = append(n.closers, join.Close)
	ns.Cgroup = nsenter.Cgroup{Into: join.Into, Tasks: join.Tasks}
	n.adopt = join.Adopt
	return nil
}

// compileFilter returns the container's seccomp filter, on another thread: if
// it is not cached it takes as long as all the rest.
func (n *creation) compileFilter() <-chan compiled {
	out := make(chan compiled, 1)
	if seccompOf(n.spec) == nil || n.spec.Process == nil {
		out <- compiled{}
		return out
	}
	go func() {
		filter, err := seccomp.Cached(n.runtime.filterCache(), seccompOf(n.spec), n.runtime.warn)
		out <- compiled{filter, err}
	}()
	return out
}

type compiled struct {
	filter *seccomp.Filter
	err    error
}

func seccompOf(s *specs.Spec) *specs.LinuxSeccomp {
	if s.Linux == nil {
		return nil
	}
	return s.Linux.Seccomp
}

// killAndReap ends a child that is still ours.
func killAndReap(pid int) {
	_ = unix.Kill(pid, unix.SIGKILL)
	for {
		if _, err := unix.Wait4(pid, nil, 0, nil); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
