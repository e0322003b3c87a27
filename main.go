// Command hull is a low-level container runtime for OCI bundles.
package main

import (
	"os"

	"hull/internal/cli"
	_ "hull/libcontainer/initproc" // is the program of a container's init process
)

// The linker sets both (-X main.version=…): the release, and the commit that
// it was built from.
var (
	version = "0.1.0-dev"
	commit  string //nolint:gochecknoglobals // the linker can set nothing else
)

func main() {
	os.Exit(cli.Main(os.Args, cli.Build{Version: version, Commit: commit}))
}
