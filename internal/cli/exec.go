package cli

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"

	"hull/internal/fault"
	"hull/libcontainer"
	"hull/spec"
)

func execCommand(p *program) *cli.Command {
	return &cli.Command{
		Usage: "run a program in a running container",
		UsageText: p.name + " exec [options] CONTAINER-ID COMMAND [ARGUMENT...]\n" +
			p.name + " exec [options] --process FILE CONTAINER-ID",
		Description: `Runs a program in a running container: as the container's own in user,
environment and rights, where flags do not say otherwise. Flags after the
container's ID are the program's.

The exit status is the program's, 128 plus the number of the signal that
killed it, or 255 if it could not be started.

Examples:

   hull exec web ps -ef
   hull exec -t -e TERM=xterm --cwd /tmp web sh
   hull exec -d --pid-file job.pid -u 1000:1000 web job --now`,
		Flags:  execFlags(),
		Action: p.exec,
	}
}

func execFlags() []cli.Flag {
	noSubreaper := boolFlag("no-subreaper", "does nothing: exec is no subreaper")
	noSubreaper.Hidden = true
	return []cli.Flag{
		stringFlag("console-socket", consoleSocketUsage),
		stringFlag("pidfd-socket", "send a pidfd of the process to the AF_UNIX socket `PATH`"),
		stringFlag("cwd", "start the program in `DIR` of the container"),
		stringsFlag("env", "set an environment variable, `NAME=VALUE`; may be repeated", "e"),
		boolFlag("tty", "give the program a terminal", "t"),
		stringFlag("user", "run as `USER`: UID[:GID], or a name in the container", "u"),
		&cli.Int64SliceFlag{Name: "additional-gids", Aliases: []string{"g"}, Usage: "be in the group `GID` too; may be repeated"},
		stringFlag("process", "read the whole process from `FILE`, JSON as in config.json", "p"),
		boolFlag("detach", "return when the process runs, and leave it", "d"),
		stringFlag("pid-file", "write the pid of the process to `FILE`"),
		stringFlag("process-label", "run with the SELinux `LABEL`"),
		stringFlag("apparmor", "run with the AppArmor `PROFILE`"),
		boolFlag("no-new-privs", "set no_new_privs: set-user-ID programs give no rights"),
		stringsFlag("cap", "have the capability `CAP` too; may be repeated", "c"),
		preserveFDsFlag(),
		stringsFlag("cgroup", "run in the cgroup `PATH` below the container's; on cgroup v1 also CONTROLLER[,CONTROLLER...]:PATH, repeated"),
		boolFlag("ignore-paused", "start the process in a paused container, too; it runs after resume"),
		noSubreaper,
	}
}

func (p *program) exec(c *cli.Context) error {
	if err := p.wantArgs(c, 1, anyNumber); err != nil {
		return err
	}
	if err := p.execIn(c); err != nil {
		return exitError{err, exitNotExec}
	}
	return nil
}

func (p *program) execIn(c *cli.Context) error {
	opts, err := execOptions(c)
	if err == nil {
		err = p.checkPreserved(opts.PreserveFDs)
	}
	if err != nil {
		return err
	}
	if c.Bool("detach") {
		ctr, err := p.load(c)
		if err == nil {
			_, err = ctr.Exec(c.Context, opts)
		}
		return err
	}
	if err := refuseConsoleSocket(opts.ConsoleSocket); err != nil {
		return err
	}
	fg, ctx := p.newForeground(c.Context)
	defer fg.close()
	ctr, err := p.load(c)
	if err != nil {
		return err
	}
	opts.SetUpTerminal = terminalStreams().SetUp
	process, err := ctr.Exec(ctx, opts)
	if err != nil {
		return interruption(ctx, err)
	}
	p.status, err = fg.run(process, func() error { return nil })
	return err
}

// execOptions returns what the flags say.
func execOptions(c *cli.Context) (libcontainer.ExecOptions, error) {
	process, edit, err := execProcess(c)
	if err != nil {
		return libcontainer.ExecOptions{}, err
	}
	preserve, err := preserveFDs(c)
	if err != nil {
		return libcontainer.ExecOptions{}, err
	}
	subs, err := subCgroups(c.StringSlice("cgroup"))
	if err != nil {
		return libcontainer.ExecOptions{}, err
	}
	opts := libcontainer.ExecOptions{
		Process:       process,
		Edit:          edit,
		Stdio:         ownStdio(),
		ConsoleSocket: c.String("console-socket"),
		PidfdSocket:   c.String("pidfd-socket"),
		PidFile:       c.String("pid-file"),
		PreserveFDs:   preserve,
		Cgroup:        subs,
	}
	if c.Bool("ignore-paused") {
		opts.Paused = libcontainer.IgnorePaused
	}
	if c.Bool("detach") {
		opts.Lifetime = libcontainer.Detached
	}
	// A process file is complete; flags that would change it are for people.
	if c.String("process") == "" {
		opts.User = c.String("user")
	}
	return opts, nil
}

