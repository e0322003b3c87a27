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

func TestOptionsThatUndoOthersAreNamed(t *testing.T) {
	for _, tt := range []struct {
		options []string
		want    []string // pairs
	}{
		{[]string{"ro", "rw"}, []string{"ro", "rw"}},
		{[]string{"exec,noexec"}, []string{"exec", "noexec"}},
		{[]string{"ro", "rrw"}, []string{"ro", "rrw"}},
		{[]string{"rro", "rw"}, nil},
		{[]string{"ro", "nosuid", "ro"}, nil},
		{[]string{"shared", "rprivate"}, []string{"shared", "rprivate"}},
		{[]string{"rshared", "private"}, nil},
		{[]string{"rslave", "rshared"}, nil},
		{[]string{"private", "shared"}, nil},
		{[]string{"noatime", "strictatime"}, []string{"noatime", "strictatime"}},
		{[]string{"relatime", "norelatime"}, []string{"relatime", "norelatime"}},
		{[]string{"noatime", "nostrictatime", "nodiratime"}, nil},
		{[]string{"size=1", "size=2"}, nil},
	} {
		s := &specs.Spec{Mounts: []specs.Mount{{Destination: "/a", Options: tt.options}}}
		var want []string
		if tt.want != nil {
			want = []string{`mounts[0].options: "` + tt.want[0] + `" has no effect, because "` + tt.want[1] + `" comes after it`}
		}
		if got := texts(spec.Suspicious(s)); !slices.Equal(got, want) {
			t.Errorf("%q:\ngot  %q\nwant %q", tt.options, got, want)
		}
	}
}

func TestAPathOfACgroupThatClimbsIsNamed(t *testing.T) {
	for path, want := range map[string][]string{
		"/a/../b":   {"linux.cgroupsPath: has .. in it; the cgroup is /b"},
		"../../a":   {"linux.cgroupsPath: has .. in it, which cannot lead out of the caller's cgroup; the container's is ./a in that"},
		"/a..b/...": nil,
		"a":         nil,
	} {
		if got := texts(spec.Suspicious(&specs.Spec{Linux: &specs.Linux{CgroupsPath: path}})); !slices.Equal(got, want) {
			t.Errorf("%s:\ngot  %q\nwant %q", path, got, want)
		}
	}
}

func TestAnAnnotationThatIsNeitherYesNorNoIsNamed(t *testing.T) {
	for value, want := range map[string][]string{
		"maybe": {`annotations.run.oci.keep_original_groups: "maybe" counts as yes (only "0" is no)`},
		"":      {`annotations.run.oci.keep_original_groups: "" counts as yes (only "0" is no)`},
		"1":     nil, "true": nil, "0": nil,
	} {
		s := &specs.Spec{Annotations: map[string]string{"run.oci.keep_original_groups": value}}
		if got := texts(spec.Suspicious(s)); !slices.Equal(got, want) {
			t.Errorf("%q:\ngot  %q\nwant %q", value, got, want)
		}
	}
}

func TestAPathForSystemdIsNamedWhereItIsNot(t *testing.T) {
	s := &specs.Spec{Linux: &specs.Linux{CgroupsPath: "a.slice:b:c"}}
	want := []string{`linux.cgroupsPath: "a.slice:b:c" becomes the name of a cgroup as it is ` +
		"(slice:prefix:name is for systemd as the manager of cgroups: --systemd-cgroup)"}
	if got := texts(spec.WithoutSystemd(s)); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
