package tests

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

//proves:runtime.md#lifecycle:13 runtime.md#start:3
func TestStartReturnsOnceTheProgramRuns(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for range fewer(20) {
		c := h.create(h.newBundle([]string{"sleep"}))
		h.must("start", c.id)
		comm, err := os.Readlink(procPath(c.pid, "exe"))
		if err != nil || comm != "/probe" {
			t.Fatalf("after start, init executes %q, %v", comm, err)
		}
	}
}

func TestStartReportsAProgramThatTheKernelRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text  string
		words []string
	}{
		"an interpreter that is not there": {"#!/no/such/interpreter\n", []string{"exec", "/script", "no such file or directory"}},
		"a text without interpreter":       {"echo hello\n", []string{"exec", "/script", "exec format error"}},
		"an empty file":                    {"", []string{"exec", "/script", "exec format error"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			b := h.newBundle(nil, func(s *specs.Spec) { s.Process.Args = []string{"/script"} })
			if err := os.WriteFile(b.path("rootfs/script"), []byte(tt.text), 0o755); err != nil {
				t.Fatal(err)
			}
			c := h.create(b)
			h.refuses(tt.words, "start", c.id)
			h.must("delete", "--force", c.id)
			h.nothingRemains(c.id, b)
			id := newID()
			h.refuses(tt.words, "run", "--bundle", b.dir, id)
			h.nothingRemains(id, b)
		})
	}
}

//proves:runtime.md#start:2
func TestStartOfAContainerWhoseInitDiedSaysSo(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.create(h.newBundle([]string{"sleep"}))
	h.must("kill", c.id, "KILL")
	h.awaitStatus(c.id, specs.StateStopped)
	h.refuses([]string{"stopped"}, "start", c.id)
	h.must("delete", c.id)
}

func TestStartOfAContainerDoesNotWaitForItsEnd(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.create(h.newBundle([]string{"sleep=30"}))
	begin := time.Now()
	h.must("start", c.id)
	if took := time.Since(begin); took > atMost(5) {
		t.Errorf("start took %v", took)
	}
}

func TestOfManyStartsAtOnceOneSucceeds(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.create(h.newBundle([]string{"sleep"}))
	var all []*exec.Cmd
	for range 6 {
		cmd := h.command("start", c.id)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, cmd)
	}
	succeeded := 0
	for _, cmd := range all {
		if cmd.Wait() == nil {
			succeeded++
		}
	}
	equal(t, "successful starts", succeeded, 1)
	equal(t, "status", h.state(c.id).Status, specs.StateRunning)
}

func TestASignalBeforeStartReachesTheContainer(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.create(h.newBundle([]string{"sleep"}))
	h.must("kill", c.id, "KILL")
	h.awaitStatus(c.id, specs.StateStopped)
	equal(t, "pid", h.state(c.id).Pid, 0)
}
