package libcontainer

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/linux"
	"hull/libcontainer/cgroup"
	"hull/libcontainer/hook"
	"hull/libcontainer/plan"
	"hull/spec"
	"hull/state"
)

// drive tells init what to do, and does from outside what init cannot.
func (n *creation) drive(d *drive, gate state.Gate) error {
	filter := n.compileFilter()
	if err := n.setDevices(); err != nil {
		return d.unlessEnded(err)
	}
	if err := n.completePlan(d.pid); err != nil {
		return err
	}
	if n.spec.Process != nil {
		n.plan.Process.Notifies, n.plan.Process.KillsThread = n.filter.notifies(), n.filter.killsThread()
	}
	output, err := n.openHookOutput()
	if err != nil {
		return err
	}
	programs, closePrograms, err := n.openHookPrograms()
	if err != nil {
		return err
	}
	defer closePrograms()
	sources, release, err := openSources(d.pid, n.sources, viewOf(n.spec))
	if err != nil {
		return err
	}
	err = d.sendPlan(slices.Concat([]int{gate.Wait, gate.Result}, programs, output), sources)
	release()
	if err != nil {
		return err
	}
	// Init starts the Go runtime and builds the mount tree from here on:
	// what follows costs no time.
	if err := n.whileInitMounts(d.pid); err != nil {
		return d.unlessEnded(err)
	}
	err = d.converse(answers{
		rootReady: func() error {
			if err := n.moveDevices(d.pid); err != nil {
				return err
			}
			n.owePoststop()
			err := n.runtimeHooks(d.pid)
			if errors.Is(err, hook.ErrEnded) {
				return d.died()
			}
			return err
		},
		console:  func(master *os.File) error { return n.console.take(d, master) },
		ready:    func() ([]byte, error) { return n.ready(d, filter) },
		listener: func(fd int) error { return n.container.sendListener(&n.filter.profile, specs.StateCreating, fd, d.pid) },
	})
	if err != nil {
		return err
	}
	// Not before: whoever reads "created" may use the container, and what it is
	// has to be in force by then, the filter of its processes first of all.
	if err := n.complete(d); err != nil {
		return err
	}
	if err := n.sendToReceiver(d.pid); err != nil {
		return err
	}
	if err := sendPidfd(n.options.PidfdSocket, d.pid); err != nil {
		return err
	}
	return writePidFile(n.options.PidFile, d.pid)
}

// owePoststop has the poststop hooks run once all else is undone, whatever fails
// from now on: hooks of create may have left something for them to take away
// (runtime.md, "Lifecycle", 3 to 5 and 12 to 13). What cannot be undone leaves
// them to delete --force.
func (n *creation) owePoststop() {
	if len(n.hooksBeforePivot())+len(n.plan.CreateContainer) == 0 {
		return
	}
	n.undo = append([]func(){func() {
		if !n.remains {
			n.container.runPoststop()
		}
	}}, n.undo...)
}

// completePlan adds what depends on the pid: what hooks read, and what socket
// activation asks for.
func (n *creation) completePlan(pid int) error {
	if len(n.plan.CreateContainer)+len(n.plan.StartContainer)+n.options.ListenFDs == 0 {
		return nil
	}
	inner := pid
	switch ns := spec.Namespace(n.spec, specs.PIDNamespace); {
	case ns == nil:
	case ns.Path == "":
		inner = 1
	default:
		var err error
		if inner, err = linux.InnerPID(pid); err != nil {
			return fault.New("read the pid of", "init", err)
		}
	}
	n.announceSockets(inner)
	// The pid is the one that the container sees (runtime.md, "State").
	for _, h := range [...]struct {
		hooks  []plan.Hook
		status specs.ContainerState
	}{
		{n.plan.CreateContainer, specs.StateCreating},
		{n.plan.StartContainer, specs.StateCreated},
	} {
		b, err := json.Marshal(n.container.stateAs(h.status, inner))
		if err != nil {
			return fault.New("encode state of", n.id, err)
		}
		for i := range h.hooks {
			h.hooks[i].State = b
		}
	}
	return nil
}

// announceSockets tells the process which descriptors are those of socket
// activation, if it gets any: sd_listen_fds(3).
func (n *creation) announceSockets(inner int) {
	if n.options.ListenFDs == 0 {
		return
	}
	p := &n.plan.Process
	p.Env = without(p.Env, "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")
	p.Env = append(p.Env, "LISTEN_FDS="+strconv.Itoa(n.options.ListenFDs), "LISTEN_PID="+strconv.Itoa(inner))
	if names := n.options.ListenNames; names != "" {
		p.Env = append(p.Env, "LISTEN_FDNAMES="+names)
	}
}

// without returns env without variables that hull itself is going to set.
func without(env []string, names ...string) []string {
	return slices.DeleteFunc(env, func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return slices.Contains(names, name)
	})
}

// whileInitMounts does what init need not wait for.
func (n *creation) whileInitMounts(pid int) error {
	if err := n.container.dir.SaveConfig(n.config); err != nil {
		return err
	}
	if len(n.cgroup.Record().Hierarchies) == 0 {
		// No cgroup leads delete to the process.
		p, err := statInit(pid)
		if err != nil {
			return err
		}
		if err := n.saveRecord(pid, p); err != nil {
			return err
		}
	}
	if err := n.giveCgroup(pid); err != nil {
		return err
	}
	if n.spec.Linux == nil || n.spec.Linux.Resources == nil {
		return nil
	}
	early, _ := cgroup.Split(n.spec.Linux.Resources)
	return n.cgroup.Set(early)
}

