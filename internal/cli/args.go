package cli

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// commandIndex returns the index in args of the command's name, which follows
// the program's name and flags; len(args) if there is none.
func commandIndex(args []string, flags []cli.Flag) int {
	for i := 1; i < len(args); i++ {
		if !isFlag(args[i]) {
			return i
		}
		if args[i] == "--" {
			return min(i+1, len(args))
		}
		if takesNext(flags, args[i]) {
			i++
		}
	}
	return len(args)
}

// arrange moves the flags of cmd, whose name is args[at], before its arguments,
// where the flag package looks for them: runc takes `delete ID --force` too.
// What exec and ps have after the ID are another program's flags.
func arrange(args []string, at int, cmd *cli.Command) []string {
	if cmd.Name == "exec" || cmd.Name == "ps" {
		return args
	}
	var flags, rest []string
	for i := at + 1; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			return slices.Concat(args[:at+1], flags, []string{"--"}, rest, args[i+1:])
		case arg == "--help" || arg == "-h":
			// Help for the command, and not for an argument of that name.
			return slices.Concat(args[:at+1], []string{"--help"})
		case !isKnown(cmd.Flags, arg):
			rest = append(rest, arg)
		case takesNext(cmd.Flags, arg) && i+1 < len(args):
			i++
			flags = append(flags, arg, args[i])
		default:
			flags = append(flags, arg)
		}
	}
	// An unknown flag in rest that leads is still found and refused.
	return slices.Concat(args[:at+1], flags, rest)
}

// firstNames calls each flag that follows the command's name, at args[at], by its
// first name: the library refuses one that is given in two forms, -e and --env.
func firstNames(args []string, at int, flags []cli.Flag) []string {
	args = slices.Clone(args)
	for i := at + 1; i < len(args) && isFlag(args[i]) && args[i] != "--"; i++ {
		f := find(flags, args[i])
		if f == nil {
			continue
		}
		next := takesNext(flags, args[i])
		_, value, ok := strings.Cut(args[i], "=")
		args[i] = "--" + f.Names()[0]
		if ok {
			args[i] += "=" + value
		}
		if next {
			i++
		}
	}
	return args
}

// isFlag reports whether the flag package would take arg for a flag. A lone
// dash is an argument.
func isFlag(arg string) bool {
	return len(arg) > 1 && arg[0] == '-'
}

func isKnown(flags []cli.Flag, arg string) bool {
	return isFlag(arg) && find(flags, arg) != nil
}

// takesNext reports whether the value of the flag arg is the next argument.
func takesNext(flags []cli.Flag, arg string) bool {
	if strings.Contains(arg, "=") {
		return false
	}
	f, ok := find(flags, arg).(cli.DocGenerationFlag)
	return ok && f.TakesValue()
}

// find returns the flag that arg, `-name`, `--name` or either with "=value",
// is about; nil if it is none of flags.
func find(flags []cli.Flag, arg string) cli.Flag {
	name := strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-")
	name, _, _ = strings.Cut(name, "=")
	for _, f := range flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}
