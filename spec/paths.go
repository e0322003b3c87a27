package spec

import (
	"path/filepath"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

const (
	// maxPath is PATH_MAX without the NUL.
	maxPath = 4095
	// maxName is NAME_MAX.
	maxName = 255
	// maxString is MAX_ARG_STRLEN without the NUL: the longest argument and the
	// longest variable that execve(2) takes.
	maxString = 1<<17 - 1
	// maxGroups is NGROUPS_MAX: what setgroups(2) takes.
	maxGroups = 1 << 16
)

// absolute reports a path that is not absolute, or not possible.
func absolute(p *problems, path, value string) {
	if !filepath.IsAbs(value) {
		p.add(path, "%q is not an absolute path", value)
	}
	possible(p, path, value)
}

// possible reports a path that is too long for the kernel.
func possible(p *problems, path, value string) {
	if len(value) > maxPath {
		p.add(path, "a path of %d bytes, the kernel takes %d", len(value), maxPath)
		return
	}
	if len(value) <= maxName {
		return
	}
	for name := range strings.SplitSeq(value, "/") {
		if len(name) > maxName {
			p.add(path, "%q has %d bytes, the kernel takes %d in a name", name, len(name), maxName)
			return
		}
	}
}

// programStrings reports strings that execve(2) does not take.
func programStrings(p *problems, property string, list []string) {
	for i, s := range list {
		if len(s) > maxString {
			p.add(at("process", property, i), "%d bytes, the kernel takes %d", len(s), maxString)
		}
	}
}

// processLimits reports what the kernel does not take of a process because it is
// too much.
func processLimits(p *problems, process *specs.Process) {
	programStrings(p, "args", process.Args)
	programStrings(p, "env", process.Env)
	if len(process.Args) > 0 {
		possible(p, "process.args[0]", process.Args[0])
	}
	possible(p, "process.cwd", process.Cwd)
	if n := len(process.User.AdditionalGids); n > maxGroups {
		p.add("process.user.additionalGids", "%d groups, the kernel takes %d", n, maxGroups)
	}
}
