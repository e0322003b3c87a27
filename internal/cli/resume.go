package cli

import "github.com/urfave/cli/v2"

func resumeCommand(p *program) *cli.Command {
	return &cli.Command{
		Usage:     "let a paused container go on",
		UsageText: p.name + " resume CONTAINER-ID",
		Description: `Undoes "pause".

Example:

   hull resume web`,
		Action: p.resume,
	}
}

func (p *program) resume(c *cli.Context) error {
	if err := p.wantArgs(c, 1, 1); err != nil {
		return err
	}
	ctr, err := p.load(c)
	if err != nil {
		return err
	}
	return ctr.Resume()
}
