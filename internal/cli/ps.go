package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"hull/internal/fault"
)

func psCommand(p *program) *cli.Command {
	return &cli.Command{
		Usage:     "list the processes of a container",
		UsageText: p.name + " ps [options] CONTAINER-ID [PS-OPTIONS]",
		Description: `Prints the lines of the host's ps(1) that are about the container's
processes. PS-OPTIONS go to it (default: -ef); its output must have a PID column.

Examples:

   hull ps web
   hull ps web -o pid,rss,args
   hull ps --format json web   # the pids alone, as the host sees them`,
		Flags:  []cli.Flag{formatFlag()},
		Action: p.ps,
	}
}

func (p *program) ps(c *cli.Context) error {
	if err := p.wantArgs(c, 1, anyNumber); err != nil {
		return err
	}
	format, err := checkFormat(c)
	if err != nil {
		return err
	}
	ctr, err := p.load(c)
	if err != nil {
		return err
	}
	pids, err := ctr.Processes()
	if err != nil {
		return err
	}
	if format == "json" {
		return json.NewEncoder(p.out).Encode(pids)
	}
	args := c.Args().Tail()
	if len(args) == 0 {
		args = []string{"-ef"}
	}
	table, err := exec.CommandContext(c.Context, "ps", args...).CombinedOutput()
	if err != nil {
		return fault.Newf("run ps", strings.Join(args, " "), "%w: %s", err, strings.TrimSpace(string(table)))
	}
	return printProcesses(p.out, string(table), pids)
}

// printProcesses prints the title of ps's table and the lines of pids.
func printProcesses(w io.Writer, table string, pids []int) error {
	title, lines, _ := strings.Cut(table, "\n")
	column := slices.Index(strings.Fields(title), "PID")
	if column < 0 {
		return errors.New("couldn't find PID field in ps output")
	}
	fmt.Fprintln(w, title)
	for line := range strings.Lines(lines) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if column >= len(fields) {
			return fmt.Errorf("unable to parse pid: no field %d in %q", column+1, line)
		}
		pid, err := strconv.Atoi(fields[column])
		if err != nil {
			return fmt.Errorf("unable to parse pid: %w", err)
		}
		if slices.Contains(pids, pid) {
			fmt.Fprint(w, line)
		}
	}
	return nil
}
