package cli

import "github.com/urfave/cli/v2"

func eventsCommand(p *program) *cli.Command { return &cli.Command{} }
