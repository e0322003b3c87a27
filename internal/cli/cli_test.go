package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// result is what one command line did.
type result struct {
	status         int
	stdout, stderr string
}

func hull(t *testing.T, args ...string) result {
	t.Helper()
	return runAs(t, "hull", args...)
}

func runAs(t *testing.T, name string, args ...string) result {
	t.Helper()
	stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	var out bytes.Buffer
	p := newProgram(append([]string{name}, args...), Build{Version: "1.2.3", Commit: "abc"}, &out, stderr)
	status := p.main()
	text, err := os.ReadFile(stderr.Name())
	if err != nil {
		t.Fatal(err)
	}
	return result{status, out.String(), string(text)}
}

func TestExitStatusAndMessageAreThoseOfRunc(t *testing.T) {
	root := t.TempDir()
	for _, test := range []struct {
		name   string
		args   []string
		status int
		stderr string // a part of it; "": nothing at all
	}{
		{"no command prints help", nil, 0, ""},
		{"an unknown command", []string{"nope"}, 3, "No help topic for 'nope' (\\\"hull help\\\" lists the commands)"},
		{"a misspelt command", []string{"craete", "x"}, 3, "No help topic for 'craete' (did you mean \\\"create\\\"?)"},
		{"a command of other runtimes", []string{"checkpoint", "--help"}, 3, "No help topic for 'checkpoint' (hull can neither checkpoint nor restore containers)"},
		{"help on an unknown command", []string{"help", "nope"}, 3, "No help topic for 'nope'"},
		{"an unknown global flag", []string{"--nope", "state"}, 1, "flag provided but not defined: -nope"},
		{"an unknown flag", []string{"state", "--nope", "x"}, 1, "flag provided but not defined: -nope"},
		{"too few arguments", []string{"state"}, 1, `hull: \"state\" requires exactly 1 argument(s)`},
		{"too many arguments", []string{"kill", "a", "b", "c"}, 1, `hull: \"kill\" requires a maximum of 2 argument(s)`},
		{"no argument where there may be several", []string{"ps"}, 1, `hull: \"ps\" requires a minimum of 1 argument(s)`},
		{"an empty ID", []string{"--root", root, "state", ""}, 1, "container id cannot be empty"},
		{"an unknown container", []string{"--root", root, "state", "x"}, 1, "does not exist"},
		{"delete of an unknown container", []string{"--root", root, "delete", "x"}, 1, "does not exist"},
		{"forced delete of an unknown container", []string{"--root", root, "delete", "--force", "x"}, 0, ""},
		{"forced delete with the flag behind", []string{"--root", root, "delete", "x", "-f"}, 0, ""},
		{"exec in an unknown container", []string{"--root", root, "exec", "x", "true"}, 255, "does not exist"},
		{"exec without arguments is wrong usage", []string{"exec"}, 1, "requires a minimum of 1"},
		{"a command called help is an ID", []string{"--root", root, "state", "help"}, 1, "does not exist"},
		{"/ as root", []string{"--root", "/", "state", "x"}, 1, "Option --root argument should not be set to /"},
		{"an unknown log format", []string{"--log-format", "xml", "state", "x"}, 1, "invalid log-format: xml"},
		{"an unknown list format", []string{"list", "-f", "xml"}, 1, "invalid format option"},
		{"an unknown signal", []string{"--root", root, "kill", "x", "FOO"}, 1, `unknown signal \"FOO\"`},
		{"a root that is not there", []string{"--root", root + "/none", "list"}, 1, "no such file or directory"},
		{"init by hand", []string{"init"}, 1, "init is not for people"},
		{"an empty regular expression match", []string{"--root", root, "kill", "-r", "^x"}, 0, ""},
		{"a wrong regular expression", []string{"--root", root, "kill", "-r", "["}, 1, "missing closing"},
		{"a socket without detaching", []string{"--root", root, "run", "--console-socket", "s", "x"}, 1, "cannot use console socket if hull will not detach or allocate tty"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := hull(t, test.args...)
			if r.status != test.status {
				t.Errorf("exit status %d, want %d (%s)", r.status, test.status, r.stderr)
			}
			if !strings.Contains(r.stderr, test.stderr) || test.stderr == "" && r.stderr != "" {
				t.Errorf("stderr %q, want %q in it", r.stderr, test.stderr)
			}
		})
	}
}

