package cgroup

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// write sets the v1 controller: first the default, which voids what was there,
// then the exceptions. The kernel takes one rule a write.
func (l *deviceList) write(dir string) error {
	if l.hole != nil {
		return l.hole
	}
	all, each := dir+"/devices.deny", dir+"/devices.allow"
	if l.otherwise == allow {
		all, each = each, all
	}
	if err := writeFile(all, "a"); err != nil {
		return fault.New("set linux.resources.devices", all+"=a", err)
	}
	fd, err := openFile(each, unix.O_WRONLY)
	if err != nil {
		return fault.New("open", each, err)
	}
	defer unix.Close(fd)
	for e := range l.all() {
		rule := e.String()
		err := retry(func() error {
			_, err := unix.Write(fd, []byte(rule))
			return err
		})
		if err != nil {
			return refusedRule(each+"="+rule, err)
		}
	}
	return nil
}

func refusedRule(object string, cause error) error {
	return fault.New("set linux.resources.devices", object, cause).
		WithHint("a cgroup cannot allow what its parent does not")
}

// amend makes the list that of a v1 cgroup in use. Between two lists of what is
// allowed it goes by their difference, so that what both allow is never denied,
// and cgroups below, which the kernel wants to be none when a default changes,
// do not matter.
func (l *deviceList) amend(dir string, j *journal) error {
	file := dir + "/devices.list"
	content, err := readFile(file)
	if err != nil {
		return fault.New("read", file, err)
	}
	now, err := parseDevices(content)
	if err != nil {
		return fault.New("parse", file, err)
	}
	if now.otherwise == allow || l.otherwise == allow {
		if l.hole != nil {
			return l.hole
		}
		j.changes = append(j.changes, change{undo: func() error { return now.write(dir) }})
		return l.write(dir)
	}
	for _, r := range l.beyond(now) {
		if err := j.rule(dir, "/devices.allow", "/devices.deny", r); err != nil {
			return err
		}
	}
	for _, r := range now.beyond(l) {
		if err := j.rule(dir, "/devices.deny", "/devices.allow", r); err != nil {
			return err
		}
	}
	return nil
}

// rule writes one rule, and records how to take it back.
func (j *journal) rule(dir, file, opposite string, r deviceRule) error {
	rule := r.String()
	if err := writeFile(dir+file, rule); err != nil {
		return refusedRule(dir+file+"="+rule, err)
	}
	j.changes = append(j.changes, change{undo: func() error {
		if err := writeFile(dir+opposite, rule); err != nil {
			return refusedRule(dir+opposite+"="+rule, err)
		}
		return nil
	}})
	return nil
}

// beyond returns what l allows and other does not, of two lists of what is
// allowed.
func (l *deviceList) beyond(other *deviceList) []deviceRule {
	allowed := make(map[device]access, len(other.exceptions))
	for _, o := range other.exceptions {
		allowed[o.device] |= o.access
	}
	var more []deviceRule
	for _, e := range l.exceptions {
		if e.access &^= allowed[e.device]; e.access != 0 {
			more = append(more, e.deviceRule)
		}
	}
	return more
}

// parseDevices parses devices.list. The kernel does not show the exceptions of
// a cgroup that is allowed everything else.
func parseDevices(content string) (*deviceList, error) {
	l := &deviceList{}
	for line := range strings.Lines(content) {
		f := strings.Fields(line)
		if len(f) != 3 {
			return nil, fault.Newf("", "", "%q is no rule", line)
		}
		if f[0] == "a" {
			return &deviceList{otherwise: allow}, nil
		}
		major, minor, _ := strings.Cut(f[1], ":")
		a, ok := parseAccess(f[2])
		if !ok {
			return nil, fault.Newf("", "", "%q is no rule", line)
		}
		r := deviceRule{device{f[0][0], deviceNumber(major), deviceNumber(minor)}, a}
		l.exceptions = append(l.exceptions, exception{deviceRule: r, act: allow})
	}
	return l, nil
}

// deviceNumber parses a number or a star.
func deviceNumber(s string) int64 {
	if n, err := strconv.ParseUint(s, 10, 32); err == nil {
		return int64(n)
	}
	return anyNumber
}
