//go:build engines

// Package engines runs real container engines with the built binary as their
// runtime, and with the reference runtime beside it: what fails with both is a
// lack of the machine, what fails with one of them is told.
//
// Each engine lives in a house of its own (house.sh). Environment: RUNTIME is
// the binary, by default ../../hull; REFERENCE the other, by default runc, Debian's
// or for the newest containerd the newest; with
// COMPARE=failures the other is run only for checks that the binary fails, which
// takes half the time, and has the same failures.
package engines

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hull/internal/testkit"
)

func TestMain(m *testing.M) {
	if strings.HasPrefix(filepath.Base(os.Args[0]), stopwatch) {
		os.Exit(beStopwatch())
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "the suites of the engines need root")
		os.Exit(1)
	}
	status := m.Run()
	// Here, and not in the tests, whose output is shown only if they fail.
	for _, note := range notes {
		fmt.Println("note:", note)
	}
	os.Exit(status)
}

// notes tell what only the reference runtime fails at.
var notes []string

// engine is an engine in a house, with one runtime.
type engine struct {
	*house
	cli     []string // what its commands begin with
	runtime string   // the name of the runtime
	options []string // what each run of ctr has beside its own
	sweep   func()   // removes what a check has made
	// reference is set for the runtime that the other is compared with.
	reference bool
}

// check is something that a user of an engine does, and sees.
type check struct {
	name string
	run  func(*engine)
}

// compare does checks with the runtime under test and with the reference, each
// with an engine that open has opened. Of the programs that it needs, those that
// are paths get into the house, where they come before Debian's.
func compare(t *testing.T, programs []string, open func(*house, string) *engine, checks []check) {
	t.Helper()
	compareIn(t, newHouse, programs, open, checks)
}

// builder makes a house.
type builder func(t *testing.T, programs ...string) *house

// compareIn is compare in houses of some kind.
func compareIn(t *testing.T, build builder, programs []string, open func(*house, string) *engine, checks []check) {
	t.Helper()
	ours, reference := runtimes(t, programs...)
	isName := func(program string) bool { return !strings.Contains(program, "/") }
	built := slices.DeleteFunc(slices.Clone(programs), isName)
	settle := func(binary string) (e *engine, err error) {
		h := build(t, append([]string{binary}, built...)...)
		err = attempt(func() { e = open(h, filepath.Base(binary)) })
		if err != nil {
			err = fmt.Errorf("the engine does not start with %s: %w", filepath.Base(binary), err)
		}
		return e, err
	}
	other := sync.OnceValues(func() (*engine, error) {
		e, err := settle(reference)
		if err == nil {
			e.reference = true
		}
		return e, err
	})
	tested, err := settle(ours)
	if err != nil {
		_, without := other()
		judge(t, err, without)
	}
	if !onlyFailures() {
		if _, err := other(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range checks {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			ours := tested.attempt(c)
			if ours == nil && onlyFailures() {
				return
			}
			e, err := other()
			if err != nil {
				t.Fatalf("%v\n%v", ours, err)
			}
			judge(t, ours, e.attempt(c))
		})
	}
}

// onlyFailures reports whether the reference is asked only about what fails.
func onlyFailures() bool { return os.Getenv("COMPARE") == "failures" }

// judge is the verdict on a check with both runtimes.
func judge(t *testing.T, ours, reference error) {
	t.Helper()
	switch {
	case ours != nil && reference != nil:
		lacks(t, fmt.Sprintf("the reference runtime fails as well: %v\n%v", reference, ours))
	case ours != nil:
		t.Fatal(ours)
	case reference != nil:
		notes = append(notes, fmt.Sprintf("%s: only the reference runtime fails: %v", t.Name(), reference))
	}
}

// lacks skips a test because of what the machine does not have.
func lacks(t *testing.T, what string) {
	t.Helper()
	t.Skip("this machine lacks something: " + what)
}

