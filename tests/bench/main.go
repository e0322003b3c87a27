// Command bench times hull beside crun and runc, and weighs their processes.
//
// The runtimes take turns, so that what slows the machine for a while slows
// them all. The whole comparison runs in a private mount namespace in which the
// cgroup controllers of the v2 hierarchy are mounted on v1, because Debian's
// crun refuses hybrid machines whose v2 hierarchy has any; they are given back
// at the end, however that comes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"hull/tests/controllers"
)

// insideVar names the controllers to mount, and by being set says that the
// process is the one inside the private mount namespace.
const insideVar = "HULL_BENCH_INSIDE"

func main() {
	// Whoever reads the output may go: what is on the machine is put back all
	// the same.
	signal.Ignore(unix.SIGPIPE)
	rounds := flag.Int("n", 100, "how often each operation is timed")
	flag.Parse()
	var err error
	if names, inside := os.LookupEnv(insideVar); inside {
		err = compare(*rounds, strings.Fields(names))
	} else {
		err = isolate()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// isolate runs this program again in a private mount namespace and cleans up
// behind it. It outlives an interrupt, which the one inside gets as well.
func isolate() (err error) {
	if os.Geteuid() != 0 {
		return errors.New("needs root")
	}
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	names, err := controllers.OnV2()
	if err != nil {
		return err
	}
	if names, err = controllers.Free(names...); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, controllers.Release(names)) }()

	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideVar+"="+strings.Join(names, " "))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	return cmd.Run()
}

// compare is the whole benchmark.
func compare(rounds int, names []string) (err error) {
	if err := controllers.Mount(names); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "hull-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	runtimes, err := findRuntimes(dir)
	if err != nil {
		return err
	}
	bundles, err := makeBundles(dir)
	if err != nil {
		return err
	}
	for _, b := range bundles {
		if err := timeBundle(rounds, runtimes, b); err != nil {
			return err
		}
	}
	return weigh(dir, runtimes, bundles[0])
}

// oci is a runtime under comparison.
type oci struct {
	name string
	path string
	root string // its state directory
}

// findRuntimes returns the runtime under test and those of crun and runc that
// are installed.
func findRuntimes(dir string) ([]oci, error) {
	var found []oci
	for _, name := range []string{os.Getenv("RUNTIME"), "crun", "runc"} {
		path, err := exec.LookPath(name)
		if err != nil {
			fmt.Fprintf(os.Stderr, "bench: without %q: %v\n", name, err)
			continue
		}
		r := oci{name: filepath.Base(path), path: path, root: filepath.Join(dir, fmt.Sprintf("root-%d", len(found)))}
		if len(found) > 0 && found[0].name == r.name {
			continue
		}
		found = append(found, r)
	}
	if len(found) == 0 {
		return nil, errors.New("no runtime to measure")
	}
	return found, nil
}

// command returns an invocation of the runtime; its standard files are
// /dev/null, except for errors.
func (r oci) command(args ...string) *exec.Cmd {
	cmd := exec.Command(r.path, append([]string{"--root", r.root}, args...)...)
	cmd.Stderr = os.Stderr
	return cmd
}

// id makes a container's ID the runtime's own, for the IDs name cgroups too.
func (r oci) id(name string) string { return name + "-" + r.name }
