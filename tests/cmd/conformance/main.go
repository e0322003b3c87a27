// Command conformance makes docs/conformance.md: for each property of config.json
// and each normative sentence of the specification, what hull does, the kernel
// that it needs and the tests that show it.
//
// The properties come from the JSON schema of the runtime-spec module, the
// sentences from its documents, the tests from the marks in them
// (//proves:ID ...), and what hull does from the files in rows/, which are
// written by hand. Without -check it writes the document and lists what is
// wrong; with it the document has to be up to date as well.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	mode := flag.String("mode", "write", "write the document, check it")
	flag.Parse()
	problems, err := run(*mode)
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(2)
	}
	for _, p := range problems {
		fmt.Println(p)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
}

// run does what mode says and returns what is wrong with the map.
func run(mode string) ([]string, error) {
	root, spec, err := directories()
	if err != nil {
		return nil, err
	}
	table, err := readTable(root, spec)
	if err != nil {
		return nil, err
	}
	text, err := table.document(filepath.Join(root, frame))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(root, "docs/conformance.md")
	switch mode {
	case "write":
		return table.problems, os.WriteFile(path, []byte(text), 0o644)
	case "check":
		old, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if string(old) != text {
			return append(table.problems, "docs/conformance.md is not what `make conformance` writes"), nil
		}
		return table.problems, nil
	}
	return nil, fmt.Errorf("%s is no mode", mode)
}

// frame is the text around the tables.
const frame = "tests/cmd/conformance/frame.md"

// directories returns those of the repository and of the specification's module.
func directories() (root, spec string, err error) {
	if root, err = moduleDir("hull"); err != nil {
		return "", "", err
	}
	spec, err = moduleDir("github.com/opencontainers/runtime-spec")
	return root, spec, err
}

func moduleDir(module string) (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("find the module %s: %w", module, err)
	}
	return strings.TrimSpace(string(out)), nil
}
