package tests

import (
	"errors"
	"runtime"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// caller runs do on a thread that has been changed, and so hull and what hull
// starts: change returns how to put the thread back.
func caller(t *testing.T, change func() (undo func() error, err error), do func()) {
	t.Helper()
	needRoot(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	undo, err := change()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := undo(); err != nil {
			t.Fatal(err)
		}
	}()
	do()
}

// heldTo runs do as somebody who may only use one CPU.
func heldTo(t *testing.T, cpu int, do func()) {
	t.Helper()
	caller(t, func() (func() error, error) {
		var before, one unix.CPUSet
		one.Set(cpu)
		err := errors.Join(unix.SchedGetaffinity(0, &before), unix.SchedSetaffinity(0, &one))
		return func() error { return unix.SchedSetaffinity(0, &before) }, err
	}, do)
}

func needCPUs(t *testing.T) {
	t.Helper()
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	if !all.IsSet(0) || !all.IsSet(1) {
		lacks(t, "the CPUs 0 and 1")
	}
}

func cpuset(cpus string) edit {
	return func(s *specs.Spec) { s.Linux.Resources.CPU = &specs.LinuxCPU{Cpus: cpus} }
}

func execAffinity(initial, final string) edit {
	return func(s *specs.Spec) { s.Process.ExecCPUAffinity = &specs.CPUAffinity{Initial: initial, Final: final} }
}

const allowedCPUs = "status=Cpus_allowed_list"

func TestAContainerMayUseAllCPUsOfItsCpusetWhateverItsCallerMay(t *testing.T) {
	t.Parallel()
	needCPUs(t)
	h := newHost(t)
	all := get[string](t, h.probe([]string{allowedCPUs}), allowedCPUs)
	if all == "0" {
		t.Fatalf("all CPUs: %s", all)
	}
	//proves:linux.resources.cpu.cpus
	for name, tt := range map[string]struct {
		edit edit
		want string
	}{
		"without a cpuset": {func(*specs.Spec) {}, all},
		"with a cpuset":    {cpuset("1"), "1"},
		// "This setting is not applicable to the container's init process."
		"with an affinity for exec": {execAffinity("0", "0"), all},
	} {
		heldTo(t, 0, func() {
			equal(t, name, get[string](t, h.probe([]string{allowedCPUs}, tt.edit), allowedCPUs), tt.want)
		})
	}
}

func TestAnExecRunsOnTheCPUsOfTheConfiguration(t *testing.T) {
	t.Parallel()
	needCPUs(t)
	h := newHost(t)
	all := get[string](t, h.probe([]string{allowedCPUs}), allowedCPUs)
	//proves:process.execCPUAffinity.final
	for name, tt := range map[string]struct {
		initial, final, cpuset, want string
	}{
		"nothing":       {"", "", "", all},
		"final":         {"", "1", "", "1"},
		"both":          {"0", "1", "", "1"},
		"one in a list": {"0-1", "1,77", "", "1"},
		// Entering the cpuset takes away the CPU that is not in it; setting the
		// affinity in there would be refused.
		"initial that is outside of the cpuset": {"0", "", "1", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			edits := []edit{execAffinity(tt.initial, tt.final)}
			if tt.cpuset != "" {
				edits = append(edits, cpuset(tt.cpuset))
			}
			c := h.start(nil, edits...)
			heldTo(t, 0, func() { equal(t, "CPUs", get[string](t, c.exec(allowedCPUs), allowedCPUs), tt.want) })
		})
	}
}

// Without "final", runtimes "SHOULD NOT change process' CPU affinity after the
// process is moved to container's cgroup". The kernel keeps to what was asked
// for before since Linux 6.2.
func TestTheInitialAffinityStaysIfThereIsNoFinalOne(t *testing.T) {
	t.Parallel()
	needCPUs(t)
	h := newHost(t)
	//proves:process.execCPUAffinity.initial config.md#linux-process:8
	c := h.start(nil, execAffinity("1", ""))
	equal(t, "CPUs", get[string](t, c.exec(allowedCPUs), allowedCPUs), "1")
	// Of a process that is given as a whole it is its own.
	file := processFile(t, &specs.Process{
		Args: []string{"/probe", allowedCPUs}, Cwd: "/", ExecCPUAffinity: &specs.CPUAffinity{Initial: "0"},
	})
	equal(t, "CPUs of a file", get[string](t, parseSight(t, h.must("exec", "--process", file, c.id)), allowedCPUs), "0")
}

func TestAnAffinityThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, tt := range []struct{ initial, final, word string }{
		{"5000", "", "process.execCPUAffinity.initial"},
		{"", "5000", "process.execCPUAffinity.final"},
	} {
		c := h.start(nil, execAffinity(tt.initial, tt.final))
		h.refuses([]string{tt.word, "invalid argument", "online"}, "exec", c.id, "/probe")
	}
	b := h.newBundle([]string{"pid"}, execAffinity("0-", "1;2"))
	h.refuses([]string{"process.execCPUAffinity.initial", `"0-"`, "process.execCPUAffinity.final", `"1;2"`}, "create", "--bundle", b.dir, newID())
}
