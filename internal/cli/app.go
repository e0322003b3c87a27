package cli

import (
	"fmt"
	"runtime"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"

	"hull/internal/misspelt"
	"hull/libcontainer"
)

const appDescription = `hull makes and runs containers from OCI bundles: directories with a
"config.json" and a root filesystem. Engines such as containerd, Docker,
Podman and CRI-O use it in the place of runc.

To try it with a bundle of your own:

   mkdir -p bundle/rootfs && cd bundle   # put a root filesystem in rootfs
   hull spec                             # writes config.json
   hull run my-container

"hull help COMMAND" tells more about a command.`

// command is one command: its name, and how to build the rest of it. Only the
// command that runs is built.
type command struct {
	name  string
	build func(*program) *cli.Command
}

// commands returns every command in the order of the help page.
func commands() []command {
	return []command{
		{"check", checkCommand},
		{"create", createCommand},
		{"delete", deleteCommand},
		{"events", eventsCommand},
		{"exec", execCommand},
		{"features", featuresCommand},
		{"init", initCommand},
		{"kill", killCommand},
		{"list", listCommand},
		{"pause", pauseCommand},
		{"ps", psCommand},
		{"resume", resumeCommand},
		{"run", runCommand},
		{"spec", specCommand},
		{"start", startCommand},
		{"state", stateCommand},
		{"update", updateCommand},
	}
}

func (p *program) app(flags []cli.Flag, commands []*cli.Command) *cli.App {
	// The package's own way to replace these two is by assignment.
	cli.VersionPrinter = p.printVersion
	cli.FlagStringer = flagLine
	return &cli.App{
		Name:                      p.name,
		Usage:                     "a low-level container runtime for OCI bundles",
		Version:                   p.build.Version,
		Description:               appDescription,
		Flags:                     flags,
		Commands:                  commands,
		Before:                    p.before,
		Writer:                    p.out,
		ErrWriter:                 p.err,
		DisableSliceFlagSeparator: true, // --env A=b,c is one variable
		// Errors are reported by Main, once.
		ExitErrHandler: func(*cli.Context, error) {},
	}
}

// command builds the command of that name; nil if there is none.
func (p *program) command(name string) *cli.Command {
	for _, c := range commands() {
		if c.name == name {
			return p.newCommand(c)
		}
	}
	return nil
}

// allCommands builds every command, for the help page.
func (p *program) allCommands() []*cli.Command {
	known := commands()
	all := make([]*cli.Command, len(known))
	for i := range known {
		all[i] = p.newCommand(known[i])
	}
	return all
}

// insteadOf says what there is for who asks for a command that is not there.
func insteadOf(name string) string {
	if name == "checkpoint" || name == "restore" {
		return "hull can neither checkpoint nor restore containers"
	}
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	if near := misspelt.Nearest(name, names, misspelt.AThird(name)); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return `"hull help" lists the commands`
}

func (p *program) newCommand(c command) *cli.Command {
	cmd := c.build(p)
	cmd.Name = c.name
	cmd.HideHelpCommand = true // "help" is an argument like any other
	return cmd
}

// runcVersion is the release of runc whose command line this one has.
const runcVersion = "1.5.0"

// printVersion prints what dockerd and go-runc parse. Both know only
// "runc version": a hull that was installed under that name says which runc it
// stands in for, and still, as the version's build metadata, what it is.
func (p *program) printVersion(c *cli.Context) {
	if p.name == "runc" {
		fmt.Fprintf(c.App.Writer, "runc version %s+hull.%s\n", runcVersion, p.build.Version)
	} else {
		fmt.Fprintln(c.App.Writer, "hull version", p.build.Version)
	}
	if p.build.Commit != "" {
		fmt.Fprintln(c.App.Writer, "commit:", p.build.Commit)
	}
	fmt.Fprintln(c.App.Writer, "spec:", specs.Version)
	fmt.Fprintln(c.App.Writer, "go:", runtime.Version())
	if v := libcontainer.SeccompVersion(); v != "" {
		fmt.Fprintln(c.App.Writer, "libseccomp:", v)
	}
}
