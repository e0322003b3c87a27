package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// schemas are the JSON schemas of the specification's module, by file.
type schemas struct {
	dir   string
	files map[string]map[string]any
}

func newSchemas(t *testing.T) *schemas {
	t.Helper()
	list := exec.Command(needTool(t, "go"), "list", "-m", "-f", "{{.Dir}}", "github.com/opencontainers/runtime-spec")
	dir, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	return &schemas{filepath.Join(strings.TrimSpace(string(dir)), "schema"), map[string]map[string]any{}}
}

// check reports whatever a document has against the schema of a file.
func (s *schemas) check(t *testing.T, file, document string) {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(document), &value); err != nil {
		t.Fatal(err)
	}
	for _, problem := range s.problems(t, file, map[string]any{"$ref": file}, "", value) {
		t.Errorf("%s: %s", file, problem)
	}
}

// follow returns what a reference in a file means, and the file that it is in.
func (s *schemas) follow(t *testing.T, file, ref string) (string, map[string]any) {
	t.Helper()
	other, pointer, _ := strings.Cut(ref, "#")
	if other != "" {
		file = other
	}
	if s.files[file] == nil {
		var root map[string]any
		if err := json.Unmarshal([]byte(readFile(t, filepath.Join(s.dir, file))), &root); err != nil {
			t.Fatal(err)
		}
		s.files[file] = root
	}
	at := s.files[file]
	for name := range strings.SplitSeq(strings.Trim(pointer, "/"), "/") {
		if name != "" {
			at, _ = at[name].(map[string]any)
		}
	}
	if at == nil {
		t.Fatalf("%s: %s leads nowhere", file, ref)
	}
	return file, at
}

// problems lists what value, which is at path, has against a schema of a file:
// what draft 4 says of the keywords that the specification's schemas use.
func (s *schemas) problems(t *testing.T, file string, schema map[string]any, path string, value any) []string {
	t.Helper()
	var found []string
	also := func(file string, schema any, path string, value any) {
		if of, ok := schema.(map[string]any); ok {
			found = append(found, s.problems(t, file, of, path, value)...)
		}
	}
	if ref, ok := schema["$ref"].(string); ok {
		other, of := s.follow(t, file, ref)
		also(other, of, path, value)
	}
	for _, keyword := range []string{"allOf", "anyOf"} { // anyOf has one choice only
		for _, part := range list(schema[keyword]) {
			also(file, part, path, value)
		}
	}
	if kind, ok := schema["type"].(string); ok && !isOf(kind, value) {
		return append(found, fmt.Sprintf("%s is %T, not of type %s", path, value, kind))
	}
	if values := list(schema["enum"]); values != nil && !slices.Contains(values, value) {
		found = append(found, fmt.Sprintf("%s is %v, not one of %v", path, value, values))
	}
	switch value := value.(type) {
	case string:
		if pattern, ok := schema["pattern"].(string); ok && !regexp.MustCompile(pattern).MatchString(value) {
			found = append(found, fmt.Sprintf("%s is %q, not like %s", path, value, pattern))
		}
	case float64:
		low, hasLow := schema["minimum"].(float64)
		high, hasHigh := schema["maximum"].(float64)
		if hasLow && value < low || hasHigh && value > high {
			found = append(found, fmt.Sprintf("%s is %v, not from %v to %v", path, value, low, high))
		}
	case []any:
		for i, element := range value {
			also(file, schema["items"], fmt.Sprintf("%s[%d]", path, i), element)
		}
	case map[string]any:
		for _, name := range list(schema["required"]) {
			if _, ok := value[fmt.Sprint(name)]; !ok {
				found = append(found, fmt.Sprintf("%s lacks %s", path, name))
			}
		}
		properties, _ := schema["properties"].(map[string]any)
		patterns, _ := schema["patternProperties"].(map[string]any)
		for name, member := range value {
			also(file, properties[name], path+"."+name, member)
			for _, of := range patterns {
				also(file, of, path+"."+name, member)
			}
			if _, ok := properties[name]; !ok {
				also(file, schema["additionalProperties"], path+"."+name, member)
			}
		}
	}
	return found
}

func list(value any) []any {
	l, _ := value.([]any)
	return l
}

