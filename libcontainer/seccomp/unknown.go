package seccomp

import (
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	libseccomp "github.com/seccomp/libseccomp-golang"

	"hull/internal/fault"
	"hull/internal/misspelt"
)

// refuseUnknown names the first system call that libseccomp does not know.
func refuseUnknown(p *specs.LinuxSeccomp) error {
	for i := range p.Syscalls {
		for j, name := range p.Syscalls[i].Names {
			if _, err := libseccomp.GetSyscallFromName(name); err != nil {
				return fault.Newf("", pathOfName(i, j),
					"unknown system call %q (libseccomp %s)", name, Version())
			}
		}
	}
	return nil
}

// Misspelt returns warnings about names of system calls that IgnoreUnknown leaves
// out, and that are one letter away from one that libseccomp knows. Profiles name
// calls that are newer than it: those add something to the name of an older one, or
// have quite another.
func Misspelt(p *specs.LinuxSeccomp) []error {
	var (
		found []error
		known []string
	)
	for i := range p.Syscalls {
		for j, name := range p.Syscalls[i].Names {
			if _, err := libseccomp.GetSyscallFromName(name); err == nil {
				continue
			}
			if known == nil {
				known = nativeCalls()
			}
			meant := misspelt.Nearest(name, known, 1)
			if meant == "" || strings.HasPrefix(name, meant) || strings.HasPrefix(meant, name) {
				continue
			}
			found = append(found, fault.Newf("", pathOfName(i, j), "unknown system call %q, so its rule has no effect", name).
				WithHint("did you mean %s?", meant))
		}
	}
	return found
}

// highestCall is above all numbers of system calls but ARM's few private ones;
// those of MIPS begin at 4000, 5000 and 6000.
const highestCall = 6999

// nativeCalls returns the names of the system calls of this machine.
func nativeCalls() (names []string) {
	for nr := range libseccomp.ScmpSyscall(highestCall) {
		if name, err := nr.GetName(); err == nil {
			names = append(names, name)
		}
	}
	return names
}

func pathOfName(entry, name int) string {
	return elem("syscalls", entry) + ".names[" + strconv.Itoa(name) + "]"
}
