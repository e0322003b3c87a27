package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"github.com/urfave/cli/v2"

	"hull/libcontainer"
)

const consoleSocketUsage = "send the master end of the terminal to the AF_UNIX socket `PATH`"

// bundleFlags are those of the commands that make a container.
func bundleFlags() []cli.Flag {
	return []cli.Flag{
		stringFlag("bundle", "find the bundle in `DIR` (default: the current directory)", "b"),
		stringFlag("config", "read the configuration from `FILE` (default: config.json in the bundle)", "f"),
		stringFlag("console-socket", consoleSocketUsage),
		stringFlag("pidfd-socket", "send a pidfd of the container's init process to the AF_UNIX socket `PATH`"),
		stringFlag("pid-file", "write the pid of the container's init process to `FILE`"),
		boolFlag("no-pivot", "do not use pivot_root, for a root on a ramdisk; such a container is easier to leave"),
		boolFlag("no-new-keyring", "keep the caller's session keyring in the container"),
		preserveFDsFlag(),
	}
}

func preserveFDsFlag() *cli.IntFlag {
	return &cli.IntFlag{
		Name:  "preserve-fds",
		Usage: "pass `N` more file descriptors to the container (stdio + $LISTEN_FDS + N in total)",
	}
}

// createOptions returns what the flags of bundleFlags and the environment say.
func createOptions(c *cli.Context) (libcontainer.CreateOptions, error) {
	bundle, err := filepath.Abs(c.String("bundle"))
	if err != nil {
		return libcontainer.CreateOptions{}, err
	}
	preserve, err := preserveFDs(c)
	if err != nil {
		return libcontainer.CreateOptions{}, err
	}
	o := libcontainer.CreateOptions{
		Bundle:        bundle,
		ConfigFile:    c.String("config"),
		Stdio:         ownStdio(),
		ConsoleSocket: c.String("console-socket"),
		PidfdSocket:   c.String("pidfd-socket"),
		PidFile:       c.String("pid-file"),
		PreserveFDs:   preserve,
		ListenFDs:     listenFDs(),
	}
	if o.ListenFDs > 0 {
		o.ListenNames = os.Getenv("LISTEN_FDNAMES")
	}
	if c.Bool("no-pivot") {
		o.Pivot = libcontainer.NoPivot
	}
	if c.Bool("no-new-keyring") {
		o.Keyring = libcontainer.CallersKeyring
	}
	return o, nil
}

// ownStdio gives the container this process's streams themselves: nothing is
// copied, and nothing stays open here that the container closed.
func ownStdio() libcontainer.Stdio {
	return libcontainer.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
}

func preserveFDs(c *cli.Context) (int, error) {
	n := c.Int("preserve-fds")
	if n < 0 {
		return 0, errors.New("preserve-fds must not be negative")
	}
	return n, nil
}

// listenFDs returns how many sockets systemd passed to this process, from
// descriptor 3 on: sd_listen_fds(3). They are the caller's if it set no
// LISTEN_PID, or another's.
func listenFDs() int {
	if pid, err := strconv.Atoi(os.Getenv("LISTEN_PID")); err != nil || pid != os.Getpid() {
		return 0
	}
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || n < 0 {
		return 0
	}
	return n
}
