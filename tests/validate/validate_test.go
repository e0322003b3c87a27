// Package validate runs the validation suite of the OCI runtime tools against
// the runtime named by RUNTIME (./hull by default) and compares what comes of
// it with expected.txt.
//
// Each program of the suite is one test. It runs in a mount namespace and with
// a state directory of its own, because some of its containers mount things in
// the namespace they are started from, and because what it leaves behind must
// not be mistaken for someone else's.
package validate

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// programTimeout is more than twice what the slowest program needs.
const programTimeout = 2 * time.Minute

// rows collects the lines of the table that TestMain prints.
var rows []string

func TestMain(m *testing.M) {
	if names, ok := os.LookupEnv(mountVar); ok {
		fmt.Fprintln(os.Stderr, "validate:", mountAndExec(names))
		os.Exit(1)
	}
	status := m.Run()
	if len(rows) > 0 {
		fmt.Printf("\nOCI validation of %s\n%-31s %5s %7s %8s %7s\n", os.Getenv("RUNTIME"),
			"program", "ok", "(skip)", "not ok", "time")
		fmt.Println(strings.Join(rows, "\n"))
	}
	os.Exit(status)
}

func TestRuntimePassesTheOCIValidationSuite(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	runtime := findRuntime(t)
	suite := buildSuite(t)
	expected := readExpected(t, "expected.txt")
	for _, name := range suite.programs(t) {
		t.Run(name, func(t *testing.T) {
			want, ok := expected[name]
			if !ok {
				t.Fatalf("expected.txt does not know %s", name)
			}
			got := suite.run(t, name, runtime)
			verdict := got.compare(want)
			row := fmt.Sprintf("%-31s %5d %7d %8d %6.1fs", name, got.ok, got.skipped, len(got.notOK), got.elapsed.Seconds())
			for _, note := range verdict.notes {
				row += "\n" + strings.Repeat(" ", 10) + note
			}
			rows = append(rows, row)
			for _, failure := range verdict.failures {
				t.Error(failure)
			}
			if t.Failed() {
				t.Logf("stderr:\n%s", got.stderr)
			}
			if verdict.provesNothing {
				t.Skip(strings.Join(verdict.notes, "; "))
			}
		})
	}
}

// findRuntime returns the absolute path of the runtime under test.
func findRuntime(t *testing.T) string {
	t.Helper()
	name := os.Getenv("RUNTIME")
	if name == "" {
		name = filepath.Join(repository(t), "hull")
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("no runtime to test, run make first: %v", err)
	}
	t.Setenv("RUNTIME", path)
	return path
}

func repository(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}
