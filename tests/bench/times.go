package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hull/internal/linux"
)

// warmUps are rounds that do not count: they fill caches, the runtimes' own
// seccomp caches among them.
const warmUps = 5

const (
	containerID = "hull-bench"
	waitingID   = "hull-bench-waiting"
)

// operation is something to time. It returns the time that counts; what it
// does beside that is not measured.
type operation struct {
	name string
	run  func(oci, bundle) (time.Duration, error)
}

// timeBundle times all operations of all runtimes with one bundle and prints a
// table of them.
func timeBundle(rounds int, runtimes []oci, b bundle) error {
	defer stopWaiting(runtimes)
	if err := startWaiting(runtimes, b); err != nil {
		return err
	}
	operations := []operation{
		{"run", timeRun},
		{"create+start+delete", timeLifeCycle},
		{"the same, running", timeForcedEnd},
		{"exec", timeExec},
		{"exec with a terminal", timeExecTerminal},
	}
	fmt.Printf("\n%s: milliseconds, %d rounds\n%-22s %-8s %7s %15s %8s %8s\n", b.name, rounds,
		"", "", "median", "p10 - p90", "of crun", "of runc")
	for _, op := range operations {
		samples, err := sample(rounds, runtimes, b, op)
		if err != nil {
			return err
		}
		medians := map[string]time.Duration{}
		for _, r := range runtimes {
			medians[r.name] = percentile(samples[r.name], 50)
		}
		for i, r := range runtimes {
			title := ""
			if i == 0 {
				title = op.name
			}
			s := samples[r.name]
			fmt.Printf("%-22s %-8s %7.2f %7.2f-%7.2f %8s %8s\n", title, r.name, ms(medians[r.name]),
				ms(percentile(s, 10)), ms(percentile(s, 90)),
				ratio(medians[r.name], medians["crun"]), ratio(medians[r.name], medians["runc"]))
		}
	}
	return nil
}

// startWaiting starts the containers that exec enters.
func startWaiting(runtimes []oci, b bundle) error {
	for _, r := range runtimes {
		if err := r.command("run", "--detach", "--bundle", b.waiting, r.id(waitingID)).Run(); err != nil {
			return fmt.Errorf("%s run: %w", r.name, err)
		}
	}
	return nil
}

func stopWaiting(runtimes []oci) {
	for _, r := range runtimes {
		if err := r.command("delete", "--force", r.id(waitingID)).Run(); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s delete: %v\n", r.name, err)
		}
	}
}

// sample times one operation, the runtimes taking turns. The samples of each
// come sorted.
func sample(rounds int, runtimes []oci, b bundle, op operation) (map[string][]time.Duration, error) {
	samples := map[string][]time.Duration{}
	for i := range warmUps + rounds {
		for _, r := range runtimes {
			took, err := op.run(r, b)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", r.name, op.name, err)
			}
			if i >= warmUps {
				samples[r.name] = append(samples[r.name], took)
			}
		}
	}
	for _, s := range samples {
		slices.Sort(s)
	}
	return samples, nil
}

func timeRun(r oci, b bundle) (time.Duration, error) {
	return timed(r, "run", "--bundle", b.dir, r.id(containerID))
}

// timeLifeCycle deletes a container whose process has ended. The wait for that
// does not count.
func timeLifeCycle(r oci, b bundle) (time.Duration, error) {
	pidFile := filepath.Join(b.dir, "pid")
	created, err := timed(r, "create", "--bundle", b.dir, "--pid-file", pidFile, r.id(containerID))
	if err != nil {
		return 0, err
	}
	process, err := openProcess(pidFile)
	if err != nil {
		return 0, err
	}
	defer func() { _ = unix.Close(process) }()
	started, err := timed(r, "start", r.id(containerID))
	if err != nil {
		return 0, err
	}
	if err := waitForEnd(process); err != nil {
		return 0, err
	}
	deleted, err := timed(r, "delete", r.id(containerID))
	return created + started + deleted, err
}

// timeForcedEnd deletes a container whose process still runs.
func timeForcedEnd(r oci, b bundle) (time.Duration, error) {
	var total time.Duration
	for _, args := range [][]string{
		{"create", "--bundle", b.waiting, r.id(containerID)},
		{"start", r.id(containerID)},
		{"delete", "--force", r.id(containerID)},
	} {
		took, err := timed(r, args...)
		if err != nil {
			return 0, err
		}
		total += took
	}
	return total, nil
}

// openProcess opens a descriptor of the process that a pid file names.
func openProcess(pidFile string) (int, error) {
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, err
	}
	return unix.PidfdOpen(pid, 0)
}

func waitForEnd(process int) error {
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(process), Events: unix.POLLIN}}, -1)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func timeExec(r oci, _ bundle) (time.Duration, error) {
	return timed(r, "exec", r.id(waitingID), "/payload")
}

// timeExecTerminal runs exec in the foreground of a terminal that shows nothing.
// The terminal is made, and hung up, outside of the time that counts.
func timeExecTerminal(r oci, _ bundle) (time.Duration, error) {
	master, peer, err := openTerminal()
	if err != nil {
		return 0, err
	}
	defer master.Close()
	cmd := r.command("exec", "--tty", r.id(waitingID), "/payload")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = peer, peer, peer
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	begin := time.Now()
	err = cmd.Start()
	peer.Close()
	if err == nil {
		err = cmd.Wait()
	}
	return time.Since(begin), err
}

// openTerminal makes a pseudo-terminal.
func openTerminal() (master, peer *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	if err == nil {
		var fd int
		if fd, err = linux.OpenPeer(int(master.Fd()), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC); err == nil {
			return master, os.NewFile(uintptr(fd), "peer"), nil
		}
	}
	master.Close()
	return nil, nil, err
}

func timed(r oci, args ...string) (time.Duration, error) {
	cmd := r.command(args...)
	start := time.Now()
	err := cmd.Run()
	return time.Since(start), err
}

func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[(len(sorted)-1)*p/100]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func ratio(d, other time.Duration) string {
	if other == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2fx", float64(d)/float64(other))
}
