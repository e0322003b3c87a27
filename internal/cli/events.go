package cli

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/urfave/cli/v2"

	"hull/libcontainer"
)

// defaultInterval is runc's.
const defaultInterval = "5s"

func eventsCommand(p *program) *cli.Command {
	return &cli.Command{
		Usage:     "tell what a container uses, and when it runs out of memory",
		UsageText: p.name + " events [options] CONTAINER-ID",
		Description: `Prints a line of JSON each time the interval is over, with what the container
uses, and one when it runs out of memory, until the container stops.

Examples:

   hull events --interval 1s web
   hull events --stats web | jq .data.memory.usage`,
		Flags: []cli.Flag{
			withDefault(defaultInterval, stringFlag("interval", "tell what is used every `DURATION`, as 500ms, 5s or 1m")),
			boolFlag("stats", "tell what is used now, once"),
		},
		Action: p.events,
	}
}

// event is a line of events.
type event struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Data *stats `json:"data,omitempty"`
}

func (p *program) events(c *cli.Context) error {
	if err := p.wantArgs(c, 1, 1); err != nil {
		return err
	}
	interval, err := time.ParseDuration(c.String("interval"))
	if err != nil {
		return err
	}
	if interval <= 0 {
		return errors.New("duration interval must be greater than 0")
	}
	ctr, err := p.load(c)
	if err != nil {
		return err
	}
	out := json.NewEncoder(p.out)
	tell := func(e libcontainer.Event) error {
		if e.Kind == libcontainer.OOMEvent {
			return out.Encode(event{Type: "oom", ID: ctr.ID()})
		}
		return out.Encode(event{Type: "stats", ID: ctr.ID(), Data: newStats(e.Stats)})
	}
	if !c.Bool("stats") {
		return ctr.Watch(interval, tell)
	}
	s, err := ctr.LiveStats()
	if err != nil {
		return err
	}
	return tell(libcontainer.Event{Stats: s})
}
