package tests

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// traces are what an exec could leave of itself: processes of the container other
// than its init, stages, files of its state.
func (c *container) traces() []string {
	c.h.t.Helper()
	var found []string
	var pids []int
	decodeStrictly(c.h.t, c.h.must("ps", "--format", "json", c.id), &pids)
	for _, pid := range pids {
		if pid != c.pid {
			line, _ := os.ReadFile(procPath(pid, "cmdline"))
			found = append(found, fmt.Sprintf("process %d %q", pid, line))
		}
	}
	files, err := os.ReadDir(filepath.Join(c.h.root, c.id))
	if err != nil {
		c.h.t.Fatal(err)
	}
	for _, f := range files {
		switch f.Name() {
		case "record", "config.json", "filter.bpf":
		default:
			found = append(found, "file "+f.Name())
		}
	}
	// Stages begin as children of hull, with its streams.
	comms, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, comm := range comms {
		text, err := os.ReadFile(comm)
		if err != nil || string(text) != "hull:init\n" {
			continue
		}
		out, _ := os.Readlink(filepath.Join(filepath.Dir(comm), "fd/1"))
		if strings.HasPrefix(out, filepath.Dir(c.out)) {
			found = append(found, "stage "+filepath.Dir(comm))
		}
	}
	return found
}

// leavesNoTraces waits until there are none.
func (c *container) leavesNoTraces() {
	c.h.t.Helper()
	var found []string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if found = c.traces(); len(found) == 0 {
			return
		}
	}
	c.h.t.Errorf("left: %s", strings.Join(found, ", "))
}

// ended is how an exec ended, for those that run beside each other.
type ended struct {
	status  int
	out     string
	elapsed time.Duration
}

// start begins an exec whose streams are files; wait returns how it ended, at last
// after a minute.
func (c *container) begin(args ...string) (cmd *exec.Cmd, wait func() ended) {
	c.h.t.Helper()
	out, err := os.CreateTemp(filepath.Dir(c.out), "exec")
	if err != nil {
		c.h.t.Fatal(err)
	}
	cmd = c.h.command(append([]string{"exec"}, args...)...)
	cmd.Stdout, cmd.Stderr = out, out
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		c.h.t.Fatal(err)
	}
	return cmd, func() ended {
		timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		elapsed := time.Since(begin)
		if !timer.Stop() {
			c.h.t.Errorf("%v hangs", args)
		}
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			c.h.t.Error(err)
		}
		text, _ := os.ReadFile(out.Name())
		out.Close()
		os.Remove(out.Name())
		status := cmd.ProcessState.ExitCode()
		if ws, ok := cmd.ProcessState.Sys().(unix.WaitStatus); ok && ws.Signaled() {
			status = -int(ws.Signal())
		}
		return ended{status, string(text), elapsed}
	}
}

func TestAHundredExecsAtATimeDoNotMixUp(t *testing.T) {
	h := newHost(t)
	c := h.start(nil)
	kinds := []struct {
		script string
		status int
	}{
		{"echo %[1]d; exit %[1]d", -1},
		{"echo %d; kill -9 $$", 137},
		{"echo %d; exec 0<&- 1>&- 2>&-; exit 7", 7},
		// Orphans that hold on to the streams.
		{"echo %d; sleep 1 & exit 8", 8},
		{"echo %d; (sleep 1 &); (exit 9)", 9},
	}
	var all sync.WaitGroup
	for i := range fewer(100) {
		kind := kinds[i%len(kinds)]
		text, want := fmt.Sprintf(kind.script, i), kind.status
		if want < 0 {
			want = i
		}
		_, wait := c.begin(c.id, "/bin/sh", "-c", text)
		all.Go(func() {
			if e := wait(); e.status != want || e.out != fmt.Sprintln(i) {
				t.Errorf("exec %d: %+v, want status %d", i, e, want)
			}
		})
	}
	all.Wait()
	c.leavesNoTraces()
}

