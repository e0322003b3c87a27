package libcontainer

import "hull/nsenter"

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
