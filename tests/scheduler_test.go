package tests

import (
	"os/exec"
	"runtime"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// asleep makes the process one that a policy without SCHED_FLAG_RESET_ON_FORK
// does not keep from starting threads, as it would the probe.
func asleep(s *specs.Spec) { s.Process.Args = []string{"/bin/sleep", "1000"} }

func scheduler(c specs.Scheduler) edit {
	return func(s *specs.Spec) { s.Process.Scheduler = &c }
}

// realTime gives the container a share of real time, where a cgroup has to have
// one: all but a cgroup v1 of a kernel with CONFIG_RT_GROUP_SCHED.
func realTime(s *specs.Spec) {
	if fileExists("/sys/fs/cgroup/cpu/cpu.rt_runtime_us") {
		s.Linux.Resources.CPU = &specs.LinuxCPU{RealtimeRuntime: pointer(int64(10_000)), RealtimePeriod: pointer(uint64(1_000_000))}
	}
}

// scheduled returns what the kernel says of a started container's process.
func scheduled(t *testing.T, edits ...edit) *unix.SchedAttr {
	t.Helper()
	h := newHost(t)
	c := h.create(h.withShell(append(edits, asleep)...))
	h.must("start", c.id)
	attr, err := unix.SchedGetAttr(c.pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	return attr
}

func TestTheSchedulerIsThatOfTheConfiguration(t *testing.T) {
	t.Parallel()
	const ms = 1_000_000
	flags := func(f ...specs.LinuxSchedulerFlag) []specs.LinuxSchedulerFlag { return f }
	for name, tt := range map[string]struct {
		is   specs.Scheduler
		want unix.SchedAttr
	}{
		//proves:process.scheduler.policy process.scheduler.policy=SCHED_OTHER process.scheduler.nice config.md#linux-process:5
		"SCHED_OTHER": {specs.Scheduler{Policy: specs.SchedOther, Nice: 3}, unix.SchedAttr{Policy: unix.SCHED_NORMAL, Nice: 3}},
		//proves:process.scheduler.policy=SCHED_BATCH
		"SCHED_BATCH": {specs.Scheduler{Policy: specs.SchedBatch, Nice: -7}, unix.SchedAttr{Policy: unix.SCHED_BATCH, Nice: -7}},
		//proves:process.scheduler.policy=SCHED_IDLE
		"SCHED_IDLE": {specs.Scheduler{Policy: specs.SchedIdle, Nice: 11}, unix.SchedAttr{Policy: unix.SCHED_IDLE, Nice: 11}},
		//proves:process.scheduler.policy=SCHED_FIFO process.scheduler.priority
		"SCHED_FIFO": {specs.Scheduler{Policy: specs.SchedFIFO, Priority: 17}, unix.SchedAttr{Policy: unix.SCHED_FIFO, Priority: 17}},
		//proves:process.scheduler.policy=SCHED_RR
		"SCHED_RR": {specs.Scheduler{Policy: specs.SchedRR, Priority: 99}, unix.SchedAttr{Policy: unix.SCHED_RR, Priority: 99}},
		//proves:process.scheduler.policy=SCHED_DEADLINE process.scheduler.runtime process.scheduler.deadline process.scheduler.period
		"SCHED_DEADLINE": {
			specs.Scheduler{Policy: specs.SchedDeadline, Runtime: 10 * ms, Deadline: 30 * ms, Period: 100 * ms},
			unix.SchedAttr{Policy: unix.SCHED_DEADLINE, Runtime: 10 * ms, Deadline: 30 * ms, Period: 100 * ms},
		},
		//proves:process.scheduler.flags process.scheduler.flags=SCHED_FLAG_RECLAIM process.scheduler.flags=SCHED_FLAG_DL_OVERRUN
		"SCHED_DEADLINE that reclaims": {
			specs.Scheduler{
				Policy: specs.SchedDeadline, Runtime: 10 * ms, Deadline: 100 * ms,
				Flags: flags(specs.SchedFlagReclaim, specs.SchedFlagDLOverrun),
			},
			unix.SchedAttr{
				Policy: unix.SCHED_DEADLINE, Runtime: 10 * ms, Deadline: 100 * ms, Period: 100 * ms,
				Flags: unix.SCHED_FLAG_RECLAIM | unix.SCHED_FLAG_DL_OVERRUN,
			},
		},
		//proves:process.scheduler.flags=SCHED_FLAG_RESET_ON_FORK
		"reset on fork": {
			specs.Scheduler{Policy: specs.SchedBatch, Flags: flags(specs.SchedFlagResetOnFork)},
			unix.SchedAttr{Policy: unix.SCHED_BATCH, Flags: unix.SCHED_FLAG_RESET_ON_FORK},
		},
		//proves:process.scheduler.flags=SCHED_FLAG_KEEP_POLICY
		"kept policy": {
			specs.Scheduler{Policy: specs.SchedBatch, Nice: 4, Flags: flags(specs.SchedFlagKeepPolicy)},
			unix.SchedAttr{Policy: unix.SCHED_NORMAL, Nice: 4},
		},
		//proves:process.scheduler.flags=SCHED_FLAG_KEEP_PARAMS
		"kept parameters, to which the kernel counts the policy": {
			specs.Scheduler{Policy: specs.SchedBatch, Nice: 4, Flags: flags(specs.SchedFlagKeepParams)},
			unix.SchedAttr{Policy: unix.SCHED_NORMAL},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := scheduled(t, scheduler(tt.is), realTime)
			// Clamps are a matter of another test, and the period of SCHED_OTHER
			// is the slice that the kernel chose (Linux 6.12).
			got.Size, got.Util_min, got.Util_max = 0, 0, 0
			if got.Policy != unix.SCHED_DEADLINE {
				got.Runtime = 0
			}
			equal(t, "scheduler", got, tt.want)
		})
	}
}

// What is not set is 0, whatever the caller has.
//
//proves:process.scheduler.nice process.scheduler.priority
func TestTheNiceValueOfTheCallerIsNotThatOfAScheduler(t *testing.T) {
	t.Parallel()
	caller(t, func() (func() error, error) {
		err := unix.Setpriority(unix.PRIO_PROCESS, 0, 5)
		return func() error { return unix.Setpriority(unix.PRIO_PROCESS, 0, 0) }, err
	}, func() {
		for _, policy := range []specs.LinuxSchedulerPolicy{specs.SchedOther, specs.SchedIdle} {
			equal(t, string(policy), scheduled(t, scheduler(specs.Scheduler{Policy: policy})).Nice, 0)
		}
		equal(t, "without a scheduler", scheduled(t).Nice, 5)
	})
}

func TestUtilisationClamps(t *testing.T) {
	// A clamp of 0 shows where the default is another: at the top, and for real
	// time at the bottom.
	for flag, c := range map[specs.LinuxSchedulerFlag]specs.Scheduler{
		specs.SchedFlagUtilClampMin: {Policy: specs.SchedFIFO, Priority: 1},
		specs.SchedFlagUtilClampMax: {Policy: specs.SchedOther},
	} {
		t.Run(string(flag), func(t *testing.T) {
			c.Flags = []specs.LinuxSchedulerFlag{flag}
			if !fileExists("/proc/sys/kernel/sched_util_clamp_min") {
				newHost(t).fails([]string{"process.scheduler", string(c.Policy), "not supported", "CONFIG_UCLAMP_TASK"}, scheduler(c), realTime)
				lacks(t, "CONFIG_UCLAMP_TASK in its kernel")
			}
			//proves:process.scheduler.flags=SCHED_FLAG_UTIL_CLAMP_MIN process.scheduler.flags=SCHED_FLAG_UTIL_CLAMP_MAX
			got := scheduled(t, scheduler(c), realTime)
			if flag == specs.SchedFlagUtilClampMin {
				equal(t, "lower clamp", got.Util_min, 0)
			} else {
				equal(t, "upper clamp", got.Util_max, 0)
			}
		})
	}
}

func TestTheKernelsNoToASchedulerIsExplained(t *testing.T) {
	h := newHost(t)
	const ms = 1_000_000
	t.Run("a policy that no kernel has", func(t *testing.T) {
		//proves:process.scheduler.policy=SCHED_ISO
		(&host{t: t, root: h.root}).fails([]string{"process.scheduler to SCHED_ISO", "invalid argument", "no kernel implements it"},
			scheduler(specs.Scheduler{Policy: specs.SchedISO}))
	})
	t.Run("a runtime below the least", func(t *testing.T) {
		(&host{t: t, root: h.root}).fails([]string{"process.scheduler to SCHED_DEADLINE", "invalid argument", "1024 ns"},
			scheduler(specs.Scheduler{Policy: specs.SchedDeadline, Runtime: 1000, Deadline: ms}))
	})
	t.Run("a part of the CPUs", func(t *testing.T) {
		needCPUs(t)
		(&host{t: t, root: h.root}).fails([]string{"process.scheduler to SCHED_DEADLINE", "not permitted", "linux.resources.cpu.cpus"},
			scheduler(specs.Scheduler{Policy: specs.SchedDeadline, Runtime: ms, Deadline: 10 * ms}), cpuset("0"))
	})
	t.Run("more time than there is", func(t *testing.T) {
		// One task less than there are CPUs has a CPU's whole time.
		for range runtime.NumCPU() - 1 {
			whole := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_DEADLINE, Runtime: 100 * ms, Deadline: 100 * ms}
			if err := unix.SchedSetAttr(sleeper(t), &whole, 0); err != nil {
				t.Fatal(err)
			}
		}
		(&host{t: t, root: h.root}).fails([]string{"process.scheduler to SCHED_DEADLINE", "busy", "lower runtime"},
			scheduler(specs.Scheduler{Policy: specs.SchedDeadline, Runtime: 100 * ms, Deadline: 100 * ms}))
	})
	t.Run("real time without a share", func(t *testing.T) {
		if !fileExists("/sys/fs/cgroup/cpu/cpu.rt_runtime_us") {
			lacks(t, "a cgroup v1 that shares out real time")
		}
		(&host{t: t, root: h.root}).fails([]string{"process.scheduler to SCHED_FIFO", "not permitted", "linux.resources.cpu.realtimeRuntime"},
			scheduler(specs.Scheduler{Policy: specs.SchedFIFO, Priority: 1}))
	})
}

// sleeper starts a process that sleeps until the test is over.
func sleeper(t *testing.T) (pid int) {
	t.Helper()
	cmd := exec.Command(needTool(t, "sleep"), "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

//proves:process.ioPriority.class process.ioPriority.priority config.md#linux-process:6 config.md#linux-process:7
//proves:process.ioPriority.class=IOPRIO_CLASS_RT process.ioPriority.class=IOPRIO_CLASS_BE process.ioPriority.class=IOPRIO_CLASS_IDLE
func TestTheIOPriorityIsThatOfTheConfiguration(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for number, class := range []specs.IOPriorityClass{1: specs.IOPRIO_CLASS_RT, 2: specs.IOPRIO_CLASS_BE, 3: specs.IOPRIO_CLASS_IDLE} {
		if class == "" {
			continue
		}
		for _, priority := range []int{0, 7} {
			s := h.probe([]string{"scheduler"}, func(s *specs.Spec) {
				s.Process.IOPriority = &specs.LinuxIOPriority{Class: class, Priority: priority}
			})
			equal(t, string(class), get[struct{ Ioprio int }](t, s, "scheduler").Ioprio, number<<13|priority)
		}
	}
}
