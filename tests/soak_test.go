package tests

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The long form is `make soak`.
func TestTwoHundredContainersAndThreeHundredExecsEightAtATimeLeaveNothing(t *testing.T) {
	needRoot(t)
	program := []string{"go", "run", "./cmd/soak"}
	if probe := os.Getenv("PROBE"); probe != "" {
		program = []string{filepath.Join(filepath.Dir(probe), "soak")}
	}
	cycles, execs := fmt.Sprint(fewer(200)), fmt.Sprint(fewer(300))
	cmd := exec.Command(program[0], append(program[1:], "-cycles", cycles, "-execs", execs, "-workers", "8")...)
	cmd.Env = append(os.Environ(), "RUNTIME="+suite.runtime)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !bytes.Contains(out, []byte(cycles+" containers")) || !bytes.Contains(out, []byte(execs+" processes")) {
		t.Errorf("it says %q", out)
	}
}
