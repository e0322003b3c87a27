// Command soak creates, starts and deletes a great many containers, several at a
// time, or starts as many processes in one, and then looks for anything they left:
// processes, cgroups, mounts or directories of the state.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	cycles := flag.Int("cycles", 10000, "containers in all")
	execs := flag.Int("execs", 10000, "processes in one container")
	workers := flag.Int("workers", 8, "containers or processes at a time")
	flag.Parse()
	var err error
	if *cycles > 0 {
		err = soak("/bin/true", func(h house) error { return h.runAll("containers", *cycles, *workers, h.cycle) })
	}
	if err == nil && *execs > 0 {
		err = soak("/bin/sleep 1000000", func(h house) error { return h.execAll(*execs, *workers) })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// house is where a soak lives; everything it makes carries its name.
type house struct {
	runtime string
	dir     string
	bundle  string
	root    string
	prefix  string // of the container IDs
}

// soak has a house, whose containers run program, used, and looks for what is left.
func soak(program string, use func(house) error) (err error) {
	h, err := newHouse(program)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(h.dir)) }()

	// As an engine's shim does: the containers' processes become our children,
	// so that no zombie of theirs depends on what pid 1 of the machine is.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become a subreaper: %w", err)
	}
	if err := use(h); err != nil {
		return err
	}
	leaks, err := h.leaks()
	if err != nil {
		return err
	}
	for _, leak := range leaks {
		fmt.Println("left behind:", leak)
	}
	if len(leaks) > 0 {
		return fmt.Errorf("%d things left behind", len(leaks))
	}
	fmt.Println("nothing left behind")
	return nil
}

func newHouse(program string) (house, error) {
	dir, err := os.MkdirTemp("", "hull-soak-")
	if err != nil {
		return house{}, err
	}
	runtime, err := exec.LookPath(os.Getenv("RUNTIME"))
	if err != nil {
		return house{}, err
	}
	h := house{
		runtime: runtime,
		dir:     dir,
		bundle:  filepath.Join(dir, "bundle"),
		root:    filepath.Join(dir, "root"),
		prefix:  filepath.Base(dir),
	}
	return h, h.makeBundle(program)
}

// makeBundle makes a bundle whose process is one of busybox.
func (h house) makeBundle(program string) error {
	bin := filepath.Join(h.bundle, "rootfs", "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	text, err := os.ReadFile(busybox)
	if err != nil {
		return err
	}
	for _, name := range []string{"true", "sleep", "sh"} {
		if err := os.WriteFile(filepath.Join(bin, name), text, 0o755); err != nil {
			return err
		}
	}
	if err := h.hull("spec", "--bundle", h.bundle); err != nil {
		return err
	}
	return editConfig(filepath.Join(h.bundle, "config.json"), strings.Fields(program))
}

// runAll calls do so many times, on workers goroutines, and stops at the first
// error. It says how long that took.
func (h house) runAll(what string, cycles, workers int, do func(n int) error) error {
	begin := time.Now()
	var (
		next  atomic.Int64
		group sync.WaitGroup
		errs  = make([]error, workers)
	)
	for w := range workers {
		group.Go(func() {
			for {
				n := int(next.Add(1))
				if n > cycles {
					return
				}
				if errs[w] = do(n); errs[w] != nil {
					next.Store(int64(cycles))
					return
				}
				if n%1000 == 0 {
					fmt.Printf("%d\n", n)
				}
			}
		})
	}
	group.Wait()
	took := time.Since(begin).Seconds()
	fmt.Printf("%d %s, %d at a time, in %.1f s: %.2f ms each\n", cycles, what, workers, took, took*1000/float64(cycles))
	return errors.Join(errs...)
}

func (h house) cycle(n int) error {
	id := fmt.Sprintf("%s-%d", h.prefix, n)
	pidFile := filepath.Join(h.dir, id+".pid")
	if err := h.hull("create", "--bundle", h.bundle, "--pid-file", pidFile, id); err != nil {
		return err
	}
	if err := h.hull("start", id); err != nil {
		return err
	}
	if err := h.hull("delete", "--force", id); err != nil {
		return err
	}
	return reap(pidFile)
}

// reap waits for the process that a pid file names, and removes the file.
func reap(pidFile string) error {
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	for {
		_, err = unix.Wait4(pid, nil, 0, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("wait for container process %d: %w", pid, err)
	}
	return os.Remove(pidFile)
}

func (h house) hull(args ...string) error {
	cmd := exec.Command(h.runtime, append([]string{"--root", h.root}, args...)...)
	// A file, not a pipe: the container inherits it.
	log, err := os.CreateTemp(h.dir, "stderr-")
	if err != nil {
		return err
	}
	defer func() { _ = errors.Join(log.Close(), os.Remove(log.Name())) }()
	cmd.Stderr = log
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%s %v: %w: %s", h.runtime, args, err, text)
	}
	return nil
}
