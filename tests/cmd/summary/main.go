// Command summary runs every test of the repository and says in its last line
// what came of it: "N passed, M failed, K skipped".
//
// It counts leaves: a test with subtests is not counted beside them. A package
// that does not build, or dies outside a test, counts as one failure. Skips are
// listed with their reasons, because a test that did not run proves nothing.
//
// Each fuzz test counts twice: with its seeds, and with new input for a moment.
//
// With -skipped it leaves in a file a regular expression of the skipped tests of the
// black-box suite, for a machine that lacks less.
//
// With -events it runs nothing: its arguments are files, or pipes, with what
// `go test -json` or `go tool test2json` prints, which it reads side by side.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

func main() {
	tags := flag.String("tags", "", "build tags, as for go test")
	conformance := flag.String("map", "", "the package that knows which rows of docs/conformance.md a test shows")
	skipped := flag.String("skipped", "", "a file for the names of the black-box tests that are skipped")
	events := flag.Bool("events", false, "read the events of tests from the files named, and run nothing")
	flag.Parse()
	var passed bool
	var err error
	if *events {
		passed, err = sumUp(flag.Args(), os.Stdout)
	} else {
		passed, err = run(*tags, *conformance, *skipped, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "summary:", err)
		os.Exit(2)
	}
	if !passed {
		os.Exit(1)
	}
}

// sumUp reports on tests that run elsewhere.
func sumUp(files []string, w io.Writer) (bool, error) {
	report := newReport(w)
	ended := make(chan error)
	for _, name := range files {
		go func() {
			f, err := os.Open(name)
			if err == nil {
				defer f.Close()
				err = feed(report, f)
			}
			ended <- err
		}()
	}
	var err error
	for range files {
		err = errors.Join(err, <-ended)
	}
	passed := report.finish()
	report.sum()
	return passed, err
}

// run runs the unit tests, then the suites on the built binary, and reports to
// w whether all passed, and what of the map was not shown.
func run(tags, conformance, skipped string, w io.Writer) (bool, error) {
	units, suites, err := packages(tags)
	if err != nil {
		return false, err
	}
	report := newReport(w)
	if err := goTest(report, tags, units); err != nil {
		return false, err
	}
	// One at a time: the suites compare mounts, cgroups and processes of the
	// host before and after, so that they must not see each other's.
	if err := goTest(report, tags, suites, "-p=1"); err != nil {
		return false, err
	}
	if err := fuzz(report, tags); err != nil {
		return false, err
	}
	passed := report.finish()
	if skipped != "" {
		if err := os.WriteFile(skipped, []byte(report.skippedIn("tests")), 0o644); err != nil {
			return false, err
		}
	}
	if conformance != "" {
		if err := unshown(conformance, tags, report); err != nil {
			return false, err
		}
	}
	report.sum()
	return passed, nil
}

// unshown says which rows of the map only tests would show that were skipped.
func unshown(conformance, tags string, report *report) error {
	cmd := exec.Command("go", "run", "-tags", tags, conformance, "-unshown")
	cmd.Stdin = strings.NewReader(strings.Join(report.skipped, "\n"))
	out, err := cmd.Output()
	if err != nil {
		return withStderr("count the rows of the map", err)
	}
	_, err = report.w.Write(out)
	return err
}

// packages lists the packages of the repository, those under tests/ apart.
func packages(tags string) (units, suites []string, err error) {
	out, err := exec.Command("go", "list", "-tags", tags, "./...").Output()
	if err != nil {
		return nil, nil, withStderr("go list", err)
	}
	for name := range strings.FieldsSeq(string(out)) {
		if strings.HasPrefix(name, "hull/tests") {
			suites = append(suites, name)
		} else {
			units = append(units, name)
		}
	}
	return units, suites, nil
}

// goTest runs go test on packages and feeds its events to report. That tests
// fail is no error of goTest: the events say so.
func goTest(report *report, tags string, packages []string, flags ...string) error {
	if len(packages) == 0 {
		return nil
	}
	args := append([]string{"test", "-json", "-count=1", "-timeout=45m", "-tags", tags}, flags...)
	cmd := exec.Command("go", append(args, packages...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := feed(report, out); err != nil {
		return errors.Join(err, cmd.Wait())
	}
	err = cmd.Wait()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		report.exit(exit.ExitCode())
		return nil
	}
	return err
}

func feed(report *report, events io.Reader) error {
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil {
				report.add(e)
			} else {
				report.stray(string(line))
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func withStderr(op string, err error) error {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return fmt.Errorf("%s: %w: %s", op, err, exit.Stderr)
	}
	return fmt.Errorf("%s: %w", op, err)
}
