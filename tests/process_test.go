package tests

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

//proves:process.args process.env process.cwd config.md#process:5
func TestTheProcessHasItsArgumentsAndEnvironment(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	args := []string{"args", "env", "cwd", "pid"}
	s := h.probe(args, func(s *specs.Spec) {
		s.Process.Env = []string{"A=1", "B=two words", "EMPTY=", "A=2", "PATH=/x:/bin", "U=ü"}
	})
	equal(t, "args", get[[]string](t, s, "args"), append([]string{"/probe"}, args...))
	env := get[[]string](t, s, "env")
	slices.Sort(env)
	equal(t, "env", env, []string{"A=2", "B=two words", "EMPTY=", "HOME=/", "PATH=/x:/bin", "U=ü"})
}

//proves:process.args config.md#process:7
func TestTheProgramIsFoundThroughPATH(t *testing.T) {
	h := newHost(t)
	program := func(name, path string) edit {
		return func(s *specs.Spec) {
			s.Process.Args = []string{name, "args"}
			s.Process.Env = []string{"PATH=" + path}
		}
	}
	for name, tt := range map[string]struct{ name, path string }{
		"in the second directory":      {"probe", "/nowhere:/:/bin"},
		"a path with a slash":          {"./probe", "/nowhere"},
		"in an empty element, the cwd": {"probe", "/nowhere:"},
		"a file that cannot be run":    {"probe", "/etc:/"},
		"a directory of the same name": {"probe", "/tmp:/"},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			b := h.newBundle(nil, program(tt.name, tt.path))
			if err := os.WriteFile(b.path("rootfs/etc/probe"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(b.path("rootfs/tmp/probe"), 0o755); err != nil {
				t.Fatal(err)
			}
			// argv[0] is as it was written.
			equal(t, "args", get[[]string](t, h.run(b), "args"), []string{tt.name, "args"})
		})
	}
	for name, tt := range map[string]struct {
		name, path string
		words      []string
	}{
		"not in PATH":            {"cake", "/bin:/", []string{`cake`, "executable file not found in $PATH"}},
		"no such path":           {"/cake", "/bin", []string{`/cake`, "no such file or directory"}},
		"found, not executable":  {"probe", "/etc", []string{`probe`, "permission denied"}},
		"a path, not executable": {"/etc/probe", "/", []string{`/etc/probe`, "permission denied"}},
		"a directory":            {"/tmp", "/", []string{`/tmp`, "is a directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			b := h.newBundle(nil, program(tt.name, tt.path))
			if err := os.WriteFile(b.path("rootfs/etc/probe"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			h.failsWith(b, tt.words)
		})
	}
}

//proves:process.env
func TestHOMEIsThatOfTheUser(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for name, tt := range map[string]struct {
		passwd string
		env    []string
		want   string
	}{
		"from /etc/passwd":            {"root:x:0:0::/root:/bin/sh\nu:x:1000:1000::/home/u:/bin/sh\n", nil, "/home/u"},
		"set by the configuration":    {"u:x:1000:1000::/home/u:/bin/sh\n", []string{"HOME=/set"}, "/set"},
		"empty in the configuration":  {"u:x:1000:1000::/home/u:/bin/sh\n", []string{"HOME="}, "/home/u"},
		"no such user":                {"root:x:0:0::/root:/bin/sh\n", nil, "/"},
		"no file":                     {"", nil, "/"},
		"a name that is a number":     {"1000:x:0:0::/root:/bin/sh\nu:x:1000:1000::/home/u:/bin/sh\n", nil, "/home/u"},
		"lines that are no entries":   {"\n#c\n:::\nu:x:1000:1000::/home/u:/bin/sh", nil, "/home/u"},
		"a uid that only begins like": {"v:x:10000:0::/no:/\nu:x:1000:1000::/home/u:/\n", nil, "/home/u"},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			b := h.newBundle([]string{"env"}, func(s *specs.Spec) {
				s.Process.User.UID = 1000
				s.Process.Env = tt.env
			})
			if tt.passwd != "" {
				if err := os.WriteFile(b.path("rootfs/etc/passwd"), []byte(tt.passwd), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			equal(t, "environment", get[[]string](t, h.run(b), "env"), []string{"HOME=" + tt.want})
		})
	}
}

//proves:process.cwd config.md#process:5 config.md#process:6
func TestTheWorkingDirectory(t *testing.T) {
	h := newHost(t)
	cwd := func(path string) edit { return func(s *specs.Spec) { s.Process.Cwd = path } }
	t.Run("is process.cwd", func(t *testing.T) {
		h := &host{t: t, root: h.root}
		equal(t, "cwd", get[string](t, h.probe([]string{"cwd"}, cwd("/etc/../tmp")), "cwd"), "/tmp")
	})
	t.Run("is on the mount that covers it", func(t *testing.T) {
		h := &host{t: t, root: h.root}
		equal(t, "cwd", get[string](t, h.probe([]string{"cwd"}, cwd("/dev/shm")), "cwd"), "/dev/shm")
	})
	t.Run("may be missing in an image, and is made", func(t *testing.T) {
		h := &host{t: t, root: h.root}
		b := h.newBundle([]string{"cwd"}, cwd("/not/there"), writableRoot)
		r := h.try("run", "--bundle", b.dir, newID())
		if r.status != 0 {
			t.Fatal(r.stderr)
		}
		equal(t, "cwd", get[string](t, parseSight(t, r.stdout), "cwd"), "/not/there")
	})
	t.Run("may be one that only the user can enter", func(t *testing.T) {
		h := &host{t: t, root: h.root}
		b := h.newBundle([]string{"cwd"}, cwd("/home"), func(s *specs.Spec) { s.Process.User.UID = 1000 })
		if err := os.Mkdir(b.path("rootfs/home"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(b.path("rootfs/home"), 1000, 1000); err != nil {
			t.Fatal(err)
		}
		equal(t, "cwd", get[string](t, h.run(b), "cwd"), "/home")
	})
	t.Run("must be a directory", func(t *testing.T) {
		(&host{t: t, root: h.root}).fails([]string{"process.cwd", "/probe", "not a directory"}, cwd("/probe"))
	})
	t.Run("must be absolute", func(t *testing.T) {
		(&host{t: t, root: h.root}).fails([]string{"process.cwd", "absolute"}, cwd("tmp"))
	})
}

//proves:process.user.umask process.oomScoreAdj config.md#linux-process:3 config.md#linux-process:4
func TestTheUmaskAndTheOOMScore(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	const score = "read=/proc/self/oom_score_adj"
	s := h.probe([]string{"umask", score}, func(s *specs.Spec) {
		s.Process.User.Umask = pointer(uint32(0o027))
		s.Process.OOMScoreAdj = pointer(345)
	})
	equal(t, "umask", get[string](t, s, "umask"), "0027")
	equal(t, "oom_score_adj", get[string](t, s, score), "345\n")

	// What is not set: 0022 as ever, and the score of the caller.
	b, c := h.newBundle([]string{"umask", score}), h.start(nil)
	for _, args := range [][]string{{"run", "--bundle", b.dir, newID()}, {"exec", c.id, "/probe", "umask", score}} {
		cmd := h.command(args...)
		cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", `umask 0013; echo 77 >/proc/self/oom_score_adj; exec "$0" "$@"`}, cmd.Args...)
		r := h.finish(cmd)
		if r.status != 0 {
			t.Fatal(r.stderr)
		}
		s := parseSight(t, r.stdout)
		equal(t, "umask of "+args[0], get[string](t, s, "umask"), "0022")
		equal(t, "oom_score_adj of "+args[0], get[string](t, s, score), "77\n")
	}
}

//proves:process.oomScoreAdj
func TestTheOOMScoreIsChecked(t *testing.T) {
	h := newHost(t)
	h.fails([]string{"process.oomScoreAdj", "1001"}, func(s *specs.Spec) { s.Process.OOMScoreAdj = pointer(1001) })
	own, err := strconv.Atoi(strings.TrimSpace(readFile(t, "/proc/self/oom_score_adj")))
	if err != nil {
		t.Fatal(err)
	}
	if hasCapability(t, 24) {
		lacks(t, "the lack of CAP_SYS_RESOURCE")
	}
	h.fails([]string{"process.oomScoreAdj", "permission denied", "CAP_SYS_RESOURCE"}, func(s *specs.Spec) {
		s.Process.OOMScoreAdj = pointer(own - 1)
	})
}

// hasCapability tells whether this process has the capability of a number.
func hasCapability(t *testing.T, number int) bool {
	t.Helper()
	for line := range strings.Lines(readFile(t, "/proc/self/status")) {
		if text, ok := strings.CutPrefix(line, "CapEff:\t"); ok {
			mask, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
			return err == nil && mask&(1<<number) != 0
		}
	}
	t.Fatal("no CapEff")
	return false
}

//proves:process.noNewPrivileges
func TestNoNewPrivileges(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, value := range []bool{true, false} {
		s := h.probe([]string{"prctl=no_new_privs"}, noNewPrivileges(value))
		equal(t, "no_new_privs", get[int](t, s, "prctl=no_new_privs") == 1, value)
	}
}

//proves:process.scheduler.policy=SCHED_BATCH process.scheduler.policy=SCHED_IDLE process.scheduler.nice
//proves:process.ioPriority.class=IOPRIO_CLASS_BE process.ioPriority.priority linux.personality.domain=LINUX32
//proves:linux.personality.domain
func TestTheSchedulerAndThePriorities(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	type scheduling struct{ Policy, Nice, Ioprio, Cpus int }
	const batch, idle, bestEffort = 3, 5, 2
	s := h.probe([]string{"scheduler", "personality"}, func(s *specs.Spec) {
		s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedBatch, Nice: 7}
		s.Process.IOPriority = &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 6}
		s.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux32}
	})
	seen := get[scheduling](t, s, "scheduler")
	equal(t, "policy", seen.Policy, batch)
	equal(t, "nice", seen.Nice, 7)
	equal(t, "I/O priority", seen.Ioprio, bestEffort<<13|6)
	equal(t, "personality", get[int](t, s, "personality")&0xff, 8)

	s = h.probe([]string{"scheduler"}, func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedIdle} })
	equal(t, "idle", get[scheduling](t, s, "scheduler").Policy, idle)
}

