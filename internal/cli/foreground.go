package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"hull/internal/linux"
	"hull/internal/passon"
	"hull/internal/tty"
	"hull/libcontainer"
)

// child is a process that this program started and is to wait for:
// *libcontainer.Process.
type child interface {
	Pid() int
	Signal(sig unix.Signal) error
	Wait() (libcontainer.ExitStatus, error)
	// Console is the master end of its terminal, nil if it has none.
	Console() *os.File
}

// foreground stands between the caller and a process of a container: signals
// and keys go in, output and the exit status come out.
type foreground struct {
	log     *logger
	signals chan os.Signal
	caught  chan struct{} // closed when signals are caught
	cancel  context.CancelCauseFunc

	mu      sync.Mutex
	child   child        // nil until it can take signals
	ended   bool         // the pid of the child may be another's soon
	screen  *tty.Session // nil without a terminal
	pending []unix.Signal
}

// newForeground catches signals from soon on, and returns a context that ends
// when one comes that should end this program before there is a child.
func (p *program) newForeground(ctx context.Context) (*foreground, context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	f := &foreground{
		log:     p.log,
		signals: make(chan os.Signal, 64),
		caught:  make(chan struct{}),
		cancel:  cancel,
	}
	go func() {
		// Half a millisecond for the sixty of them, while the container is
		// created.
		signal.Notify(f.signals)
		passon.Catch()
		close(f.caught)
		for sig := range f.signals {
			if s, ok := sig.(unix.Signal); ok {
				f.handle(s)
			}
		}
	}()
	return f, ctx
}

// close is all there is to do before the program exits: to give each signal
// back would take longer than to create a container.
func (f *foreground) close() { f.cancel(nil) }

// run calls start, waits for the end of c and returns its status as a shell
// gives it. What else ends meanwhile among the children of this process is
// reaped: with PR_SET_CHILD_SUBREAPER these are the container's orphans.
func (f *foreground) run(c child, start func() error) (status int, err error) {
	if console := c.Console(); console != nil {
		screen, err := tty.Attach(console, tty.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
		if err != nil {
			return 0, errors.Join(err, kill(c))
		}
		// Whatever happens from here on, the caller gets its terminal back.
		defer func() { err = errors.Join(err, screen.Close()) }()
		f.resizes(screen)
	}
	<-f.caught
	if err := start(); err != nil {
		return 0, err
	}
	f.follow(c)
	if err := awaitEnd(c); err != nil {
		return 0, err
	}
	f.leave()
	exit, err := c.Wait()
	if err != nil {
		return 0, err
	}
	f.log.debugf("process %d exited with %d", c.Pid(), exit.Shell())
	return exit.Shell(), nil
}

// resizes makes screen follow the size of the caller's terminal.
func (f *foreground) resizes(screen *tty.Session) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.screen = screen
}

// follow sends signals to c from now on, those that came before first.
func (f *foreground) follow(c child) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.child = c
	for _, sig := range f.pending {
		f.forward(sig)
	}
	f.pending = nil
	passon.To(c.Pid())
}

// leave sends nothing any more: the child is about to be collected.
func (f *foreground) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	passon.Release()
}

func (f *foreground) handle(sig unix.Signal) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return
	}
	switch sig {
	case unix.SIGWINCH:
		if f.screen != nil {
			f.screen.Resize()
		}
	case unix.SIGCHLD, unix.SIGURG, unix.SIGPIPE:
		// Children are wait's, SIGURG is how the Go scheduler preempts, and
		// a broken pipe is this program's and not the container's.
	default:
		if f.child != nil {
			f.forward(sig)
			return
		}
		if slices.Contains(f.pending, sig) {
			// Asked twice, whatever it is that takes so long.
			signal.Reset(sig)
			_ = unix.Kill(unix.Getpid(), sig)
		}
		f.pending = append(f.pending, sig)
		switch sig { //nolint:exhaustive // the rest does not end a program by convention
		case unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM:
			f.cancel(fmt.Errorf("interrupted by %s", unix.SignalName(sig)))
		}
	}
}

// forward sends sig to the child. That it has just ended is no news: wait is
// about to return.
func (f *foreground) forward(sig unix.Signal) {
	f.log.debugf("forwarding signal %d (%s) to %d", int(sig), unix.SignalName(sig), f.child.Pid())
	err := f.child.Signal(sig)
	if err != nil && !errors.Is(err, libcontainer.ErrNotRunning) && !errors.Is(err, unix.ESRCH) {
		f.log.warn(err)
	}
}

// kill ends c, which nobody would attend to.
func kill(c child) error {
	err := c.Signal(unix.SIGKILL)
	_, werr := c.Wait()
	return errors.Join(err, werr)
}

// awaitEnd reaps children as they end until c does. It only looks at who ended
// before it collects them, so that the status of c is left for c.Wait.
func awaitEnd(c child) error {
	for {
		pid, err := linux.WaitAny()
		if err != nil || pid == c.Pid() {
			return nil //nolint:nilerr // c.Wait says it
		}
		if err := linux.Reap(pid); err != nil {
			return err
		}
	}
}
