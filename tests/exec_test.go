package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestExecExitsAsItsProcessDoes(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	for command, want := range map[string]int{
		"exit=0": 0, "exit=1": 1, "exit=42": 42, "exit=255": 255, "kill=9": 137, "kill=15": 143,
	} {
		r := h.try("exec", c.id, "/probe", "pid", command)
		if r.status != want || !strings.Contains(r.stdout, `"pid":`) || r.stderr != "" {
			t.Errorf("%s: status %d, want %d: %q %q", command, r.status, want, r.stdout, r.stderr)
		}
	}
}

func TestExecThatCannotStartExitsWith255AndSaysWhy(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	for name, tt := range map[string]struct {
		args  []string
		words string
	}{
		"a missing name":      {[]string{"exec", c.id, "nothing"}, `exec "nothing": executable file not found in $PATH`},
		"a missing path":      {[]string{"exec", c.id, "/nothing"}, `exec "/nothing": no such file or directory`},
		"a directory":         {[]string{"exec", c.id, "/etc"}, `exec "/etc": is a directory`},
		"a missing directory": {[]string{"exec", "--cwd", "/nowhere", c.id, "/probe"}, "/nowhere: no such file or directory"},
		"no command":          {[]string{"exec", c.id}, "exec args cannot be empty"},
		"no container":        {[]string{"exec", "nobody", "/probe"}, "container does not exist"},
		"no ID":               {[]string{"exec"}, `"exec" requires a minimum of 1 argument`},
		"a missing file":      {[]string{"exec", "--process", "/no/file", c.id}, "/no/file: no such file or directory"},
		"an unknown user":     {[]string{"exec", "--user", "nobody-here", c.id, "/probe"}, "nobody-here"},
	} {
		r := h.try(tt.args...)
		said := strings.ReplaceAll(r.stderr, `\"`, `"`)
		wantStatus := 255
		if name == "no ID" {
			wantStatus = 1
		}
		if r.status != wantStatus || !strings.Contains(said, tt.words) {
			t.Errorf("%s: status %d, %s", name, r.status, said)
		}
	}
	equal(t, "status", h.state(c.id).Status, specs.StateRunning)
}

func TestExecTakesFromTheContainerWhatFlagsDoNotSay(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil, func(s *specs.Spec) {
		s.Process.Env = []string{"PATH=/bin", "FROM=config"}
		s.Process.Cwd = "/etc"
		s.Process.User = specs.User{UID: 5, GID: 6, AdditionalGids: []uint32{7}, Umask: pointer(uint32(0o027))}
	})
	plain := parseSight(t, h.must("exec", c.id, "/probe", "env", "cwd", "ids", "umask"))
	equal(t, "directory", get[string](t, plain, "cwd"), "/etc")
	equal(t, "umask", get[string](t, plain, "umask"), "0027")
	equal(t, "environment", get[[]string](t, plain, "env")[:2], []string{"PATH=/bin", "FROM=config"})
	equal(t, "ids", get[idSight](t, plain, "ids"), idSight{UID: three(5), GID: three(6), Groups: []int{7}})

	flagged := parseSight(t, h.must("exec", "--cwd", "/tmp", "--env", "FROM=flag", "--env", "A=b,c d", "--user", "8:9",
		"-g", "10", "-g", "11", c.id, "/probe", "env", "cwd", "ids"))
	equal(t, "directory", get[string](t, flagged, "cwd"), "/tmp")
	env := get[[]string](t, flagged, "env")
	if last := env[len(env)-1]; lastValue(env, "FROM") != "flag" || lastValue(env, "A") != "b,c d" {
		t.Errorf("environment %q (last %q)", env, last)
	}
	equal(t, "ids", get[idSight](t, flagged, "ids"), idSight{UID: three(8), GID: three(9), Groups: []int{7, 10, 11}})
}

type idSight struct{ UID, GID, Groups []int }

func three(id int) []int { return []int{id, id, id} }

func lastValue(env []string, name string) (value string) {
	for _, e := range env {
		if k, v, _ := strings.Cut(e, "="); k == name {
			value = v
		}
	}
	return value
}

func TestExecPassesWhatFollowsTheIDToTheProgram(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	for _, args := range [][]string{{"--cwd"}, {"-d", "-t"}, {"--", "x"}, {"", " "}, {"--help"}} {
		s := parseSight(t, h.must(append([]string{"exec", c.id, "/probe", "args"}, args...)...))
		equal(t, "arguments", get[[]string](t, s, "args"), append([]string{"/probe", "args"}, args...))
	}
}

func TestExecUserNumbersAreReadStrictly(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	for user, want := range map[string]string{
		"1": "1 0", "0": "0 0", "1:2": "1 2", "4294967294": "4294967294 0", "007": "7 0",
		"1:": "", "+1": "", "1:2x": "", "4294967295": "", "-1": "", " 1": "", "1 ": "", ":": "", ":1": "", "1:2:3": "",
		"0x1": "", "1e3": "", "1_0": "", "18446744073709551616": "", "1:-1": "", "1:+1": "", "1:4294967295": "", "1:1\n": "",
	} {
		r := h.try("exec", "--user="+user, c.id, "/probe", "ids")
		got := ""
		if r.status == 0 {
			ids := get[idSight](t, parseSight(t, r.stdout), "ids")
			got = fmt.Sprint(ids.UID[0], " ", ids.GID[0])
		} else if r.status != 255 || r.stderr == "" {
			t.Errorf("user %q: status %d, %q", user, r.status, r.stderr)
		}
		if got != want {
			t.Errorf("user %q gives %q, want %q", user, got, want)
		}
	}
}

