package netdev

import (
	"errors"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/rtnl"
)

// Restore moves back the devices that Move has moved, and makes their state, the
// bridge or bond that they were part of, and their addresses what they were.
// Routes that do not follow from addresses are lost. What cannot be restored is
// given to warn, and keeps nothing else from being restored.
func (s *Set) Restore(warn func(error)) {
	for i := range s.devices {
		d := &s.devices[i]
		s.restore(d, func(err error) { warn(fault.New("give back", d.path, err)) })
	}
}

func (s *Set) restore(d *device, warn func(error)) {
	away, err := s.away(d)
	if err == nil && away {
		err = s.fetch(d)
	}
	if err != nil {
		warn(err)
		return
	}
	if !away {
		return
	}
	link, err := s.host.ByName(d.before.Name)
	if err != nil {
		warn(err)
		return
	}
	if d.before.Master != 0 {
		if err := s.host.Set(link.Index, rtnl.Change{Master: d.before.Master}); err != nil {
			warn(err)
		}
	}
	if err := s.host.Set(link.Index, rtnl.Change{Up: d.before.Up}); err != nil {
		warn(err)
	}
	for i := range d.addresses {
		if err := s.host.AddAddress(link.Index, &d.addresses[i]); err != nil {
			warn(err)
		}
	}
}

// away reports whether a device is in the container. The kernel does a change
// step by step: it may have moved a device and then refused the rest.
func (s *Set) away(d *device) (bool, error) {
	if d.index != 0 {
		return true, nil
	}
	if d.arrival == "" {
		return false, nil
	}
	link, err := s.inside.ByName(d.arrival)
	if errors.Is(err, unix.ENODEV) {
		return false, nil
	}
	d.index = link.Index
	return err == nil, err
}

// fetch moves a device back, with the index that it had or, if somebody has that
// now, with another: one that stayed would end with the container's namespace.
func (s *Set) fetch(d *device) error {
	change := rtnl.Change{Namespace: int(s.home.Fd()), Index: d.before.Index, Name: d.before.Name}
	err := s.inside.Set(d.index, change)
	if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EEXIST) {
		change.Index = 0
		err = s.inside.Set(d.index, change)
	}
	if err == nil {
		d.index, d.arrival = 0, ""
	}
	return err
}
