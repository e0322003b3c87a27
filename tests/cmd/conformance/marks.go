package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// directive stands before the rows that a test proves.
const directive = "//proves:"

// proof is a test that proves a row.
type proof struct {
	file string // from the root of the repository
	test string
}

// onBinary tells a test of the built binary from one of a package.
func (p proof) onBinary() bool { return filepath.Dir(p.file) == "tests" }

// marks are the proofs by the row that they prove, and what is wrong with them.
type marks struct {
	proofs   map[string][]proof
	problems []string
}

// readMarks reads the marks of all tests below root.
func readMarks(root string) (*marks, error) {
	m := &marks{proofs: map[string][]proof{}}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") && path != root:
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		return m.readFile(root, path)
	})
	return m, err
}

func (m *marks) readFile(root, path string) error {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	name, err := filepath.Rel(root, path)
	if err != nil {
		return err
	}
	for _, group := range file.Comments {
		for _, c := range group.List {
			ids, ok := strings.CutPrefix(c.Text, directive)
			if !ok {
				continue
			}
			test := testAround(file, c.Pos())
			if test == "" {
				m.problems = append(m.problems, fmt.Sprintf("%s:%d: a mark outside of a test", name, files.Position(c.Pos()).Line))
			}
			m.add(strings.Fields(ids), proof{name, test})
		}
	}
	return nil
}

func (m *marks) add(ids []string, p proof) {
	for _, id := range ids {
		// An element of a list of words is the list's value.
		id = strings.TrimSuffix(strings.Replace(id, "[]=", "=", 1), "[]")
		if !slices.Contains(m.proofs[id], p) {
			m.proofs[id] = append(m.proofs[id], p)
		}
	}
}

// testAround names the test that a position is in, its comment included.
func testAround(file *ast.File, at token.Pos) string {
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") {
			continue
		}
		from := f.Pos()
		if f.Doc != nil {
			from = f.Doc.Pos()
		}
		if from <= at && at < f.End() {
			return f.Name.Name
		}
	}
	return ""
}
