package validate

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hull/tests/controllers"
)

const suiteModule = "github.com/opencontainers/runtime-tools"

// mountVar names the controllers to mount before the program of the arguments
// is run, and by being set says that this is what the process is for.
const mountVar = "HULL_VALIDATE_MOUNT"

// mountAndExec mounts the v1 controllers that the suite tests and many machines
// leave unmounted, and becomes the program.
func mountAndExec(names string) error {
	if err := controllers.Mount(strings.Fields(names)); err != nil {
		return err
	}
	return unix.Exec(os.Args[1], os.Args[1:], os.Environ())
}

// suite is the built validation suite.
type suite struct {
	dir         string   // programs in bin/, and what they look for in their directory
	controllers []string // to be mounted for the programs
}

// buildSuite compiles the suite of tools/validate into .cache.
func buildSuite(t *testing.T) suite {
	t.Helper()
	dir := filepath.Join(repository(t), ".cache", "validate")
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	// Static, because runtimetest runs in a root without libraries.
	goTool(t, "build", "-ldflags=-s -w", "-o", dir, suiteModule+"/cmd/runtimetest")
	goTool(t, "build", "-ldflags=-s -w", "-o", filepath.Join(dir, "bin"), suiteModule+"/validation/...")

	tarball := "rootfs-" + runtime.GOARCH + ".tar.gz"
	link := filepath.Join(dir, tarball)
	if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	module := strings.TrimSpace(goTool(t, "list", "-m", "-f", "{{.Dir}}", suiteModule))
	if err := os.Symlink(filepath.Join(module, tarball), link); err != nil {
		t.Fatal(err)
	}
	return suite{dir, borrowControllers(t)}
}

// borrowControllers has the controllers that the suite tests and the machine
// does not mount ready for the time of the test.
func borrowControllers(t *testing.T) []string {
	t.Helper()
	free, err := controllers.Free("hugetlb", "net_cls", "net_prio")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := controllers.Release(free); err != nil {
			t.Error(err)
		}
	})
	return free
}

func goTool(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = filepath.Join(repository(t), "tools", "validate")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return string(out)
}

func (s suite) programs(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(s.dir, "bin"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// run runs one program and cleans up behind it; what cannot be blamed on the
// program is reported as the runtime's leak.
func (s suite) run(t *testing.T, name, command string) result {
	t.Helper()
	tmp := t.TempDir()
	// A root user that is mapped to another one has to get through to the bundle.
	if err := os.Chmod(filepath.Dir(tmp), 0o755); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(tmp, "root")
	before := cgroups(t)
	ctx, cancel := context.WithTimeout(context.Background(), programTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", filepath.Join(s.dir, "bin", name))
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp, mountVar+"="+strings.Join(s.controllers, " "), "RUNTIME="+wrapper(t, tmp, command, root))
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true, Unshareflags: unix.CLONE_NEWNS}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	// A container that outlives the program may hold its standard error.
	cmd.WaitDelay = time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr

	start := time.Now()
	err := cmd.Run()
	got := parseTAP(stdout.String())
	got.elapsed = time.Since(start)
	got.stderr = stderr.String()
	if err != nil {
		got.died = err.Error()
	}
	if ctx.Err() != nil {
		got.died = "timed out"
	}
	if cmd.Process != nil {
		// The group may be gone already.
		_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
	}
	deleteContainers(t, command, root)
	reportLeaks(t, tmp, root, before)
	return got
}

// wrapper writes a script that gives the runtime a state directory, for the
// suite has no other way to pass a global flag.
func wrapper(t *testing.T, dir, command, root string) string {
	t.Helper()
	path := filepath.Join(dir, "runtime")
	script := "#!/bin/sh\nexec '" + command + "' --root '" + root + "' \"$@\"\n"
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
