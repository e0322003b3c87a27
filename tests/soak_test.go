package tests

import (
	"bytes"
	"os"
	"os/exec"
	"testing"
)

// The long form is `make soak`.
func TestTwoHundredContainersAndThreeHundredExecsEightAtATimeLeaveNothing(t *testing.T) {
	cmd := exec.Command("go", "run", "./cmd/soak", "-cycles", "200", "-execs", "300", "-workers", "8")
	cmd.Env = append(os.Environ(), "RUNTIME="+suite.runtime)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !bytes.Contains(out, []byte("200 containers")) || !bytes.Contains(out, []byte("300 processes")) {
		t.Errorf("it says %q", out)
	}
}
