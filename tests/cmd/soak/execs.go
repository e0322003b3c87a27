package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// execAll starts count processes in one container, each of which has to end as it
// was told to, with its own words.
func (h house) execAll(count, workers int) error {
	id := h.prefix + "-execs"
	pidFile := filepath.Join(h.dir, id+".pid")
	if err := h.hull("create", "--bundle", h.bundle, "--pid-file", pidFile, id); err != nil {
		return err
	}
	err := h.hull("start", id)
	if err == nil {
		err = h.runAll("processes", count, workers, func(n int) error { return h.exec(id, n) })
	}
	if err == nil {
		err = h.alone(id)
	}
	return errors.Join(err, h.hull("delete", "--force", id), reap(pidFile))
}

// kinds are ways for a process to end, and the status of exec for each.
func kinds() []struct {
	script string
	status int
} {
	return []struct {
		script string
		status int
	}{
		{"exit 0", 0},
		{"exit 42", 42},
		{"kill -9 $$", 137},
		{"exec 0<&- 1>&- 2>&-; exit 3", 3},
		{"sleep 0.1 & exit 4", 4}, // which holds its output open
	}
}

func (h house) exec(id string, n int) error {
	if n%10 == 0 {
		return h.detached(id, n)
	}
	kind := kinds()[n%len(kinds())]
	// A file, not a pipe: children of the process may have it open.
	out, err := os.CreateTemp(h.dir, "stdout-")
	if err != nil {
		return err
	}
	defer func() { _ = errors.Join(out.Close(), os.Remove(out.Name())) }()
	cmd := exec.Command(h.runtime, "--root", h.root, "exec", id, "/bin/sh", "-c", fmt.Sprintf("echo %d; %s", n, kind.script))
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	text, err := os.ReadFile(out.Name())
	if err != nil {
		return err
	}
	if status := cmd.ProcessState.ExitCode(); status != kind.status || string(text) != fmt.Sprintln(n) {
		return fmt.Errorf("exec %d of %q: status %d, %q", n, kind.script, status, text)
	}
	return nil
}

// detached starts a process that becomes our child.
func (h house) detached(id string, n int) error {
	pidFile := filepath.Join(h.dir, fmt.Sprintf("%s.%d.pid", id, n))
	if err := h.hull("exec", "--detach", "--pid-file", pidFile, id, "/bin/true"); err != nil {
		return err
	}
	return reap(pidFile)
}

// alone waits until the container's first process is the only one: orphans of the
// others are about to end.
func (h house) alone(id string) error {
	var out []byte
	for begin := time.Now(); time.Since(begin) < 10*time.Second; {
		var err error
		out, err = exec.Command(h.runtime, "--root", h.root, "ps", "--format", "json", id).Output()
		if err != nil {
			return err
		}
		if !strings.Contains(string(out), ",") {
			return nil
		}
	}
	return fmt.Errorf("processes that do not end: %s", out)
}
