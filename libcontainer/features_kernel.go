package libcontainer

import (
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/linux"
	"hull/libcontainer/cgroup"
	"hull/libcontainer/netdev"
	"hull/libcontainer/rdt"
	"hull/nsenter"
	"hull/spec"
)

// kernelFacts adds to the annotations of the features document what this kernel
// has, for the caller and now. Each was tried or looked at; lists are separated
// by commas.
func kernelFacts(to map[string]string) map[string]string {
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		to["org.hull.kernel.version"] = unix.ByteSliceToString(u.Release[:])
	}
	on := cgroup.Host()
	to["org.hull.kernel.cgroup.v1"] = strings.Join(on.V1, ",")
	to["org.hull.kernel.cgroup.v2"] = strings.Join(on.V2, ",")
	held, _ := spec.HeldCapabilities()
	modes, flags := memoryPolicies()
	resctrl := rdt.Probe()
	for name, value := range map[string]string{
		"namespaces":         strings.ReplaceAll(nsenter.Names(nsenter.Supported()), " ", ""),
		"capabilities":       strings.Join(spec.KernelCapabilities(), ","),
		"capabilities.held":  strings.Join(spec.CapabilityNames(held), ","),
		"memoryPolicy.modes": strings.Join(modes, ","),
		"memoryPolicy.flags": strings.Join(flags, ","),
	} {
		to["org.hull.kernel."+name] = value
	}
	for name, has := range map[string]bool{
		"systemd":               on.Systemd,
		"apparmor":              apparmorEnabled(),
		"selinux":               selinuxEnabled(),
		"intelRdt":              resctrl != rdt.Support{},
		"intelRdt.schemata":     resctrl.Schemata,
		"intelRdt.monitoring":   resctrl.Monitoring,
		"netDevices":            netdev.Supported(),
		"mountExtensions.idmap": mapsIDs("/", "/dev/shm", "/tmp"),
	} {
		to["org.hull.kernel."+name] = strconv.FormatBool(has)
	}
	return to
}

// mapsIDs reports whether the caller can map the ids of a mount of one of the
// directories: not every filesystem can have it.
func mapsIDs(dirs ...string) bool {
	one := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1, Size: 1}}
	ids := idMapper{pid: os.Getpid()}
	defer ids.close()
	return slices.ContainsFunc(dirs, func(dir string) bool {
		fd, err := openSource(&ids, &spec.Source{Path: dir, IDMap: &spec.IDMap{UIDs: one, GIDs: one}})
		if err == nil {
			unix.Close(fd)
		}
		return err == nil
	})
}

// memoryPolicies returns the modes and flags of linux.memoryPolicy that the
// kernel accepts, by setting them on a thread that ends with it.
func memoryPolicies() (modes, flags []string) {
	type lists struct{ modes, flags []string }
	found := make(chan lists)
	go func() {
		runtime.LockOSThread() // and never unlock it: the thread ends
		var l lists
		for _, p := range spec.MemoryPolicies() {
			if linux.SetMemoryPolicy(int(p.Mode), p.Nodes) != nil {
				continue
			}
			if p.Flag == "" {
				l.modes = append(l.modes, p.Name)
			} else {
				l.flags = append(l.flags, p.Flag)
			}
		}
		found <- l
	}()
	l := <-found
	return l.modes, l.flags
}
