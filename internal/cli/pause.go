package cli

import "github.com/urfave/cli/v2"

func pauseCommand(p *program) *cli.Command {
	return &cli.Command{
		Usage:     "freeze all processes of a container",
		UsageText: p.name + " pause CONTAINER-ID",
		Description: `The processes stay where they are until "resume".

Example:

   hull pause web && hull list`,
		Action: p.pause,
	}
}

func (p *program) pause(c *cli.Context) error {
	if err := p.wantArgs(c, 1, 1); err != nil {
		return err
	}
	ctr, err := p.load(c)
	if err != nil {
		return err
	}
	return ctr.Pause()
}
