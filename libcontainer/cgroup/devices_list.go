package cgroup

import (
	"iter"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/internal/fault"
)

// add takes in one rule. A rule that agrees with the default takes back exceptions.
// In an allow-list these are the ones for exactly its devices: the kernel of v1 would
// accept a rule that takes back a part of a wider one, and not enforce it.
func (l *deviceList) add(e exception) *fault.Error {
	switch {
	case l.hole != nil:
		l.exceptions = append(l.exceptions, e)
	case e.act != l.otherwise:
		l.except(e)
	case e.act == deny: // an allow-list must not have holes that are none
		if wide, ok := l.wider(e.deviceRule); ok {
			return fault.Newf("", "", "cannot deny %s: an earlier rule allows %s, and a part of it cannot be taken back", e.deviceRule, wide.deviceRule)
		}
		l.takeBack(e.deviceRule)
	default:
		l.takeBackWithin(e.deviceRule)
		if wide, ok := l.wider(e.deviceRule); ok {
			l.pierce(e, fault.Newf("set", devicePath(e.place), "cannot allow %s: an earlier rule denies %s, and cgroup v1 cannot take back a part of it",
				e.deviceRule, wide.deviceRule))
		}
	}
	return nil
}

// addDefault allows a device that every container may use, and making nodes. What
// the configuration denies more particularly is left so.
func (l *deviceList) addDefault(r deviceRule) {
	if l.otherwise == deny {
		l.except(exception{deviceRule: r, act: allow})
		return
	}
	for i, e := range l.exceptions {
		if e.act == deny && e.device == r.device {
			l.exceptions[i].access &^= r.access
		}
	}
	r.access &= read | write
	wide := slices.IndexFunc(l.exceptions, func(e exception) bool {
		return e.act == deny && e.access&r.access != 0 && e.covers(r.device)
	})
	if wide >= 0 && !r.isTun() {
		e := l.exceptions[wide]
		l.pierce(exception{deviceRule: r, act: allow}, fault.Newf("set", devicePath(e.place), "cannot deny %s: every container has %s, and cgroup v1 cannot leave a part out",
			e.deviceRule, r))
	}
}

// except takes in an exception from the default.
func (l *deviceList) except(e exception) {
	if i, there := l.index[e.device]; there {
		l.exceptions[i].access |= e.access
		return
	}
	l.index[e.device] = len(l.exceptions)
	l.exceptions = append(l.exceptions, e)
}

// pierce takes in an exception from an exception.
func (l *deviceList) pierce(e exception, why *fault.Error) {
	l.exceptions = append(l.exceptions, e)
	if l.hole == nil {
		l.hole = why
	}
}

// takeBack voids the exception for exactly the devices of r.
func (l *deviceList) takeBack(r deviceRule) {
	if i, there := l.index[r.device]; there {
		l.exceptions[i].access &^= r.access
	}
}

// takeBackWithin voids the exceptions for devices of r.
func (l *deviceList) takeBackWithin(r deviceRule) {
	l.takeBack(r)
	if !r.isMany() {
		return
	}
	for i, e := range l.exceptions {
		if r.covers(e.device) {
			l.exceptions[i].access &^= r.access
		}
	}
}

// wider returns an exception that overlaps with r and is not of the same devices.
// A list may have tens of thousands: of a single device only those are looked at
// that can be about it.
func (l *deviceList) wider(r deviceRule) (exception, bool) {
	if r.isMany() {
		i := slices.IndexFunc(l.exceptions, func(e exception) bool { return e.device != r.device && e.overlaps(r) })
		if i < 0 {
			return exception{}, false
		}
		return l.exceptions[i], true
	}
	for _, d := range [...]device{
		{r.kind, anyNumber, anyNumber}, {r.kind, r.major, anyNumber}, {r.kind, anyNumber, r.minor},
	} {
		if i, ok := l.index[d]; ok && l.exceptions[i].overlaps(r) {
			return l.exceptions[i], true
		}
	}
	return exception{}, false
}

// all visits the exceptions that were not taken back.
func (l *deviceList) all() iter.Seq[exception] {
	return func(yield func(exception) bool) {
		for _, e := range l.exceptions {
			if e.access != 0 && !yield(e) {
				return
			}
		}
	}
}

// isMany reports whether the rule is about more than one node.
func (d device) isMany() bool { return d.major == anyNumber || d.minor == anyNumber }

// isTun reports whether it is the device of net/tun.
func (d device) isTun() bool { return d == device{'c', 10, 200} }

// covers reports whether all of o is in d.
func (d device) covers(o device) bool {
	return d.kind == o.kind && (d.major == anyNumber || d.major == o.major) && (d.minor == anyNumber || d.minor == o.minor)
}

// allows reports whether all of an access to one node is allowed.
func (l *deviceList) allows(wanted deviceRule) bool {
	if l.otherwise == deny {
		return slices.ContainsFunc(l.exceptions, func(e exception) bool {
			return e.covers(wanted.device) && e.access&wanted.access == wanted.access
		})
	}
	for _, e := range slices.Backward(l.exceptions) {
		switch {
		case !e.overlaps(wanted):
		case e.act == deny:
			return false
		default:
			wanted.access &^= e.access
		}
	}
	return true
}

// Allows reports whether the rules let a container in this cgroup read and write
// a device, as SetDevices is going to have it.
func (c *Cgroup) Allows(rules []specs.LinuxDeviceCgroup, d *specs.LinuxDevice) bool {
	l, err := compileDevices(rules)
	if err != nil || c.rec.Driver == Disabled || d.Type == "" || d.Type == "p" {
		return true
	}
	wanted := deviceRule{device{d.Type[0], d.Major, d.Minor}, read | write}
	if d.Type == "u" {
		wanted.kind = 'c'
	}
	return l.allows(wanted)
}
