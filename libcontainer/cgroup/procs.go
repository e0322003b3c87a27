package cgroup

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// Procs returns the pids of all processes in the cgroup and below it, as seen
// from this process's pid namespace. Without a cgroup there are none.
func (c *Cgroup) Procs() ([]int, error) {
	h := c.core()
	if h == nil {
		return nil, nil
	}
	return procs(h.dir())
}

func procs(top string) ([]int, error) {
	var pids []int
	err := walk(top, func(dir string) error {
		content, err := readFile(dir + "/cgroup.procs")
		switch {
		case errors.Is(err, unix.EOPNOTSUPP):
			// A threaded cgroup: its processes are listed above it
			// (cgroups(7), "Threaded mode").
			return nil
		case gone(err):
			return nil
		case err != nil:
			return fault.New("read", dir+"/cgroup.procs", err)
		}
		for f := range strings.FieldsSeq(content) {
			// A process of a pid namespace that we cannot see is 0.
			if pid, err := strconv.Atoi(f); err == nil && pid > 0 {
				pids = append(pids, pid)
			}
		}
		return nil
	})
	return pids, err
}

// walk calls f for the cgroup dir and all cgroups below it, parents first. One
// that is removed meanwhile is left out.
func walk(dir string, f func(dir string) error) error {
	if err := f(dir); err != nil {
		return err
	}
	subs, err := children(dir)
	if err != nil {
		return err
	}
	for _, s := range subs {
		if err := walk(dir+"/"+s, f); err != nil {
			return err
		}
	}
	return nil
}

// children returns the names of the cgroups below dir. The link count of a
// cgroup directory is 2 and its sub-directories, so that the usual one, with
// none, is not listed: it has more than fifty files.
func children(dir string) ([]string, error) {
	var st unix.Stat_t
	err := unix.Stat(dir, &st)
	if gone(err) || (err == nil && st.Nlink == 2) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.New("list cgroup", dir, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// EnsureUnused returns an error if the cgroup has processes or is frozen: a
// container created in it would share its fate with them, or never start.
func (c *Cgroup) EnsureUnused() error {
	h := c.core()
	if h == nil {
		return nil
	}
	pids, err := c.Procs()
	if err != nil {
		return err
	}
	if len(pids) > 0 {
		return fault.Newf("use cgroup", h.dir(), "it is not empty: %d process(es) found", len(pids))
	}
	state, err := c.State()
	if err != nil {
		return err
	}
	if state == Frozen {
		return fault.Newf("use cgroup", h.dir(), "it is frozen")
	}
	return nil
}

// Kill sends SIGKILL to every process in the cgroup and below it, frozen or
// not, and to those they fork meanwhile. It does not wait for them to end:
// Remove does. Without a cgroup it does nothing.
func (c *Cgroup) Kill() error {
	h := c.core()
	switch {
	case h == nil:
		return nil
	case !h.v2():
		return c.killV1(h)
	}
	// One write, atomic against fork, and frozen processes die as well
	// (kernel 5.14; a 5.12 or 5.13 has the freezer).
	err := writeFile(h.dir()+"/cgroup.kill", "1")
	if !errors.Is(err, unix.ENOENT) {
		return ignoreGone("kill the processes of", h.dir(), err)
	}
	return c.killFrozen()
}

// killV1 kills by the freezer, since a process that is read and then signalled
// may fork between the two. v1 acts on SIGKILL only after the thaw.
func (c *Cgroup) killV1(h *Hierarchy) error {
	if hasField(h.Controllers, "freezer") {
		return c.killFrozen()
	}
	// No freezer is mounted. Each round kills what the one before missed;
	// fork(2) fails with a pending SIGKILL, so a parent is one fork ahead
	// at most.
	for range killRounds {
		pids, err := procs(h.dir())
		if err != nil || len(pids) == 0 {
			return err
		}
		if err := killEach(pids); err != nil {
			return err
		}
	}
	return fault.Newf("kill the processes of", h.dir(), "new ones keep appearing")
}

const killRounds = 100

func (c *Cgroup) killFrozen() error {
	// If it does not freeze, most of it has, and killing is still right.
	freezeErr := c.Freeze()
	if errors.Is(freezeErr, unix.ENOENT) {
		return nil // there is no such cgroup, and so no process in it
	}
	pids, err := c.Procs()
	if err == nil {
		err = killEach(pids)
	}
	if thawErr := c.Thaw(); err == nil {
		err = thawErr
	}
	if err == nil && len(pids) == 0 {
		err = freezeErr
	}
	return err
}

func killEach(pids []int) error {
	for _, pid := range pids {
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return fault.New("kill process", strconv.Itoa(pid), err)
		}
	}
	return nil
}

func ignoreGone(op, object string, err error) error {
	if err == nil || gone(err) {
		return nil
	}
	return fault.New(op, object, err)
}
