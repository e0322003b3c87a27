package spec

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// Suspicious lists what the specification allows and hardly anybody means: what
// has no effect, or undoes what stands before it.
func Suspicious(s *specs.Spec) []error {
	var found problems
	hiddenMounts(&found, s.Mounts)
	for i := range s.Mounts {
		undoneOptions(&found, at("mounts", i, "options"), s.Mounts[i].Options)
	}
	yesOrNo(&found, s.Annotations)
	climbingCgroup(&found, linux(s).CgroupsPath)
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

// undoneOptions reports options of a mount that do nothing, because a later one
// says the opposite. Only those are, of which the later one has the same scope or a
// wider one.
func undoneOptions(found *problems, path string, texts []string) {
	var before []*option
	for _, text := range texts {
		for _, name := range splitOptions(text) {
			o := findOption(name)
			if o == nil {
				continue
			}
			for _, b := range before {
				if o.scope >= b.scope && o.undoes(b) {
					found.add(path, "%q has no effect, because %q comes after it", b.name, o.name)
				}
			}
			before = append(before, o)
		}
	}
}

// undoes reports whether o leaves nothing of what b did before. A mount may well
// become a slave or private first and then shared, or shared and then a slave
// (mount_namespaces(7), "MS_SLAVE example").
func (o *option) undoes(b *option) bool {
	switch {
	case o.kind != b.kind:
		return false
	case o.kind == attribute:
		return o.flag == b.flag && o.sense != b.sense
	case o.kind == accessTime:
		return b.sense == set && (o.flag == b.flag) == (o.sense == unset)
	case o.kind == propagation:
		return b.flag&(unix.MS_SHARED|unix.MS_SLAVE) != 0 && o.flag&(unix.MS_PRIVATE|unix.MS_UNBINDABLE) != 0
	}
	return false
}

// yesOrNo reports annotations whose value is taken for a yes, and may be meant as
// a no: for crun, whose they are, everything is that is not "0".
func yesOrNo(found *problems, annotations map[string]string) {
	for _, key := range [...]string{AnnotationKeepGroups, AnnotationSeccompStrict} {
		switch value, there := annotations[key]; {
		case !there, value == "0", value == "1", value == "true":
		default:
			found.found = append(found.found, fault.Newf("", at("annotations", key), "%q counts as yes", value).
				WithHint(`only "0" is no`))
		}
	}
}

// climbingCgroup reports a path that does not lead to where it looks like.
func climbingCgroup(found *problems, cgroupsPath string) {
	if !slices.Contains(strings.Split(cgroupsPath, "/"), "..") {
		return
	}
	clean := filepath.Clean("/" + cgroupsPath)
	if filepath.IsAbs(cgroupsPath) {
		found.add("linux.cgroupsPath", "has .. in it; the cgroup is %s", clean)
	} else {
		found.add("linux.cgroupsPath", "has .. in it, which cannot lead out of the caller's cgroup; the container's is .%s in that", clean)
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

// WithoutSystemd lists what is for systemd and means nothing, or something else,
// where another manager has the cgroups.
func WithoutSystemd(s *specs.Spec) []error {
	var found problems
	for _, key := range slices.Sorted(maps.Keys(s.Annotations)) {
		if key == AnnotationSubgroup || strings.HasPrefix(key, AnnotationSystemdPrefix) {
			found.found = append(found.found, fault.Newf("", at("annotations", key), "has no effect").
				WithHint("it takes systemd as the manager of cgroups: --systemd-cgroup"))
		}
	}
	if p := linux(s).CgroupsPath; strings.Count(p, ":") == 2 && !strings.Contains(p, "/") {
		found.found = append(found.found, fault.Newf("", "linux.cgroupsPath", "%q becomes the name of a cgroup as it is", p).
			WithHint("slice:prefix:name is for systemd as the manager of cgroups: --systemd-cgroup"))
	}
	return found.found
}
