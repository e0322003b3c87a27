package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// chapter is a part of the document and the notes for its rows. Its file starts
// with "# title" and "covers" and the beginnings of its rows' IDs. Each note is
// an ID and the text for it; a line that starts with a blank goes on with it.
//
// In an ID, % is any name or value, and 3..7 at the end are these ordinals. The
// text may start with [6.9], the kernel that is needed, or with one of the texts
// below.
// With a + before it, the ID is a row that the schema leaves out.
type chapter struct {
	file   string
	title  string
	covers []string
	notes  []note
}

// note is what somebody has written about rows.
type note struct {
	id     string
	kernel string
	text   string
	added  bool
	used   bool
}

// How the note of a sentence starts that binds somebody else, and of one that hull
// does not follow, with a reason. They need no test.
const (
	foreignText  = "not for us: "
	departedText = "not followed: "
)

// readChapters reads the chapters in the order of their files' names.
func readChapters(dir string) ([]*chapter, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, err
	}
	chapters := make([]*chapter, len(files))
	for i, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if chapters[i], err = parseChapter(string(text)); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		chapters[i].file = filepath.Base(file)
	}
	return chapters, nil
}

func parseChapter(text string) (*chapter, error) {
	c := &chapter{}
	for line := range strings.Lines(text) {
		words := strings.Join(strings.Fields(line), " ")
		switch first, rest, _ := strings.Cut(words, " "); {
		case words == "":
		case first == "#":
			c.title = rest
		case first == "covers":
			c.covers = append(c.covers, strings.Fields(rest)...)
		case line[0] == ' ' || line[0] == '\t':
			if len(c.notes) == 0 {
				return nil, fmt.Errorf("%q goes on with nothing", words)
			}
			c.notes[len(c.notes)-1].text += " " + words
		case first == "+":
			id, about, _ := strings.Cut(rest, " ")
			c.notes = append(c.notes, newNote(id, about))
			c.notes[len(c.notes)-1].added = true
		default:
			c.notes = append(c.notes, newNote(first, rest))
		}
	}
	if c.title == "" || len(c.covers) == 0 {
		return nil, errors.New("it has no title, or covers nothing")
	}
	return c, nil
}

func newNote(id, about string) note {
	n := note{id: id, text: about}
	if kernel, rest, ok := strings.Cut(about, "]"); ok && strings.HasPrefix(kernel, "[") {
		n.kernel, n.text = kernel[1:], strings.TrimSpace(rest)
	}
	return n
}

// matches returns whether a note is about a row.
func (n *note) matches(id string) bool {
	head, ordinals, ok := cutLast(n.id, ":")
	first, last, isRange := strings.Cut(ordinals, "..")
	if !ok || !isRange {
		return like(n.id, id)
	}
	of, ordinal, _ := cutLast(id, ":")
	from, err1 := strconv.Atoi(first)
	to, err2 := strconv.Atoi(last)
	at, err3 := strconv.Atoi(ordinal)
	return err1 == nil && err2 == nil && err3 == nil && of == head && from <= at && at <= to
}

// like compares an ID with a pattern, in which % is any name or value.
func like(pattern, id string) bool {
	head, tail, ok := strings.Cut(pattern, "%")
	if !ok {
		return pattern == id
	}
	rest, ok := strings.CutPrefix(id, head)
	if !ok {
		return false
	}
	end := strings.IndexAny(rest, ".[=")
	if end < 0 {
		end = len(rest)
	}
	return end > 0 && like(tail, rest[end:])
}

func cutLast(s, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(s, separator); i >= 0 {
		return s[:i], s[i+len(separator):], true
	}
	return s, "", false
}
