package cli

import (
	"encoding/json"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"

	"hull/libcontainer"
)

func stateCommand(p *program) *cli.Command {
	return &cli.Command{
		Usage:     "print what is known of a container, as JSON",
		UsageText: p.name + " state CONTAINER-ID",
		Description: `Prints what is known of a container, as JSON. Its "status" is creating,
created, running, paused or stopped, and "obstacles", if there are any, says what
stands in the way: processes that cannot run or are not collected, a frozen cgroup
above the container's, a bundle or root that is gone.

Example:

   hull state web | jq -r .status`,
		Action: p.state,
	}
}

func (p *program) state(c *cli.Context) error {
	if err := p.wantArgs(c, 1, 1); err != nil {
		return err
	}
	ctr, err := p.load(c)
	if err != nil {
		return err
	}
	s, err := stateOf(ctr)
	if err != nil {
		return err
	}
	s.Obstacles = ctr.Obstacles()
	text, err := s.text()
	if err != nil {
		return err
	}
	_, err = p.out.Write(text)
	return err
}

// containerState is a container in the output of state and list. It has more
// than the specification's state, and none of its fields may go: engines
// decode it.
type containerState struct {
	Version     string            `json:"ociVersion"`
	ID          string            `json:"id"`
	Pid         int               `json:"pid"` // 0 once it has stopped
	Status      string            `json:"status"`
	Bundle      string            `json:"bundle"`
	Rootfs      string            `json:"rootfs"`
	Created     time.Time         `json:"created"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Owner       string            `json:"owner"` // of the state directory; only list says
	// Obstacles are no other runtime's: what stands in the way of the container.
	Obstacles []string `json:"obstacles,omitempty"`
}

func stateOf(ctr *libcontainer.Container) (containerState, error) {
	s, err := ctr.State()
	if err != nil {
		return containerState{}, err
	}
	pid := s.Pid
	if s.Status == specs.StateStopped {
		pid = 0
	}
	return containerState{
		Version:     s.Version,
		ID:          s.ID,
		Pid:         pid,
		Status:      string(s.Status),
		Bundle:      s.Bundle,
		Rootfs:      ctr.Rootfs(),
		Created:     ctr.Created().UTC(),
		Annotations: s.Annotations,
	}, nil
}

// text renders s as `state` prints it: without a newline at the end.
func (s containerState) text() ([]byte, error) {
	return json.MarshalIndent(s, "", "  ")
}
