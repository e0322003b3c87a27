package cli

import (
	"github.com/urfave/cli/v2"

	"hull/libcontainer"
)

func createCommand(p *program) *cli.Command {
	return &cli.Command{
		Usage:     "make a container, and stop before its program runs",
		UsageText: p.name + " create [options] CONTAINER-ID",
		Description: `Makes a container from a bundle and stops before its program runs:
"start" runs it. The ID is chosen by you and must be unique on the host.
Later changes of the bundle's config.json have no effect on the container.

Example, in a bundle whose config.json has "terminal": false:

   hull create web && hull state web && hull start web`,
		Flags:  bundleFlags(),
		Action: p.create,
	}
}

func (p *program) create(c *cli.Context) error {
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
	opts.Lifetime = libcontainer.Detached
	opts.Notify = p.serviceManager().notify()
	rt, err := p.creator(c)
	if err != nil {
		return err
	}
	_, err = rt.Create(c.Context, id, opts)
	return err
}
