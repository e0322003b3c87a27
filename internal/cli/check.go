package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/urfave/cli/v2"

	"hull/internal/fault"
	"hull/libcontainer"
)

// exitWarnings is the status of check if nothing would fail, and something is
// still worth a look.
const exitWarnings = 2

func checkCommand(p *program) *cli.Command {
	return &cli.Command{
		Usage:     "say what would keep a bundle from running here, and make nothing",
		UsageText: p.name + " check [options]",
		Description: `Reads a bundle and says, one finding a line, what "create" or "start" would
refuse: all that is wrong with the config.json and what this host lacks.
Warnings are about what would work, and probably not as it was meant.

The exit status is 0 if all is well, 1 if the bundle would fail, and 2 if there
are warnings only.

Example:

   hull check --bundle bundle && hull run --bundle bundle web`,
		Flags: []cli.Flag{
			stringFlag("bundle", "find the bundle in `DIR` (default: the current directory)", "b"),
			stringFlag("config", "read the configuration from `FILE` (default: config.json in the bundle)", "f"),
			boolFlag("json", "print the findings as a JSON array"),
		},
		Action: p.check,
	}
}

func (p *program) check(c *cli.Context) error {
	if err := p.wantArgs(c, 0, 0); err != nil {
		return err
	}
	rt, err := p.runtime(c)
	if err != nil {
		return err
	}
	findings := rt.Check(libcontainer.CreateOptions{Bundle: c.String("bundle"), ConfigFile: c.String("config")})
	p.status = checkStatus(findings)
	if c.Bool("json") {
		return p.printFindings(findings)
	}
	for _, f := range findings {
		fmt.Fprintf(p.out, "%s: %s\n", f.Severity, oneLine(placed(f)))
	}
	return nil
}

// placed is what a finding says, with its place in config.json in front if that is
// not in it.
func placed(f libcontainer.Finding) string {
	text := f.Err.Error()
	if strings.Contains(text, fault.Shorten(f.Path)) {
		return text
	}
	return f.Path + ": " + text
}

// oneLine keeps what a bundle has in its strings from making lines of its own.
func oneLine(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsControl(r) {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func checkStatus(findings []libcontainer.Finding) int {
	status := 0
	for _, f := range findings {
		if f.Severity == libcontainer.Failure {
			return exitFailure
		}
		status = exitWarnings
	}
	return status
}

// finding is how a finding is printed as JSON. What is empty is left out, so
// that there is no telling apart of "none" and "unknown".
type finding struct {
	Level string `json:"level"`
	// Path is the JSON path in config.json.
	Path string `json:"path,omitempty"`
	// Object is what on the host, or what was attempted with it.
	Object  string `json:"object,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func (p *program) printFindings(findings []libcontainer.Finding) error {
	list := make([]finding, len(findings))
	for i, f := range findings {
		list[i] = newFinding(f)
	}
	enc := json.NewEncoder(p.out)
	enc.SetIndent("", "    ")
	enc.SetEscapeHTML(false)
	return enc.Encode(list)
}

// newFinding takes an error of the form "operation object: cause (hint)" apart.
func newFinding(f libcontainer.Finding) finding {
	out := finding{Level: f.Severity.String(), Path: f.Path, Message: f.Err.Error()}
	var at *fault.Error
	if !errors.As(f.Err, &at) || at.Cause == nil {
		return out
	}
	out.Message, out.Hint = at.Cause.Error(), at.Hint
	if at.Op != "" || at.Object != f.Path {
		out.Object = (&fault.Error{Op: at.Op, Object: at.Object}).Error()
	}
	return out
}
