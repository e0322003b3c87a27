package main

import (
	"fmt"
	"os"
	"strings"
)

// The frame has these lines where the tables and the sums belong.
const (
	tablesHere = "<!-- the tables -->\n"
	sumsHere   = "<!-- the sums -->\n"
)

// document is the text of docs/conformance.md.
func (t *table) document(frame string) (string, error) {
	around, err := os.ReadFile(frame)
	if err != nil {
		return "", err
	}
	var tables strings.Builder
	for _, p := range t.parts {
		p.write(&tables)
	}
	text := string(around)
	for _, s := range []struct{ here, text string }{{tablesHere, tables.String()}, {sumsHere, t.sums()}} {
		if !strings.Contains(text, s.here) {
			return "", fmt.Errorf("%s lacks the line %q", frame, s.here)
		}
		text = strings.Replace(text, s.here, s.text, 1)
	}
	return text, nil
}

func (p *part) write(w *strings.Builder) {
	if len(p.rows) == 0 {
		return
	}
	fmt.Fprintf(w, "### %s\n\n", p.title)
	if p.rows[0].sentence != "" {
		w.WriteString("| sentence | it says | shown by |\n| --- | --- | --- |\n")
	} else {
		w.WriteString("| property | hull | Linux | shown by |\n| --- | --- | --- | --- |\n")
	}
	for _, r := range p.rows {
		w.WriteString(r.line())
	}
	w.WriteString("\n")
}

// line is the row as one of a table.
func (r *row) line() string {
	shown := make([]string, len(r.proofs))
	for i, p := range r.proofs {
		shown[i] = fmt.Sprintf("[%s](../%s)", p.test, p.file)
	}
	by := strings.Join(shown, ", ")
	if r.sentence == "" {
		does := r.does
		if r.whole && does == "" {
			does = "As its properties say."
		}
		return "| `" + r.id + "` | " + strings.Join([]string{cell(does), r.kernel, by}, " | ") + " |\n"
	}
	if r.does != "" {
		by = strings.TrimSpace(cell(r.does) + " " + by)
	}
	return fmt.Sprintf("| %s | %s | %s |\n", r.id, cell(r.sentence), by)
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// sum counts rows by who shows them.
type sum struct {
	all, binary, packages, foreign, departed, open int
}

func (s *sum) add(r *row) {
	s.all++
	switch {
	case len(r.proofs) > 0:
		for _, p := range r.proofs {
			if p.onBinary() {
				s.binary++
				return
			}
		}
		s.packages++
	case r.foreign():
		s.foreign++
	case r.departed():
		s.departed++
	default:
		s.open++
	}
}

// sums is the table of what the document has.
func (t *table) sums() string {
	var properties, values, sentences sum
	for _, p := range t.parts {
		for _, r := range p.rows {
			switch {
			case r.whole:
			case r.sentence != "":
				sentences.add(r)
			case strings.Contains(r.id, "="):
				values.add(r)
			default:
				properties.add(r)
			}
		}
	}
	var w strings.Builder
	w.WriteString("| | rows | shown on the binary | in a package only | not for us | not followed | not shown |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, s := range []struct {
		name string
		sum  sum
	}{{"properties", properties}, {"values of properties", values}, {"sentences", sentences}} {
		fmt.Fprintf(&w, "| %s | %d | %d | %d | %d | %d | %d |\n",
			s.name, s.sum.all, s.sum.binary, s.sum.packages, s.sum.foreign, s.sum.departed, s.sum.open)
	}
	return w.String()
}
