package cgroup

import (
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/internal/fault"
)

// access is a set of what may be done with a device node. The bits are those
// of BPF_DEVCG_ACC_*.
type access uint8

const (
	mknod access = 1 << iota
	read
	write
	allAccess = mknod | read | write
)

// anyNumber stands for all major or minor numbers.
const anyNumber = -1

// device is one or many device nodes.
type device struct {
	kind         byte // 'b' or 'c'
	major, minor int64
}

// action is what to do with an access. The values are a BPF program's verdict.
type action int32

const (
	deny action = iota
	allow
)

type deviceRule struct {
	device
	access access
}

// deviceList is what a list of rules amounts to: a default, and exceptions
// from it. It is the model of the v1 devices controller, and v2 follows it, so
// that a configuration means the same on both.
type deviceList struct {
	otherwise action
	// exceptions are in the order in which they were made. One that was taken
	// back has no access.
	exceptions []deviceRule
	// index has the place of each among them.
	index map[device]int
}

// SetDevices restricts the cgroup to the device nodes that rules allow, in
// their order, and to those that every container may use. It starts from
// "nothing is allowed", replaces what was set, and is for a cgroup without
// processes: on v1, access is denied for a moment.
func (c *Cgroup) SetDevices(rules []specs.LinuxDeviceCgroup) error {
	list, err := compileDevices(rules)
	if err != nil || c.rec.Driver == Disabled {
		return err
	}
	h := c.controller("devices")
	switch {
	case h == nil:
		err = fault.New("set", "linux.resources.devices", errNoController)
	case h.v2():
		err = list.attach(h.dir())
	default:
		// systemd is not told: a unit that it learns a rule for while it
		// runs, it takes out of the v1 cgroup that the rules are in.
		err = list.write(h.dir())
	}
	if err != nil && c.devices == Tolerate {
		if denySome(rules) {
			c.warn(err)
		}
		return nil
	}
	return err
}

// denySome reports whether rules take away particular nodes. That they leave
// everything else out, as those of all engines do, is no news to a user without
// privileges: he can make no node, and opens what he may open anyway.
func denySome(rules []specs.LinuxDeviceCgroup) bool {
	return slices.ContainsFunc(rules, func(r specs.LinuxDeviceCgroup) bool {
		return !r.Allow && (r.Type == "b" || r.Type == "c")
	})
}

// defaultDevices are the nodes that every container may use: it can make any
// node, and open the harmless ones, the terminals, and tun, which the runtimes
// before us have allowed for so long that images rely on it.
func defaultDevices() [11]deviceRule {
	return [...]deviceRule{
		{device{'c', anyNumber, anyNumber}, mknod},
		{device{'b', anyNumber, anyNumber}, mknod},
		{device{'c', 1, 3}, allAccess},           // null
		{device{'c', 1, 5}, allAccess},           // zero
		{device{'c', 1, 7}, allAccess},           // full
		{device{'c', 1, 8}, allAccess},           // random
		{device{'c', 1, 9}, allAccess},           // urandom
		{device{'c', 5, 0}, allAccess},           // tty
		{device{'c', 5, 2}, allAccess},           // ptmx
		{device{'c', 136, anyNumber}, allAccess}, // pts/*
		{device{'c', 10, 200}, allAccess},        // net/tun
	}
}

func compileDevices(rules []specs.LinuxDeviceCgroup) (deviceList, error) {
	l := deviceList{exceptions: make([]deviceRule, 0, len(rules)+11), index: map[device]int{}}
	for i := range rules {
		if err := l.addSpec(&rules[i]); err != nil {
			err.Object = "linux.resources.devices[" + strconv.Itoa(i) + "]" + err.Object
			return l, err
		}
	}
	for _, r := range defaultDevices() {
		if err := l.add(r, allow); err != nil {
			return l, err
		}
	}
	return l, nil
}

