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

//proves:ociVersion config.md#specification-version:1 config.md#valid-values:1 config.md#root:3 config.md#root:4
//proves:runtime.md#errors:1 runtime.md#lifecycle:2 runtime.md#create:6
func TestABrokenConfigurationIsRefusedByItsPathAndLeavesNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid"})
	good, err := os.ReadFile(b.path("config.json"))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		text []byte
		want string
	}{
		"an empty file":         {[]byte(""), "config.json: line 1"},
		"half a file":           {good[:len(good)/2], "config.json: line "},
		"a list":                {[]byte("[]"), "config.json: must be an object"},
		"two objects":           {append(append([]byte{}, good...), "{}"...), "something follows"},
		"no version":            {change(t, good, nil, "ociVersion"), "ociVersion: must be set"},
		"a future version":      {change(t, good, "2.0.0", "ociVersion"), "ociVersion: 2.0.0"},
		"no version at all":     {change(t, good, "new", "ociVersion"), `ociVersion: "new"`},
		"a number for a string": {change(t, good, 5, "hostname"), "hostname"},
		"a string for a list":   {change(t, good, "x", "process", "args"), "process.args"},
		"a fractional uid":      {change(t, good, 1.5, "process", "user", "uid"), "process.user.uid"},
		"a negative uid":        {change(t, good, -1, "process", "user", "uid"), "process.user.uid"},
		"no args":               {change(t, good, []any{}, "process", "args"), "process.args"},
		"a relative cwd":        {change(t, good, "tmp", "process", "cwd"), "process.cwd"},
		"no cwd":                {change(t, good, nil, "process", "cwd"), "process.cwd"},
		"a NUL in args":         {change(t, good, []any{"/probe", "a\x00b"}, "process", "args"), "process.args[1]"},
		"a part of a cache":     {change(t, good, object("closID", "x"), "linux", "intelRdt"), "linux.intelRdt"},
		"a network device":      {change(t, good, object("eth9", object("name", "eth0")), "linux", "netDevices"), "linux.netDevices"},
		"an unknown rlimit":     {change(t, good, []any{object("type", "RLIMIT_X", "soft", 1, "hard", 1)}, "process", "rlimits"), "process.rlimits[0]"},
		"a rlimit upside down":  {change(t, good, []any{object("type", "RLIMIT_CORE", "soft", 2, "hard", 1)}, "process", "rlimits"), "process.rlimits[0]"},
		"a twofold rlimit": {change(t, good, []any{
			object("type", "RLIMIT_CORE", "soft", 1, "hard", 1), object("type", "RLIMIT_CORE", "soft", 1, "hard", 1),
		}, "process", "rlimits"), "process.rlimits[1]"},
		"no root":                {change(t, good, nil, "root"), "root: must be set"},
		"an empty root":          {change(t, good, "", "root", "path"), "root.path"},
		"a mount to nowhere":     {change(t, good, "", "mounts", 0, "destination"), "mounts[0].destination"},
		"an option of nobody":    {change(t, good, []any{"bind", "rnothing", "idmap"}, "mounts", 1, "options"), "mounts[1]"},
		"an unknown namespace":   {change(t, good, "galaxy", "linux", "namespaces", 1, "type"), "linux.namespaces[1].type"},
		"a namespace twice":      {change(t, good, "pid", "linux", "namespaces", 1, "type"), "linux.namespaces[1].type"},
		"a relative namespace":   {change(t, good, "proc/1/ns/net", "linux", "namespaces", 1, "path"), "linux.namespaces[1].path"},
		"an unknown propagation": {change(t, good, "wide", "linux", "rootfsPropagation"), "linux.rootfsPropagation"},
		"a relative mask":        {change(t, good, []any{"proc/x"}, "linux", "maskedPaths"), "linux.maskedPaths[0]"},
		"a host's sysctl":        {change(t, good, object("vm.swappiness", "1"), "linux", "sysctl"), "linux.sysctl"},
		"a mapping of nobody": {
			change(t, good, []any{object("containerID", 0, "hostID", 0, "size", 1)}, "linux", "uidMappings"),
			"linux.uidMappings",
		},
		"a device of no type": {change(t, good, []any{object("path", "/dev/x", "type", "z")}, "linux", "devices"), "linux.devices[0].type"},
		"a rule of no access": {
			change(t, good, []any{object("allow", true, "access", "xyz")}, "linux", "resources", "devices"),
			"linux.resources.devices[0].access",
		},
		"no action":        {change(t, good, object("defaultAction", "SCMP_ACT_MAYBE"), "linux", "seccomp"), "linux.seccomp.defaultAction"},
		"a hook nowhere":   {change(t, good, object("poststop", []any{object("path", "x")}), "hooks"), "hooks.poststop[0].path"},
		"a long hostname":  {change(t, good, strings.Repeat("x", 65), "hostname"), "hostname"},
		"a large OOM rate": {change(t, good, 1001, "process", "oomScoreAdj"), "process.oomScoreAdj"},
	} {
		if err := os.WriteFile(b.path("config.json"), tt.text, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, command := range []string{"create", "run"} {
			id := newID()
			r := h.try(command, "--bundle", b.dir, id)
			said := strings.ReplaceAll(r.stderr, `\"`, `"`)
			if r.status != 1 || !strings.Contains(said, tt.want) {
				t.Errorf("%s: %s: status %d, %q lacks %q", name, command, r.status, said, tt.want)
			}
			if strings.Count(r.stderr, "\n") != 1 {
				t.Errorf("%s: not one line: %q", name, r.stderr)
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
