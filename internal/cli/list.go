package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/moby/sys/user"
	"github.com/urfave/cli/v2"

	"hull/libcontainer"
)

func listCommand(p *program) *cli.Command {
	return &cli.Command{
		Usage:     "list the containers",
		UsageText: p.name + " [--root DIR] list [options]",
		Description: `Prints the containers whose state is in the directory of the global --root.

Examples:

   hull list
   hull --root /run/containerd/runc/k8s.io list -f json
   hull list -q | xargs -n 1 hull delete --force`,
		Flags: []cli.Flag{
			formatFlag(),
			boolFlag("quiet", "print only container IDs", "q"),
		},
		Action: p.list,
	}
}

func (p *program) list(c *cli.Context) error {
	if err := p.wantArgs(c, 0, 0); err != nil {
		return err
	}
	format, err := checkFormat(c)
	if err != nil {
		return err
	}
	rt, err := p.runtime(c)
	if err != nil {
		return err
	}
	var ids []string
	// No state is nil: null, and not [], is what readers of the JSON know.
	var states []containerState
	owners := make(map[int]string)
	err = rt.Each(func(ctr *libcontainer.Container) error {
		if c.Bool("quiet") {
			ids = append(ids, ctr.ID())
			return nil
		}
		s, err := stateOf(ctr)
		if errors.Is(err, libcontainer.ErrNotExist) {
			return nil // deleted meanwhile
		}
		if err != nil {
			// One that is broken does not hide the others.
			p.log.warn(fmt.Errorf("state of container %s: %w", ctr.ID(), err))
			return nil
		}
		s.Owner = userName(owners, ctr.Owner())
		if format == "json" {
			s.Obstacles = ctr.Obstacles()
		}
		states = append(states, s)
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) && !c.IsSet("root") {
		err = nil // no container was ever made
	}
	if err != nil {
		return err
	}
	if c.Bool("quiet") {
		for _, id := range ids {
			fmt.Fprintln(p.out, id)
		}
		return nil
	}
	if format == "json" {
		return json.NewEncoder(p.out).Encode(states)
	}
	return printTable(p.out, states)
}

// userName returns the host's name of uid, or #uid if it has none. It is looked up
// once.
func userName(known map[int]string, uid int) string {
	if name, ok := known[uid]; ok {
		return name
	}
	name := "#" + strconv.Itoa(uid)
	if u, err := user.LookupUid(uid); err == nil {
		name = u.Name
	}
	known[uid] = name
	return name
}

func printTable(w io.Writer, states []containerState) error {
	t := tabwriter.NewWriter(w, 12, 1, 3, ' ', 0)
	fmt.Fprint(t, "ID\tPID\tSTATUS\tBUNDLE\tCREATED\tOWNER\n")
	for i := range states {
		s := &states[i]
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\n",
			s.ID, s.Pid, s.Status, s.Bundle, s.Created.Format(time.RFC3339Nano), s.Owner)
	}
	return t.Flush()
}
