package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// whole are the probe's commands that show what makes up a process.
var whole = []string{
	"env", "cwd", "ids", "umask", "scheduler", allowedCPUs, "status=NoNewPrivs", "read=/proc/self/limits", "read=/proc/self/oom_score_adj",
	"status=CapBnd", "status=CapPrm", "status=CapEff", "status=CapInh", "status=CapAmb",
}

type scheduling struct{ Policy, Nice, Ioprio, Cpus int }

const (
	msgqueue   = "Max msgqueue size"
	idleIO     = 3 << 13 // IOPRIO_CLASS_IDLE, in ioprio_set(2)
	bestEffort = 2 << 13
)

//proves:process.user.umask process.scheduler.policy process.scheduler.nice process.ioPriority.class process.ioPriority.priority
//proves:process.execCPUAffinity.final process.rlimits[].type process.oomScoreAdj process.capabilities.ambient
func TestEveryFieldOfAProcessFileIsHonoured(t *testing.T) {
	t.Parallel()
	needCPUs(t)
	h := newHost(t)
	c := h.start(nil)
	some := []string{"CAP_KILL", "CAP_CHOWN"}
	file := processFile(t, &specs.Process{
		Args: append([]string{"/probe"}, whole...), Cwd: "/etc", Env: []string{"A=1", "HOME=/here"},
		User:            specs.User{UID: 10, GID: 11, AdditionalGids: []uint32{12, 13}, Umask: pointer(uint32(0o077))},
		Scheduler:       &specs.Scheduler{Policy: specs.SchedBatch, Nice: 3},
		IOPriority:      &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 6},
		ExecCPUAffinity: &specs.CPUAffinity{Initial: "0", Final: "1"},
		Rlimits:         []specs.POSIXRlimit{{Type: "RLIMIT_MSGQUEUE", Soft: 5, Hard: 6}},
		OOMScoreAdj:     pointer(321), NoNewPrivileges: true,
		Capabilities: &specs.LinuxCapabilities{Bounding: some, Permitted: some, Effective: some, Inheritable: some[:1], Ambient: some[:1]},
	})
	s := parseSight(t, h.must("exec", "--process", file, c.id))
	equal(t, "environment", slices.Sorted(slices.Values(get[[]string](t, s, "env"))), []string{"A=1", "HOME=/here"})
	equal(t, "directory", get[string](t, s, "cwd"), "/etc")
	equal(t, "ids", get[idSight](t, s, "ids"), idSight{UID: three(10), GID: three(11), Groups: []int{12, 13}})
	equal(t, "umask", get[string](t, s, "umask"), "0077")
	equal(t, "scheduling", get[scheduling](t, s, "scheduler"), scheduling{unix.SCHED_BATCH, 3, bestEffort | 6, 1})
	equal(t, "CPUs", get[string](t, s, allowedCPUs), "1")
	equal(t, "no_new_privs", get[string](t, s, "status=NoNewPrivs"), "1")
	equal(t, "limit", parseLimits(get[string](t, s, "read=/proc/self/limits"))[msgqueue], "5 6")
	equal(t, "OOM score", strings.TrimSpace(get[string](t, s, "read=/proc/self/oom_score_adj")), "321")
	equal(t, "capabilities", capabilitySets(t, s), map[string]uint64{"Bnd": kill | chown, "Prm": kill, "Eff": kill, "Inh": kill, "Amb": kill})
}

