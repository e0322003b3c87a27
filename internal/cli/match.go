package cli

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/urfave/cli/v2"

	"hull/libcontainer"
)

// each does do to the container that the first argument names, or with --regex
// to every container whose ID it matches. Then one failure does not spare the
// others: it becomes a warning, and the error says how many there were.
func (p *program) each(c *cli.Context, do func(*libcontainer.Container) error) error {
	if !c.Bool("regex") {
		ctr, err := p.load(c)
		if err != nil {
			return err
		}
		return do(ctr)
	}
	pattern, err := regexp.Compile(c.Args().First())
	if err != nil {
		return err
	}
	rt, err := p.runtime(c)
	if err != nil {
		return err
	}
	var matched, failed int
	err = rt.Each(func(ctr *libcontainer.Container) error {
		if !pattern.MatchString(ctr.ID()) {
			return nil
		}
		matched++
		// Gone meanwhile is what the user of delete and kill wants.
		if err := do(ctr); err != nil && !errors.Is(err, libcontainer.ErrNotExist) {
			failed++
			p.log.warn(fmt.Errorf("container %s: %w", ctr.ID(), err))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%s failed for %d of %d containers", c.Command.Name, failed, matched)
	}
	return nil
}
