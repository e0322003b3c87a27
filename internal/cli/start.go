package cli

import "github.com/urfave/cli/v2"

func startCommand(p *program) *cli.Command {
	return &cli.Command{
		Usage:     "run the program of a created container",
		UsageText: p.name + " start CONTAINER-ID",
		Description: `Runs the program of a container that "create" made. Returns once it runs;
where $NOTIFY_SOCKET says that a service manager waits for it, as it did when
the container was created, once it is ready.

Example:

   hull start web`,
		Action: p.start,
	}
}

func (p *program) start(c *cli.Context) error {
	if err := p.wantArgs(c, 1, 1); err != nil {
		return err
	}
	ctr, err := p.load(c)
	if err != nil {
		return err
	}
	return p.serviceManager().startDetached(ctr)
}
