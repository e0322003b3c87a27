package tests

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// What the container does not have for itself must not be in the way of its
// end, and no way out of it.

func TestExecInAContainerThatOnlyChangedItsRootSeesThatRoot(t *testing.T) {
	t.Parallel()
	c := newHost(t).start([]string{"sleep"}, dropNamespace(specs.MountNamespace), nothingToMount)
	if r := c.h.try("exec", c.id, "/bin/ls", "/probe"); r.status != 0 {
		t.Error(r.stderr)
	}
	if r := c.h.try("exec", c.id, "/bin/ls", "/boot"); r.status == 0 {
		t.Error("exec saw the root of the host:", r.stdout)
	}
}

func TestProcessesThatOutliveAnInitWithoutAPIDNamespaceGoWithTheContainer(t *testing.T) {
	t.Parallel()
	// Its init is a shell that waits, and so reaps what is handed to it.
	pod := newHost(t).start(nil, shell("sleep 1000; true"))
	joined := func(s *specs.Spec) {
		dropNamespace(specs.PIDNamespace)(s)
		addNamespace(specs.PIDNamespace, fmt.Sprintf("/proc/%d/ns/pid", pod.pid))(s)
	}
	for name, namespace := range map[string]edit{"the host's": dropNamespace(specs.PIDNamespace), "another container's": joined} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			b := h.newBundle(nil, namespace, shell("sleep 1000 &"))
			id := newID()
			h.must("run", "--detach", "--bundle", b.dir, id)
			h.awaitStatus(id, specs.StateStopped)
			start := time.Now()
			h.must("delete", id)
			if took := time.Since(start); took > atMost(5) {
				t.Errorf("delete took %v", took)
			}
			h.nothingRemains(id, b)
		})
		t.Run(name+", by kill", func(t *testing.T) {
			h := newHost(t)
			b := h.newBundle(nil, namespace, shell("sleep 1000 & wait"))
			id := newID()
			h.must("run", "--detach", "--bundle", b.dir, id)
			eventually(t, "it has two processes", func() bool { return len(h.pids(id)) == 2 })
			h.must("kill", id, "KILL")
			eventually(t, "all processes have ended", func() bool { return len(h.pids(id)) == 0 })
			h.must("delete", id)
			h.nothingRemains(id, b)
		})
	}
}

// pids returns the processes of a container.
func (h *host) pids(id string) (pids []int) {
	h.t.Helper()
	if err := json.Unmarshal([]byte(h.must("ps", "--format", "json", id)), &pids); err != nil {
		h.t.Fatal(err)
	}
	return pids
}
