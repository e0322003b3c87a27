package libcontainer

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/internal/fault"
	"hull/libcontainer/cgroup"
	"hull/spec"
)

// UpdateOptions are the limits that a container gets in the place of those that
// it has. What they do not name stays as it is.
type UpdateOptions struct {
	// Resources are limits of control groups; zero means what it does in a
	// config.json. Nil changes none.
	Resources *specs.LinuxResources
	// L3CacheSchema and MemBwSchema are lines for the container's class of
	// service in resctrl, which it has if it was created with linux.intelRdt.
	L3CacheSchema, MemBwSchema string
}

// Update changes limits of a container that is created, running or paused, all
// of them or, if one is refused, none. An error in the options is an
// InvalidError, whose paths are those of a config.json.
func (c *Container) Update(o UpdateOptions) error {
	classes := &specs.LinuxIntelRdt{L3CacheSchema: o.L3CacheSchema, MemBwSchema: o.MemBwSchema}
	if err := spec.Join(cgroup.ValidateUpdate(o.Resources), spec.ValidateIntelRdt(classes)); err != nil {
		return err
	}
	release, err := c.dir.LockUpdate()
	if err != nil {
		return err
	}
	defer release()
	status, err := c.status()
	if err != nil {
		return err
	}
	if status == specs.StateStopped || status == specs.StateCreating {
		return fault.New("update", c.record.ID, ErrNotRunning)
	}
	undo, err := c.resctrl().Update(classes)
	if err != nil || o.Resources == nil {
		return err
	}
	err = c.cgroup.Update(o.Resources, c.runtime.warn)
	if err == nil {
		return nil
	}
	if undone := undo(); undone != nil {
		return fmt.Errorf("%w; %w", err, undone)
	}
	return err
}
