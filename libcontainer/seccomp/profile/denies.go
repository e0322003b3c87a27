package profile

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Denies reports whether p certainly keeps a system call from being made, whatever
// its arguments: by its default action, or by a rule that no other contradicts.
func Denies(p *specs.LinuxSeccomp, call string) bool {
	denied := !Disabled(p) && blocks(p.DefaultAction)
	for i := range p.Syscalls {
		r := &p.Syscalls[i]
		switch {
		case !slices.Contains(r.Names, call):
		case !blocks(r.Action):
			return false
		case len(r.Args) == 0:
			denied = true
		}
	}
	return denied
}

func blocks(a specs.LinuxSeccompAction) bool {
	switch a {
	case specs.ActErrno, specs.ActTrap, specs.ActKill, specs.ActKillProcess, specs.ActKillThread:
		return true
	default:
		return false
	}
}