// The container's lock is no concern of exec's: whoever holds it is not waited for.
func TestExecDoesNotNeedTheLockOfTheContainer(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	dir, err := unix.Open(filepath.Join(h.root, c.id), unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(dir)
	if err := unix.Flock(dir, unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	_, wait := c.begin(c.id, "/bin/true")
	if e := wait(); e.status != 0 || e.elapsed > 10*time.Second {
		t.Errorf("%+v", e)
	}
}

func TestExecReturnsWhenItsProcessEndsWhoeverHoldsItsOutput(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd := h.command("exec", c.id, "/bin/sh", "-c", "sleep 20 & echo started; exit 4")
	cmd.Stdout = write
	begin := time.Now()
	_ = cmd.Run()
	write.Close()
	equal(t, "status", cmd.ProcessState.ExitCode(), 4)
	if took := time.Since(begin); took > atMost(10) {
		t.Errorf("exec took %v", took)
	}
	text := make([]byte, 100)
	n, err := read.Read(text)
	equal(t, "output", string(text[:n]), "started\n")
	if err != nil || len(c.traces()) != 1 {
		t.Errorf("%v, %v", err, c.traces())
	}
}

// stageOf waits for a child of hull's to be there, and returns it.
func stageOf(hull int) int {
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); {
		tasks, _ := filepath.Glob(procPath(hull, "task/*/children"))
		for _, file := range tasks {
			text, _ := os.ReadFile(file)
			if fields := bytes.Fields(text); len(fields) > 0 {
				pid, _ := strconv.Atoi(string(fields[rand.IntN(len(fields))]))
				return pid
			}
		}
	}
	return 0
}

func briefly() { time.Sleep(rand.N(paced(6 * time.Millisecond))) }

// However far the new process has come when it is killed, exec says so or has its
// status, and nothing is left.
func TestAnExecWhoseProcessIsKilledWhileItStartsEnds(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	seen := map[int]int{}
	for range fewer(40) {
		cmd, wait := c.begin(c.id, "/bin/sleep", "0.05")
		if stage := stageOf(cmd.Process.Pid); stage != 0 {
			briefly()
			_ = unix.Kill(stage, unix.SIGKILL)
		}
		e := wait()
		seen[e.status]++
		switch e.status {
		case 0, 137:
			equal(t, "output", e.out, "")
		case 255:
			if strings.Count(e.out, "level=error") != 1 {
				t.Errorf("%+v", e)
			}
		default:
			t.Errorf("%+v", e)
		}
	}
	if seen[255]+seen[137] == 0 {
		t.Error("none was killed")
	}
	c.leavesNoTraces()
}

func TestAnExecThatIsItselfKilledLeavesNothingThatHasNotStarted(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	dir := t.TempDir()
	for i := range fewer(40) {
		file := filepath.Join(dir, strconv.Itoa(i))
		cmd, wait := c.begin("--pid-file", file, c.id, "/bin/sleep", "0.05")
		briefly()
		if i%2 == 0 {
			briefly()
		}
		_ = cmd.Process.Kill()
		wait()
		if text, err := os.ReadFile(file); err == nil && number(t, string(text)) == 0 {
			t.Errorf("pid file %q", text)
		}
	}
	c.leavesNoTraces()
	equal(t, "status", h.state(c.id).Status, specs.StateRunning)
	_, wait := c.begin(c.id, "/bin/true")
	equal(t, "status of the next exec", wait().status, 0)
}

func TestAnExecWhoseContainerGoesAwayMeanwhileEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string][]string{"killed": {"kill", "KILL"}, "deleted": {"delete", "--force"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			for range 8 {
				c := h.start(nil)
				var waits []func() ended
				for range 3 {
					_, wait := c.begin(c.id, "/bin/sleep", "30")
					waits = append(waits, wait)
				}
				briefly()
				if name == "killed" {
					h.must("kill", c.id, "KILL")
				} else {
					h.must(append(end, c.id)...)
				}
				for _, wait := range waits {
					e := wait()
					if e.status != 137 && (e.status != 255 || strings.Count(e.out, "level=error") != 1) || e.elapsed > 20*time.Second {
						t.Errorf("%+v", e)
					}
				}
				c.delete()
				if err := os.RemoveAll(filepath.Join(h.root, c.id)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// Whoever looks at the pid file sees a pid or nothing, however often it is written.
func TestThePidFileIsNeverSeenHalfWritten(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	dir := t.TempDir()
	watch, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(watch)
	if _, err := unix.InotifyAddWatch(watch, dir, unix.IN_CREATE|unix.IN_MODIFY|unix.IN_OPEN|unix.IN_MOVED_TO); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pid")
	for range 5 {
		h.must("exec", "--detach", "--pid-file", file, c.id, "/bin/true")
	}
	// Of the file itself there is one event each time: that it has its name.
	b := make([]byte, 1<<16)
	n, err := unix.Read(watch, b)
	if err != nil {
		t.Fatal(err)
	}
	moved := 0
	for at := 0; at < n; {
		mask := binary.NativeEndian.Uint32(b[at+4:])
		length := int(binary.NativeEndian.Uint32(b[at+12:]))
		name := strings.TrimRight(string(b[at+16:at+16+length]), "\x00")
		at += 16 + length
		switch {
		case name != "pid":
		case mask&unix.IN_MOVED_TO != 0:
			moved++
		default:
			t.Errorf("event 0x%x of the pid file", mask)
		}
	}
	equal(t, "renames", moved, 5)
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}
