package cgroup

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// journal is what has been changed, so that it can be changed back.
type journal struct{ changes []change }

// change is one thing that was changed.
type change struct {
	undo func() error
	// release gives back what undo would need; nil if there is nothing.
	release func()
}

// undo changes everything back, the last change first: the states in between
// are those that the kernel has accepted before.
func (j *journal) undo() error {
	var left fault.InvalidError
	for _, ch := range slices.Backward(j.changes) {
		if err := ch.undo(); err != nil {
			left = append(left, err)
		}
	}
	return left.Err()
}

// close ends the use of the journal.
func (j *journal) close() {
	for _, ch := range j.changes {
		if ch.release != nil {
			ch.release()
		}
	}
}

// empty is what makes a file empty: write(2) of nothing does nothing.
const empty = "\n"

// before returns what undoes s, from the last step to the first.
func (k knobs) before(s setting) []change {
	content, err := k.read(s.file)
	if err != nil {
		return nil // what cannot be read is a command, and no state
	}
	back, ok := restoring(s, content)
	if !ok {
		return nil
	}
	changes := []change{k.rewrite(setting{s.field, s.file, back})}
	if had, err := k.read(s.file + ".effective"); err == nil && back == empty {
		changes[0] = k.refill(s, strings.TrimSpace(had))
	}
	// A group that was idle for a moment has lost its shares.
	if weight := k.pick("cpu.shares", "cpu.weight"); s.file == "cpu.idle" && back == "0" {
		if shares, err := k.read(weight); err == nil {
			changes = slices.Insert(changes, 0, k.rewrite(setting{s.field, weight, strings.TrimSpace(shares)}))
		}
	}
	return changes
}

// refill is the change that makes a cpuset of v2 empty again, which means that it
// has what its parent has. With processes in it, the kernel wants a list: what
// it had from above.
func (k knobs) refill(s setting, had string) change {
	hollow, full := k.rewrite(setting{s.field, s.file, empty}), k.rewrite(setting{s.field, s.file, had})
	return change{undo: func() error {
		err := hollow.undo()
		if errors.Is(err, unix.ENOSPC) {
			return full.undo()
		}
		return err
	}}
}

// rewrite is the change that s undoes.
func (k knobs) rewrite(s setting) change {
	return change{undo: func() error {
		if err := k.try(s); err != nil {
			return fault.New("change back", k.h.dir()+"/"+s.file+"="+strings.TrimSpace(s.value), err)
		}
		return nil
	}}
}

// restoring returns what has to be written for a file to have again what it has
// now, where s is about.
func restoring(s setting, content string) (back string, ok bool) {
	if s.file == "memory.oom_control" {
		return utoa(value(content, "oom_kill_disable")), true
	}
	key, keyed := keyOf(s)
	switch now, found := present(s, content); {
	case found && now != "":
		return now, true
	case found:
		return empty, true
	case keyed:
		rest, ok := unset(s.file)
		return key + rest, ok
	}
	return "", false
}

// keyOf returns the key of a file with an entry per device, interface or
// resource. What is written there begins with it.
func keyOf(s setting) (key string, ok bool) {
	key, rest, _ := strings.Cut(strings.TrimSpace(s.value), " ")
	_, err := strconv.ParseInt(key, 10, 64)
	return key, rest != "" && key != "max" && err != nil
}

// present returns the part of a file's content that s replaces.
func present(s setting, content string) (now string, ok bool) {
	content = strings.TrimSpace(content)
	key, keyed := keyOf(s)
	if !keyed && !strings.Contains(content, "\n") && !strings.HasPrefix(content, "default ") {
		return content, true
	}
	if !keyed {
		key = "default"
	}
	for line := range strings.Lines(content) {
		if k, _, _ := strings.Cut(line, " "); k == key {
			return strings.TrimSpace(line), true
		}
	}
	return "", false
}

// unset returns what takes an entry out of a file, without its key.
func unset(file string) (rest string, ok bool) {
	switch {
	case file == "io.max":
		return " rbps=max wbps=max riops=max wiops=max", true
	case file == "io.latency":
		return " target=0", true
	case strings.HasPrefix(file, "blkio.throttle."):
		return " 0", true
	case strings.Contains(file, "weight"):
		return " default", true
	}
	return "", false
}
