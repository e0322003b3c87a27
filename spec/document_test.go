package spec_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"

	"hull/spec"
)

// encoded renders s without what depends on the host.
func encoded(t *testing.T, s *specs.Spec) []byte {
	t.Helper()
	drop(s, specs.CgroupNamespace)
	b, err := spec.Encode(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func golden(t *testing.T, file string) []byte {
	t.Helper()
	s, err := spec.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return encoded(t, s)
}

func TestTheDefaultConfigurationIsTheOneUsersKnow(t *testing.T) {
	if got, want := encoded(t, spec.Default()), golden(t, "testdata/default.json"); !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTheRootlessConfigurationIsTheOneUsersKnow(t *testing.T) {
	s := spec.Default()
	spec.Rootless(s)
	if got := s.Linux.UIDMappings[0].HostID; got != uint32(os.Geteuid()) {
		t.Errorf("root is mapped to %d", got)
	}
	s.Linux.UIDMappings[0].HostID, s.Linux.GIDMappings[0].HostID = 0, 0
	if got, want := encoded(t, s), golden(t, "testdata/rootless.json"); !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestFeaturesListsWhatTheCompilerKnows(t *testing.T) {
	yes := true
	f := spec.Features(spec.FeatureParts{
		Cgroup: &features.Cgroup{V1: &yes}, Annotations: map[string]string{"a": "b"},
	})
	if !slices.IsSorted(f.MountOptions) || !slices.IsSorted(f.Linux.Namespaces) {
		t.Errorf("not sorted: %v %v", f.MountOptions, f.Linux.Namespaces)
	}
	for _, option := range []string{"ro", "rro", "idmap", "ridmap", "tmpcopyup", "bind", "copy-symlink", "symfollow"} {
		if !slices.Contains(f.MountOptions, option) {
			t.Errorf("%s is missing", option)
		}
	}
	if slices.Contains(f.MountOptions, "rsync") {
		t.Error("rsync does nothing, but is listed")
	}
	if len(f.Linux.Capabilities) != 41 || len(f.Hooks) != 6 || f.OCIVersionMax != specs.Version || !*f.Linux.MountExtensions.IDMap.Enabled {
		t.Errorf("got %+v", f)
	}
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(new(features.Features)); err != nil {
		t.Error(err)
	}
	for _, property := range []string{`"cgroup":{"v1":true}`, `"annotations":{"a":"b"}`, `"org.systemd.property."`} {
		if !bytes.Contains(b, []byte(property)) {
			t.Errorf("%s is missing in %s", property, b)
		}
	}
}