// addSpec takes in one rule. The object of the error is the JSON path below it.
func (l *deviceList) addSpec(r *specs.LinuxDeviceCgroup) *fault.Error {
	act := deny
	if r.Allow {
		act = allow
	}
	switch r.Type {
	case "", "a":
		// Everything, whatever the access: what was said before is void.
		*l = deviceList{otherwise: act, exceptions: l.exceptions[:0], index: map[device]int{}}
		return nil
	case "b", "c":
	default:
		return fault.Newf("", ".type", "unknown type %q (one of a, b, c)", r.Type)
	}
	a, ok := parseAccess(r.Access)
	if !ok {
		return fault.Newf("", ".access", "%q is not made of r, w and m", r.Access)
	}
	d := device{kind: r.Type[0], major: anyNumber, minor: anyNumber}
	for _, n := range [...]struct {
		to   *int64
		from *int64
		name string
	}{{&d.major, r.Major, ".major"}, {&d.minor, r.Minor, ".minor"}} {
		if n.from == nil {
			continue
		}
		if *n.from < anyNumber || *n.from > math.MaxUint32 {
			return fault.Newf("", n.name, "%d is not from 0 to %d (-1 is all)", *n.from, uint32(math.MaxUint32))
		}
		*n.to = *n.from
	}
	return l.add(deviceRule{d, a}, act)
}

func parseAccess(s string) (a access, ok bool) {
	for _, c := range s {
		switch c {
		case 'r':
			a |= read
		case 'w':
			a |= write
		case 'm':
			a |= mknod
		default:
			return 0, false
		}
	}
	return a, a != 0
}

// add takes in one rule. A rule that agrees with the default takes back an
// exception, and only the exception for exactly its devices: the kernel would
// accept a rule that takes back a part of a wider one, and not enforce it.
func (l *deviceList) add(r deviceRule, act action) *fault.Error {
	i, there := l.index[r.device]
	switch {
	case act != l.otherwise && there:
		l.exceptions[i].access |= r.access
	case act != l.otherwise:
		l.index[r.device] = len(l.exceptions)
		l.exceptions = append(l.exceptions, r)
	default:
		if act == deny { // an allow-list must not have holes that are none
			if e, ok := l.wider(r); ok {
				return fault.Newf("", "", "cannot deny %s: an earlier rule allows %s, and a part of it cannot be taken back", r, e)
			}
		}
		if there {
			l.exceptions[i].access &^= r.access
		}
	}
	return nil
}

// wider returns an exception that overlaps with r and is not of the same devices.
// A list may have tens of thousands: of a single device only those are looked at
// that can be about it.
func (l *deviceList) wider(r deviceRule) (deviceRule, bool) {
	if r.major == anyNumber || r.minor == anyNumber {
		i := slices.IndexFunc(l.exceptions, func(e deviceRule) bool { return e.device != r.device && e.overlaps(r) })
		if i < 0 {
			return deviceRule{}, false
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
	return deviceRule{}, false
}

// all visits the exceptions that were not taken back.
func (l *deviceList) all() iter.Seq[deviceRule] {
	return func(yield func(deviceRule) bool) {
		for _, e := range l.exceptions {
			if e.access != 0 && !yield(e) {
				return
			}
		}
	}
}

func (r deviceRule) overlaps(o deviceRule) bool {
	return r.kind == o.kind && r.access&o.access != 0 &&
		(r.major == o.major || r.major == anyNumber || o.major == anyNumber) &&
		(r.minor == o.minor || r.minor == anyNumber || o.minor == anyNumber)
}

// String is the rule as the v1 controller reads it.
func (r deviceRule) String() string {
	var b strings.Builder
	b.WriteByte(r.kind)
	for i, n := range [...]int64{r.major, r.minor} {
		b.WriteByte(" :"[i])
		if n == anyNumber {
			b.WriteByte('*')
			continue
		}
		b.WriteString(strconv.FormatInt(n, 10))
	}
	return b.String() + " " + r.access.String()
}

// String is the access as rules have it.
func (a access) String() string {
	var b []byte
	for _, is := range [...]struct {
		bit  access
		char byte
	}{{read, 'r'}, {write, 'w'}, {mknod, 'm'}} {
		if a&is.bit != 0 {
			b = append(b, is.char)
		}
	}
	return string(b)
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
	named := slices.ContainsFunc(l.exceptions, func(e deviceRule) bool {
		return e.overlaps(wanted) && (l.otherwise == allow || e.access&wanted.access == wanted.access)
	})
	return named == (l.otherwise == deny)
}
