package cli

import (
	"context"
	"errors"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"hull/libcontainer"
)

func runCommand(p *program) *cli.Command {
	return &cli.Command{
		Usage:     "make a container, run it and delete it",
		UsageText: p.name + " run [options] CONTAINER-ID",
		Description: `Makes a container from a bundle, runs its program and waits for it, passing
signals on. The exit status is the program's, or 128 plus the number of the
signal that killed it. Then the container is deleted.

Examples:

   hull run -b /bundles/web web           # until its program ends
   hull run -d --pid-file web.pid web     # in the background; see "delete"`,
		Flags: append(bundleFlags(),
			boolFlag("detach", "return when the container runs, and leave it", "d"),
			boolFlag("keep", "do not delete the container after it exits"),
			boolFlag("no-subreaper", "leave orphans of the container's processes to the host's init"),
		),
		Action: p.runContainer,
	}
}

func (p *program) runContainer(c *cli.Context) error {
	if err := p.wantArgs(c, 1, 1); err != nil {
		return err
	}
	id, err := containerID(c)
	if err != nil {
		return err
	}
	opts, err := createOptions(c)
	if err == nil {
		err = p.checkPreserved(opts.ListenFDs + opts.PreserveFDs)
	}
	if err != nil {
		return err
	}
	r := running{program: p, id: id, options: opts, manager: p.serviceManager()}
	r.options.Notify = r.manager.notify()
	if r.runtime, err = p.creator(c); err != nil {
		return err
	}
	if c.Bool("detach") {
		return r.detached(c)
	}
	if !c.Bool("no-subreaper") {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return err
		}
	}
	return r.foreground(c)
}

// running is a run on its way.
type running struct {
	program *program
	runtime *libcontainer.Runtime
	id      string
	options libcontainer.CreateOptions
	manager manager
}

func (r *running) detached(c *cli.Context) error {
	r.options.Lifetime = libcontainer.Detached
	ctr, err := r.runtime.Create(c.Context, r.id, r.options)
	if err != nil {
		return err
	}
	if err := r.manager.startDetached(ctr); err != nil {
		r.program.discard(c, ctr)
		return err
	}
	return nil
}

func (r *running) foreground(c *cli.Context) error {
	if err := refuseConsoleSocket(r.options.ConsoleSocket); err != nil {
		return err
	}
	fg, ctx := r.program.newForeground(c.Context)
	defer fg.close()
	r.options.SetUpTerminal = terminalStreams().SetUp
	ctr, err := r.runtime.Create(ctx, r.id, r.options)
	if err != nil {
		return interruption(ctx, err)
	}
	start, wait := r.manager.startAttached(ctr, r.program.log)
	status, err := fg.run(ctr.Init(), start)
	r.program.discard(c, ctr)
	wait()
	if err != nil {
		return err
	}
	r.program.status = status
	return nil
}

// discard deletes the container after its program, unless it is to be kept.
// The program's exit status matters more than that this failed.
func (p *program) discard(c *cli.Context, ctr *libcontainer.Container) {
	if c.Bool("keep") {
		return
	}
	err := ctr.Destroy(libcontainer.Force)
	if err != nil && !errors.Is(err, libcontainer.ErrNotExist) {
		p.log.warn(err)
	}
}

// interruption names the signal that made err happen, if one did.
func interruption(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, context.Canceled) {
		return cause
	}
	return err
}
