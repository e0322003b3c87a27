package fault_test

import (
	"errors"
	"syscall"
	"testing"

	"hull/internal/fault"
)

func TestErrorTextFollowsTheGrammar(t *testing.T) {
	tests := []struct {
		name string
		err  *fault.Error
		want string
	}{
		{"all parts", fault.New("mount proc on", "/proc", syscall.EPERM).WithHint("a hint"), "mount proc on /proc: operation not permitted (a hint)"},
		{"no object", fault.New("set hostname", "", syscall.EINVAL), "set hostname: invalid argument"},
		{"only an object", fault.Newf("", "process.args", "must not be empty"), "process.args: must not be empty"},
		{"nested", fault.New("create", "ct", fault.New("open", "x", syscall.ENOENT)), "create ct: open x: no such file or directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.err.Error(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestErrnoSurvivesTheProcessBoundary(t *testing.T) {
	sent := fault.New("mount proc on", "/proc", fault.New("open", "x", syscall.EPERM)).WithHint("why")
	got := fault.Decode(fault.Encode(sent))
	if got.Error() != sent.Error() {
		t.Errorf("text: got %q, want %q", got, sent)
	}
	if !errors.Is(got, syscall.EPERM) {
		t.Errorf("errno lost: %#v", got)
	}
	if err := fault.Decode(fault.Encode(nil)); err != nil {
		t.Errorf("nil became %v", err)
	}
	if err := fault.Decode(fault.Encode(errors.New("plain"))); err.Error() != "plain" {
		t.Errorf("plain text became %v", err)
	}
}

func FuzzDecodeNeverPanics(f *testing.F) {
	f.Add(fault.Encode(fault.New("a", "b", syscall.EPERM).WithHint("c")))
	f.Add([]byte{1, 3, 255, 255, 255, 255})
	f.Fuzz(func(_ *testing.T, b []byte) { _ = fault.Decode(b) })
}