func TestExecUserNamesAreThoseOfTheContainer(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"sleep"})
	for name, text := range map[string]string{
		"passwd": "root:x:0:0::/root:/bin/sh\nsomebody:x:1234:77::/home/somebody:/bin/sh\n",
		"group":  "root:x:0:\nsomegroup:x:88:\n",
	} {
		if err := os.WriteFile(b.path("rootfs/etc/"+name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c := h.create(b)
	h.must("start", c.id)
	for user, want := range map[string]idSight{
		"somebody":           {UID: three(1234), GID: three(77)},
		"somebody:somegroup": {UID: three(1234), GID: three(88)},
		"somebody:5":         {UID: three(1234), GID: three(5)},
		"5:somegroup":        {UID: three(5), GID: three(88)},
	} {
		s := parseSight(t, h.must("exec", "--user", user, c.id, "/probe", "ids"))
		got := get[idSight](t, s, "ids")
		equal(t, user, [][]int{got.UID, got.GID}, [][]int{want.UID, want.GID})
	}
	s := parseSight(t, h.must("exec", "--user", "somebody", c.id, "/probe", "env"))
	equal(t, "HOME", lastValue(get[[]string](t, s, "env"), "HOME"), "/home/somebody")
}

// processFile writes a process for exec --process.
func processFile(t *testing.T, p *specs.Process) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "process.json")
	text, err := json.Marshal(p)
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestExecOfAProcessFileTakesNothingFromTheContainer(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil, func(s *specs.Spec) { s.Process.Env = []string{"FROM=config"} })
	file := processFile(t, &specs.Process{
		Args: []string{"/probe", "env", "cwd", "ids", "status=CapEff", "status=CapBnd", "status=NoNewPrivs", "read=/proc/self/limits", "read=/proc/self/oom_score_adj"},
		Cwd:  "/tmp", Env: []string{"ONLY=this"}, User: specs.User{UID: 3, GID: 4, AdditionalGids: []uint32{5}},
		NoNewPrivileges: true, OOMScoreAdj: pointer(500),
		Capabilities: &specs.LinuxCapabilities{Bounding: []string{"CAP_KILL"}},
		Rlimits:      []specs.POSIXRlimit{{Type: "RLIMIT_MSGQUEUE", Soft: 77, Hard: 88}},
	})
	s := parseSight(t, h.must("exec", "--process", file, c.id))
	env := get[[]string](t, s, "env")
	equal(t, "environment", []string{lastValue(env, "ONLY"), lastValue(env, "FROM")}, []string{"this", ""})
	equal(t, "directory", get[string](t, s, "cwd"), "/tmp")
	equal(t, "ids", get[idSight](t, s, "ids"), idSight{UID: three(3), GID: three(4), Groups: []int{5}})
	equal(t, "effective", get[string](t, s, "status=CapEff"), "0000000000000000")
	equal(t, "bounding", get[string](t, s, "status=CapBnd"), "0000000000000020")
	equal(t, "no_new_privs", get[string](t, s, "status=NoNewPrivs"), "1")
	equal(t, "limit", parseLimits(get[string](t, s, "read=/proc/self/limits"))["Max msgqueue size"], "77 88")
	equal(t, "OOM score", strings.TrimSpace(get[string](t, s, "read=/proc/self/oom_score_adj")), "500")
}

func TestExecOfABrokenProcessFileNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	for text, word := range map[string]string{
		`{`: "line 1", `[]`: "object", `{"args":"x"}`: "args", `{"args":[]}`: "process.args",
		`{"args":["/probe"],"cwd":"relative"}`: "process.cwd", `{"args":["/probe"]}`: "process.cwd",
		`{"args":["/probe"],"cwd":"/","rlimits":[{"type":"NONE","soft":1,"hard":1}]}`: "process.rlimits[0]",
	} {
		path := filepath.Join(t.TempDir(), "process.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := h.try("exec", "--process", path, c.id)
		if r.status != 255 || !strings.Contains(r.stderr, word) {
			t.Errorf("%s: status %d, %q lacks %q", text, r.status, r.stderr, word)
		}
	}
}

func TestExecDetachedReturnsOnceTheProcessRunsAndWritesItsPid(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	file := filepath.Join(t.TempDir(), "pid")
	begin := time.Now()
	h.must("exec", "--detach", "--pid-file", file, c.id, "/bin/sleep", "30")
	if took := time.Since(begin); took > atMost(5) {
		t.Errorf("exec took %v", took)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatalf("pid file %q", text)
	}
	line, err := os.ReadFile(procPath(pid, "cmdline"))
	equal(t, "command line", string(line), "/bin/sleep\x0030\x00")
	if err != nil {
		t.Error(err)
	}
	equal(t, "namespaces", namespacesOf(t, pid), namespacesOf(t, c.pid))
	for _, controller := range []string{"memory", "freezer", "pids", "devices", "cpu"} {
		equal(t, "cgroup of "+controller, cgroupOf(t, pid, controller), cgroupOf(t, c.pid, controller))
	}
	equal(t, "children of init's parent stay none", len(childrenOf(t, pid)), 0)
}

func TestManyExecsAtOnceEachGetTheirOwnExitStatus(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	var all sync.WaitGroup
	for i := range fewer(30) {
		all.Add(1)
		go func() {
			defer all.Done()
			cmd := h.command("exec", c.id, "/probe", "pid", fmt.Sprintf("exit=%d", i+1))
			out, _ := cmd.Output()
			if status := cmd.ProcessState.ExitCode(); status != i+1 || !strings.Contains(string(out), `"pid"`) {
				t.Errorf("exec %d: status %d, output %q", i+1, status, out)
			}
		}()
	}
	all.Wait()
	var pids []int
	decodeStrictly(t, h.must("ps", "--format", "json", c.id), &pids)
	equal(t, "processes left", pids, []int{c.pid})
}
