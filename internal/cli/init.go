package cli

import (
	"errors"

	"github.com/urfave/cli/v2"
)

// initCommand answers those who found "init" in a process list. The init stage
// itself never gets this far: libcontainer.Init takes it over.
func initCommand(p *program) *cli.Command {
	return &cli.Command{
		Usage:     "continue inside a new container; for hull itself",
		UsageText: p.name + " init",
		Hidden:    true,
		Action: func(*cli.Context) error {
			return errors.New("init is not for people: hull starts it itself inside a new container (to make one, use `hull create` or `hull run`)")
		},
	}
}
