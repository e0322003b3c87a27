package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// How often each fuzz test tries new input, and to make what it found shorter: by
// default that takes most of the time. Not for how long: a run that is ended by
// the clock fails now and then with "context deadline exceeded".
const (
	fuzzTime     = "-fuzztime=2000x"
	minimizeTime = "-fuzzminimizetime=10x"
)

// fuzz runs the fuzz tests of all packages, of which go test takes one at a time.
func fuzz(report *report, tags string) error {
	out, err := exec.Command("go", "list", "-tags", tags, "-f", "{{.ImportPath}} {{.Dir}}", "./...").Output()
	if err != nil {
		return withStderr("go list", err)
	}
	for line := range strings.Lines(string(out)) {
		name, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		tests, err := fuzzTests(dir)
		if err != nil {
			return err
		}
		for _, test := range tests {
			if err := goTest(report, tags, []string{name}, "-run=^$", "-fuzz=^"+test+"$", fuzzTime, minimizeTime); err != nil {
				return err
			}
		}
	}
	return nil
}

// fuzzTests finds the fuzz tests in the files of a directory: asking go test
// would link each package once more.
func fuzzTests(dir string) (names []string, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "func Fuzz"); ok {
				name, _, _ := strings.Cut(rest, "(")
				names = append(names, "Fuzz"+name)
			}
		}
	}
	return names, nil
}
