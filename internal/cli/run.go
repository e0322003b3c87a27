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
	if err != nil {
		return err
	}
	rt, err := p.runtime(c)
	if err != nil {
		return err
	}
	if c.Bool("detach") {
		opts.Lifetime = libcontainer.Detached
		return p.runDetached(c, rt, id, opts)
	}
	if !c.Bool("no-subreaper") {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return err
		}
	}
	return p.runForeground(c, rt, id, opts)
}

func (p *program) runDetached(c *cli.Context, rt *libcontainer.Runtime, id string, opts libcontainer.CreateOptions) error {
	ctr, err := rt.Create(c.Context, id, opts)
	if err != nil {
		return err
	}
	if err := ctr.Start(); err != nil {
		p.discard(c, ctr)
		return err
	}
	return nil
}

func (p *program) runForeground(c *cli.Context, rt *libcontainer.Runtime, id string, opts libcontainer.CreateOptions) error {
	if err := refuseConsoleSocket(opts.ConsoleSocket); err != nil {
		return err
	}
	fg, ctx := p.newForeground(c.Context)
	defer fg.close()
	opts.SetUpTerminal = terminalStreams().SetUp
	ctr, err := rt.Create(ctx, id, opts)
	if err != nil {
		return interruption(ctx, err)
	}
	status, err := fg.run(ctr.Init(), ctr.Start)
	p.discard(c, ctr)
	if err != nil {
		return err
	}
	p.status = status
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
