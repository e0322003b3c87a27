package tests

import (
	"fmt"
	"os"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// What the specification calls REQUIRED has to be there: a number that is missing
// is not 0.
//
//proves:config-linux.md#namespaces:1 config-linux.md#devices:2 config-linux.md#devices:3 config-linux.md#devices:5
//proves:config-linux.md#user-namespace-mappings:1 config-linux.md#user-namespace-mappings:2 config-linux.md#user-namespace-mappings:3
//proves:config.md#mounts:2 mounts[].destination linux.namespaces[].type linux.devices[].type linux.devices[].path
//proves:linux.devices[].major linux.devices[].minor linux.uidMappings[].containerID linux.uidMappings[].hostID linux.uidMappings[].size
//proves:linux.gidMappings[].containerID linux.gidMappings[].hostID linux.gidMappings[].size
func TestWhatIsRequiredOfMountsDevicesAndMappingsMustBeThere(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid"}, inUserNamespace, withDevices(
		specs.LinuxDevice{Path: "/dev/full", Type: "c", Major: 1, Minor: 7}, specs.LinuxDevice{Path: "/dev/x", Type: "p"}))
	text, err := os.ReadFile(b.path("config.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range [][]any{
		{"mounts", 0, "destination"},
		{"linux", "namespaces", 0, "type"},
		{"linux", "devices", 0, "type"},
		{"linux", "devices", 0, "path"},
		{"linux", "devices", 0, "major"},
		{"linux", "devices", 0, "minor"},
		{"linux", "uidMappings", 0, "containerID"},
		{"linux", "uidMappings", 0, "hostID"},
		{"linux", "uidMappings", 0, "size"},
		{"linux", "gidMappings", 0, "containerID"},
		{"linux", "gidMappings", 0, "hostID"},
		{"linux", "gidMappings", 0, "size"},
	} {
		if err := os.WriteFile(b.path("config.json"), change(t, text, nil, path...), 0o644); err != nil {
			t.Fatal(err)
		}
		name := ""
		for _, step := range path {
			switch step := step.(type) {
			case int:
				name += fmt.Sprintf("[%d]", step)
			case string:
				name += "." + step
			}
		}
		h.refuses([]string{name[1:]}, "create", "--bundle", b.dir, newID())
	}
	// A fifo has no numbers.
	writeFile(t, b.path("config.json"), string(change(t, change(t, text, nil, "linux", "devices", 1, "major"), nil, "linux", "devices", 1, "minor")))
	h.must("run", "--bundle", b.dir, newID())
}
