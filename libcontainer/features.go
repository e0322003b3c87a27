package libcontainer

import (
	"os"
	"runtime"

	"github.com/opencontainers/runtime-spec/specs-go/features"

	"hull/libcontainer/netdev"
	"hull/libcontainer/rdt"
	"hull/libcontainer/seccomp"
	"hull/spec"
)

// Features says what hull can do with this kernel (features.md).
func (r *Runtime) Features() *features.Features {
	yes, no := true, false
	resctrl := rdt.Probe()
	known := seccomp.Known()
	return spec.Features(spec.FeatureParts{
		Cgroup: &features.Cgroup{V1: &yes, V2: &yes, Systemd: &yes, SystemdUser: &no, Rdma: &yes},
		Seccomp: &features.Seccomp{
			Enabled:        enabled(len(known.SupportedActions) > 0),
			Actions:        known.Actions,
			Operators:      known.Operators,
			Archs:          known.Architectures,
			KnownFlags:     known.Flags,
			SupportedFlags: known.SupportedFlags,
		},
		Apparmor: &features.Apparmor{Enabled: enabled(exists("/sys/module/apparmor"))},
		Selinux:  &features.Selinux{Enabled: enabled(selinuxEnabled())},
		IntelRdt: &features.IntelRdt{
			Enabled:    enabled(resctrl != rdt.Support{}),
			Schemata:   enabled(resctrl.Schemata),
			Monitoring: enabled(resctrl.Monitoring),
		},
		NetDevices: &features.NetDevices{Enabled: enabled(netdev.Supported())},
		Annotations: map[string]string{
			"io.github.seccomp.libseccomp.version": known.Libseccomp,
			"org.hull.go.version":                  runtime.Version(),
		},
	})
}

// SeccompVersion returns the version of the linked libseccomp, as "2.5.4".
func SeccompVersion() string { return seccomp.Version() }

func enabled(b bool) *bool { return &b }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
