package cgroup

import (
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
// that a configuration means the same on both; but for holes, which v1 cannot have.
type deviceList struct {
	otherwise action
	// exceptions are in the order in which they were made. One that was taken
	// back has no access.
	exceptions []exception
	// index has the place of each among them.
	index map[device]int
	// hole is why v1 cannot have the list: an exception that allows again a part of
	// what one before denies. From there on the order matters, and the last
	// exception that is about an access holds.
	hole *fault.Error
}

// exception is a rule and what it does.
type exception struct {
	deviceRule
	act action
	// place is the rule's in the configuration.
	place int
}

// SetDevices restricts the cgroup to the device nodes that rules allow, in
// their order, and to those that every container may use. It starts from
// "nothing is allowed", replaces what was set, and is for a cgroup whose processes
// use no nodes meanwhile: on v1, access is denied for a moment.
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
	l := deviceList{exceptions: make([]exception, 0, len(rules)+11), index: map[device]int{}}
	for i := range rules {
		if err := l.addSpec(i, &rules[i]); err != nil {
			err.Object = devicePath(i) + err.Object
			return l, err
		}
	}
	for _, r := range defaultDevices() {
		l.addDefault(r)
	}
	return l, nil
}

func devicePath(place int) string { return index("linux.resources.devices", place) }

// addSpec takes in one rule. The object of the error is the JSON path below it.
func (l *deviceList) addSpec(place int, r *specs.LinuxDeviceCgroup) *fault.Error {
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
	return l.add(exception{deviceRule{d, a}, act, place})
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
