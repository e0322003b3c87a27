// Command hull is a low-level container runtime for OCI bundles.
package main

import (
	"os"

	"hull/internal/cli"
	"hull/libcontainer"
)

// The linker sets both (-X main.version=…): the release, and the commit that
// it was built from.
var (
	version = "0.1.0-dev"
	commit  string
)

func main() {
	// In a process that a hull started inside a container this does not return.
	libcontainer.Init()

	os.Exit(cli.Main(os.Args, cli.Build{Version: version, Commit: commit}))
}
