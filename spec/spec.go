// Package spec knows config.json: it loads, checks and writes it, and compiles
// it into the plan that the init stage executes.
//
// All that can be wrong with a configuration is found here, before any process
// exists, and named by its JSON path. Validate is a function of the document
// alone; Compile also looks at the host (the root filesystem, bind sources).
//
// The package refuses to start, mount or write anything, to log (warnings go to
// a function of the caller), and to know control groups, seccomp filters or the
// life cycle: their parts of the document are validated and carried out by the
// packages of those names.
package spec

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Namespace returns the entry of linux.namespaces of type t, or nil when the
// container stays in the namespace of the runtime. The entry belongs to s.
func Namespace(s *specs.Spec, t specs.LinuxNamespaceType) *specs.LinuxNamespace {
	if s.Linux == nil {
		return nil
	}
	i := slices.IndexFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == t })
	if i < 0 {
		return nil
	}
	return &s.Linux.Namespaces[i]
}

// IsNew says whether a namespace of type t is made for the container.
func IsNew(s *specs.Spec, t specs.LinuxNamespaceType) bool {
	ns := Namespace(s, t)
	return ns != nil && ns.Path == ""
}

// linux returns the Linux section of s, never nil.
func linux(s *specs.Spec) *specs.Linux {
	if s.Linux == nil {
		return new(specs.Linux)
	}
	return s.Linux
}
