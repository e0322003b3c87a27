package libcontainer

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/internal/fault"
)

// checkLabels refuses a label for a security module that this kernel does not
// run: a container must not run without the confinement that it asks for.
func checkLabels(p *specs.Process) error {
	switch {
	case p == nil:
		return nil
	case p.SelinuxLabel != "" && !selinuxEnabled():
		return fault.Newf("use", "process.selinuxLabel", "SELinux is not enabled on this host").WithHint("leave the label out")
	case p.ApparmorProfile != "" && !apparmorEnabled():
		return fault.Newf("use", "process.apparmorProfile", "AppArmor is not enabled on this host").WithHint("leave the profile out")
	}
	return nil
}
