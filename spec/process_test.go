package spec_test

import (
	"encoding/hex"
	"reflect"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/libcontainer/plan"
	"hull/spec"
)

func TestTheProcessIsTranslated(t *testing.T) {
	s, in := bundleSpec(t), inputs(t)
	s.Process = &specs.Process{
		Args: []string{"a", "b"}, Cwd: "/c", Terminal: true, ConsoleSize: &specs.Box{Height: 24, Width: 80},
		Env:          []string{"A=1", "HOME=", "B=x=y", "A=2"},
		User:         specs.User{UID: 1, GID: 2, AdditionalGids: []uint32{3}, Umask: ptr(uint32(0o27))},
		SelinuxLabel: "l", ApparmorProfile: "p", NoNewPrivileges: true,
		Scheduler:       &specs.Scheduler{Policy: specs.SchedDeadline, Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagResetOnFork, specs.SchedFlagDLOverrun}, Runtime: 1, Deadline: 2, Period: 3},
		IOPriority:      &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 4},
		ExecCPUAffinity: &specs.CPUAffinity{Initial: "0", Final: "1,8"},
	}
	s.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux32}
	s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: specs.MpolInterleave, Nodes: "0-1", Flags: []specs.MemoryPolicyFlagType{specs.MpolFStaticNodes}}
	in.Process.PreserveFDs, in.Process.Keyring, in.Process.Groups = 2, plan.KeepKeyring, plan.KeepGroups
	got := compile(t, s, in).Process
	sched := "38000000060000000500000000000000" + "0000000000000000" +
		"0100000000000000" + "0200000000000000" + "0300000000000000" + "0000000000000000"
	if h := hex.EncodeToString(got.Scheduler.Attr); h != sched {
		t.Errorf("scheduler %s, want %s", h, sched)
	}
	got.Scheduler = plan.Scheduler{}
	want := plan.Process{
		Args: []string{"a", "b"}, Cwd: "/c", Env: []string{"B=x=y", "A=2"},
		UID: 1, GID: 2, AdditionalGIDs: []uint32{3}, Umask: 0o27, Groups: plan.KeepGroups,
		Capabilities: plan.Capabilities{Bounding: spec.AllCapabilities, Effective: spec.AllCapabilities, Permitted: spec.AllCapabilities},
		NoNewPrivs:   true, Keyring: plan.KeepKeyring, KeyringLabel: "l",
		SELinuxLabel: "l", AppArmorProfile: "p", IOPriority: 2<<13 | 4, Personality: 8,
		MemoryPolicy: plan.MemoryPolicy{Mode: unix.MPOL_INTERLEAVE | unix.MPOL_F_STATIC_NODES, Nodes: []byte{3, 0, 0, 0, 0, 0, 0, 0}},
		Terminal:     plan.Terminal{Wanted: true, Rows: 24, Columns: 80}, PreserveFDs: 2,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	in.Process.Kind = plan.Exec
	execed, err := spec.CompileProcess(s, s.Process, in.Process)
	chosen := plan.Affinity{Policy: plan.ChosenCPUs, CPUs: []byte{2, 1, 0, 0, 0, 0, 0, 0}}
	if err != nil || !reflect.DeepEqual(execed.Affinity, chosen) {
		t.Errorf("affinity %v, %v", execed.Affinity, err)
	}
}

func TestWhatIsNotAskedForIsLeftAlone(t *testing.T) {
	s := bundleSpec(t)
	p := compile(t, s, inputs(t)).Process
	if p.Umask != 0o022 || p.IOPriority != -1 || p.Personality != -1 || p.MemoryPolicy.Mode != -1 || p.Scheduler.Attr != nil || p.Affinity.Policy != plan.WholeCpuset {
		t.Errorf("got %+v", p)
	}
	s.Process = nil
	if p := compile(t, s, inputs(t)).Process; len(p.Args) > 0 || p.Umask != 0o022 || p.IOPriority != -1 {
		t.Errorf("without a process: %+v", p)
	}
}
