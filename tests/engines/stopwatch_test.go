//go:build engines

package engines

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stopwatch is what the name of the test binary begins with where it stands
// between an engine and a runtime: stopwatch-hull runs the hull beside it.
const stopwatch = "stopwatch-"

// stopwatchLog has a line for each call of a runtime.
const stopwatchLog = "/var/log/stopwatch"

// operations are the commands of a runtime whose time is told.
var operations = []string{"create", "start", "exec", "kill", "delete"}

// putStopwatch puts a stopwatch before the runtime, and returns its path.
func (h *house) putStopwatch(name string) string {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		fail("%v", err)
	}
	path := "/usr/local/sbin/" + stopwatch + name
	h.write(path, string(self))
	h.must("chmod", "755", path)
	return path
}

// beStopwatch runs the runtime, as whom the engine takes it, and notes what
// processor time it took. It returns the exit status.
func beStopwatch() int {
	path, args := os.Args[0], os.Args[1:]
	name := strings.TrimPrefix(filepath.Base(path), stopwatch)
	cmd := exec.Command(filepath.Join("/usr/local/sbin", name), args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	// As the engine's shim has it: no call outlives the shim.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // whose death that is
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if i := slices.IndexFunc(args, func(arg string) bool { return slices.Contains(operations, arg) }); i >= 0 && err == nil {
		call := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		note(args[i], call, started(args))
	}
	return cmd.ProcessState.ExitCode()
}

// started is the processor time of the process that a call has started and left
// to the engine, of which no wait tells: all its threads have used so far.
func started(args []string) time.Duration {
	i := slices.Index(args, "--pid-file")
	if i < 0 || i+1 >= len(args) {
		return 0
	}
	text, err := os.ReadFile(args[i+1])
	if err != nil {
		return 0
	}
	pid, err := strconv.ParseInt(string(text), 10, 32)
	if err != nil {
		return 0
	}
	var used unix.Timespec
	// clock_getcpuclockid(3): the clock of a process is its number, inverted, and CPUCLOCK_SCHED.
	if unix.ClockGettime(int32(^pid<<3|2), &used) != nil {
		return 0
	}
	return time.Duration(used.Nano())
}

// note adds a line to the log, which is written in one piece.
func note(operation string, call, started time.Duration) {
	log, err := os.OpenFile(stopwatchLog, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return
	}
	defer log.Close()
	fmt.Fprintf(log, "%s %d %d\n", operation, call.Microseconds(), started.Microseconds())
}

// usage is what an operation has taken, each time.
type usage struct{ call, started []time.Duration }

// readStopwatch returns what the runtime has taken, by operation.
func (h *house) readStopwatch() map[string]usage {
	taken := map[string]usage{}
	for line := range strings.Lines(h.read(stopwatchLog)) {
		var operation string
		var call, started int64
		if _, err := fmt.Sscan(line, &operation, &call, &started); err != nil {
			fail("%s: %q: %v", stopwatchLog, line, err)
		}
		u := taken[operation]
		u.call = append(u.call, time.Duration(call)*time.Microsecond)
		u.started = append(u.started, time.Duration(started)*time.Microsecond)
		taken[operation] = u
	}
	return taken
}

// mean is in milliseconds.
func mean(times []time.Duration) float64 {
	var sum time.Duration
	for _, t := range times {
		sum += t
	}
	return float64(sum.Microseconds()) / 1000 / float64(max(1, len(times)))
}
