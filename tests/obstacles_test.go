package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// obstacles are what state says stands in the way, and list says the same.
func (h *host) obstacles(id string) []string {
	h.t.Helper()
	var s listed
	decodeStrictly(h.t, h.must("state", id), &s)
	return s.Obstacles
}

// hinders waits until state names exactly one obstacle, with all of words in it.
func (c *container) hinders(words ...string) {
	c.h.t.Helper()
	var found []string
	eventually(c.h.t, fmt.Sprintf("state says %q", words), func() bool {
		found = c.h.obstacles(c.id)
		for _, w := range words {
			if len(found) != 1 || !strings.Contains(found[0], w) {
				return false
			}
		}
		return true
	})
	var all []listed
	decodeStrictly(c.h.t, c.h.must("list", "--format", "json"), &all)
	equal(c.h.t, "containers", len(all), 1)
	equal(c.h.t, "obstacles in the list", all[0].Obstacles, found)
	equal(c.h.t, "title of the table", strings.Fields(c.h.must("list"))[:6], []string{"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"})
}

// vforks is an x86-64 program whose child of vfork(2) waits for a signal, so that
// it sleeps in the kernel itself.
func vforks() []byte {
	return elf(62, []byte{
		0xb8, 58, 0, 0, 0, 0x0f, 0x05, // mov eax, vfork; syscall
		0xb8, 34, 0, 0, 0, 0x0f, 0x05, // mov eax, pause; syscall
		0xeb, 0xf7, // jmp to the latter
	})
}

func TestStateSaysWhichProcessCannotRun(t *testing.T) {
	t.Parallel()
	t.Run("one that sleeps in the kernel", func(t *testing.T) {
		t.Parallel()
		h := newHost(t)
		c := h.create(h.tiny(vforks()))
		h.must("start", c.id)
		c.hinders(fmt.Sprintf("process %d (tiny) sleeps in the kernel", c.pid))
		equal(t, "status", h.state(c.id).Status, specs.StateRunning)
		// It does not stand in the way of its end.
		h.must("kill", c.id, "KILL")
		h.awaitStatus(c.id, specs.StateStopped)
	})
	t.Run("one that is stopped", func(t *testing.T) {
		t.Parallel()
		h := newHost(t)
		c := h.start(nil)
		equal(t, "obstacles", h.obstacles(c.id), nil)
		h.must("kill", c.id, "STOP")
		c.hinders(fmt.Sprintf("process %d (probe) is stopped by a signal", c.pid))
		h.must("kill", c.id, "CONT")
		eventually(t, "nothing is in the way", func() bool { return h.obstacles(c.id) == nil })
	})
	t.Run("one that is not collected", func(t *testing.T) {
		t.Parallel()
		for _, manager := range []string{"cgroupfs", "disabled"} {
			h := newHost(t)
			h.flags = []string{"--cgroup-manager", manager}
			c := h.create(h.newBundle(nil, shell("sh -c 'exit 3' & exec sleep 1000")))
			h.must("start", c.id)
			c.hinders("(sh) has ended", fmt.Sprintf("process %d, does not collect it", c.pid))
		}
	})
}

func TestStateSaysThatInitIsNotCollected(t *testing.T) {
	h := newHost(t)
	adoptOrphans(t)
	c := h.start(nil)
	h.must("kill", c.id, "KILL")
	h.awaitStatus(c.id, specs.StateStopped)
	c.hinders(fmt.Sprintf("process %d (probe) has ended, and its parent, process %d,", c.pid, os.Getpid()))
	if _, err := unix.Wait4(c.pid, nil, 0, nil); err != nil {
		t.Fatal(err)
	}
	equal(t, "obstacles", h.obstacles(c.id), nil)
	h.must("delete", c.id)
}

func TestStateSaysThatACgroupAboveIsFrozen(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	above := newID()
	c := h.start(nil, func(s *specs.Spec) { s.Linux.CgroupsPath = "/" + above + "/inner" })
	dir := c.cgroup("")
	equal(t, "the cgroup above", filepath.Base(filepath.Dir(dir)), above)
	freezer := filepath.Dir(dir) + "/cgroup.freeze"
	writeFile(t, freezer, "1")
	defer func() { _ = os.WriteFile(freezer, []byte("0"), 0) }()
	c.hinders("a cgroup above the container's is frozen")
	equal(t, "status", h.state(c.id).Status, specs.StateRunning)
	writeFile(t, freezer, "0")
	eventually(t, "nothing is in the way", func() bool { return h.obstacles(c.id) == nil })
	// Its own is no obstacle, but a status.
	h.must("pause", c.id)
	equal(t, "obstacles of a paused container", h.obstacles(c.id), nil)
	h.must("delete", "--force", c.id)
}

func TestStateSaysWhatIsGone(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"sleep"})
	c := h.create(b)
	if err := os.Rename(b.dir, b.dir+"-away"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Rename(b.dir+"-away", b.dir) }()
	equal(t, "obstacles", h.obstacles(c.id), []string{
		"the bundle " + b.dir + " cannot be found: no such file or directory",
		"the root " + b.path("rootfs") + " cannot be found: no such file or directory",
	})
	h.must("start", c.id)
}

// Engines ask for the state all the time, and who waits for a dead filesystem cannot
// even be killed.
func TestNobodyWhoAsksForTheStateWaitsForADeadFilesystem(t *testing.T) {
	t.Parallel()
	for name, below := range map[string]string{"the bundle": "", "the root filesystem": "/bundle"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			dir := t.TempDir()
			b := h.newBundle([]string{"sleep"})
			if err := os.Rename(b.dir, dir+"/bundle"); err != nil {
				t.Fatal(err)
			}
			b.dir = dir + "/bundle"
			c := h.create(b)
			f := newDeadFilesystem(t)
			if err := unix.Mount(f.dir, dir+below, "", unix.MS_BIND, ""); err != nil {
				t.Fatal(err)
			}
			defer func() {
				f.release()
				_ = unix.Unmount(dir+below, unix.MNT_DETACH)
			}()
			for _, command := range [][]string{{"state", c.id}, {"list"}, {"list", "-f", "json"}, {"list", "-q"}, {"ps", c.id}, {"start", c.id}, {"state", c.id}} {
				limit := time.AfterFunc(atMost(5), f.release)
				r := h.try(command...)
				if !limit.Stop() {
					t.Fatalf("%v waits", command)
				}
				if r.status != 0 || strings.Contains(r.stdout, "cannot be found") {
					t.Errorf("%v: status %d: %s%s", command, r.status, r.stdout, r.stderr)
				}
			}
			h.must("kill", c.id, "KILL")
		})
	}
}
