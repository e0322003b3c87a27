package cli

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// The library derives the names of a flag with a regular expression each time it
// looks for one, some hundred times in a run. These flags know theirs.
type (
	namedBool struct {
		cli.BoolFlag
		names []string
	}
	namedString struct {
		cli.StringFlag
		names []string
	}
)

// Names returns the name, then the aliases.
func (f *namedBool) Names() []string { return f.names }

// Names returns the name, then the aliases.
func (f *namedString) Names() []string { return f.names }

// Apply defines the flag under all of its names.
func (f *namedBool) Apply(set *flag.FlagSet) error {
	for _, name := range f.names {
		set.Bool(name, f.Value, f.Usage)
	}
	return nil
}

// Apply defines the flag under all of its names.
func (f *namedString) Apply(set *flag.FlagSet) error {
	for _, name := range f.names {
		set.String(name, f.Value, f.Usage)
	}
	return nil
}

func boolFlag(name, usage string, aliases ...string) *namedBool {
	return &namedBool{
		BoolFlag: cli.BoolFlag{Name: name, Aliases: aliases, Usage: usage, DisableDefaultText: true},
		names:    append([]string{name}, aliases...),
	}
}

func stringFlag(name, usage string, aliases ...string) *namedString {
	return &namedString{
		StringFlag: cli.StringFlag{Name: name, Aliases: aliases, Usage: usage},
		names:      append([]string{name}, aliases...),
	}
}

func stringsFlag(name, usage string, aliases ...string) *cli.StringSliceFlag {
	return &cli.StringSliceFlag{Name: name, Aliases: aliases, Usage: usage, KeepSpace: true}
}

func withDefault(value string, f *namedString) *namedString {
	f.Value = value
	f.Usage += " (default: " + value + ")"
	return f
}

// flagLine renders a flag for the help page: short name first, and once.
func flagLine(f cli.Flag) string {
	doc, ok := f.(cli.DocGenerationFlag)
	if !ok {
		return ""
	}
	var names []string
	for _, name := range f.Names() {
		if len(name) == 1 {
			names = slices.Insert(names, 0, "-"+name)
		} else {
			names = append(names, "--"+name)
		}
	}
	line := strings.Join(names, ", ")
	// The value's name is what the usage has in backquotes.
	before, rest, _ := strings.Cut(doc.GetUsage(), "`")
	value, after, quoted := strings.Cut(rest, "`")
	if quoted {
		line += " " + value
	}
	return line + "\t" + before + value + after
}

func formatFlag() *namedString {
	return withDefault("table", stringFlag("format", "print as `FORMAT`: table or json", "f"))
}

func regexFlag() *namedBool {
	return boolFlag("regex", "the argument is a regular expression; apply to every container whose ID it matches", "r")
}

var errFormat = errors.New("invalid format option")

// checkFormat returns the value of formatFlag if there is such a format.
func checkFormat(c *cli.Context) (string, error) {
	switch f := c.String("format"); f {
	case "table", "json":
		return f, nil
	default:
		return "", errFormat
	}
}

// wantArgs checks that a command was given between least and most arguments;
// most is anyNumber where there is no upper limit.
func (p *program) wantArgs(c *cli.Context, least, most int) error {
	n := c.NArg()
	var limit string
	switch {
	case least == most && n != least:
		limit = fmt.Sprintf("exactly %d", least)
	case n < least:
		limit = fmt.Sprintf("a minimum of %d", least)
	case most != anyNumber && n > most:
		limit = fmt.Sprintf("a maximum of %d", most)
	default:
		return nil
	}
	return usageError(c, fmt.Errorf("%s: %q requires %s argument(s)", p.args[0], c.Command.Name, limit))
}

const anyNumber = -1
