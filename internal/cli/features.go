package cli

import (
	"encoding/json"

	"github.com/urfave/cli/v2"
)

func featuresCommand(p *program) *cli.Command {
	return &cli.Command{
		Usage:     "print what this hull can do, as JSON",
		UsageText: p.name + " features",
		Description: `Prints what this hull can do, as the JSON that the runtime specification's
features.md describes. Engines ask before they use a feature.

Example:

   hull features | jq .linux.cgroup`,
		Action: p.features,
	}
}

func (p *program) features(c *cli.Context) error {
	if err := p.wantArgs(c, 0, 0); err != nil {
		return err
	}
	rt, err := p.runtime(c)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(p.out)
	enc.SetIndent("", "    ")
	return enc.Encode(rt.Features())
}
