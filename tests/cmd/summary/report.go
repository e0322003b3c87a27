package main

import (
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
)

// event is a line of `go test -json`; see `go doc test2json`.
type event struct {
	Action     string
	Package    string
	ImportPath string // of a build-output event
	Test       string
	Output     string
	Elapsed    float64 // seconds
}

// report prints the progress of a test run and adds up its results. Several
// sources may add to it.
type report struct {
	mu      sync.Mutex
	w       io.Writer
	tests   map[string]*test    // by package and name, while they run
	build   map[string][]string // compiler output by import path
	inside  map[string]int      // failures counted in a package
	skips   []string
	skipped []string // the names alone
	fails   []string
	passed  int
	failed  int
	phase   int // failures when the phase began
}

// test is one that has begun, or what a slash in the name of one makes a parent.
type test struct {
	begun    bool
	output   []string
	children int
	failed   int
}

func newReport(w io.Writer) *report {
	return &report{
		w:      w,
		tests:  map[string]*test{},
		build:  map[string][]string{},
		inside: map[string]int{},
	}
}

// add takes in one event.
func (r *report) add(e event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case e.Action == "build-output":
		r.build[e.ImportPath] = append(r.build[e.ImportPath], e.Output)
	case e.Action == "build-fail":
		fmt.Fprintf(r.w, "FAIL   %s does not build\n%s", e.ImportPath, strings.Join(r.build[e.ImportPath], ""))
	case e.Test == "":
		r.addPackage(e)
	case e.Action == "run":
		r.begin(e)
	case e.Action == "output":
		t := r.get(e)
		t.output = append(t.output, e.Output)
	case e.Action == "pass" || e.Action == "fail" || e.Action == "skip":
		r.end(e)
	}
}

func (r *report) begin(e event) {
	r.get(e).begun = true
	for parent := range parentsOf(e) {
		r.get(parent).children++
	}
}

// end counts a test that is over and forgets it.
func (r *report) end(e event) {
	t := r.get(e)
	if e.Action == "fail" {
		for parent := range parentsOf(e) {
			r.get(parent).failed++ // not to be counted again
		}
	}
	switch {
	case e.Action == "fail" && t.failed == 0:
		r.fail(e.Package, e.Test, t.output)
	case e.Action == "fail", t.children > 0: // its subtests have been counted
	case e.Action == "skip":
		r.skipped = append(r.skipped, name(e.Package, e.Test))
		r.skips = append(r.skips, name(e.Package, e.Test)+": "+reason(t.output))
	default:
		r.passed++
	}
	if !strings.Contains(e.Test, "/") {
		fmt.Fprintf(r.w, "%-5s %6.2fs %s\n", e.Action, e.Elapsed, name(e.Package, e.Test))
	}
	delete(r.tests, e.Package+" "+e.Test)
}

func (r *report) fail(pkg, test string, output []string) {
	r.failed++
	r.inside[pkg]++
	r.fails = append(r.fails, name(pkg, test))
	fmt.Fprintf(r.w, "FAIL   %s\n%s", name(pkg, test), strings.Join(output, ""))
}

// addPackage takes in an event of a package as a whole. What a package prints
// outside its tests, such as a table of results, is passed on.
func (r *report) addPackage(e event) {
	switch e.Action {
	case "output":
		if !isVerdict(e.Output) {
			fmt.Fprint(r.w, e.Output)
		}
	case "fail":
		if tests, output := r.unfinished(e.Package); r.inside[e.Package] == 0 || tests != "" {
			r.fail(e.Package, tests, output)
		}
	}
}

// unfinished returns the tests of a package that never ended and what they have
// printed: where to look when a test binary dies.
func (r *report) unfinished(pkg string) (tests string, output []string) {
	for key, t := range r.tests {
		if test, ok := strings.CutPrefix(key, pkg+" "); ok && t.begun {
			tests += " " + test
			output = append(output, t.output...)
		}
	}
	return strings.TrimSpace(tests), output
}

// stray passes on a line that is no event: go test says something itself.
func (r *report) stray(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprint(r.w, line)
}

// exit is told that go test failed, and makes sure that a failure is counted.
func (r *report) exit(code int) {
	if r.failed == r.phase {
		r.fail("go test", fmt.Sprintf("exit status %d", code), nil)
	}
	r.phase = r.failed
}

// finish prints the skips and the failures. It returns whether something was
// tested and nothing failed.
func (r *report) finish() bool {
	r.list("SKIPPED", r.skips)
	r.list("FAILED", r.fails)
	return r.failed == 0 && r.passed > 0
}

// skippedIn returns a regular expression of the tests of a package that were
// skipped, or that had a part skipped.
func (r *report) skippedIn(pkg string) string {
	var names []string
	for _, name := range r.skipped {
		in, test, _ := strings.Cut(name, " ")
		test, _, _ = strings.Cut(test, "/")
		if in == pkg && !slices.Contains(names, test) {
			names = append(names, test)
		}
	}
	return "^(" + strings.Join(names, "|") + ")$"
}

// sum prints the closing line.
func (r *report) sum() {
	fmt.Fprintf(r.w, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, len(r.skips))
}

func (r *report) list(title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(r.w, "\n%s\n", title)
	for _, line := range lines {
		fmt.Fprintln(r.w, "  "+line)
	}
	fmt.Fprintln(r.w)
}

func (r *report) get(e event) *test {
	key := e.Package + " " + e.Test
	t := r.tests[key]
	if t == nil {
		t = &test{}
		r.tests[key] = t
	}
	return t
}

// parentsOf visits the tests above one, and what a slash in its name makes one.
func parentsOf(e event) iter.Seq[event] {
	return func(yield func(event) bool) {
		for i := strings.LastIndexByte(e.Test, '/'); i >= 0; i = strings.LastIndexByte(e.Test, '/') {
			e.Test = e.Test[:i]
			if !yield(event{Package: e.Package, Test: e.Test}) {
				return
			}
		}
	}
}

func name(pkg, test string) string {
	return strings.TrimSpace(strings.TrimPrefix(pkg, "hull/") + " " + test)
}

// reason finds the text given to t.Skip: the indented lines that go test puts
// before its verdict, without the file and line.
func reason(output []string) string {
	var words []string
	for _, line := range output {
		text := strings.TrimSpace(line)
		if text == "" || strings.HasPrefix(text, "=== ") || strings.HasPrefix(text, "--- ") {
			continue
		}
		if _, after, ok := strings.Cut(text, ".go:"); ok {
			if _, message, ok := strings.Cut(after, ": "); ok {
				text = message
			}
		}
		words = append(words, text)
	}
	return strings.Join(words, " ")
}

// isVerdict tells go test's own closing lines from what a package prints.
func isVerdict(line string) bool {
	for _, prefix := range []string{"PASS", "FAIL", "ok  ", "?   ", "exit status", "\t"} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}