func TestErrorsAreTheLastErrorLineOfTheLog(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log.json")
	if err := os.WriteFile(log, []byte(`{"level":"error","msg":"older","time":"2026-01-01T00:00:00Z"}`+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := hull(t, "--root", t.TempDir(), "--log", log, "--log-format=json", "state", "x")
	if !strings.Contains(r.stderr, "does not exist") || strings.Contains(r.stderr, "level=") {
		t.Errorf("stderr %q, want the bare message", r.stderr)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	// As containerd's shim reads it.
	var last struct {
		Level, Msg string
		Time       time.Time
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	var n int
	for ; dec.More(); n++ {
		if err := dec.Decode(&last); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
	}
	if n != 2 || last.Level != "error" || !strings.Contains(last.Msg, "does not exist") || time.Since(last.Time) > time.Minute {
		t.Errorf("%d lines, the last %+v", n, last)
	}
}

func TestTheLogIsMadeEvenIfNothingIsLogged(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	if r := hull(t, "--root", t.TempDir(), "--log", log, "delete", "-f", "x"); r.status != 0 {
		t.Fatal(r)
	}
	if st, err := os.Stat(log); err != nil || st.Size() != 0 {
		t.Errorf("Stat = %v, %v", st, err)
	}
}

func TestVersionIsReadByDockerAndGoRunc(t *testing.T) {
	for _, test := range []struct{ name, flag, first string }{
		{"/usr/bin/hull", "--version", "hull version 1.2.3"},
		{"hull", "-v", "hull version 1.2.3"},
		// Under the name of runc it says what it stands in for, and is.
		{"/usr/sbin/runc", "--version", "runc version 1.5.0+hull.1.2.3"},
	} {
		r := runAs(t, test.name, test.flag)
		lines := strings.Split(r.stdout, "\n")
		if r.status != 0 || len(lines) < 4 || lines[0] != test.first || lines[1] != "commit: abc" ||
			!strings.HasPrefix(lines[2], "spec: 1.") || !strings.HasPrefix(lines[3], "go: go1.") {
			t.Errorf("%s %s: %d %q", test.name, test.flag, r.status, r.stdout)
		}
	}
}

func TestEveryCommandHasAPageWithAnExample(t *testing.T) {
	for _, c := range commands() {
		for _, args := range [][]string{{c.name, "--help"}, {"help", c.name}, {c.name, "-h"}} {
			r := hull(t, args...)
			if r.status != 0 || !strings.Contains(r.stdout, "hull "+c.name) {
				t.Errorf("%v: %d %q", args, r.status, r.stdout)
			}
			if c.name != "init" && !strings.Contains(r.stdout, "Example") {
				t.Errorf("%v has no example", args)
			}
		}
		listed := strings.Contains(hull(t, "--help").stdout, "\n   "+c.name+" ")
		if listed != (c.name != "init") {
			t.Errorf("%s in the list of commands: %v", c.name, listed)
		}
	}
}

func TestHelpAfterTheIDIsTheCommandsPage(t *testing.T) {
	if r := hull(t, "state", "x", "--help"); r.status != 0 || !strings.Contains(r.stdout, "hull state") {
		t.Errorf("%+v", r)
	}
}

func TestSpecDoesNotOverwrite(t *testing.T) {
	dir := t.TempDir()
	if r := hull(t, "spec", "-b", dir); r.status != 0 {
		t.Fatal(r.stderr)
	}
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil || !json.Valid(text) || !bytes.HasPrefix(text, []byte("{\n\t\"ociVersion\"")) {
		t.Errorf("%.40q, %v", text, err)
	}
	r := hull(t, "spec", "-b", dir)
	if r.status != 1 || !strings.Contains(r.stderr, "File config.json exists. Remove it first") {
		t.Errorf("%+v", r)
	}
}
