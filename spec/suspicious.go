package spec

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/internal/fault"
)

// Suspicious lists what the specification allows and hardly anybody means: what
// has no effect, or undoes what stands before it.
func Suspicious(s *specs.Spec) []error {
	var found problems
	hiddenMounts(&found, s.Mounts)
	if s.Process != nil {
		setAgain(&found, s.Process.Env)
	}
	for _, section := range []struct {
		name  string
		there bool
	}{
		{"freebsd", s.FreeBSD != nil},
		{"solaris", s.Solaris != nil},
		{"vm", s.VM != nil},
		{"windows", s.Windows != nil},
		{"zos", s.ZOS != nil},
	} {
		if section.there {
			found.add(section.name, "is for another platform and has no effect")
		}
	}
	return found.found
}

// hiddenMounts reports mounts that hide one before them.
func hiddenMounts(found *problems, mounts []specs.Mount) {
	first := make(map[string]int, len(mounts))
	for i := range mounts {
		target := filepath.Clean("/" + mounts[i].Destination)
		if before, twice := first[target]; twice && !isRemount(&mounts[i]) {
			found.add(at("mounts", i, "destination"), "%s is the target of mounts[%d], which is hidden by this one", target, before)
		}
		first[target] = i
	}
}

func isRemount(m *specs.Mount) bool { return slices.Contains(m.Options, "remount") }

// setAgain reports variables that are set more than once.
func setAgain(found *problems, env []string) {
	first := make(map[string]int, len(env))
	for i, variable := range env {
		name, _, _ := strings.Cut(variable, "=")
		if before, twice := first[name]; twice {
			found.add(at("process", "env", i), "%s is set in process.env[%d], whose value is lost", name, before)
		}
		first[name] = i
	}
}

// WithoutSystemd lists the annotations that are for systemd and have no effect
// where another manager has the cgroups.
func WithoutSystemd(s *specs.Spec) []error {
	var found problems
	for _, key := range slices.Sorted(maps.Keys(s.Annotations)) {
		if key == AnnotationSubgroup || strings.HasPrefix(key, AnnotationSystemdPrefix) {
			found.found = append(found.found, fault.Newf("", at("annotations", key), "has no effect").
				WithHint("it takes systemd as the manager of cgroups: --systemd-cgroup"))
		}
	}
	return found.found
}
