package tests

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// ticking is a container that makes a file longer all the time.
func ticking(h *host) (c *container, size func() int64) {
	h.t.Helper()
	b := h.newBundle(nil, writableRoot, shell("while :; do echo x >>/ticks; usleep 2000 2>/dev/null || sleep 0.01; done"))
	c = h.create(b)
	h.must("start", c.id)
	size = func() int64 {
		info, err := os.Stat(b.path("rootfs/ticks"))
		if err != nil {
			return 0
		}
		return info.Size()
	}
	eventually(h.t, "it ticks", func() bool { return size() > 0 })
	return c, size
}

func TestPauseStopsAllProcessesUntilResume(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c, size := ticking(h)
	h.must("pause", c.id)
	before := size()
	time.Sleep(100 * time.Millisecond)
	equal(t, "ticks while paused", size(), before)
	equal(t, "status", h.state(c.id).Status, specs.ContainerState("paused"))
	h.must("resume", c.id)
	equal(t, "status after resume", h.state(c.id).Status, specs.StateRunning)
	eventually(t, "it ticks again", func() bool { return size() > before })
}

func TestAPausedContainerCanBeCreatedOnesToo(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.create(h.newBundle([]string{"sleep"}))
	h.must("pause", c.id)
	h.refuses([]string{"paused"}, "start", c.id)
	h.must("resume", c.id)
	equal(t, "status", h.state(c.id).Status, specs.StateCreated)
	h.must("start", c.id)
	equal(t, "status", h.state(c.id).Status, specs.StateRunning)
}

func TestASignalToAPausedContainerArrivesAfterResume(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil, awaiting(15))
	awaitText(t, c.out, "ready")
	h.must("pause", c.id)
	h.must("kill", c.id, "TERM")
	time.Sleep(50 * time.Millisecond)
	equal(t, "status", h.state(c.id).Status, specs.ContainerState("paused"))
	h.must("resume", c.id)
	h.awaitStatus(c.id, specs.StateStopped)
}

func TestExecWaitsInAPausedContainerIfToldTo(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	h.must("pause", c.id)
	h.refuses([]string{"cannot exec in a paused container"}, "exec", c.id, "/bin/true")
	cmd := h.command("exec", "--ignore-paused", c.id, "/bin/echo", "hello")
	out := h.startCommand(cmd)
	time.Sleep(100 * time.Millisecond)
	if text, err := os.ReadFile(out); err != nil || strings.Contains(string(text), "hello") {
		t.Errorf("while paused: %q, %v", text, err)
	}
	h.must("resume", c.id)
	awaitText(t, out, "hello")
}

func TestPauseAndResumeNeedExactlyOneID(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, command := range []string{"pause", "resume"} {
		h.refuses([]string{`requires exactly 1 argument`}, command)
		h.refuses([]string{`requires exactly 1 argument`}, command, "a", "b")
	}
}
