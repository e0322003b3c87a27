package tests

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// change returns the JSON of a configuration with the value at the path of keys
// replaced; a nil value deletes it.
func change(t *testing.T, text []byte, value any, path ...any) []byte {
	t.Helper()
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	at := tree
	last := len(path) - 1
	for _, key := range path[:last] {
		at = member(t, at, key)
	}
	put(t, at, path[last], value)
	out, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// member is what an object or list has at key.
func member(t *testing.T, at, key any) any {
	t.Helper()
	switch at := at.(type) {
	case map[string]any:
		if name, ok := key.(string); ok {
			return at[name]
		}
	case []any:
		if index, ok := key.(int); ok {
			return at[index]
		}
	}
	t.Fatalf("no member %v of %v", key, at)
	return nil
}

// put sets the member of an object or list; nil removes one of an object.
func put(t *testing.T, at, key, value any) {
	t.Helper()
	switch at := at.(type) {
	case map[string]any:
		name, _ := key.(string)
		at[name] = value
		if value == nil {
			delete(at, name)
		}
	case []any:
		index, _ := key.(int)
		at[index] = value
	default:
		t.Fatalf("no member %v of %v", key, at)
	}
}

// object makes a JSON object of names and values in turn.
func object(pairs ...any) map[string]any {
	m := make(map[string]any)
	for i := 0; i < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		m[name] = pairs[i+1]
	}
	return m
}

// The bundles that are broken are in testdata/bad. This one looks closely at what
// a few of them leave.
//
//proves:runtime.md#errors:1 runtime.md#lifecycle:2 runtime.md#create:6
func TestABrokenConfigurationLeavesNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid"})
	good, err := os.ReadFile(b.path("config.json"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"half a file":     good[:len(good)/2],
		"a wrong type":    change(t, good, 5, "hostname"),
		"a wrong value":   change(t, good, "tmp", "process", "cwd"),
		"a wrong cgroup":  change(t, good, "/", "linux", "cgroupsPath"),
		"a missing file":  change(t, good, "/no-such-file", "linux", "namespaces", 1, "path"),
		"a wrong sysctl":  change(t, good, object("vm.swappiness", "1"), "linux", "sysctl"),
		"a wrong profile": change(t, good, object("defaultAction", "SCMP_ACT_MAYBE"), "linux", "seccomp"),
	} {
		if err := os.WriteFile(b.path("config.json"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, command := range []string{"create", "run"} {
			id := newID()
			if r := h.try(command, "--bundle", b.dir, id); r.status != 1 || strings.Count(r.stderr, "\n") != 1 {
				t.Errorf("%s: %s: status %d, %q", name, command, r.status, r.stderr)
			}
			h.nothingRemains(id, b)
		}
	}
}

func TestAllThatIsWrongIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid"})
	good, err := os.ReadFile(b.path("config.json"))
	if err != nil {
		t.Fatal(err)
	}
	bad := change(t, change(t, good, "tmp", "process", "cwd"), "galaxy", "linux", "namespaces", 1, "type")
	if err := os.WriteFile(b.path("config.json"), bad, 0o600); err != nil {
		t.Fatal(err)
	}
	h.refuses([]string{"process.cwd", "linux.namespaces[1].type"}, "run", "--bundle", b.dir, newID())
}

func TestAConfigurationWithoutEndIsNotRead(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid"})
	h.refuses([]string{"/dev/zero", "longer than"}, "run", "--bundle", b.dir, "--config", "/dev/zero", newID())
	h.refuses([]string{b.dir, "is a directory"}, "run", "--bundle", b.dir, "--config", b.dir, newID())
}

//proves:config.md#extensibility:1 ociVersion
func TestFieldsThatNobodyKnowsAreIgnored(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid"})
	good, err := os.ReadFile(b.path("config.json"))
	if err != nil {
		t.Fatal(err)
	}
	text := change(t, change(t, good, "1.99.0", "ociVersion"), []any{1, 2}, "process", "ofTheFuture")
	if err := os.WriteFile(b.path("config.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	h.must("run", "--bundle", b.dir, newID())
}
