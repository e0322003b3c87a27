package seccomp

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	docker "github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// dockerProfile is Docker's default profile for a container with Docker's
// default capabilities.
func dockerProfile(tb testing.TB) *specs.LinuxSeccomp {
	tb.Helper()
	p, err := docker.GetDefaultProfile(&specs.Spec{Process: &specs.Process{
		Capabilities: &specs.LinuxCapabilities{Bounding: []string{
			"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
			"CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
		}},
	}})
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func BenchmarkValidateDockersProfile(b *testing.B) {
	p := dockerProfile(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := Validate(p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompileDockersProfile(b *testing.B) {
	p := dockerProfile(b)
	for b.Loop() {
		f, err := Compile(p, IgnoreUnknown)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(f.Program)/instructionSize), "instructions")
	}
}

func BenchmarkKeyOfDockersProfile(b *testing.B) {
	p := dockerProfile(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := keyOf(p, IgnoreUnknown); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCachedDockersProfile(b *testing.B) {
	p, dir := dockerProfile(b), filepath.Join(b.TempDir(), "cache")
	if _, err := Cached(dir, p, IgnoreUnknown, nil); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Cached(dir, p, IgnoreUnknown, func(err error) { b.Fatal(err) }); err != nil {
			b.Fatal(err)
		}
	}
}

func TestPackageInitialisationMakesNoSeccompCall(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	out := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command(strace, "-f", "-e", "trace=seccomp", "-o", out, os.Args[0], "-test.list", "^$")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("strace does not work here: %s", text)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "seccomp(") {
		t.Errorf("libseccomp asked the kernel at start:\n%s", b)
	}
}
