package tests

import (
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

//proves:linux.seccomp linux.seccomp.defaultAction=SCMP_ACT_ERRNO linux.seccomp.defaultAction=SCMP_ACT_KILL
//proves:linux.seccomp.defaultAction=SCMP_ACT_KILL_PROCESS linux.seccomp.defaultAction=SCMP_ACT_TRAP
func TestAFilterUnderWhichNothingCanBeStartedIsRefused(t *testing.T) {
	h := newHost(t)
	words := []string{"linux.seccomp: denies execve, so that the program could not be started (allow execve"}
	for _, action := range []specs.LinuxSeccompAction{specs.ActErrno, specs.ActKill, specs.ActKillProcess, specs.ActTrap} {
		b := h.newBundle([]string{"pid"}, withFilter(&specs.LinuxSeccomp{DefaultAction: action}))
		h.failsWith(b, words)
		if r := h.try("check", "--bundle", b.dir); r.status != 1 || !strings.Contains(r.stdout+r.stderr, words[0]) {
			t.Errorf("check: status %d\n%s%s", r.status, r.stdout, r.stderr)
		}
	}
	h.fails(words, withAnnotation(bpfAnnotation, program(ret(uint32(unix.SECCOMP_RET_ERRNO)))))
	// Whoever could be asked may say yes.
	h.fails([]string{"function not implemented"}, withFilter(filterOn("execve", specs.ActTrace)))
}

// filterOn is a profile that allows everything but one system call.
func filterOn(call string, action specs.LinuxSeccompAction) *specs.LinuxSeccomp {
	f := filter(action, nil)
	f.Syscalls[0].Names = []string{call}
	return f
}

// mute is a profile that denies execve(2) or not by its arguments, and whatever
// init could say.
func mute(action specs.LinuxSeccompAction) edit {
	return withFilter(&specs.LinuxSeccomp{
		DefaultAction: action,
		Syscalls: []specs.LinuxSyscall{{
			Names: []string{"execve"}, Action: specs.ActAllow,
			Args: []specs.LinuxSeccompArg{{Index: 0, Value: 0, Op: specs.OpEqualTo}},
		}},
	})
}

// deadly are the actions under which init may be unable to go on.
var deadly = []specs.LinuxSeccompAction{
	specs.ActErrno, specs.ActKill, specs.ActKillThread, specs.ActKillProcess, specs.ActTrap,
}

//proves:linux.seccomp.syscalls[].args
func TestADeathBeforeTheProgramIsNotTheProgramsOwn(t *testing.T) {
	h := newHost(t)
	adoptOrphans(t)
	words := []string{`exec "/probe": the init process `, "linux.seccomp must allow execve"}
	for _, action := range deadly {
		b := h.newBundle([]string{"pid"}, mute(action))
		h.failsWith(b, words)

		// Start of another process. Nobody reaps init meanwhile.
		c := h.create(b)
		h.refuses([]string{`exec "/probe": the init process ended without a report`}, "start", c.id)
		equal(t, "status", string(h.state(c.id).Status), "stopped")
		h.must("delete", c.id)
		if _, err := unix.Wait4(c.pid, nil, 0, nil); err != nil {
			t.Error(err)
		}
	}
}

// adoptOrphans makes this process the parent of what its children leave, until
// the test ends.
func adoptOrphans(t *testing.T) {
	t.Helper()
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) })
}

//proves:linux.seccomp linux.seccomp.defaultAction=SCMP_ACT_KILL_PROCESS
func TestAnExecThatDiesBeforeItsProgramFails(t *testing.T) {
	h := newHost(t)
	const pause = 34
	for action, how := range map[specs.LinuxSeccompAction]string{
		specs.ActErrno: "was killed by SIG", specs.ActKillProcess: "was killed by SIG",
		specs.ActKill: "was killed, or lost the thread", specs.ActKillThread: "was killed, or lost the thread",
	} {
		b := h.tiny(exitsWith42(pause), withFilter(&specs.LinuxSeccomp{
			DefaultAction: action,
			Syscalls:      []specs.LinuxSyscall{{Names: []string{"execve", "pause", "exit"}, Action: specs.ActAllow}},
		}))
		if err := os.WriteFile(b.path("rootfs/text"), []byte("no program"), 0o755); err != nil {
			t.Fatal(err)
		}
		c := h.create(b)
		h.must("start", c.id)
		r := h.try("exec", c.id, "/text")
		said := strings.ReplaceAll(r.stderr, `\"`, `"`)
		if r.status != 255 || !strings.Contains(said, `exec "/text": the init process `+how) {
			t.Errorf("%s: status %d\n%s", action, r.status, r.stderr)
		}
		h.must("delete", "--force", c.id)
	}
}

// The first thread of init dies with the others waiting for it: nobody may wait
// for them.
//
//proves:linux.seccomp.syscalls[].action=SCMP_ACT_KILL_THREAD
func TestAContainerThatDiesInItsFirstThreadAloneHasStopped(t *testing.T) {
	h := newHost(t)
	adoptOrphans(t)
	b := h.newBundle([]string{"pid"}, withFilter(filterOn("write", specs.ActKillThread)))
	if err := os.WriteFile(b.path("rootfs/text"), []byte("no program"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, edits := range map[string][]edit{
		"in a pid namespace of its own": nil,
		"in that of the host":           {dropNamespace(specs.PIDNamespace)},
	} {
		t.Run(name, func(t *testing.T) {
			b.config.Process.Args = []string{"/text"}
			for _, change := range edits {
				change(b.config)
			}
			b.save(t)
			h.failsWith(b, []string{`exec "/text": the init process was killed, or lost the thread`})

			c := h.create(b)
			h.refuses([]string{`exec "/text": the init process ended`}, "start", c.id)
			equal(t, "status", string(h.state(c.id).Status), "stopped")
			h.must("delete", c.id)
			if _, err := unix.Wait4(c.pid, nil, 0, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// A filter that notifies is in force while init waits, and may kill it there.
//
//proves:linux.seccomp.syscalls[].action=SCMP_ACT_KILL_THREAD
func TestStartOfAContainerThatDiedWaitingInItsFirstThreadAloneFails(t *testing.T) {
	h := newHost(t)
	a := newAgent(t)
	f := filterOn("read", specs.ActKillThread)
	f.ListenerPath = a.path
	f.Syscalls = append(f.Syscalls, specs.LinuxSyscall{Names: []string{"getpgid"}, Action: specs.ActNotify})
	c := h.create(h.newBundle([]string{"pid"}, withFilter(f)))
	eventually(t, "the first thread ends", func() bool {
		text, err := os.ReadFile(procPath(c.pid, "stat"))
		return err == nil && strings.Contains(string(text), ") Z ")
	})
	h.refuses([]string{"the init process was killed before it executed the program"}, "start", c.id)
	h.awaitStatus(c.id, specs.StateStopped)
	h.must("delete", c.id)
}
