package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// sentence is a normative one.
type sentence struct {
	id   string // file#slug-of-the-heading:ordinal
	text string
}

// markdown takes a document of the specification apart.
type markdown struct {
	normative *regexp.Regexp
	anchor    *regexp.Regexp
	link      *regexp.Regexp
	footnote  *regexp.Regexp
	item      *regexp.Regexp
	end       *regexp.Regexp
}

func newMarkdown() *markdown {
	return &markdown{
		// RFC 2119, without MAY and OPTIONAL: whatever a runtime does keeps to them.
		normative: regexp.MustCompile(`\b(MUST|SHALL|SHOULD|REQUIRED|RECOMMENDED)\b`),
		anchor:    regexp.MustCompile(`<a [^>]*>`),
		link:      regexp.MustCompile(`\[((?:[^\[\]]|\[\])+)\](\([^)]*\)|\[[^\]]*\])`),
		footnote:  regexp.MustCompile(`\s*\[\^\d+\]`),
		item:      regexp.MustCompile(`^\s*(\*|-|\d+\.)\s+`),
		end:       regexp.MustCompile("[.?!]\\)?\\s+[A-Z`_(\"]"),
	}
}

// sentences lists the normative sentences of a document in its order.
func (m *markdown) sentences(dir, file string) ([]sentence, error) {
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return nil, err
	}
	return m.parse(file, string(text)), nil
}

func (m *markdown) parse(file, text string) []sentence {
	var (
		found   []sentence
		heading string
		count   = map[string]int{}
	)
	for _, block := range m.blocks(text) {
		if title, ok := strings.CutPrefix(block, "#"); ok {
			heading = slug(m.plain(strings.TrimLeft(title, "#")))
			continue
		}
		for _, s := range m.split(m.plain(block)) {
			if !m.normative.MatchString(s) || s == "MUST" || s == "SHOULD" {
				continue // the last two are cells of a table
			}
			count[heading]++
			found = append(found, sentence{fmt.Sprintf("%s#%s:%d", file, heading, count[heading]), s})
		}
	}
	return found
}

// blocks joins the lines that belong together: a paragraph, a list item, the
// cell of a table, a heading. Examples are left out.
func (m *markdown) blocks(text string) []string {
	var (
		blocks []string
		block  []string
		fenced bool
	)
	flush := func() {
		if len(block) > 0 {
			blocks = append(blocks, strings.Join(block, " "))
		}
		block = nil
	}
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "```") {
			fenced = !fenced
			flush()
			continue
		}
		switch {
		case fenced:
		case trimmed == "":
			flush()
		case strings.HasPrefix(trimmed, "#"):
			flush()
			blocks = append(blocks, trimmed)
		case strings.Contains(trimmed, " | "):
			flush()
			blocks = append(blocks, strings.Split(trimmed, "|")...)
		case m.item.MatchString(line):
			flush()
			block = append(block, m.item.ReplaceAllString(line, ""))
		default:
			block = append(block, strings.TrimPrefix(trimmed, "> "))
		}
	}
	flush()
	return blocks
}

// plain drops what only a renderer needs, and keeps the words and the names.
func (m *markdown) plain(text string) string {
	text = m.anchor.ReplaceAllString(text, "")
	for m.link.MatchString(text) {
		text = m.link.ReplaceAllString(text, "$1")
	}
	text = m.footnote.ReplaceAllString(text, "")
	text = strings.NewReplacer("**", "", `\_`, "_", "*(", "(", ")*", ")").Replace(text)
	return strings.Join(strings.Fields(text), " ")
}

// split ends a sentence at a full stop before a capital, unless it is one of an
// abbreviation.
func (m *markdown) split(text string) []string {
	var sentences []string
	for from := 0; ; {
		at := m.end.FindStringIndex(text[from:])
		if at == nil {
			return append(sentences, strings.TrimSpace(text))
		}
		stop := from + at[1] - 1 // the first letter of the next sentence
		if head := strings.TrimSpace(text[:stop]); abbreviated(head) {
			from = stop
			continue
		}
		sentences = append(sentences, strings.TrimSpace(text[:stop]))
		text, from = text[stop:], 0
	}
}

func abbreviated(head string) bool {
	for _, s := range []string{"e.g.", "i.e.", "etc.", "vs."} {
		if strings.HasSuffix(head, s) {
			return true
		}
	}
	return false
}

// slug is a heading as it stands in an address.
func slug(heading string) string {
	keep := func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		case r == ' ':
			return '-'
		}
		return -1
	}
	return strings.Map(keep, strings.ToLower(strings.TrimSpace(heading)))
}
