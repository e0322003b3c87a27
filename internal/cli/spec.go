package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"hull/spec"
)

// configName is what the specification calls a bundle's configuration.
const configName = "config.json"

func specCommand(p *program) *cli.Command {
	return &cli.Command{
		Usage:     "write a config.json to start from",
		UsageText: p.name + " spec [options]",
		Description: `Writes a config.json to start from: it runs "sh" with a terminal on the root
filesystem in the bundle's directory "rootfs". Edit "args" to run another
program, and "terminal" to run it without a terminal.

With --rootless, a user who is not root can run the container.

Example, with a root filesystem that Docker made:

   mkdir -p bundle/rootfs && cd bundle
   docker export $(docker create busybox) | tar -C rootfs -xf -
   hull spec
   hull run demo`,
		Flags: []cli.Flag{
			stringFlag("bundle", "write to the bundle in `DIR` (default: the current directory)", "b"),
			boolFlag("rootless", "write a configuration for a user who is not root"),
		},
		Action: p.spec,
	}
}

func (p *program) spec(c *cli.Context) error {
	if err := p.wantArgs(c, 0, 0); err != nil {
		return err
	}
	s := spec.Default()
	if c.Bool("rootless") {
		spec.Rootless(s)
	}
	text, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	return writeNew(filepath.Join(c.String("bundle"), configName), text)
}

// writeNew writes the file path, which must not exist.
func writeNew(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("File %s exists. Remove it first", filepath.Base(path)) //nolint:staticcheck // runc's text
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