// isOf reports whether a value is of a type of JSON schema.
func isOf(kind string, value any) bool {
	ok := false
	switch kind {
	case "string":
		_, ok = value.(string)
	case "boolean":
		_, ok = value.(bool)
	case "array":
		_, ok = value.([]any)
	case "object":
		_, ok = value.(map[string]any)
	case "integer", "number":
		var n float64
		n, ok = value.(float64)
		ok = ok && (kind == "number" || n == float64(int64(n)))
	}
	return ok
}

// The check itself finds what is wrong.
func TestTheSchemaFindsFaults(t *testing.T) {
	t.Parallel()
	s := newSchemas(t)
	for document, want := range map[string]string{
		`{"root": {"path": "x"}}`: " lacks ociVersion",
		`{"ociVersion": "1.0.0", "process": {"cwd": "/", "user": {"uid": -1}}}`:                                                              ".process.user.uid is -1",
		`{"ociVersion": "1.0.0", "linux": {"namespaces": [{"type": "cake"}]}}`:                                                               ".linux.namespaces[0].type is cake",
		`{"ociVersion": "1.0.0", "linux": {"netDevices": {"eth0": {"name": 1}}}}`:                                                            ".linux.netDevices.eth0.name is float64",
		`{"ociVersion": "1.0.0", "annotations": {"a": 1}}`:                                                                                   ".annotations.a is float64",
		`{"ociVersion": "1.0.0", "linux": {"resources": {"blockIO": {"throttleReadBpsDevice": [{"major": 1}]}}}}`:                            "throttleReadBpsDevice[0] lacks minor",
		`{"ociVersion": "1.0.0", "process": {"cwd": "/", "rlimits": [{"type": "RLIMIT_core", "soft": 1, "hard": 1}]}}`:                       "rlimits[0].type is",
		`{"ociVersion": "1.0.0", "linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG", "CAKE"]}}}`:   "flags[1] is CAKE",
		`{"ociVersion": "1.0.0", "linux": {"memoryPolicy": {"mode": "MPOL_BIND", "nodes": 1}}, "hooks": {"poststop": [{"path": "/x"}, {}]}}`: "hooks.poststop[1] lacks path",
	} {
		var value any
		if err := json.Unmarshal([]byte(document), &value); err != nil {
			t.Fatal(err)
		}
		problems := strings.Join(s.problems(t, "", map[string]any{"$ref": "config-schema.json"}, "", value), "; ")
		if !strings.Contains(problems, want) {
			t.Errorf("%s: %q lacks %q", document, problems, want)
		}
	}
}

//proves:runtime.md#state:8 runtime.md#state:1 runtime.md#state:2 runtime.md#state:4 runtime.md#state:7
func TestTheStateIsAsItsSchemaHasIt(t *testing.T) {
	t.Parallel()
	s := newSchemas(t)
	h, d := newHost(t), newDiary(t)
	b := h.newBundle([]string{"sleep"}, allHooks(d))
	c := h.create(b)
	s.check(t, "state-schema.json", h.must("state", c.id))
	h.must("start", c.id)
	s.check(t, "state-schema.json", h.must("state", c.id))
	h.must("kill", c.id, "KILL")
	h.awaitStatus(c.id, specs.StateStopped)
	s.check(t, "state-schema.json", h.must("state", c.id))
	h.must("delete", c.id)
	all := d.read()
	equal(t, "hooks", len(all), 12)
	for _, o := range all {
		s.check(t, "state-schema.json", o.Stdin)
	}
}

func TestTheConfigurationOfSpecIsAsItsSchemaHasIt(t *testing.T) {
	t.Parallel()
	s, h := newSchemas(t), newHost(t)
	for _, flags := range [][]string{nil, {"--rootless"}} {
		dir := t.TempDir()
		if r := h.finish(withDir(h.command(append([]string{"spec"}, flags...)...), dir)); r.status != 0 {
			t.Fatal(r.stderr)
		}
		text, err := os.ReadFile(filepath.Join(dir, "config.json"))
		if err != nil {
			t.Fatal(err)
		}
		s.check(t, "config-schema.json", string(text))
	}
}

func TestTheFeaturesAreAsTheirSchemaHasThem(t *testing.T) {
	t.Parallel()
	s, h := newSchemas(t), newHost(t)
	s.check(t, "features-schema.json", h.must("features"))
}
