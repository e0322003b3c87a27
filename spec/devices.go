package spec

import (
	"path/filepath"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/libcontainer/plan"
)

const (
	defaultDeviceMode = 0o666
	// maxMajor and maxMinor are what fits the dev_t of the kernel.
	maxMajor = 1<<12 - 1
	maxMinor = 1<<20 - 1
)

// defaultDevices are the nodes that every container has (config-linux.md,
// "Default Devices"). /dev/console comes with the terminal, /dev/ptmx is a link.
func defaultDevices() []plan.Device {
	list := []plan.Device{
		{Path: "/dev/null", Major: 1, Minor: 3},
		{Path: "/dev/zero", Major: 1, Minor: 5},
		{Path: "/dev/full", Major: 1, Minor: 7},
		{Path: "/dev/random", Major: 1, Minor: 8},
		{Path: "/dev/urandom", Major: 1, Minor: 9},
		{Path: "/dev/tty", Major: 5, Minor: 0},
	}
	for i := range list {
		list[i].Mode = unix.S_IFCHR | defaultDeviceMode
	}
	return list
}

// devLinks are the links of runtime-linux.md ("Dev symbolic links"), and two
// more that programs expect.
func devLinks() []plan.Symlink {
	return []plan.Symlink{
		{Path: "/dev/fd", Target: "/proc/self/fd"},
		{Path: "/dev/stdin", Target: "/proc/self/fd/0"},
		{Path: "/dev/stdout", Target: "/proc/self/fd/1"},
		{Path: "/dev/stderr", Target: "/proc/self/fd/2"},
		{Path: "/dev/ptmx", Target: "pts/ptmx"},
		{Path: "/dev/core", Target: "/proc/kcore"},
	}
}

// devPolicy says whether a container gets the nodes and links that every one has.
type devPolicy uint8

const (
	// populateDev is for a /dev of the container's own.
	populateDev devPolicy = iota
	// keepDev is for a directory of the host, which is bound on /dev as it is.
	keepDev
)

// addDevices fills in what init makes below /dev and elsewhere. An entry of
// linux.devices replaces the default of the same path, and what the configuration
// mounts there replaces both.
func addDevices(to *plan.Plan, configured []plan.Device, policy devPolicy, source plan.DeviceSource) {
	mounted := func(path string) bool {
		return slices.ContainsFunc(to.Mounts, func(m plan.Mount) bool { return m.Target == path })
	}
	for _, d := range defaultDevices() {
		samePath := func(c plan.Device) bool { return c.Path == d.Path }
		if policy == populateDev && !mounted(d.Path) && !slices.ContainsFunc(configured, samePath) {
			to.Devices = append(to.Devices, d)
		}
	}
	for _, d := range configured {
		if !mounted(d.Path) {
			to.Devices = append(to.Devices, d)
		}
	}
	for i := range to.Devices {
		// A fifo needs no privilege.
		if to.Devices[i].Mode&unix.S_IFMT != unix.S_IFIFO {
			to.Devices[i].Source = source
		}
	}
	if policy == keepDev {
		return
	}
	for _, link := range devLinks() {
		samePath := func(d plan.Device) bool { return d.Path == link.Path }
		if !mounted(link.Path) && !slices.ContainsFunc(to.Devices, samePath) {
			to.DevLinks = append(to.DevLinks, link)
		}
	}
}

// devices translates linux.devices. Repeated entries count once; entries that
// contradict each other are refused.
func devices(p *problems, s *specs.Spec) []plan.Device {
	var list []plan.Device
	type entry struct{ configured, listed int }
	first := make(map[string]entry, len(linux(s).Devices)) // by path: where it is in linux.devices and in list
	for i := range linux(s).Devices {
		d, ok := device(p, at("linux", "devices", i), &linux(s).Devices[i])
		// The multiplexer of the container's own devpts is a link: the host's
		// node would hand out terminals of the host.
		if !ok || d.Path == "/dev/ptmx" {
			continue
		}
		if d.Path == "/dev/null" && !isNull(d) {
			p.add(at("linux", "devices", i), "/dev/null must be the character device 1:3")
		}
		same, found := first[d.Path]
		if !found {
			first[d.Path] = entry{i, len(list)}
			list = append(list, d)
			continue
		}
		if list[same.listed] != d {
			p.add(at("linux", "devices", i, "path"), "%s is already another device in linux.devices[%d]", d.Path, same.configured)
		}
	}
	return list
}

func device(p *problems, path string, in *specs.LinuxDevice) (d plan.Device, ok bool) {
	before := len(p.found)
	d = plan.Device{Path: filepath.Clean(in.Path), Mode: defaultDeviceMode}
	if !filepath.IsAbs(in.Path) || d.Path == "/" {
		p.add(at(path, "path"), "%q is not an absolute path of a file", in.Path)
	}
	possible(p, at(path, "path"), in.Path)
	if in.FileMode != nil {
		d.Mode = uint32(*in.FileMode) & 0o7777
	}
	switch in.Type {
	case "c", "u":
		d.Mode |= unix.S_IFCHR
	case "b":
		d.Mode |= unix.S_IFBLK
	case "p":
		d.Mode |= unix.S_IFIFO
	default:
		p.add(at(path, "type"), "unknown type %q (one of b, c, p, u)", in.Type)
	}
	if in.Type != "p" {
		if in.Major < 0 || in.Major > maxMajor {
			p.add(at(path, "major"), "%d is not from 0 to %d", in.Major, maxMajor)
		}
		if in.Minor < 0 || in.Minor > maxMinor {
			p.add(at(path, "minor"), "%d is not from 0 to %d", in.Minor, maxMinor)
		}
		d.Major, d.Minor = uint32(in.Major), uint32(in.Minor)
	}
	if in.UID != nil {
		d.UID = realID(p, at(path, "uid"), *in.UID)
	}
	if in.GID != nil {
		d.GID = realID(p, at(path, "gid"), *in.GID)
	}
	return d, len(p.found) == before
}

// realID refuses the ID that means "leave as it is" to the kernel: a process
// that asks for it would keep the ID of the runtime.
func realID(p *problems, path string, id uint32) uint32 {
	if id == noID {
		p.add(path, "%d is not an ID", id)
	}
	return id
}

// isNull reports whether a device is the one that masked paths are covered with
// (CVE-2025-31133).
func isNull(d plan.Device) bool {
	return d.Mode&unix.S_IFMT == unix.S_IFCHR && d.Major == 1 && d.Minor == 3
}
