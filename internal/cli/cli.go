// Package cli is hull's command line: flags become options, options go to
// libcontainer, and what comes back becomes output and an exit status.
//
// It holds whatever scripts and engines see: names and defaults of flags,
// texts, JSON shapes, exit statuses, the log. All of these are those of runc,
// so that a program written for one works with the other. It is the only
// importer of urfave/cli, and knows nothing of how a container is made.
package cli

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// firstExtraFD is the descriptor after the standard streams.
const firstExtraFD = 3

// Exit statuses that are not those of a container's process.
const (
	exitFailure = 1
	exitNotExec = 255 // exec could not start its process
)

// Build says what the linker knows of this program.
type Build struct {
	Version string
	Commit  string // "" when unknown
}

// Main runs the command line args, the program's name first, and returns the
// exit status.
func Main(args []string, b Build) int {
	// What a caller left open is not for hooks and ps(1); what --preserve-fds
	// passes on is copied. The kernel refuses nothing here.
	_ = unix.CloseRange(firstExtraFD, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC)
	p := newProgram(args, b, os.Stdout, os.Stderr)
	p.inherited = inherited()
	return p.main()
}

// inherited returns how many descriptors the caller passed, from firstExtraFD on
// without a gap. Later it could be the log, or anything else, that fills one.
func inherited() (count int) {
	for {
		if _, err := unix.FcntlInt(uintptr(firstExtraFD+count), unix.F_GETFD, 0); err != nil {
			return count
		}
		count++
	}
}

func newProgram(args []string, b Build, out io.Writer, stderr *os.File) *program {
	return &program{
		args:  args,
		name:  filepath.Base(args[0]),
		build: b,
		out:   out,
		err:   stderr,
		log:   newLogger(stderr),
	}
}

// program is one run of hull.
type program struct {
	args   []string
	name   string // what it was called as
	build  Build
	out    io.Writer
	err    *os.File
	log    *logger
	status int // exit status of the command, if it did not fail
	// inherited is how many descriptors the caller passed.
	inherited int
}

// checkPreserved refuses to pass on what the caller has not passed.
func (p *program) checkPreserved(count int) error {
	if count <= p.inherited {
		return nil
	}
	return fault.Newf("preserve", "descriptors", "descriptor %d: %w", firstExtraFD+p.inherited, unix.EBADF)
}

func (p *program) main() int {
	defer func() { _ = p.log.Close() }()
	if err := p.run(); err != nil {
		return p.fail(err)
	}
	return p.status
}

// run parses and executes the command line. It builds only the command that
// was asked for; all of them, if there is a help page to print.
func (p *program) run() error {
	flags := globalFlags()
	at := commandIndex(p.args, flags)
	if at < len(p.args) {
		if cmd := p.command(p.args[at]); cmd != nil {
			return p.app(flags, []*cli.Command{cmd}).Run(firstNames(arrange(p.args, at, cmd), at, cmd.Flags))
		}
	}
	err := p.app(flags, p.allCommands()).Run(p.args)
	var unknown cli.ExitCoder // "No help topic for"
	if !errors.As(err, &unknown) {
		return err
	}
	asked := p.args[at:]
	if asked[0] == "help" || asked[0] == "h" {
		asked = asked[1:]
	}
	return exitError{fmt.Errorf("%w (%s)", err, insteadOf(asked[0])), unknown.ExitCode()}
}

// exitError is a failure with an exit status of its own.
type exitError struct {
	error
	status int
}

func (e exitError) Unwrap() error { return e.error }

// fail reports err, the one time that anything does, and returns the exit
// status. With --log it goes there, for engines, and to stderr, for people.
func (p *program) fail(err error) int {
	p.log.error(err)
	if p.log.toFile() {
		fmt.Fprintln(p.err, err)
	}
	var own exitError
	if errors.As(err, &own) {
		return own.status
	}
	return exitFailure
}

// usageError prints the command's help, as for a wrong flag, and returns err.
func usageError(c *cli.Context, err error) error {
	fmt.Fprint(c.App.Writer, "Incorrect Usage.\n\n")
	return errors.Join(err, cli.ShowSubcommandHelp(c))
}
