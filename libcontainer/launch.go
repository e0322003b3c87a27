package libcontainer

import (
	"hull/internal/fault"
	"hull/internal/linux"
	"hull/libcontainer/cgroup"
	"hull/libcontainer/rdt"
	"hull/nsenter"
)

// launch is an init stage on its way: it starts while the configuration is
// read and checked, and waits for its bootstrap. It has no effect before that.
type launch struct {
	done  chan struct{}
	stage *nsenter.Stage
	err   error
}

// launchStage starts an init stage on another thread. The caller must call wait
// or abort.
func launchStage(stdio Stdio, dir string, preserve int) *launch {
	l := &launch{done: make(chan struct{})}
	go func() {
		defer close(l.done)
		l.stage, l.err = startStage(stdio, dir, preserve)
	}()
	return l
}

// wait returns the stage; it is the caller's to use or abort.
func (l *launch) wait() (*nsenter.Stage, error) {
	<-l.done
	return l.stage, l.err
}

// pin holds the stage, and so the process that it becomes, to CPUs before it
// enters a cgroup. An empty mask leaves it.
func (l *launch) pin(cpus []byte) error {
	if len(cpus) == 0 {
		return nil
	}
	stage, err := l.wait()
	if err != nil {
		return err
	}
	if err := linux.SetAffinity(stage.PID(), cpus); err != nil {
		return fault.New("set", "process.execCPUAffinity.initial", err).
			WithHint("one of the CPUs must be online and in the cpuset that hull is called in")
	}
	return nil
}

// places are where a process is to be born, other than in its namespaces.
type places struct {
	join    cgroup.Join
	resctrl rdt.Place
}

// enter sends the stage into its places and namespaces and returns the pid of
// the init process and our end of the link. The caller ends with reap.
func (l *launch) enter(p places, ns *nsenter.Namespaces) (pid, fd int, err error) {
	stage, err := l.wait()
	if err != nil {
		return 0, -1, err
	}
	if p.join.Adopt != nil {
		err = p.join.Adopt(stage.PID())
	}
	if err == nil {
		// The stage has one thread, and what it clones is where it is:
		// later, the threads of the Go runtime would be left behind.
		err = p.resctrl.Join(stage.PID())
	}
	if err != nil {
		stage.Abort()
		return 0, -1, err
	}
	ns.Cgroup = nsenter.Cgroup{Into: p.join.Into, Tasks: p.join.Tasks, Leave: p.join.Leave, Stay: p.join.Stay}
	return stage.Enter(ns)
}

// settle brings the init process into what it was kept out of. From here on it
// counts as the program that it is about to be.
func settle(j cgroup.Join, pid int) error {
	if j.Settle == nil {
		return nil
	}
	return j.Settle(pid)
}

// reap collects the stage after enter.
func (l *launch) reap() { l.stage.Reap() }

// abort ends the stage.
func (l *launch) abort() {
	if stage, err := l.wait(); err == nil {
		stage.Abort()
	}
}

func startStage(stdio Stdio, dir string, preserve int) (*nsenter.Stage, error) {
	fds, release, err := stdio.open()
	if err != nil {
		return nil, err
	}
	defer release()
	preserved := make([]uintptr, preserve)
	for i := range preserved {
		preserved[i] = uintptr(3 + i)
	}
	return nsenter.Launch(nsenter.Inherit{Dir: dir, Stdio: fds, Preserved: preserved})
}
