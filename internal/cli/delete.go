package cli

import (
	"errors"
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"

	"hull/libcontainer"
)

func deleteCommand(p *program) *cli.Command {
	return &cli.Command{
		Usage:     "remove a container that has stopped",
		UsageText: p.name + " delete [options] CONTAINER-ID",
		Description: `Removes what is left of a container that has stopped. With --force the
container need not have stopped, nor be there.

Examples:

   hull delete web
   hull delete --force --regex '^test-'   # every container of that name`,
		Flags: []cli.Flag{
			boolFlag("force", "kill what still runs of the container (SIGKILL), and delete it", "f"),
			regexFlag(),
		},
		Action: p.delete,
	}
}

func (p *program) delete(c *cli.Context) error {
	if err := p.wantArgs(c, 1, 1); err != nil {
		return err
	}
	if !c.Bool("force") {
		return p.each(c, deleteStopped)
	}
	err := p.each(c, func(ctr *libcontainer.Container) error { return ctr.Destroy(libcontainer.Force) })
	// Engines delete twice to be sure.
	if errors.Is(err, libcontainer.ErrNotExist) {
		return nil
	}
	return err
}

// deleteStopped refuses a container that is only created, too: "attempting to
// delete a container that is not stopped MUST have no effect", runtime.md.
func deleteStopped(ctr *libcontainer.Container) error {
	s, err := ctr.State()
	if err != nil {
		return err
	}
	if s.Status != specs.StateStopped {
		return fmt.Errorf("cannot delete container %s that is not stopped: %s", s.ID, s.Status)
	}
	return ctr.Destroy(libcontainer.IfStopped)
}