// runtimes returns the runtimes that are compared, if the machine has the
// programs that are needed for it.
func runtimes(t *testing.T, programs ...string) (ours, reference string) {
	t.Helper()
	for _, program := range append(programs, "tini", "nsenter", "busybox") {
		if _, err := exec.LookPath(program); err != nil {
			lacks(t, "no "+program+" (`make test-engines` installs and builds all)")
		}
	}
	ours, err := filepath.Abs(cmp.Or(os.Getenv("RUNTIME"), "../../hull"))
	if err == nil {
		_, err = os.Stat(ours)
	}
	if err != nil {
		t.Fatalf("no binary to test, run make first: %v", err)
	}
	reference = "runc"
	for _, program := range programs {
		if filepath.Base(program) == reference {
			reference = program
		}
	}
	reference, err = exec.LookPath(cmp.Or(os.Getenv("REFERENCE"), reference))
	if err != nil {
		lacks(t, err.Error())
	}
	return ours, reference
}

// attempt does a check and cleans up after it.
func (e *engine) attempt(c check) error {
	err := errors.Join(attempt(func() { c.run(e) }), attempt(e.sweep))
	if err != nil {
		return fmt.Errorf("with %s: %w", e.runtime, err)
	}
	return nil
}

// failure is what fail panics with.
type failure struct{ text string }

func (f failure) Error() string { return f.text }

// attempt does something that may fail.
func attempt(do func()) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case failure:
			err = r
		default:
			panic(r)
		}
	}()
	do()
	return nil
}

// fail ends the attempt that it is called in.
func fail(format string, args ...any) { panic(failure{fmt.Sprintf(format, args...)}) }

// want fails the attempt unless got is what is wanted.
func want[T comparable](what string, got, wanted T) {
	if got != wanted {
		fail("%s: got %v, want %v", what, got, wanted)
	}
}

// pace is how many times longer a second is on this machine than on a usual one.
var pace = sync.OnceValue(func() int64 { return testkit.Pace(cmp.Or(os.Getenv("RUNTIME"), "../../hull")) })

// atMost is a bound for what is done in that many seconds on a usual machine.
func atMost(seconds int64) time.Duration { return time.Duration(seconds*pace()) * time.Second }

// eventually waits until done returns true.
func eventually(what string, done func() bool) {
	for deadline := time.Now().Add(patience() / 3); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if done() {
			return
		}
	}
	fail("after %v it is not so that %s", patience()/3, what)
}

// try runs a command of the engine.
func (e *engine) try(args ...string) result { return e.house.try(slices.Concat(e.cli, args)...) }

// must runs a command of the engine that has to succeed, and returns what it
// printed.
func (e *engine) must(args ...string) string { return e.house.must(slices.Concat(e.cli, args)...) }

// says runs a command that has to succeed and print exactly text.
func (e *engine) says(text string, args ...string) {
	if got := e.must(args...); got != text {
		fail("%s: printed %q, want %q", strings.Join(args, " "), got, text)
	}
}

// refuses runs a command that has to fail with the status and all of words on
// its standard error.
func (e *engine) refuses(status int, words []string, args ...string) {
	r := e.try(args...)
	if r.status != status {
		fail("want exit status %d of %s", status, r)
	}
	tells(r.stderr, words)
}

// tells fails unless all of words are in what is said.
func tells(said string, words []string) {
	for _, w := range words {
		if !strings.Contains(said, w) {
			fail("%q is missing in what is said: %s", w, said)
		}
	}
}

// notFound is what hull says of a program, to its last letter: an engine may cut it.
const notFound = ": executable file not found in $PATH (no directory of the variable PATH has it; a path with a slash is not searched for)"

// ours returns words that are to be in what a user is told if it is the runtime
// under test that says them: the reference has words of its own.
func (e *engine) ours(words ...string) []string {
	if e.reference {
		return nil
	}
	return words
}
