package libcontainer

import (
	"os"
	"runtime"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go/features"

	"hull/libcontainer/seccomp"
	"hull/spec"
)

// Features says what hull can do (features.md). By the specification that is a
// matter of the runtime and not of the host, but for the flags of seccomp; what
// this kernel has for the caller is in the annotations that begin with
// org.hull.kernel.
func (r *Runtime) Features() *features.Features {
	yes := true
	known := seccomp.Known()
	return spec.Features(spec.FeatureParts{
		Cgroup: &features.Cgroup{V1: &yes, V2: &yes, Systemd: &yes, SystemdUser: &yes, Rdma: &yes},
		Seccomp: &features.Seccomp{
			Enabled:        &yes,
			Actions:        known.Actions,
			Operators:      known.Operators,
			Archs:          known.Architectures,
			KnownFlags:     known.Flags,
			SupportedFlags: known.SupportedFlags,
		},
		Apparmor:   &features.Apparmor{Enabled: &yes},
		Selinux:    &features.Selinux{Enabled: &yes},
		IntelRdt:   &features.IntelRdt{Enabled: &yes, Schemata: &yes, Monitoring: &yes},
		NetDevices: &features.NetDevices{Enabled: &yes},
		Annotations: kernelFacts(map[string]string{
			"io.github.seccomp.libseccomp.version": known.Libseccomp,
			"org.hull.go.version":                  runtime.Version(),
			"org.hull.kernel.seccomp.actions":      strings.Join(known.SupportedActions, ","),
		}),
	})
}

// SeccompVersion returns the version of the linked libseccomp, as "2.5.4".
func SeccompVersion() string { return seccomp.Version() }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
