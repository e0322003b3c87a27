package spec

import (
	"reflect"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// required lists the properties that an object must have, as the JSON schema of
// the specification says it ("required"), and for a throttle's rate and the
// priority of I/O the text ("REQUIRED"). Absent and null are one. Beyond the
// schema, a device that is no fifo has numbers (config-linux.md, "Devices").
//
// Of the schema's, two are not here because engines leave them out and mean "no
// limit" and "no filter": linux.resources.pids.limit and
// linux.seccomp.defaultAction. Neither are those that only other platforms have,
// nor process.cwd, which Validate wants to be absolute.
func required(object reflect.Value) []string {
	switch t := object.Type(); t {
	case reflect.TypeFor[specs.Spec]():
		return []string{"ociVersion"}
	case reflect.TypeFor[specs.Root](), reflect.TypeFor[specs.Hook]():
		return []string{"path"}
	case reflect.TypeFor[specs.Box]():
		return []string{"height", "width"}
	case reflect.TypeFor[specs.POSIXRlimit]():
		return []string{"type", "soft", "hard"}
	case reflect.TypeFor[specs.Scheduler]():
		return []string{"policy"}
	case reflect.TypeFor[specs.LinuxIOPriority]():
		return []string{"class", "priority"}
	case reflect.TypeFor[specs.Mount]():
		return []string{"destination"}
	case reflect.TypeFor[specs.LinuxIDMapping]():
		return []string{"containerID", "hostID", "size"}
	case reflect.TypeFor[specs.LinuxNamespace]():
		return []string{"type"}
	case reflect.TypeFor[specs.LinuxDevice]():
		if kind := object.FieldByName("Type").String(); kind == "" || kind == "p" {
			return []string{"type", "path"}
		}
		return []string{"path", "major", "minor"}
	default:
		return requiredByResources(t)
	}
}

// requiredByResources is required for linux.resources and linux.seccomp.
func requiredByResources(t reflect.Type) []string {
	switch t {
	case reflect.TypeFor[specs.LinuxDeviceCgroup]():
		return []string{"allow"}
	case reflect.TypeFor[specs.LinuxHugepageLimit]():
		return []string{"pageSize", "limit"}
	case reflect.TypeFor[specs.LinuxThrottleDevice]():
		return []string{"major", "minor", "rate"}
	case reflect.TypeFor[specs.LinuxWeightDevice]():
		return []string{"major", "minor"}
	case reflect.TypeFor[specs.LinuxInterfacePriority]():
		return []string{"name", "priority"}
	case reflect.TypeFor[specs.LinuxSyscall]():
		return []string{"names", "action"}
	case reflect.TypeFor[specs.LinuxSeccompArg]():
		return []string{"index", "value", "op"}
	}
	return nil
}
