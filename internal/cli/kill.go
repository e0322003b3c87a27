package cli

import (
	"errors"

	"github.com/urfave/cli/v2"

	"hull/libcontainer"
)

func killCommand(p *program) *cli.Command {
	all := boolFlag("all", "ends, with KILL, also what a stopped container without a pid namespace of its own has left", "a")
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
		if c.Bool("all") {
			return ctr.SignalAll(sig)
		}
		err := ctr.Signal(sig)
		if errors.Is(err, libcontainer.ErrNotRunning) && c.Bool("regex") {
			return nil
		}
		return err
	})
}
