package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// summarize runs go test on a module made of files and returns the report.
func summarize(t *testing.T, files map[string]string) (text string, passed bool) {
	t.Helper()
	dir := t.TempDir()
	files["go.mod"] = "module hull\n\ngo 1.26\n"
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	var b strings.Builder
	passed, err := run("", "", "", &b)
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), passed
}

func TestSkippedTestsOfAPackageAreAnExpression(t *testing.T) {
	r := newReport(nil)
	r.skipped = []string{"tests TestA", "internal/x TestB", "tests TestC/one", "tests TestC/two", "tests/cmd/y TestD"}
	if got, want := r.skippedIn("tests"), "^(TestA|TestC)$"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestEventsFromElsewhereAreSummedUp(t *testing.T) {
	const begun = `{"Action":"run","Package":"vm/root","Test":"TestA"}` + "\n" +
		`{"Action":"output","Package":"vm/root","Test":"TestA","Output":"last words\n"}` + "\n"
	for name, tt := range map[string]struct {
		events, last, says string
		passed             bool
	}{
		"a test that passes": {
			begun + `{"Action":"pass","Package":"vm/root","Test":"TestA"}` + "\n" + `{"Action":"pass","Package":"vm/root"}`,
			"1 passed, 0 failed, 0 skipped", "vm/root TestA", true,
		},
		"a machine that dies": {begun + `{"Action":"fail","Package":"vm/root"}`, "0 passed, 1 failed, 0 skipped", "last words", false},
		"a machine that dies after a failure": {
			`{"Action":"run","Package":"vm/root","Test":"TestB"}` + "\n" + `{"Action":"fail","Package":"vm/root","Test":"TestB"}` + "\n" +
				begun + `{"Action":"fail","Package":"vm/root"}`,
			"0 passed, 2 failed, 0 skipped", "last words", false,
		},
		"a failure beside a test with a slash in its name": {
			`{"Action":"run","Package":"vm/root","Test":"TestA"}` + "\n" + `{"Action":"run","Package":"vm/root","Test":"TestA/on_/proc"}` + "\n" +
				`{"Action":"pass","Package":"vm/root","Test":"TestA/on_/proc"}` + "\n" + `{"Action":"pass","Package":"vm/root","Test":"TestA"}` + "\n" +
				`{"Action":"run","Package":"vm/root","Test":"TestB"}` + "\n" + `{"Action":"fail","Package":"vm/root","Test":"TestB"}` + "\n" +
				`{"Action":"fail","Package":"vm/root"}`,
			"1 passed, 1 failed, 0 skipped", "TestB", false,
		},
		"nothing": {"", "0 passed, 0 failed, 0 skipped", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "events")
			if err := os.WriteFile(file, []byte(tt.events), 0o600); err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			passed, err := sumUp([]string{file}, &b)
			if err != nil || passed != tt.passed || !strings.HasSuffix(b.String(), tt.last+"\n") || !strings.Contains(b.String(), tt.says) {
				t.Errorf("%v, %v; want %v, %q and %q:\n%s", passed, err, tt.passed, tt.says, tt.last, b.String())
			}
		})
	}
}

func TestLastLineCountsLeavesAndTellsSuccess(t *testing.T) {
	const header = "package a\n\nimport \"testing\"\n\n"
	tests := []struct {
		name   string
		files  map[string]string
		last   string
		passed bool
		says   []string
	}{
		{
			"subtests are counted instead of their parent",
			map[string]string{"a_test.go": header + `func TestA(t *testing.T) {
				t.Run("x", func(t *testing.T) {}); t.Run("y", func(t *testing.T) { t.Run("z", func(t *testing.T) {}) }) }`},
			"2 passed, 0 failed, 0 skipped", true, nil,
		},
		{
			"a failed subtest is one failure, shown with its output",
			map[string]string{"a_test.go": header + `func TestA(t *testing.T) {
				t.Run("x", func(t *testing.T) { t.Error("the reason") }); t.Run("y", func(t *testing.T) {}) }`},
			"1 passed, 1 failed, 0 skipped", false,
			[]string{"the reason", "TestA/x"},
		},
		{
			"a skip is listed with its reason",
			map[string]string{"a_test.go": header + `func TestA(t *testing.T) {}
				func TestB(t *testing.T) { t.Skip("no such device") }`},
			"1 passed, 0 failed, 1 skipped", true,
			[]string{"SKIPPED\n  hull TestB: no such device"},
		},
		{
			"a package that does not build is a failure",
			map[string]string{"a_test.go": header + "func TestA(t *testing.T) {}", "b/b_test.go": "package b\n\nvar x int = \"\"\n"},
			"1 passed, 1 failed, 0 skipped", false,
			[]string{"does not build", "cannot use"},
		},
		{
			"a suite that dies is a failure, with what it printed",
			map[string]string{"tests/a_test.go": strings.Replace(header, "import", "import \"os\"\nimport", 1) +
				`func TestA(t *testing.T) { t.Log("last words"); os.Exit(3) }`},
			"0 passed, 1 failed, 0 skipped", false,
			[]string{"tests TestA"},
		},
		{
			"a fuzz test runs with its seeds, and with new input",
			map[string]string{"a_test.go": header + `func FuzzA(f *testing.F) { f.Add(1); f.Fuzz(func(t *testing.T, n int) {}) }`},
			"2 passed, 0 failed, 0 skipped", true, nil,
		},
		{
			"what fuzzing finds is a failure",
			map[string]string{"a_test.go": header + `func FuzzA(f *testing.F) {
				f.Add(uint8(1)); f.Fuzz(func(t *testing.T, n uint8) { if n > 1 { t.Error("found") } }) }`},
			"1 passed, 1 failed, 0 skipped", false,
			[]string{"FuzzA", "found"},
		},
		{
			"no test at all is no success",
			map[string]string{"a.go": "package a\n"},
			"0 passed, 0 failed, 0 skipped", false, nil,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text, passed := summarize(t, tt.files)
			lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
			if last := lines[len(lines)-1]; last != tt.last || passed != tt.passed {
				t.Errorf("got %q, %v; want %q, %v; all of it:\n%s", last, passed, tt.last, tt.passed, text)
			}
			for _, s := range tt.says {
				if !strings.Contains(text, s) {
					t.Errorf("%q is missing in:\n%s", s, text)
				}
			}
		})
	}
}
