package cgroup

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/linux"
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
// container created in it would share its fate with them, or never start. Of one
// that is not there, Create has to be the maker.
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
	h.absent = c.rec.Driver == Cgroupfs && !h.exists()
	return nil
}

// Kill sends SIGKILL to every process in the cgroup and below it, frozen or
// not, and to those they fork meanwhile. It does not wait for them to end:
// Remove does. Without a cgroup it does nothing.
//
// It freezes nothing: what is frozen would stay so if this process was killed
// in between.
func (c *Cgroup) Kill() error {
	h := c.core()
	if h == nil {
		return nil
	}
	if err := c.kill(h); err != nil {
		return err
	}
	return c.releaseKilled()
}

func (c *Cgroup) kill(h *Hierarchy) error {
	if h.v2() {
		// One write, atomic against fork, and frozen processes die as well
		// (kernel 5.14).
		err := writeFile(h.dir()+"/cgroup.kill", "1")
		if !errors.Is(err, unix.ENOENT) {
			return ignoreGone("kill the processes of", h.dir(), err)
		}
	}
	return c.killEach(h)
}

// killEach kills the processes one by one. Each round kills what the one before
// missed; fork(2) fails with a pending SIGKILL, so a parent is one fork ahead at
// most, and not even that where the number of processes can be limited.
func (c *Cgroup) killEach(h *Hierarchy) error {
	if k := c.knobs("pids"); k.h != nil {
		_ = writeFile(k.h.dir()+"/pids.max", "0")
	}
	killed := map[int]bool{}
	for range killRounds {
		pids, err := procs(h.dir())
		if err != nil {
			return err
		}
		pids = slices.DeleteFunc(pids, func(pid int) bool { return killed[pid] })
		if len(pids) == 0 {
			return nil
		}
		for part := range slices.Chunk(pids, killChunk) {
			if err := h.killMembers(part, killed); err != nil {
				return err
			}
		}
	}
	return fault.Newf("kill the processes of", h.dir(), "new ones keep appearing")
}

const (
	killRounds = 100
	killChunk  = 256 // descriptors at a time
)

// killMembers kills those of pids that are in the cgroup while descriptors hold
// them. A number alone may be another process's by now.
func (h *Hierarchy) killMembers(pids []int, killed map[int]bool) error {
	held := make(map[int]int, len(pids))
	defer func() {
		for _, fd := range held {
			unix.Close(fd)
		}
	}()
	for _, pid := range pids {
		fd, err := linux.OpenProcess(pid)
		switch {
		case err == nil:
			held[pid] = fd
		case errors.Is(err, unix.ESRCH):
			killed[pid] = true // by itself
		default:
			return fault.New("open process", strconv.Itoa(pid), err)
		}
	}
	members, err := procs(h.dir())
	if err != nil {
		return err
	}
	for _, pid := range members {
		fd, ok := held[pid]
		if !ok {
			continue
		}
		if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fault.New("signal process", strconv.Itoa(pid), err)
		}
		killed[pid] = true
	}
	return nil
}

// releaseKilled thaws what a v1 freezer holds: it does not let go for SIGKILL.
// On a hybrid machine that is what the container has frozen itself.
func (c *Cgroup) releaseKilled() error {
	for i := range c.rec.Hierarchies {
		h := &c.rec.Hierarchies[i]
		if !hasField(h.Controllers, "freezer") {
			continue
		}
		err := walk(h.dir(), func(dir string) error {
			return ignoreGone("thaw cgroup", dir, writeFile(dir+"/freezer.state", "THAWED"))
		})
		if err != nil {
			return err
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
