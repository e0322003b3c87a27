package validate

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// result is what came of one program.
type result struct {
	ok      int // assertions that hold, those skipped among them
	skipped int
	notOK   []string // descriptions
	errors  []string // verdicts that a program without assertions gives as diagnostics
	died    string   // how the program ended, if not with status 0
	stderr  string
	elapsed time.Duration
}

// expectation is what expected.txt says of one program.
type expectation struct {
	ok    int // at least
	known []deviation
}

// deviation is something that is not as the program wants it, and why.
type deviation struct {
	text   string // found in the not-ok line, the diagnostic or the last words
	reason string // "whose: why"
}

// verdict is a result measured against an expectation.
type verdict struct {
	failures      []string
	notes         []string
	provesNothing bool // nothing held, and for a known reason
}

// compare measures r against want.
func (r result) compare(want expectation) verdict {
	var v verdict
	bad := append(append([]string{}, r.notOK...), r.errors...)
	if r.died != "" {
		bad = append(bad, "died: "+r.died+": "+lastWords(r.stderr))
	}
	for _, text := range bad {
		if reason, ok := want.explain(text); ok {
			v.notes = append(v.notes, text+" ["+reason+"]")
		} else {
			v.failures = append(v.failures, text)
			v.notes = append(v.notes, text+" [UNEXPECTED]")
		}
	}
	if r.ok < want.ok {
		v.failures = append(v.failures, fmt.Sprintf("%d ok, expected at least %d", r.ok, want.ok))
	}
	v.provesNothing = r.ok == 0 && len(v.failures) == 0 && len(bad) > 0
	return v
}

func (e expectation) explain(text string) (string, bool) {
	for _, d := range e.known {
		if strings.Contains(text, d.text) {
			return d.reason, true
		}
	}
	return "", false
}

// parseTAP counts the assertions of a program's output.
func parseTAP(text string) result {
	var r result
	asserted := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "ok "):
			asserted = true
			r.ok++
			if strings.Contains(strings.ToUpper(line), "# SKIP") {
				r.skipped++
			}
		case strings.HasPrefix(line, "not ok "):
			asserted = true
			r.notOK = append(r.notOK, line)
		case strings.HasPrefix(line, `"error": `) && !asserted:
			r.errors = append(r.errors, firstPart(line))
		}
	}
	return r
}

// firstPart shortens a JSON string of several lines to the first.
func firstPart(field string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(field, `"error": `), `\n`)
	return "verdict: " + strings.Trim(first, `",`)
}

// lastWords finds what a program said last of why it ends.
func lastWords(text string) string {
	last := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "exit status") && !strings.HasPrefix(line, "Refer to:") {
			last = line
		}
	}
	return last
}

// readExpected reads expected.txt; its head describes the format.
func readExpected(t *testing.T, path string) map[string]expectation {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	expected := map[string]expectation{}
	program := ""
	lines := bufio.NewScanner(file)
	for number := 1; lines.Scan(); number++ {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if text, reason, ok := strings.Cut(line, " | "); ok && strings.HasPrefix(line, "\t") {
			e := expected[program]
			e.known = append(e.known, deviation{strings.TrimSpace(text), strings.TrimSpace(reason)})
			expected[program] = e
			continue
		}
		name, count, _ := strings.Cut(line, " ")
		ok, err := strconv.Atoi(strings.TrimSpace(count))
		if err != nil {
			t.Fatalf("%s:%d: want `PROGRAM COUNT` or a tab and `TEXT | REASON`", path, number)
		}
		program = name
		expected[program] = expectation{ok: ok}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return expected
}
