// Package profile is the vocabulary of the linux.seccomp object and the check
// of one: what can be said about a profile without asking libseccomp or the
// kernel. It has no state, does no input or output and is cheap to import, so
// that the validator of config.json can call it.
//
// It refuses what would give a filter other than the one that was written
// down: unknown names, return values that an action has no room for, and
// notifications that nobody would receive. It does not judge names of system
// calls: a profile is written for many kernels and architectures, and a call
// that this one lacks cannot be made.
package profile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/internal/fault"
)

const (
	// maxErrno is what libseccomp accepts, one below the MAX_ERRNO to which
	// the kernel cuts a larger value.
	maxErrno = 4094
	// maxTraceMessage fills SECCOMP_RET_DATA, what a tracer reads with
	// PTRACE_GETEVENTMSG.
	maxTraceMessage = 0xffff
	// maxArgs is the number of arguments in struct seccomp_data.
	maxArgs = 6
)

// Disabled reports whether p asks for no filter: it is nil, or has neither
// default action nor rules. The spec requires a default action, but runc takes
// such an object for "off".
func Disabled(p *specs.LinuxSeccomp) bool {
	return p == nil || (p.DefaultAction == "" && len(p.Syscalls) == 0)
}

// Notifies reports whether p asks a listener, by default or in a rule.
func Notifies(p *specs.LinuxSeccomp) bool {
	return p.DefaultAction == specs.ActNotify || slices.ContainsFunc(p.Syscalls, func(s specs.LinuxSyscall) bool {
		return s.Action == specs.ActNotify
	})
}

// KillsThread reports whether p ends a thread and not its process, by default or
// in a rule.
func KillsThread(p *specs.LinuxSeccomp) bool {
	kills := func(a specs.LinuxSeccompAction) bool { return a == specs.ActKill || a == specs.ActKillThread }
	return kills(p.DefaultAction) || slices.ContainsFunc(p.Syscalls, func(s specs.LinuxSyscall) bool {
		return kills(s.Action)
	})
}

// Validate returns the problems of p as a fault.InvalidError. It is nil for a
// disabled profile. Only where it has to say which architectures there are, it asks
// for those that can be had here.
func Validate(p *specs.LinuxSeccomp, architectures func() []string) error {
	if Disabled(p) {
		return nil
	}
	var v validator
	v.defaults(p)
	for i, arch := range p.Architectures {
		if !slices.Contains(Architectures(), string(arch)) {
			v.refuse(indexed("architectures", i), "unknown architecture %q (one of %s)", arch, oneOf(architectures()))
		}
	}
	for i, flag := range p.Flags {
		if _, ok := FlagValue(flag); !ok {
			v.refuse(indexed("flags", i), "unknown flag %q (one of %s)", flag, oneOf(Flags()))
		}
	}
	v.listener(p)
	for i := range p.Syscalls {
		v.rule(indexed("syscalls", i), &p.Syscalls[i])
	}
	return v.problems.Err()
}

// validator collects problems.
type validator struct{ problems fault.InvalidError }

// path is a JSON path below linux.seccomp. It becomes text only when there is
// something to say about it.
type path struct {
	parent *path
	name   string
	index  int
}

func field(name string) *path               { return &path{name: name, index: -1} }
func indexed(name string, i int) *path      { return &path{name: name, index: i} }
func (p *path) field(name string) *path     { return &path{parent: p, name: name, index: -1} }
func (p *path) at(name string, i int) *path { return &path{parent: p, name: name, index: i} }

func (p *path) String() string {
	prefix := "linux.seccomp"
	if p.parent != nil {
		prefix = p.parent.String()
	}
	s := prefix + "." + p.name
	if p.index >= 0 {
		s += "[" + strconv.Itoa(p.index) + "]"
	}
	return s
}

func (v *validator) refuse(at *path, format string, args ...any) {
	if !v.problems.Full() {
		v.problems.Add(at.String(), format, args...)
	}
}

func (v *validator) defaults(p *specs.LinuxSeccomp) {
	v.action(field("defaultAction"), p.DefaultAction)
	v.errnoRet(field("defaultErrnoRet"), p.DefaultAction, p.DefaultErrnoRet)
}

// listener checks what config-linux.md says of listenerPath and
// listenerMetadata: the path is needed by notify rules and otherwise ignored,
// and metadata must not be there without it.
func (v *validator) listener(p *specs.LinuxSeccomp) {
	if p.ListenerPath != "" {
		return
	}
	if Notifies(p) {
		v.refuse(field("listenerPath"), "must be set, because of the action %s", specs.ActNotify)
	}
	if p.ListenerMetadata != "" {
		v.refuse(field("listenerMetadata"), "must not be set without listenerPath")
	}
}

func (v *validator) rule(at *path, r *specs.LinuxSyscall) {
	if len(r.Names) == 0 {
		v.refuse(at.field("names"), "must not be empty")
	}
	for i, name := range r.Names {
		if name == "" {
			v.refuse(at.at("names", i), "must not be empty")
		}
	}
	v.action(at.field("action"), r.Action)
	v.errnoRet(at.field("errnoRet"), r.Action, r.ErrnoRet)
	for i := range r.Args {
		v.arg(at.at("args", i), &r.Args[i])
	}
}

func (v *validator) action(at *path, a specs.LinuxSeccompAction) {
	if _, ok := ActionValue(a); !ok {
		v.refuse(at, "unknown action %q (one of %s)", a, oneOf(Actions()))
	}
}

// errnoRet refuses a return value for an action that has none, as the spec
// demands, and one that the kernel would silently change.
func (v *validator) errnoRet(at *path, a specs.LinuxSeccompAction, value *uint) {
	if value == nil {
		return
	}
	var limit uint
	switch a {
	case specs.ActErrno:
		limit = maxErrno
	case specs.ActTrace:
		limit = maxTraceMessage
	default:
		v.refuse(at, "the action %q takes no return value", a)
		return
	}
	if *value > limit {
		v.refuse(at, "%d is more than %d, the limit of %s", *value, limit, a)
	}
}

func (v *validator) arg(at *path, a *specs.LinuxSeccompArg) {
	if a.Index >= maxArgs {
		v.refuse(at.field("index"), "%d is not an argument of a system call (0 to %d)", a.Index, maxArgs-1)
	}
	if !slices.Contains(Operators(), string(a.Op)) {
		v.refuse(at.field("op"), "unknown operator %q (one of %s)", a.Op, oneOf(Operators()))
	}
}

// oneOf is a list of names as an error shows it, however long it is.
func oneOf(names []string) fmt.Stringer { return list(names) }

type list []string

func (l list) String() string { return strings.Join(l, ", ") }