// setDevices comes before init has a plan: a node that it makes or opens while v1
// allows none for a moment would be denied, and then bound instead.
func (n *creation) setDevices() error {
	if n.spec.Linux == nil || n.spec.Linux.Resources == nil {
		return n.cgroup.SetDevices(nil)
	}
	return n.cgroup.SetDevices(n.spec.Linux.Resources.Devices)
}

// runtimeHooks runs the prestart and createRuntime hooks.
func (n *creation) runtimeHooks(pid int) error {
	list := n.hooksBeforePivot()
	if len(list) == 0 {
		return nil
	}
	// Init may be killed meanwhile, by delete --force or an interrupted run:
	// a hook that never ends must not keep this from ending.
	init, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fault.New("open a pidfd of", "init", err)
	}
	defer unix.Close(init)
	return hooks{container: n.container, status: specs.StateCreating, pid: pid, end: init, output: n.hookOutput}.run(list)
}

// hooksBeforePivot are those that the runtime runs during create.
func (n *creation) hooksBeforePivot() []plan.Hook {
	h := n.spec.Hooks
	if h == nil {
		return nil
	}
	//nolint:staticcheck // prestart is deprecated, and engines use it
	return append(spec.Hooks("prestart", h.Prestart), spec.Hooks("createRuntime", h.CreateRuntime)...)
}

// openHookOutput opens what hooks of create and start print to, and returns what
// init needs of it.
func (n *creation) openHookOutput() (files []int, err error) {
	ofInit := len(n.plan.CreateContainer)+len(n.plan.StartContainer) > 0
	if !ofInit && len(n.hooksBeforePivot()) == 0 {
		return nil, nil
	}
	if n.hookOutput, err = n.container.openHookOutput(); err != nil {
		return nil, err
	}
	n.closers = append(n.closers, func() { closeHookOutput(n.hookOutput) })
	if !ofInit {
		return nil, nil
	}
	if fd := n.hookOutput.Stdout; fd != 0 {
		n.plan.HookStreams |= plan.HookStdout
		files = append(files, fd)
	}
	if fd := n.hookOutput.Stderr; fd != 0 {
		n.plan.HookStreams |= plan.HookStderr
		files = append(files, fd)
	}
	return files, nil
}

// openHookPrograms opens the programs of the createContainer hooks where their
// paths lead elsewhere for init: they are the runtime's (config.md, "POSIX-platform
// Hooks"), and init is in a mount namespace that was there before.
func (n *creation) openHookPrograms() (files []int, release func(), err error) {
	release = func() {
		for _, fd := range files {
			unix.Close(fd)
		}
	}
	if ns := spec.Namespace(n.spec, specs.MountNamespace); ns == nil || ns.Path == "" {
		return nil, release, nil
	}
	for i := range n.plan.CreateContainer {
		h := &n.plan.CreateContainer[i]
		fd, err := unix.Open(h.Path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			release()
			return nil, nil, hook.NotRun(h, err)
		}
		files = append(files, fd)
	}
	n.plan.HooksOpened = len(files) > 0
	return files, release, nil
}

// ready completes the process from outside and returns its filter.
func (n *creation) ready(d *drive, pending <-chan compiled) ([]byte, error) {
	if err := n.confine(d); err != nil {
		return nil, d.unlessEnded(err)
	}
	return n.awaitFilter(pending)
}

// confine sets what a process cannot set for itself. Memory and pids are limited
// last: by then init has all the memory and threads that it will ever need.
func (n *creation) confine(d *drive) error {
	if p := n.spec.Process; p != nil {
		if err := limit(d.pid, n.rlimits); err != nil {
			return err
		}
		if err := n.runtime.adjustOOMScore(d.pid, p.OOMScoreAdj); err != nil {
			return err
		}
	}
	if n.spec.Linux != nil && n.spec.Linux.Resources != nil {
		_, late := cgroup.Split(n.spec.Linux.Resources)
		if err := n.cgroup.Set(late); err != nil {
			return err
		}
	}
	if err := settle(n.join, d.pid); err != nil {
		return err
	}
	return n.sinkInit(d.pid)
}

// awaitFilter returns the filter, and saves it for execs.
func (n *creation) awaitFilter(pending <-chan compiled) ([]byte, error) {
	built := <-pending
	for _, err := range built.warnings {
		n.runtime.warn(err)
	}
	if built.err != nil {
		return nil, built.err
	}
	n.container.record.Silenced = n.plan.Process.LimitsMemory() ||
		built.filter != nil && n.filter.maySilence(built.filter.Program)
	if built.filter == nil {
		return nil, nil
	}
	filter := encoded(built.filter)
	return filter, n.container.dir.SaveFilter(filter)
}

// complete saves the record of a container that is created. Init may have let go
// of the link because a limit has ended it: nobody would say so, if not now. What a
// filter ends is the first thread alone, and then it is for start to say.
func (n *creation) complete(d *drive) error {
	p, err := statInit(d.pid)
	if err != nil {
		return err
	}
	if p.Ending() && !n.plan.Process.KillsThread {
		return d.died()
	}
	n.container.record.Creating = false
	return n.saveRecord(d.pid, p)
}

func statInit(pid int) (linux.Process, error) {
	p, err := linux.Stat(pid)
	if err != nil {
		return p, fault.New("read the start time of", "init", err)
	}
	return p, nil
}

// saveRecord saves the record with the process in it.
func (n *creation) saveRecord(pid int, p linux.Process) error {
	record := n.container.record
	record.PID, record.StartTime = pid, p.StartTime
	cg := n.cgroup.Record()
	record.Cgroup = &cg
	return n.container.dir.Save(record)
}

// pathless drops the paths that os adds: the fault names its object.
func pathless(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	var le *os.LinkError
	if errors.As(err, &le) {
		return le.Err
	}
	return err
}
