package seccomp

// The C file of this package needs cgo.

// #cgo pkg-config: libseccomp
import "C"

import (
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	libseccomp "github.com/seccomp/libseccomp-golang"

	"hull/internal/linux"
	"hull/libcontainer/seccomp/profile"
)

// Facts is what `hull features` says about seccomp. The lists are sorted.
type Facts struct {
	// Actions, Operators, Architectures and Flags are the names that a
	// profile may use. Architectures leaves out those that the linked
	// libseccomp has no table for.
	Actions, Operators, Architectures, Flags []string
	// SupportedActions and SupportedFlags are those that the running kernel
	// has, as it says itself. Both are empty on a kernel without seccomp.
	SupportedActions, SupportedFlags []string
	// Libseccomp is the version of the linked libseccomp: "2.5.4".
	Libseccomp string
}

// Known returns the facts. It asks the kernel with one system call an action
// and flag, and loads nothing.
func Known() Facts {
	facts := Facts{
		Actions:    profile.Actions(),
		Operators:  profile.Operators(),
		Flags:      profile.Flags(),
		Libseccomp: Version(),
	}
	for _, name := range profile.Architectures() {
		if a, ok := lookup(specs.Arch(name)); ok && a.supported() {
			facts.Architectures = append(facts.Architectures, name)
		}
	}
	for _, name := range facts.Actions {
		if value, ok := profile.ActionValue(specs.LinuxSeccompAction(name)); ok && linux.SeccompHasAction(value) {
			facts.SupportedActions = append(facts.SupportedActions, name)
		}
	}
	for _, name := range facts.Flags {
		if bit, ok := profile.FlagValue(specs.LinuxSeccompFlag(name)); ok && kernelHasFlag(bit) {
			facts.SupportedFlags = append(facts.SupportedFlags, name)
		}
	}
	return facts
}

// Version returns the version of the linked libseccomp, "major.minor.micro".
func Version() string {
	major, minor, micro := libseccomp.GetLibraryVersion()
	b := strconv.AppendUint(nil, uint64(major), 10)
	b = strconv.AppendUint(append(b, '.'), uint64(minor), 10)
	b = strconv.AppendUint(append(b, '.'), uint64(micro), 10)
	return string(b)
}
