package tests

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// hangs binds a filesystem that does not answer to /tmp.
func (f *deadFilesystem) hangs(s *specs.Spec) {
	addMounts(specs.Mount{Destination: "/tmp", Type: "bind", Source: f.dir, Options: []string{"bind"}})(s)
}

// A process that the kernel does not let go of delays delete --force for ten seconds,
// and is named then; when it has been released, nothing of the container is left.
func TestDeleteNamesTheProcessThatCannotBeKilled(t *testing.T) {
	t.Parallel()
	const hang = "open=/tmp/file"
	for _, manager := range []string{"cgroupfs", "disabled"} {
		t.Run("init, "+manager, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			f := newDeadFilesystem(t)
			h.flags = []string{"--cgroup-manager", manager}
			b := h.newBundle([]string{hang}, f.hangs)
			c := h.create(b)
			h.must("start", c.id)
			c.outlives(f, b, c.pid)
		})
	}
	t.Run("an exec, in a cgroup below", func(t *testing.T) {
		t.Parallel()
		h := newHost(t)
		f := newDeadFilesystem(t)
		b := h.newBundle([]string{"sleep"}, f.hangs)
		c := h.create(b)
		h.must("start", c.id)
		for _, controller := range allCgroups() {
			if err := os.MkdirAll(c.cgroup(controller)+"/below/deeper", 0o755); err != nil {
				t.Fatal(err)
			}
		}
		h.must("exec", "--detach", "--pid-file", c.out+".exec", c.id, "/probe", hang)
		pid, err := strconv.Atoi(readFile(t, c.out+".exec"))
		if err != nil {
			t.Fatal(err)
		}
		for _, controller := range allCgroups() {
			writeFile(t, c.cgroup(controller)+"/below/deeper/cgroup.procs", strconv.Itoa(pid))
		}
		c.outlives(f, b, pid)
	})
}

// outlives checks that pid survives delete --force as long as f does not answer, and
// no longer.
func (c *container) outlives(f *deadFilesystem, b *bundle, pid int) {
	t := c.h.t
	t.Helper()
	eventually(t, "it asks for the file", func() bool {
		return strings.Contains(readFile(t, procPath(pid, "wchan")), "request_wait_answer")
	})
	dir := c.cgroup("")
	start := time.Now()
	c.h.refuses([]string{
		fmt.Sprintf("end process %d (probe): ", pid), "sleeps in the kernel", "request_wait_answer", "delete it again with --force",
	}, "delete", "--force", c.id)
	if took := time.Since(start); took > atMost(15) {
		t.Errorf("delete --force took %v", took)
	}
	equal(t, "state of the process", strings.Fields(readFile(t, procPath(pid, "stat")))[2], "D")
	for _, file := range []string{dir + "/cgroup.freeze", dir + "/below/deeper/cgroup.freeze"} {
		if text, err := os.ReadFile(file); err == nil {
			equal(t, file, string(text), "0\n")
		}
	}
	if list := c.h.must("list", "-q"); !strings.Contains(list, c.id) {
		t.Errorf("it is not there to be deleted: %q", list)
	}
	f.release()
	c.h.must("delete", "--force", c.id)
	c.h.nothingRemains(c.id, b)
}
