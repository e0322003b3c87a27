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
	owners  owners
	// job says that this program is a job of the terminal that it reads.
	job bool

	mu      sync.Mutex
	child   child        // nil until it can take signals
	ended   bool         // the pid of the child may be another's soon
	screen  *tty.Session // nil without a terminal
	pending []unix.Signal
}

// refuseConsoleSocket is the error of a console socket in the foreground, where
// the terminal would be somebody else's, and not here.
func refuseConsoleSocket(path string) error {
	if path == "" {
		return nil
	}
	return errors.New("cannot use console socket if hull will not detach or allocate tty")
}

// terminalStreams are where a terminal in the foreground is shown.
func terminalStreams() tty.Streams {
	return tty.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
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
		owners:  streamOwners(),
		job:     tty.IsJob(os.Stdin),
	}
	go func() {
		defer f.releaseScreen() // a panic must not leave the terminal raw
		f.catch()
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

// catch takes half a millisecond for some sixty signals, while the container is
// created.
func (f *foreground) catch() {
	if !f.job {
		signal.Notify(f.signals)
		return
	}
	// A job that uses its terminal in the background is stopped until it is
	// brought to the foreground. If it caught these it would try for ever.
	const last = 64
	var caught []os.Signal
	for sig := unix.Signal(1); sig <= last; sig++ {
		if sig != unix.SIGTTIN && sig != unix.SIGTTOU {
			caught = append(caught, sig)
		}
	}
	signal.Notify(f.signals, caught...)
}

// close is all there is to do before the program exits: to give each signal
// back would take longer than to create a container.
func (f *foreground) close() {
	f.cancel(nil)
	f.owners.restore()
}

// run calls start, waits for the end of c and returns its status as a shell
// gives it. What else ends meanwhile among the children of this process is
// reaped: with PR_SET_CHILD_SUBREAPER these are the container's orphans.
func (f *foreground) run(c child, start func() error) (status int, err error) {
	// Before the terminal is raw, or has a size to follow.
	<-f.caught
	if console := c.Console(); console != nil {
		screen, err := tty.Attach(console, terminalStreams())
		if err != nil {
			return 0, errors.Join(err, kill(c))
		}
		// Whatever happens from here on, the caller gets its terminal back.
		defer func() { err = errors.Join(err, screen.Close()) }()
		f.follows(screen)
	}
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

// follows makes screen have the size of the caller's terminal, as it is now and
// as it will be, and give the terminal back while this program is stopped.
func (f *foreground) follows(screen *tty.Session) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.screen = screen
	screen.Resize()
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

// leave sends nothing any more: the child is about to be collected, and signals
// are this program's.
func (f *foreground) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	passon.Release()
}

func (f *foreground) handle(sig unix.Signal) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch sig {
	case unix.SIGWINCH:
		if f.screen != nil {
			f.screen.Resize()
		}
	case unix.SIGCHLD, unix.SIGURG, unix.SIGPIPE:
		// Children are wait's, SIGURG is how the Go scheduler preempts, and
		// a broken pipe is this program's and not the container's.
	case unix.SIGTSTP:
		f.deliver(sig)
		if f.job {
			f.suspend()
		}
	case unix.SIGCONT:
		f.takeScreen() // nobody said when SIGSTOP came
		f.deliver(sig)
	default:
		f.deliver(sig)
	}
}

// deliver sends sig to the child, or keeps it until there is one.
func (f *foreground) deliver(sig unix.Signal) {
	switch {
	case f.ended:
		f.abandon(sig)
	case f.child != nil:
		f.forward(sig)
	default:
		f.postpone(sig)
	}
}

// postpone keeps sig for the child, if it does not prevent it. A standard signal
// that waits already is not sent twice (signal(7), "Queueing and delivery").
func (f *foreground) postpone(sig unix.Signal) {
	if !f.keep(sig) {
		return
	}
	if ends(sig) {
		f.cancel(fmt.Errorf("interrupted by %s", unix.SignalName(sig)))
	}
}

// keep adds sig to those that wait, and reports whether that is news. To ask twice
// for the end of this program ends it, whatever it is that takes so long.
func (f *foreground) keep(sig unix.Signal) bool {
	const firstRealTime = 32
	if sig < firstRealTime && slices.Contains(f.pending, sig) {
		if ends(sig) {
			f.releaseScreen()
			signal.Reset(sig)
			_ = unix.Kill(unix.Getpid(), sig)
		}
		return false
	}
	f.pending = append(f.pending, sig)
	return true
}

// abandon lets a signal end what is left to do after the child: to show its last
// output to somebody who may not take it, and, if it is repeated, to delete the
// container and wait for its last hooks.
func (f *foreground) abandon(sig unix.Signal) {
	if !ends(sig) {
		return
	}
	if f.screen != nil {
		f.screen.Abandon()
	}
	f.keep(sig)
}

// ends tells whether a signal ends a program by convention.
func ends(sig unix.Signal) bool {
	return slices.Contains([]unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM}, sig)
}

// suspend stops this program, as the terminal's user wants it.
func (f *foreground) suspend() {
	f.releaseScreen()
	if err := linux.StopBy(unix.SIGTSTP); err != nil {
		f.log.warn(err)
	}
	f.takeScreen()
}

func (f *foreground) releaseScreen() {
	if f.screen == nil {
		return
	}
	if err := f.screen.Release(); err != nil {
		f.log.warn(err)
	}
}

// takeScreen takes the terminal again, which may have another size now.
func (f *foreground) takeScreen() {
	if f.screen == nil {
		return
	}
	if err := f.screen.Retake(); err != nil {
		f.log.warn(err)
	}
	f.screen.Resize()
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
