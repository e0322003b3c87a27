package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// weigh prints what the processes of each runtime cost beside time.
func weigh(dir string, runtimes []oci, b bundle) error {
	for _, r := range runtimes {
		info, err := os.Stat(r.path)
		if err != nil {
			return err
		}
		fmt.Printf("\n%s: binary %.1f MB", r.name, float64(info.Size())/1e6)
		if took, ok := packageInit(r); ok {
			fmt.Printf(", package init %.2f ms", ms(took))
		}
		fmt.Println()
		if err := peaks(dir, r, b); err != nil {
			return err
		}
		if err := systemCalls(dir, r, b); err != nil {
			return err
		}
	}
	return nil
}

// packageInit adds up the init times of a Go program's packages, as the Go
// runtime reports them; see GODEBUG in the documentation of package runtime.
func packageInit(r oci) (time.Duration, bool) {
	cmd := exec.Command(r.path, "--version")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var trace bytes.Buffer
	cmd.Stderr = &trace
	if cmd.Run() != nil {
		return 0, false
	}
	var total float64
	for line := range strings.Lines(trace.String()) {
		// init PACKAGE @0.1 ms, 0.02 ms clock, 112 bytes, 3 allocs
		fields := strings.Fields(line)
		if len(fields) < 6 || fields[0] != "init" {
			continue
		}
		took, err := strconv.ParseFloat(fields[4], 64)
		if err != nil {
			return 0, false
		}
		total += took
	}
	return time.Duration(total * float64(time.Millisecond)), total > 0
}

// peaks prints the peak resident memory of each command and of the init process
// of a created container.
func peaks(dir string, r oci, b bundle) error {
	pidFile := filepath.Join(dir, "pid")
	var parts []string
	for _, args := range [][]string{
		{"run", "--bundle", b.dir, r.id(containerID)},
		{"create", "--bundle", b.waiting, "--pid-file", pidFile, r.id(containerID)},
		{"start", r.id(containerID)},
		{"exec", r.id(containerID), "/payload"},
		{"delete", "--force", r.id(containerID)},
	} {
		line := append([]string{"peak", r.path, "--root", r.root}, args...)
		meter := exec.Command(b.payload, line...)
		meter.Stderr = os.Stderr
		out, err := meter.Output()
		if err != nil {
			return fmt.Errorf("%s %s: %w", r.name, args[0], err)
		}
		parts = append(parts, args[0]+" "+megabytes(strings.TrimSpace(string(out))))
		if args[0] == "create" {
			init, err := highWater(pidFile)
			if err != nil {
				return err
			}
			parts = append(parts, "init "+megabytes(init))
		}
	}
	fmt.Printf("  peak memory, MB: %s\n", strings.Join(parts, ", "))
	return nil
}

// highWater returns the peak resident memory, in KiB, of the process whose ID
// is in a file; see VmHWM in proc_pid_status(5).
func highWater(pidFile string) (string, error) {
	pid, err := os.ReadFile(pidFile)
	if err != nil {
		return "", err
	}
	status, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/status")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
			return fields[1], nil
		}
	}
	return "", errors.New("no VmHWM in the status of the container's init")
}

func megabytes(kib string) string {
	n, err := strconv.ParseFloat(kib, 64)
	if err != nil {
		return kib
	}
	return fmt.Sprintf("%.1f", n/1024)
}

// systemCalls prints how many system calls each process of a run makes, the
// payload's own aside.
func systemCalls(dir string, r oci, b bundle) error {
	if _, err := exec.LookPath("strace"); err != nil {
		fmt.Fprintln(os.Stderr, "bench: no system call counts:", err)
		return nil
	}
	traces := filepath.Join(dir, "trace-"+r.name)
	if err := os.Mkdir(traces, 0o700); err != nil {
		return err
	}
	cmd := exec.Command("strace", "-ff", "--pidns-translation", "-o", filepath.Join(traces, "t"),
		r.path, "--root", r.root, "run", "--bundle", b.dir, r.id(containerID))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("strace %s: %w: %s", r.name, err, out)
	}
	counts, err := countCalls(traces)
	if err != nil {
		return err
	}
	total := 0
	words := make([]string, 0, len(counts))
	for _, n := range counts {
		total += n
		words = append(words, strconv.Itoa(n))
	}
	fmt.Printf("  system calls of run: %d (by process: %s)\n", total, strings.Join(words, ", "))
	return nil
}

// countCalls counts the calls in strace's files, one a thread, by process, in
// the order in which the processes came to be.
func countCalls(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	calls := map[int]int{}
	process := map[int]int{} // by thread
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return nil, err
		}
		id, err := strconv.Atoi(strings.TrimPrefix(entry.Name(), "t."))
		if err != nil {
			return nil, err
		}
		calls[id] = bytes.Count(text, []byte("\n"))
		for line := range strings.Lines(string(text)) {
			if thread, ok := newThread(line); ok {
				process[thread] = id
			}
		}
	}
	sums := map[int]int{}
	for id, n := range calls {
		owner := id
		for process[owner] != 0 {
			owner = process[owner]
		}
		sums[owner] += n
	}
	ids := make([]int, 0, len(sums))
	for id := range sums {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	counts := make([]int, 0, len(ids))
	for _, id := range ids {
		counts = append(counts, sums[id])
	}
	return counts, nil
}

// newThread finds the ID of the thread that a traced clone made, as the tracer
// sees it: "clone(…CLONE_THREAD…) = 2 /* 4711 in strace's PID NS */".
func newThread(line string) (int, bool) {
	if !strings.Contains(line, "CLONE_THREAD") {
		return 0, false
	}
	_, result, ok := strings.Cut(line, ") = ")
	if !ok {
		return 0, false
	}
	if _, translated, ok := strings.Cut(result, "/* "); ok {
		result = translated
	}
	fields := strings.Fields(result)
	if len(fields) == 0 {
		return 0, false
	}
	id, err := strconv.Atoi(fields[0])
	return id, err == nil
}
