package spec

import (
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// netDevices checks what can be known without looking at the devices.
func netDevices(p *problems, s *specs.Spec) {
	taken := make(map[string]string)
	for _, host := range slices.Sorted(maps.Keys(s.Linux.NetDevices)) {
		path := at("linux", "netDevices", host)
		if Namespace(s, specs.NetworkNamespace) == nil {
			p.add(path, "needs a network namespace")
		}
		if !isInterfaceName(host) {
			p.add(path, "not the name of a network device (%s)", interfaceNames)
		}
		if host == "lo" {
			p.add(path, "cannot leave its network namespace: each has one of its own")
		}
		name := s.Linux.NetDevices[host].Name
		if name == "" {
			name = host
		} else if !isInterfaceName(strings.TrimSuffix(name, "%d")) || len(name) > maxInterfaceName {
			p.add(at(path, "name"), "%q is neither the name of a network device nor a template that ends in %%d", name)
		}
		if other, ok := taken[name]; ok && !strings.HasSuffix(name, "%d") {
			p.add(path, "%s gets the name %s as well", other, name)
		}
		taken[name] = path
	}
}

// interfaceNames says what isInterfaceName accepts.
const interfaceNames = "1 to 15 bytes without blank, slash, colon and percent sign, but not . or .."

// maxInterfaceName is IFNAMSIZ without the NUL.
const maxInterfaceName = 15

// isInterfaceName follows dev_valid_name() of the kernel. No device has a
// percent sign in its name: what is named or renamed so gets a number instead.
func isInterfaceName(name string) bool {
	return name != "" && len(name) <= maxInterfaceName && name != "." && name != ".." &&
		!strings.ContainsAny(name, "/:% \t\n\v\f\r")
}