// subCgroups reads the values of --cgroup: one PATH, or several
// CONTROLLER[,CONTROLLER...]:PATH.
func subCgroups(values []string) ([]libcontainer.SubCgroup, error) {
	subs := make([]libcontainer.SubCgroup, len(values))
	var named []string
	for i, v := range values {
		controllers, path, ok := strings.Cut(v, ":")
		if !ok {
			controllers, path = "", v
		}
		if !ok && len(values) > 1 {
			return nil, fmt.Errorf("invalid --cgroup argument: %s (missing <controller>: prefix)", v)
		}
		for name := range strings.SplitSeq(controllers, ",") {
			switch {
			case !ok:
			case name == "":
				return nil, fmt.Errorf("invalid --cgroup argument: %s (empty <controller> prefix)", v)
			case slices.Contains(named, name):
				return nil, fmt.Errorf("invalid --cgroup argument(s): controller %s specified multiple times", name)
			}
			named = append(named, name)
		}
		// Below the container's cgroup, even with a slash in front.
		path = cmp.Or(strings.Trim(path, "/"), ".")
		subs[i] = libcontainer.SubCgroup{Controllers: controllers, Path: path}
	}
	return subs, nil
}

// execProcess returns the process of the file, or how the container's own
// becomes the one of the command line.
func execProcess(c *cli.Context) (*specs.Process, func(*specs.Process) error, error) {
	args := c.Args().Tail()
	if path := c.String("process"); path != "" {
		if len(args) > 0 {
			return nil, nil, fmt.Errorf("exec takes --process %s or the command %q, not both", path, args[0])
		}
		process, err := readProcess(path)
		return process, nil, err
	}
	if len(args) == 0 {
		return nil, nil, errors.New("exec args cannot be empty")
	}
	return nil, func(process *specs.Process) error {
		process.Args = args
		return applyExecFlags(c, process)
	}, nil
}

func readProcess(path string) (*specs.Process, error) {
	text, err := spec.Read(path)
	if err != nil {
		return nil, err
	}
	process, err := spec.DecodeProcess(text)
	if err != nil {
		return nil, fault.New("load", path, err)
	}
	return process, nil
}

// applyExecFlags changes process, a copy of the container's own, as the flags
// say. What the two share is not written to.
func applyExecFlags(c *cli.Context, process *specs.Process) error {
	if cwd := c.String("cwd"); cwd != "" {
		process.Cwd = cwd
	}
	if profile := c.String("apparmor"); profile != "" {
		process.ApparmorProfile = profile
	}
	if label := c.String("process-label"); label != "" {
		process.SelinuxLabel = label
	}
	if c.IsSet("no-new-privs") {
		process.NoNewPrivileges = c.Bool("no-new-privs")
	}
	// That the container has a terminal says nothing about this process.
	process.Terminal = c.Bool("tty")
	process.Env = append(slices.Clip(process.Env), c.StringSlice("env")...)
	process.Capabilities = withCapabilities(process.Capabilities, c.StringSlice("cap"))
	process.User.AdditionalGids = slices.Clip(process.User.AdditionalGids)
	for _, gid := range c.Int64Slice("additional-gids") {
		if gid < 0 || gid > math.MaxUint32 {
			return fmt.Errorf("additional-gids must be a positive number %d", gid)
		}
		process.User.AdditionalGids = append(process.User.AdditionalGids, uint32(gid))
	}
	return nil
}

// withCapabilities returns has and more. Nothing becomes inheritable here
// (CVE-2022-29162), and so ambient only what is inheritable already.
func withCapabilities(has *specs.LinuxCapabilities, more []string) *specs.LinuxCapabilities {
	if len(more) == 0 {
		return has
	}
	var all specs.LinuxCapabilities
	if has != nil {
		all = *has
	}
	all.Bounding = append(slices.Clip(all.Bounding), more...)
	all.Effective = append(slices.Clip(all.Effective), more...)
	all.Permitted = append(slices.Clip(all.Permitted), more...)
	for _, name := range more {
		if slices.Contains(all.Inheritable, name) {
			all.Ambient = append(slices.Clip(all.Ambient), name)
		}
	}
	return &all
}
