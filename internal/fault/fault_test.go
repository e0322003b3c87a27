package fault_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

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

// FuzzDecode checks that a message is refused, or says the same when it has
// crossed once more.
func FuzzDecode(f *testing.F) {
	f.Add(fault.Encode(fault.New("a", "b", syscall.EPERM).WithHint("c")))
	f.Add([]byte{1, 3, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		err := fault.Decode(b)
		if err == nil {
			return
		}
		if again := fault.Decode(fault.Encode(err)); again == nil || again.Error() != err.Error() {
			t.Errorf("%q became %v", err, again)
		}
	})
}

func TestManyFaultsAndLongOnesAreOneShortLine(t *testing.T) {
	var e fault.InvalidError
	if e.Err() != nil {
		t.Error("nothing is an error")
	}
	for range 20 {
		e.Add("a", "%q is wrong", strings.Repeat("x", 1<<20))
	}
	if text := e.Error(); !strings.HasSuffix(text, "; and 4 more") || len(text) > 16<<10 {
		t.Errorf("%d bytes: %.500s", len(text), text)
	}
	for range 100000 {
		e.Add("a", "b")
	}
	if text := e.Error(); !e.Full() || !strings.HasSuffix(text, "; and very many more") {
		t.Errorf("%d: %.500s", len(e), text)
	}
}

func TestAStringWithoutCharactersIsCut(t *testing.T) {
	if short := fault.Shorten(strings.Repeat("\x9d", 2000)); len(short) > 600 {
		t.Errorf("%d bytes: %q", len(short), short)
	}
}

func TestAStringIsCutBetweenCharacters(t *testing.T) {
	short := fault.Shorten("a" + strings.Repeat("\u00e9", 1000))
	if !utf8.ValidString(short) || !strings.Contains(short, "... 1746 bytes ...") {
		t.Errorf("%q", short)
	}
}
