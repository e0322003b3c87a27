package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"hull/spec"
)

// row is a property, a value that a property may have, or a sentence.
type row struct {
	id       string
	sentence string // of a sentence
	does     string
	kernel   string // if a newer one than hull's is needed
	proofs   []proof
	whole    bool // it has properties of its own, which are rows
}

// foreign returns whether the row binds somebody else than a runtime on Linux.
func (r *row) foreign() bool { return strings.HasPrefix(r.does, foreignText) }

// departed returns whether hull does otherwise, on purpose.
func (r *row) departed() bool { return strings.HasPrefix(r.does, departedText) }

// part is a chapter with its rows.
type part struct {
	*chapter

	rows []*row
}

// table is all that the document says, and what is wrong with it.
type table struct {
	parts    []part
	problems []string
}

// schemaFiles are the schemas of the documents that a runtime reads or writes,
// with what their properties' IDs start with.
var schemaFiles = [...]struct{ file, prefix string }{ //nolint:gochecknoglobals // a table, never written
	{"config-schema.json", ""},
	{"features-schema.json", "features."},
	{"state-schema.json", "state."},
}

// documents are those with sentences about a runtime for Linux.
var documents = [...]string{ //nolint:gochecknoglobals // a table, never written
	"bundle.md", "runtime.md", "runtime-linux.md", "config.md", "config-linux.md", "features.md", "features-linux.md",
}

// readTable puts together the rows of the specification in dir, the notes and
// the marks of the repository at root.
func readTable(root, dir string) (*table, error) {
	chapters, err := readChapters(filepath.Join(root, filepath.Dir(frame), "rows"))
	if err != nil {
		return nil, err
	}
	ids, err := propertyIDs(dir)
	if err != nil {
		return nil, err
	}
	rows := make([]*row, 0, 2*len(ids))
	ids = withAdded(ids, chapters)
	for _, id := range ids {
		rows = append(rows, &row{id: id, whole: isWhole(id, ids)})
	}
	m := newMarkdown()
	for _, file := range documents {
		sentences, err := m.sentences(dir, file)
		if err != nil {
			return nil, err
		}
		for _, s := range sentences {
			rows = append(rows, &row{id: s.id, sentence: s.text})
		}
	}
	marks, err := readMarks(root)
	if err != nil {
		return nil, err
	}
	return newTable(rows, chapters, marks), nil
}

// propertyIDs lists the properties and values of the schemas, of the mount
// option table, and of what hull itself announces.
func propertyIDs(dir string) ([]string, error) {
	s := newSchemas(filepath.Join(dir, "schema"))
	var ids []string
	for _, f := range schemaFiles {
		more, err := s.paths(f.file, f.prefix)
		if err != nil {
			return nil, err
		}
		ids = append(ids, more...)
	}
	config, err := os.ReadFile(filepath.Join(dir, "config.md"))
	if err != nil {
		return nil, err
	}
	values := mountOptions(string(config))
	for _, name := range spec.Features(spec.FeatureParts{}).MountOptions {
		if !slices.Contains(values, name) {
			values = append(values, name)
		}
	}
	for _, v := range values {
		ids = insert(ids, "mounts[].options="+v)
	}
	for _, name := range spec.UnsafeAnnotations() {
		if strings.HasSuffix(name, ".") {
			name += "*"
		}
		ids = insert(ids, "annotations."+name)
	}
	return ids, nil
}

// mountOptions reads the names in the table of config.md.
func mountOptions(text string) []string {
	line := regexp.MustCompile("(?m)^ `(\\w+) *` *\\| (MUST|SHOULD|MAY)")
	matches := line.FindAllStringSubmatch(text, -1)
	names := make([]string, 0, len(matches))
	for _, m := range matches {
		names = append(names, m[1])
	}
	return names
}

// isWhole returns whether there are properties of the property id.
func isWhole(id string, ids []string) bool {
	return slices.ContainsFunc(ids, func(other string) bool {
		return strings.HasPrefix(other, id+".") || strings.HasPrefix(other, id+"[].")
	})
}

// withAdded adds the rows that only the notes know.
func withAdded(ids []string, chapters []*chapter) []string {
	for _, c := range chapters {
		for _, n := range c.notes {
			if n.added {
				ids = insert(ids, n.id)
			}
		}
	}
	return ids
}

// insert puts an ID after those of the same property, or of the next object
// around it.
func insert(ids []string, id string) []string {
	around, _, more := strings.Cut(id, "=")
	if !more {
		around, _, more = cutLast(id, ".")
	}
	for ; more; around, _, more = cutLast(around, ".") {
		for i := len(ids) - 1; i >= 0; i-- {
			if strings.HasPrefix(ids[i], around) {
				return slices.Insert(ids, i+1, id)
			}
		}
	}
	return append(ids, id)
}

// newTable joins rows, notes and marks.
func newTable(rows []*row, chapters []*chapter, marks *marks) *table {
	t := &table{problems: marks.problems, parts: make([]part, len(chapters))}
	for i, c := range chapters {
		t.parts[i].chapter = c
	}
	known := map[string]bool{}
	for _, r := range rows {
		if known[r.id] {
			t.complain("%s: two rows of this name", r.id)
		}
		known[r.id] = true
		r.proofs = marks.proofs[r.id]
		p := t.partOf(r.id)
		if p == nil {
			t.complain("%s: no chapter in rows/ covers it", r.id)
			continue
		}
		p.annotate(r)
		p.rows = append(p.rows, r)
		t.judge(r)
	}
	t.findStrays(known, marks)
	return t
}

// partOf finds the part that covers most of the ID.
func (t *table) partOf(id string) *part {
	var found *part
	longest := -1
	for i := range t.parts {
		for _, prefix := range t.parts[i].covers {
			if strings.HasPrefix(id, prefix) && len(prefix) > longest {
				found, longest = &t.parts[i], len(prefix)
			}
		}
	}
	return found
}

// annotate takes what a row's notes say: the note of the very ID before one for
// many.
func (c *chapter) annotate(r *row) {
	for i := range c.notes {
		n := &c.notes[i]
		if !n.matches(r.id) {
			continue
		}
		n.used = true
		if n.text != "" && (r.does == "" || n.id == r.id) {
			r.does = n.text
		}
		if n.kernel != "" && (r.kernel == "" || n.id == r.id) {
			r.kernel = n.kernel
		}
	}
}

// judge says what a row lacks.
func (t *table) judge(r *row) {
	if r.whole { // its properties say the rest
		return
	}
	if len(r.proofs) == 0 && !r.foreign() && !r.departed() {
		t.complain("%s: no test proves it", r.id)
	}
	if r.sentence == "" && r.does == "" {
		t.complain("%s: rows/ does not say what hull does", r.id)
	}
}

// findStrays reports marks and notes of rows that there are not.
func (t *table) findStrays(known map[string]bool, marks *marks) {
	for id, proofs := range marks.proofs {
		for _, p := range proofs {
			if !known[id] {
				t.complain("%s: %s proves %s, which is no row", p.file, p.test, id)
			}
		}
	}
	for i := range t.parts {
		for _, n := range t.parts[i].notes {
			if !n.used {
				t.complain("rows/%s: %s is no row", t.parts[i].file, n.id)
			}
		}
	}
	slices.Sort(t.problems)
}

func (t *table) complain(format string, args ...any) {
	t.problems = append(t.problems, fmt.Sprintf(format, args...))
}
