package tests

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestErrorsAreOneLineAndTheExitStatusIs1(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	line := regexp.MustCompile(`^time="[^"]+" level=error msg=.*\n$`)
	for _, args := range [][]string{
		{"state", "nobody"},
		{"start", "nobody"},
		{"kill", "nobody"},
		{"delete", "nobody"},
		{"run", "--bundle", "/nowhere", "x"},
		{"--cgroup-manager", "x", "list"},
		{"--log-format", "yaml", "list"},
		{"--log-level", "loud", "list"},
		{"--rootless", "maybe", "list"},
	} {
		r := h.try(args...)
		if r.status != 1 || r.stdout != "" || !line.MatchString(r.stderr) {
			t.Errorf("%v: status %d, %q %q", args, r.status, r.stdout, r.stderr)
		}
	}
}

// logLine is what engines decode.
type logLine struct {
	Level, Msg string
	Time       time.Time
	File       string
}

func TestTheJSONLogEndsWithTheErrorThatIsPrinted(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	file := filepath.Join(t.TempDir(), "log.json")
	if err := os.WriteFile(file, []byte(`{"level":"info","msg":"of another","time":"2026-01-01T00:00:00Z"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := h.try("--log", file, "--log-format", "json", "state", "nobody")
	lines := readLog(t, file)
	last := lines[len(lines)-1]
	equal(t, "lines", len(lines), 2) // it is appended to
	equal(t, "level", last.Level, "error")
	equal(t, "printed", r.stderr, last.Msg+"\n")
	if !strings.Contains(last.Msg, "container does not exist") || time.Since(last.Time) > time.Minute {
		t.Errorf("line: %+v", last)
	}
}

func readLog(t *testing.T, file string) (lines []logLine) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for text := range strings.Lines(string(text)) {
		var line logLine
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		lines = append(lines, line)
	}
	return lines
}

func TestTheLogOfASuccessIsThereAndEmpty(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	file := filepath.Join(t.TempDir(), "log.json")
	b := h.newBundle([]string{"pid"})
	h.must("--log", file, "--log-format", "json", "run", "--bundle", b.dir, newID())
	equal(t, "lines", len(readLog(t, file)), 0)
}

func TestTheErrorOfInitIsInTheLogToo(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	file := filepath.Join(t.TempDir(), "log.json")
	b := h.newBundle(nil, func(s *specs.Spec) { s.Process.Args = []string{`no "such" program`} })
	h.try("--log", file, "--log-format=json", "create", "--bundle", b.dir, newID())
	lines := readLog(t, file)
	equal(t, "last line", lines[len(lines)-1].Msg, `exec "no "such" program": executable file not found in $PATH `+
		"(no directory of the variable PATH has it; a path with a slash is not searched for)")
}

func TestDebugSaysMoreAndWhere(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	file := filepath.Join(t.TempDir(), "log.json")
	b := h.newBundle([]string{"pid"})
	h.must("--debug", "--log", file, "--log-format", "json", "run", "--bundle", b.dir, newID())
	lines := readLog(t, file)
	if len(lines) == 0 || lines[0].Level != "debug" || !strings.Contains(lines[0].File, ".go:") {
		t.Errorf("lines: %+v", lines)
	}
}

func TestTheLogLevelSilencesWarnings(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid"}, func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "/no/hook"}}}
	})
	for level, want := range map[string]bool{"error": false, "warn": true, "info": true, "debug": true} {
		r := h.try("--log-level", level, "run", "--bundle", b.dir, newID())
		if r.status != 0 || strings.Contains(r.stderr, "/no/hook") != want {
			t.Errorf("%s: status %d, %q", level, r.status, r.stderr)
		}
	}
}

func TestALogThatCannotBeOpenedIsAnError(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.refuses([]string{"/no/such/dir/log: no such file or directory"}, "--log", "/no/such/dir/log", "list")
}

func TestUnknownCommandsAndFlagsAreRefused(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, tt := range []struct {
		args []string
		word string
	}{
		{[]string{"frobnicate"}, "frobnicate"},
		{[]string{"--frobnicate", "list"}, "frobnicate"},
		{[]string{"list", "--frobnicate"}, "frobnicate"},
		{[]string{"exec", "--frobnicate", "x", "y"}, "frobnicate"},
		{[]string{"create", "--preserve-fds", "many", "x"}, "preserve-fds"},
	} {
		r := h.try(tt.args...)
		if r.status == 0 || !strings.Contains(r.stdout+r.stderr, tt.word) {
			t.Errorf("%v: status %d, %q", tt.args, r.status, r.stdout+r.stderr)
		}
	}
}

func TestVersionIsWhatEnginesParse(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, flag := range []string{"--version", "-v"} {
		lines := strings.Split(h.must(flag), "\n")
		if !regexp.MustCompile(`^hull version \d+\.\d+\.\d+`).MatchString(lines[0]) {
			t.Errorf("%s: %q", flag, lines)
		}
		if !strings.Contains(strings.Join(lines, "\n"), "\nspec: "+specs.Version+"\n") {
			t.Errorf("%s: no spec version: %q", flag, lines)
		}
	}
	// An engine that knows runc only.
	runc := filepath.Join(t.TempDir(), "runc")
	if err := os.Symlink(suite.runtime, runc); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(runc, "--version").Output()
	if err != nil || !strings.HasPrefix(string(out), "runc version 1.") {
		t.Errorf("%q, %v", out, err)
	}
}

func TestEveryCommandExplainsItself(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	all := h.must("--help")
	for _, command := range []string{
		"create", "start", "run", "state", "kill", "delete", "list", "ps", "exec", "pause", "resume", "spec", "features",
	} {
		if !strings.Contains(all, "\n   "+command+" ") {
			t.Errorf("--help lacks %s", command)
		}
		page := h.must(command, "--help")
		for _, part := range []string{"NAME:", "USAGE:", "DESCRIPTION:", "hull " + command} {
			if !strings.Contains(page, part) {
				t.Errorf("%s --help lacks %q", command, part)
			}
		}
		equal(t, "help "+command, h.must("help", command), page)
	}
	if strings.Contains(all, "\n   init") {
		t.Error("--help shows the hidden init")
	}
}

func TestTheRootIsNotTheWholeHost(t *testing.T) {
	t.Parallel()
	for _, root := range []string{"/", "", "/tmp/../.."} {
		cmd := exec.Command(suite.runtime, "--root", root, "list")
		cmd.Dir = "/"
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "should not be set to /") {
			t.Errorf("root %q: %q, %v", root, out, err)
		}
	}
}

func TestWithTheCgroupManagerDisabledNoCgroupIsMade(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"sleep"}, func(s *specs.Spec) { s.Linux.Resources = nil })
	id := newID()
	h.must("--cgroup-manager", "disabled", "run", "--detach", "--bundle", b.dir, id)
	for _, left := range h.remains(id, b) {
		if strings.HasPrefix(left, "/sys/fs/cgroup") {
			t.Errorf("there is %s", left)
		}
	}
	h.must("delete", "--force", id)
	h.nothingRemains(id, b)
}

func TestInitIsNotForPeople(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	if r := h.try("init"); r.status == 0 || strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("status %d, %q", r.status, r.stderr)
	}
}
