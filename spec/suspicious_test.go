package spec_test

import (
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/spec"
)

func texts(errs []error) (out []string) {
	for _, err := range errs {
		out = append(out, err.Error())
	}
	return out
}

func TestWhatIsAllowedAndHardlyMeantIsNamed(t *testing.T) {
	s := spec.Default()
	if got := spec.Suspicious(s); len(got) != 0 {
		t.Errorf("the default configuration: %v", got)
	}
	s.Mounts = []specs.Mount{
		{Destination: "/a"},
		{Destination: "/b"},
		{Destination: "/a", Options: []string{"remount", "ro"}},
		{Destination: "/x/../b/"},
	}
	s.Process.Env = []string{"A=1", "B=2", "A=3"}
	s.Windows = &specs.Windows{}
	want := []string{
		"mounts[3].destination: /b is the target of mounts[1], which is hidden by this one",
		"process.env[2]: A is set in process.env[0], whose value is lost",
		"windows: is for another platform and has no effect",
	}
	if got := texts(spec.Suspicious(s)); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestAnnotationsForSystemdAreNamedWhereItIsNot(t *testing.T) {
	s := &specs.Spec{Annotations: map[string]string{
		"run.oci.systemd.subgroup": "a", "org.systemd.property.Nice": "1", "run.oci.keep_original_groups": "1",
	}}
	const why = ": has no effect (it takes systemd as the manager of cgroups: --systemd-cgroup)"
	want := []string{"annotations.org.systemd.property.Nice" + why, "annotations.run.oci.systemd.subgroup" + why}
	if got := texts(spec.WithoutSystemd(s)); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
