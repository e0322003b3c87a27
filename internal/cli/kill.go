package cli

import (
	"errors"

	"github.com/urfave/cli/v2"

	"hull/libcontainer"
)

func killCommand(p *program) *cli.Command {
	all := boolFlag("all", "does nothing: all processes are signalled where there is no init that would", "a")
	all.Hidden = true
	return &cli.Command{
		Usage:     "send a signal to a container (default: SIGTERM)",
		UsageText: p.name + " kill [options] CONTAINER-ID [SIGNAL]",
		Description: `SIGNAL is a number or a name: 9, KILL, SIGKILL, SIGRTMIN+3.

Examples:

   hull kill web
   hull kill web KILL
   hull kill --regex '^test-' KILL   # every container of that name`,
		Flags:  []cli.Flag{regexFlag(), all},
		Action: p.kill,
	}
}

func (p *program) kill(c *cli.Context) error {
	if err := p.wantArgs(c, 1, 2); err != nil {
		return err
	}
	name := c.Args().Get(1)
	if name == "" {
		name = "SIGTERM"
	}
	sig, err := parseSignal(name)
	if err != nil {
		return err
	}
	return p.each(c, func(ctr *libcontainer.Container) error {
		err := ctr.Signal(sig)
		// Engines clean up with `kill --all`, whatever state things are in.
		if errors.Is(err, libcontainer.ErrNotRunning) && (c.Bool("all") || c.Bool("regex")) {
			return nil
		}
		return err
	})
}