//proves:process.scheduler.policy process.ioPriority.priority
func TestSchedulersThatDoNotExistAreRefused(t *testing.T) {
	h := newHost(t)
	h.fails([]string{"process.scheduler.policy", "SCHED_CAKE"}, func(s *specs.Spec) {
		s.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_CAKE"}
	})
	h.fails([]string{"process.ioPriority", "9"}, func(s *specs.Spec) {
		s.Process.IOPriority = &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 9}
	})
}

//proves:hostname domainname
func TestTheNamesOfTheHost(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	s := h.probe([]string{"uname"}, func(s *specs.Spec) { s.Hostname, s.Domainname = "some-host", "example.org" })
	seen := get[map[string]string](t, s, "uname")
	equal(t, "nodename", seen["nodename"], "some-host")
	equal(t, "domainname", seen["domainname"], "example.org")
	own, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	s = h.probe([]string{"uname"}, func(s *specs.Spec) { s.Hostname = "" })
	equal(t, "the host's nodename", get[map[string]string](t, s, "uname")["nodename"], own)
}

//proves:hostname domainname
func TestNamesOfTheHostNeedANamespace(t *testing.T) {
	h := newHost(t)
	h.fails([]string{"hostname", "needs a uts namespace"}, dropNamespace(specs.UTSNamespace))
	h.fails([]string{"domainname", "longer than 64"}, func(s *specs.Spec) { s.Domainname = strings.Repeat("x", 65) })
}