// A shell in a container is as confined as the container, whatever an engine
// forgets.
func TestAnExecIsConfinedAsTheContainerIsUnlessItsFileSaysOtherwise(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil, withCapabilities("CAP_KILL"), func(s *specs.Spec) {
		s.Process.Env, s.Process.Cwd = append(s.Process.Env, "OF=config"), "/tmp"
		s.Process.User = specs.User{UID: 7, GID: 7, AdditionalGids: []uint32{8}}
		s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedIdle}
		s.Process.IOPriority = &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_IDLE}
		s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_MSGQUEUE", Soft: 7, Hard: 8}}
		s.Process.OOMScoreAdj = pointer(432)
		s.Process.ExecCPUAffinity = &specs.CPUAffinity{Final: "0"}
		s.Process.NoNewPrivileges = true
	})
	bare := parseSight(t, h.must("exec", "--process", processFile(t, &specs.Process{Args: append([]string{"/probe"}, whole...), Cwd: "/"}), c.id))
	equal(t, "bounding set", get[string](t, bare, "status=CapBnd"), "0000000000000020")
	got := get[scheduling](t, bare, "scheduler")
	equal(t, "scheduling", []int{got.Policy, got.Ioprio}, []int{unix.SCHED_IDLE, idleIO})
	equal(t, "CPUs", get[string](t, bare, allowedCPUs), "0")
	equal(t, "limit", parseLimits(get[string](t, bare, "read=/proc/self/limits"))[msgqueue], "7 8")
	equal(t, "OOM score", strings.TrimSpace(get[string](t, bare, "read=/proc/self/oom_score_adj")), "432")
	// What says who runs where is the file's, and so is what is not set there.
	equal(t, "environment", get[[]string](t, bare, "env"), []string{"HOME=/"})
	equal(t, "directory", get[string](t, bare, "cwd"), "/")
	equal(t, "ids", get[idSight](t, bare, "ids"), idSight{UID: three(0), GID: three(0)})
	equal(t, "no_new_privs", get[string](t, bare, "status=NoNewPrivs"), "0")

	file := processFile(t, &specs.Process{
		Args: append([]string{"/probe"}, whole...), Cwd: "/", Capabilities: &specs.LinuxCapabilities{},
		Scheduler: &specs.Scheduler{Policy: specs.SchedOther}, OOMScoreAdj: pointer(500),
	})
	told := parseSight(t, h.must("exec", "-p", file, c.id))
	equal(t, "bounding set that is told", get[string](t, told, "status=CapBnd"), "0000000000000000")
	equal(t, "policy that is told", get[scheduling](t, told, "scheduler").Policy, unix.SCHED_NORMAL)
	equal(t, "OOM score that is told", strings.TrimSpace(get[string](t, told, "read=/proc/self/oom_score_adj")), "500")

	// With flags it is the container's process that changes.
	flagged := parseSight(t, h.must(append([]string{"exec", c.id, "/probe"}, whole...)...))
	got = get[scheduling](t, flagged, "scheduler")
	equal(t, "scheduling with flags", []int{got.Policy, got.Ioprio}, []int{unix.SCHED_IDLE, idleIO})
	equal(t, "OOM score with flags", strings.TrimSpace(get[string](t, flagged, "read=/proc/self/oom_score_adj")), "432")
	equal(t, "no_new_privs with flags", get[string](t, flagged, "status=NoNewPrivs"), "1")
}

func TestAProcessFileMayBeAPipe(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	text := readFile(t, processFile(t, &specs.Process{Args: []string{"/probe", "args"}, Cwd: "/"}))
	cmd := h.command("exec", "--process", "/dev/stdin", c.id)
	cmd.Stdin = strings.NewReader(text)
	equal(t, "arguments", get[[]string](t, parseSight(t, h.finish(cmd).stdout), "args"), []string{"/probe", "args"})
}

