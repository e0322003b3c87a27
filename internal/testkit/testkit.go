// Package testkit is what tests against the real kernel share: root, fresh
// namespaces, file trees in one line an entry.
//
// It is imported by tests only.
package testkit

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// marker is set in the child that In starts, to the name of the test.
const marker = "HULL_TESTKIT_INSIDE"

// IDs is the size of the mapping that a user namespace of In has, from 0 to
// the host's 0.
const IDs = 60000

// RequireRoot skips the test without root.
func RequireRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// RequireTool skips the test without the program name, and returns its path.
func RequireTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs %s", name)
	}
	return path
}

// In runs body in a child process in new namespaces (CLONE_NEW*): the test
// binary again, for this one test. Nothing in the test may come before or
// after In but what may be done twice. Temporary directories of the child are
// removed by the parent, because the child may have changed its root.
func In(t *testing.T, cloneflags uintptr, body func()) {
	t.Helper()
	switch child() {
	case "":
	case t.Name():
		body()
		return
	default:
		t.Skip("this child is for " + child())
	}
	RequireRoot(t)
	cmd := Command(t, "/proc/self/exe")
	cmd.SysProcAttr = Namespaces(cloneflags)
	out, err := cmd.CombinedOutput()
	Report(t, string(out), err)
}

// TempDir is t.TempDir for the body of In: the parent removes it, because the
// child has mounts there, or another root by then.
func TempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "") //nolint:usetesting // t would remove it
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Command is how In starts the child; program may be a tracer that takes the
// test binary's command line as its last arguments.
func Command(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	parts := strings.Split(t.Name(), "/")
	for i, p := range parts {
		parts[i] = "^" + quote(p) + "$"
	}
	args = append(args, "-test.v", "-test.count=1", "-test.run="+strings.Join(parts, "/"))
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), //nolint:forbidigo // this is for tests only
		marker+"="+t.Name(), "TMPDIR="+t.TempDir())
	return cmd
}

// child is the test that this process is a child of, or "".
func child() string { return os.Getenv(marker) } //nolint:forbidigo // this is for tests only

// quote makes a regular expression that is name.
func quote(name string) string {
	var b strings.Builder
	for _, c := range name {
		if strings.ContainsRune(`\.+*?()|[]{}^$`, c) {
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// Inside tells whether this is the child of In.
func Inside(t *testing.T) bool {
	t.Helper()
	return child() == t.Name()
}

// Namespaces are the attributes of a child in new namespaces.
func Namespaces(cloneflags uintptr) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: cloneflags}
	if cloneflags&syscall.CLONE_NEWUSER != 0 {
		ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: IDs}}
		attr.UidMappings, attr.GidMappings = ids, ids
		attr.GidMappingsEnableSetgroups = true
	}
	return attr
}

// Report makes the child's result the test's own.
func Report(t *testing.T, out string, err error) {
	t.Helper()
	switch {
	case err != nil:
		t.Fatalf("in the child: %v\n%s", err, out)
	case strings.Contains(out, "--- SKIP: "+t.Name()+" "):
		t.Skipf("in the child:\n%s", out)
	case !strings.Contains(out, "--- PASS: "+t.Name()+" "):
		t.Fatalf("the child did not run the test:\n%s", out)
	case testing.Verbose():
		t.Log(out)
	}
}
