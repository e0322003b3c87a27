package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// What becomes of containers while systemd is executed again, or hangs.

func systemctl(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("systemctl", args...).CombinedOutput(); err != nil {
		t.Fatalf("systemctl %v: %v\n%s", args, err, out)
	}
}

// again runs do while systemd is executed again.
func again(t *testing.T, do func()) {
	t.Helper()
	cmd := exec.Command("systemctl", "daemon-reexec")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	do()
	_ = cmd.Wait() // which may lose its connection as well
}

// It closes all its connections then, in the middle of whatever it was told.
func TestSystemdMayBeExecutedAgainAtAnyTime(t *testing.T) {
	h := newSystemdHost(t)
	b := h.newBundle([]string{"sleep"}, resources(specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: pointer(int64(64 << 20))}}))
	for range 2 {
		id := newID()
		again(t, func() { h.must("run", "--detach", "--bundle", b.dir, id) })
		dir := cgroupOf(t, h.state(id).Pid, "")
		again(t, func() { h.must("update", "--memory", "96M", "--cpu-share", "512", id) })
		equal(t, "memory.max", readFile(t, dir+"/memory.max"), "100663296\n")
		h.must("pause", id)
		again(t, func() { h.must("delete", "--force", id) })
		equal(t, dir+" is there", fileExists(dir), false)
		h.nothingRemains(id, b)
	}
	eventually(t, "systemd answers", func() bool { return exec.Command("systemctl", "is-system-running").Run() == nil })
}

// A manager that takes calls and answers none is given up after half a minute, by
// each command; what needs no manager works, and nothing is left when it answers again.
func TestAManagerThatHangsIsGivenUp(t *testing.T) {
	h := newSystemdHost(t)
	needTool(t, "setpriv")
	const service = "user@65534.service"
	systemctl(t, "start", service)
	t.Cleanup(func() { systemctl(t, "stop", service) })
	h.asNobody()
	h.through = append(h.through, "env", "XDG_RUNTIME_DIR=/run/user/65534")
	b := h.rootlessBundle([]string{"sleep"})
	changed, deleted := h.begin(b), h.begin(b)
	dirs := []string{changed.cgroup(""), deleted.cgroup("")}
	before := readFile(t, dirs[0]+"/memory.max")

	systemctl(t, "kill", "--signal=STOP", "--kill-whom=main", service)
	t.Cleanup(func() { systemctl(t, "kill", "--signal=CONT", "--kill-whom=main", service) })
	h.must("pause", changed.id)
	h.must("resume", changed.id)
	created := newID()
	var all sync.WaitGroup
	for call, command := range map[string][]string{
		"StartTransientUnit for hull-" + created:   {"create", "--bundle", b.dir, created},
		"SetUnitProperties for hull-" + changed.id: {"update", "--memory", "64M", changed.id},
		"StopUnit for hull-" + deleted.id:          {"delete", "--force", deleted.id},
	} {
		all.Go(func() {
			start := time.Now()
			r := h.try(command...)
			if said := "call systemd's " + call + ".scope: "; r.status == 0 || !strings.Contains(r.stderr, said) || !strings.Contains(r.stderr, "no answer in time") {
				t.Errorf("%v: status %d, want %q\n%s", command, r.status, said, r.stderr)
			}
			if took := time.Since(start); took > 35*time.Second+atMost(2) {
				t.Errorf("%v took %v", command, took)
			}
		})
	}
	all.Wait()
	equal(t, "memory.max after the update", readFile(t, dirs[0]+"/memory.max"), before)
	equal(t, "status", h.state(changed.id).Status, specs.StateRunning)
	equal(t, "processes of what was deleted", len(processesIn(t, dirs[1])), 0)
	frozen, err := filepath.Glob(filepath.Dir(dirs[0]) + "/*/cgroup.freeze")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range frozen {
		equal(t, file, readFile(t, file), "0\n")
	}

	systemctl(t, "kill", "--signal=CONT", "--kill-whom=main", service)
	for _, id := range []string{created, changed.id, deleted.id} {
		h.must("delete", "--force", id)
		h.nothingRemains(id, b)
	}
	for _, dir := range dirs {
		equal(t, dir+" is there", fileExists(dir), false)
	}
}

// One that hangs up on every call is not called for ever, and what is left of the
// container does not need it.
func TestAManagerThatHangsUpIsGivenUp(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "systemd"), 0o700); err != nil {
		t.Fatal(err)
	}
	manager := newInbox(t, filepath.Join(dir, "systemd/private"))
	go func() {
		for {
			conn, err := manager.listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	h.flags = []string{"--rootless", "true", systemdFlag}
	h.through = []string{"env", "XDG_RUNTIME_DIR=" + dir}
	b := h.newBundle([]string{"pid"})
	id := newID()
	h.refuses([]string{"call systemd's StartTransientUnit for hull-" + id + ".scope: ", "private"}, "run", "--bundle", b.dir, id)
	_ = manager.listener.Close()
	h.must("delete", "--force", id)
	h.nothingRemains(id, b)
}

// processesIn are those of a cgroup, which may be gone.
func processesIn(t *testing.T, dir string) []string {
	t.Helper()
	text, err := os.ReadFile(dir + "/cgroup.procs")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(fmt.Errorf("read the processes: %w", err))
	}
	return strings.Fields(string(text))
}
