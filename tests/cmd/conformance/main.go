// Command conformance makes docs/conformance.md: for each property of config.json
// and each normative sentence of the specification, what hull does, the kernel
// that it needs and the tests that show it.
//
// The properties come from the JSON schema of the runtime-spec module, the
// sentences from its documents, the tests from the marks in them
// (//proves:ID ...), and what hull does from the files in rows/, which are
// written by hand.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	unshown := flag.Bool("unshown", false, "count the rows that no test shows when those on stdin, each PACKAGE TEST, do not run")
	flag.Parse()
	root, table, err := load()
	if err == nil && *unshown {
		err = table.countUnshown(os.Stdin, os.Stdout)
	} else if err == nil {
		err = table.write(root)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// load reads all that the map is made of. It returns the repository's directory
// as well.
func load() (string, *table, error) {
	root, err := moduleDir("hull")
	if err != nil {
		return "", nil, err
	}
	spec, err := moduleDir("github.com/opencontainers/runtime-spec")
	if err != nil {
		return "", nil, err
	}
	t, err := readTable(root, spec)
	return root, t, err
}

// write writes the document and says what the map lacks.
func (t *table) write(root string) error {
	text, err := t.document(filepath.Join(root, frame))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, page), []byte(text), 0o644); err != nil {
		return err
	}
	if len(t.problems) > 0 {
		return fmt.Errorf("the map is not complete:\n%s", strings.Join(t.problems, "\n"))
	}
	return nil
}

// countUnshown says how many rows only the skipped tests would have shown.
func (t *table) countUnshown(skipped io.Reader, w io.Writer) error {
	text, err := io.ReadAll(skipped)
	if err != nil {
		return err
	}
	names := strings.Split(string(text), "\n")
	isSkipped := func(p proof) bool { return slices.Contains(names, filepath.Dir(p.file)+" "+p.test) }
	all, unshown := 0, 0
	for _, p := range t.parts {
		for _, r := range p.rows {
			if len(r.proofs) == 0 {
				continue
			}
			all++
			if !slices.ContainsFunc(r.proofs, func(p proof) bool { return !isSkipped(p) }) {
				unshown++
			}
		}
	}
	_, err = fmt.Fprintf(w, "Of %d rows of %s, %d were shown by no test: all of theirs were skipped on this machine.\n", all, page, unshown)
	return err
}

// page is the document, and frame the text around its tables.
const (
	page  = "docs/conformance.md"
	frame = "tests/cmd/conformance/frame.md"
)

func moduleDir(module string) (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("find the module %s: %w", module, err)
	}
	return strings.TrimSpace(string(out)), nil
}
