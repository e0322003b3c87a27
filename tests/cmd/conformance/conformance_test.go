package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hull/spec"
)

// write makes a directory of files.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestPropertiesOfASchemaAreItsLeavesAndValues(t *testing.T) {
	dir := write(t, map[string]string{
		"a.json": `{"properties": {
			"z": {"type": "string"},
			"windows": {"$ref": "missing.json"},
			"object": {"properties": {"b": {"$ref": "b.json#/definitions/word"}, "a": {"type": "integer"}}},
			"list": {"type": "array", "items": {"$ref": "b.json#/definitions/thing"}},
			"words": {"type": "array", "items": {"$ref": "b.json#/definitions/word"}},
			"map": {"additionalProperties": {"properties": {"x": {}}}},
			"strings": {"patternProperties": {".{1,}": {"type": "string"}}}
		}}`,
		"b.json": `{"definitions": {
			"word": {"enum": ["ONE", "TWO"]},
			"base": {"properties": {"major": {"type": "integer"}}},
			"thing": {"allOf": [{"$ref": "#/definitions/base"}, {"properties": {"kind": {"$ref": "#/definitions/word"}}}]}
		}}`,
	})
	ids, err := newSchemas(dir).paths("a.json", "")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "properties", ids, []string{
		"z", "object", "object.b", "object.b=ONE", "object.b=TWO", "object.a",
		"list", "list[].major", "list[].kind", "list[].kind=ONE", "list[].kind=TWO",
		"words", "words=ONE", "words=TWO", "map", "map.*", "map.*.x", "strings", "strings.*",
	})
}

func TestSentencesAreThoseThatBind(t *testing.T) {
	const text = "# <a name=\"x\" />Some Heading, `here`\n\n" +
		"It is so. It MUST be\nso, see [there](a.md#b) and [this][that], e.g. `x`. It MAY not be so.\n\n" +
		"```json\n\"MUST\": 1. MUST\n```\n" +
		"* **`a`** *(string, REQUIRED)* is\n    it.\n    * It SHOULD be `*`.[^1]\n" +
		"\n## Next\n\n Option | Requirement |\n---|---\n `idmap` | SHOULD | It MUST map. It SHOULD NOT fail.\n\n> Note: it is NOT RECOMMENDED\n"
	var got []string
	for _, s := range newMarkdown().parse("x.md", text) {
		got = append(got, s.id+" "+s.text)
	}
	same(t, "sentences", got, []string{
		"x.md#some-heading-here:1 It MUST be so, see there and this, e.g. `x`.",
		"x.md#some-heading-here:2 `a` (string, REQUIRED) is it.",
		"x.md#some-heading-here:3 It SHOULD be `*`.",
		"x.md#next:1 It MUST map.",
		"x.md#next:2 It SHOULD NOT fail.",
		"x.md#next:3 Note: it is NOT RECOMMENDED",
	})
}

func TestMarksBelongToTheTestAroundThem(t *testing.T) {
	dir := write(t, map[string]string{"tests/a_test.go": `package a

import "testing"

//proves:lost

// TestA is documented.
//
//proves:one two
func TestA(t *testing.T) {
	//proves:two three
	_ = t
}
`, "b/b_test.go": `package b

import "testing"

//proves:one
func TestB(t *testing.T) {}
`, "b/testdata/c_test.go": "no go"})
	m, err := readMarks(dir)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "problems", m.problems, []string{"tests/a_test.go:5: a mark outside of a test"})
	got := map[string]string{}
	for id, proofs := range m.proofs {
		for _, p := range proofs {
			got[id] += p.file + " " + p.test + ";"
		}
	}
	want := map[string]string{
		"lost": "tests/a_test.go ;", "one": "b/b_test.go TestB;tests/a_test.go TestA;",
		"two": "tests/a_test.go TestA;", "three": "tests/a_test.go TestA;",
	}
	for id := range want {
		if got[id] != want[id] {
			t.Errorf("%s is proven by %q, want %q", id, got[id], want[id])
		}
	}
}