// The namespaces of a container are those of its init, every one.
func TestExecIsInEveryNamespaceOfTheContainer(t *testing.T) {
	t.Parallel()
	kinds := []specs.LinuxNamespaceType{
		specs.PIDNamespace, specs.NetworkNamespace, specs.MountNamespace, specs.IPCNamespace, specs.UTSNamespace,
		specs.CgroupNamespace, specs.TimeNamespace, specs.UserNamespace,
	}
	for name, edits := range map[string][]edit{
		"of its own":        {func(s *specs.Spec) { alone(kinds...)(s); mapAll(s) }},
		"without users":     {alone(kinds[:7]...)},
		"the host's but it": {alone(specs.MountNamespace)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			c := h.start([]string{"namespaces"}, edits...)
			want := get[map[string]string](t, c.see(), "namespaces")
			equal(t, "namespaces", get[map[string]string](t, c.exec("namespaces"), "namespaces"), want)
			if len(want) < 10 {
				t.Errorf("only %d: %v", len(want), want)
			}
			own, err := os.Readlink("/proc/self/ns/mnt")
			if err != nil || own == want["mnt"] {
				t.Errorf("%s, %v", own, err)
			}
		})
	}
}

func TestExecGoesIntoACgroupBelowTheContainers(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	memory, pids := cgroupOf(t, c.pid, "memory"), cgroupOf(t, c.pid, "pids")
	if !fileExists("/sys/fs/cgroup/memory") {
		lacks(t, "cgroup v1")
	}
	for _, path := range []string{memory, pids} {
		if err := os.Mkdir(filepath.Join(path, "sub"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		flags        []string
		memory, pids string
	}{
		{nil, "", ""},
		{[]string{"--cgroup", "memory:sub"}, "/sub", ""},
		{[]string{"--cgroup", "memory:/sub", "--cgroup=pids:sub/"}, "/sub", "/sub"},
		{[]string{"--cgroup", "memory,pids:./sub"}, "/sub", "/sub"},
		{[]string{"--cgroup", "/"}, "", ""},
	} {
		file := filepath.Join(t.TempDir(), "pid")
		h.must(slices.Concat([]string{"exec", "-d", "--pid-file", file}, tt.flags, []string{c.id, "/bin/sleep", "100"})...)
		pid := int(number(t, readFile(t, file)))
		equal(t, strings.Join(tt.flags, " "), []string{cgroupOf(t, pid, "memory"), cgroupOf(t, pid, "pids")}, []string{memory + tt.memory, pids + tt.pids})
	}
	for _, tt := range []struct {
		flags []string
		word  string
	}{
		{[]string{"--cgroup", "cake:sub"}, `no cgroup v1 hierarchy of a controller "cake"`},
		{[]string{"--cgroup", "sub", "--cgroup", "pids:sub"}, "missing <controller>: prefix"},
		{[]string{"--cgroup", ":sub"}, "empty <controller> prefix"},
		{[]string{"--cgroup", "pids,:sub"}, "empty <controller> prefix"},
		{[]string{"--cgroup", "pids:sub", "--cgroup", "memory,pids:sub"}, "controller pids specified multiple times"},
		{[]string{"--cgroup", "pids:../.."}, "must not climb"},
		{[]string{"--cgroup", "pids:missing"}, "no such file or directory"},
	} {
		r := h.try(slices.Concat([]string{"exec"}, tt.flags, []string{c.id, "/bin/true"})...)
		if said := strings.ReplaceAll(r.stderr, `\"`, `"`); r.status != 255 || !strings.Contains(said, tt.word) {
			t.Errorf("%v: status %d: %s", tt.flags, r.status, r.stderr)
		}
	}
}

func TestExecGoesIntoACgroupBelowTheContainersOnV2(t *testing.T) {
	t.Parallel()
	if !onlyV2() {
		lacks(t, "cgroup v2 alone")
	}
	h := newHost(t)
	c := h.start(nil)
	if err := os.Mkdir(filepath.Join(c.cgroup(""), "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"sub": "/sub", "/sub": "/sub", "/": "", ".": ""} {
		file := filepath.Join(t.TempDir(), "pid")
		h.must("exec", "-d", "--pid-file", file, "--cgroup", path, c.id, "/bin/sleep", "100")
		equal(t, path, cgroupOf(t, int(number(t, readFile(t, file))), ""), c.cgroup("")+want)
	}
	for path, word := range map[string]string{
		"memory:sub": "no cgroup v1 hierarchy", "..": "must not climb", "missing": "no such file or directory",
	} {
		if r := h.try("exec", "--cgroup", path, c.id, "/bin/true"); r.status != 255 || !strings.Contains(r.stderr, word) {
			t.Errorf("%s: status %d: %s", path, r.status, r.stderr)
		}
	}
}

func TestExecFlagsHaveShortFormsAndMayBeRepeated(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil, withCapabilities())
	s := parseSight(t, h.must("exec", "-no-subreaper", "-e", "A=1", "-e=A=2", "--env=B=", "-u", "5:6", "-g=7", "-g", "8", "-c", "CAP_KILL", "-cap=CAP_CHOWN",
		"--cwd", "/nowhere", "--cwd", "/etc", "--tty=false", "-d=false", "--user=9:10", c.id, "/probe", "env", "ids", "cwd", "status=CapBnd"))
	env := get[[]string](t, s, "env")
	equal(t, "environment", []string{lastValue(env, "A"), lastValue(env, "B")}, []string{"2", ""})
	equal(t, "ids", get[idSight](t, s, "ids"), idSight{UID: three(9), GID: three(10), Groups: []int{7, 8}})
	equal(t, "directory", get[string](t, s, "cwd"), "/etc")
	equal(t, "bounding set", get[string](t, s, "status=CapBnd"), "0000000000000021")
}

func TestExecRefusesWhatContradictsItself(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	terminal := processFile(t, &specs.Process{Args: []string{"/bin/true"}, Cwd: "/", Terminal: true})
	plain := processFile(t, &specs.Process{Args: []string{"/bin/true"}, Cwd: "/"})
	socket := newInbox(t, filepath.Join(shortDir(t), "s")).path
	for _, tt := range []struct {
		word string
		args []string
	}{
		{"cannot allocate tty if hull will detach without setting console socket", []string{"-d", "-t", c.id, "/bin/true"}},
		{"cannot allocate tty if hull will detach without setting console socket", []string{"-d", "-p", terminal, c.id}},
		{"cannot use console socket if hull will not detach or allocate tty", []string{"-d", "--console-socket", socket, c.id, "/bin/true"}},
		{"cannot use console socket if hull will not detach or allocate tty", []string{"-t", "--console-socket", socket, c.id, "/bin/true"}},
		{"not both", []string{"-p", plain, c.id, "/bin/true"}},
		{"process.env[", []string{"-e", "NAME", c.id, "/bin/true"}},
		{"process.env[", []string{"-e", "=x", c.id, "/bin/true"}},
		{"process.cwd", []string{"--cwd", "relative", c.id, "/bin/true"}},
		{"process.args[0]", []string{c.id, ""}},
		{"additional-gids must be a positive number -1", []string{"-g", "-1", c.id, "/bin/true"}},
		{"additional-gids must be a positive number 4294967296", []string{"-g", "4294967296", c.id, "/bin/true"}},
		{"process.user.additionalGids[0]", []string{"-g", "4294967295", c.id, "/bin/true"}},
		{"preserve-fds must not be negative", []string{"--preserve-fds", "-1", c.id, "/bin/true"}},
		{"/no/such/dir/pid: no such file or directory", []string{"--pid-file", "/no/such/dir/pid", c.id, "/bin/true"}},
		{"/proc/pid", []string{"--pid-file", "/proc/pid", c.id, "/bin/true"}},
		{"is a directory", []string{"--pid-file", t.TempDir(), c.id, "/bin/true"}},
		{"/no/such/socket: no such file or directory", []string{"--pidfd-socket", "/no/such/socket", c.id, "/bin/true"}},
	} {
		r := h.try(append([]string{"exec"}, tt.args...)...)
		if r.status != 255 || !strings.Contains(r.stderr, tt.word) || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%v: status %d: %s", tt.args, r.status, r.stderr)
		}
	}
	equal(t, "processes", h.must("ps", "--format", "json", c.id), fmt.Sprintf("[%d]\n", c.pid))
}