func TestANoteIsAboutTheRowsThatItsIDMatches(t *testing.T) {
	for _, tt := range []struct {
		pattern, id string
		want        bool
	}{
		{"a.b", "a.b", true},
		{"a.b", "a.b.c", false},
		{"hooks.%[].path", "hooks.poststop[].path", true},
		{"hooks.%[].path", "hooks.poststop[].args", false},
		{"a=%", "a=VALUE", true},
		{"a=%", "a", false},
		{"a.%", "a.b.c", false},
		{"x.md#y:2..4", "x.md#y:3", true},
		{"x.md#y:2..4", "x.md#y:5", false},
		{"x.md#y:2..4", "x.md#z:3", false},
	} {
		if n := (&note{id: tt.pattern}); n.matches(tt.id) != tt.want {
			t.Errorf("%s matches %s: %v", tt.pattern, tt.id, !tt.want)
		}
	}
}

func TestATableSaysWhatItLacks(t *testing.T) {
	c, err := parseChapter("# Letters\ncovers a b x.md#\n\na=%    [6.9] one\n  of many\na=TWO  [6.10]\nb  not for us: it is foreign\nstray  text\n")
	if err != nil {
		t.Fatal(err)
	}
	rows := []*row{{id: "a"}, {id: "a=ONE"}, {id: "a=TWO"}, {id: "b"}, {id: "z"}, {id: "x.md#y:1", sentence: "It MUST."}}
	found := newTable(rows, []*chapter{c}, &marks{proofs: map[string][]proof{
		"a=ONE": {{"tests/a_test.go", "TestA"}}, "a=TWO": {{"spec/a_test.go", "TestB"}}, "a.typo": {{"tests/a_test.go", "TestA"}},
	}})
	same(t, "problems", found.problems, []string{
		"a: no test proves it",
		"a: rows/ does not say what hull does",
		"rows/: stray is no row",
		"tests/a_test.go: TestA proves a.typo, which is no row",
		"x.md#y:1: no test proves it",
		"z: no chapter in rows/ covers it",
	})
	var b strings.Builder
	found.parts[0].write(&b)
	for _, line := range []string{
		"| `a=ONE` | one of many | 6.9 | [TestA](../tests/a_test.go) |\n",
		"| `a=TWO` | one of many | 6.10 | [TestB](../spec/a_test.go) |\n",
		"| x.md#y:1 | It MUST. |  |\n",
	} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("%q is missing in\n%s", line, b.String())
		}
	}
	if sums := found.sums(); !strings.Contains(sums, "| values of properties | 2 | 1 | 1 | 0 | 0 | 0 |\n") {
		t.Error(sums)
	}
}

func TestRowsWhoseTestsWereAllSkippedAreCounted(t *testing.T) {
	a, b := proof{"tests/a_test.go", "TestA"}, proof{"spec/b_test.go", "TestB"}
	found := &table{parts: []part{{rows: []*row{
		{id: "one", proofs: []proof{a}}, {id: "two", proofs: []proof{a, b}}, {id: "none"},
	}}}}
	var out strings.Builder
	if err := found.countUnshown(strings.NewReader("tests TestA\nspec TestA\n"), &out); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "Of 2 rows of docs/conformance.md, 1 were shown by no test") {
		t.Error(out.String())
	}
}

//proves:config.md#linux-mount-options:1
func TestHullKnowsTheWholeTableOfMountOptions(t *testing.T) {
	dir, err := moduleDir("github.com/opencontainers/runtime-spec")
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(dir, "config.md"))
	if err != nil {
		t.Fatal(err)
	}
	options := mountOptions(string(config))
	if len(options) < 60 {
		t.Errorf("the table has %d options only: %v", len(options), options)
	}
	known := spec.Features(spec.FeatureParts{}).MountOptions
	for _, name := range options {
		if !slices.Contains(known, name) {
			t.Errorf("%s is not known", name)
		}
	}
}

// The map itself: every row has a proof, every mark a row, and the document is
// what the tool writes.
func TestEveryRowHasAProof(t *testing.T) {
	root, table, err := load()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range table.problems {
		t.Error(problem)
	}
	want, err := table.document(filepath.Join(root, frame))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not up to date: make conformance writes it", page)
	}
}
