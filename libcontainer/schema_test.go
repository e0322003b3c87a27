package libcontainer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"hull/internal/testkit"
)

// beyond says why a document that the schema refuses is accepted, or "".
func beyond(path string, value any) string {
	switch {
	case value == nil && !strings.HasSuffix(path, " deleted"):
		return "null stands for a property that is not there, as Go programs write it"
	case path == "linux.rootfsPropagation" && value == "":
		return "so does the empty string"
	case strings.HasPrefix(path, "linux.resources.pids"), strings.HasPrefix(path, "linux.seccomp"):
		return required(path, value)
	}
	return ""
}

// required is beyond for the two properties that engines leave out, for no limit
// and no filter, as long as they leave out no more.
func required(path string, value any) string {
	empty, ok := value.(map[string]any)
	switch {
	case path == "linux.resources.pids.limit deleted", path == "linux.seccomp.defaultAction deleted",
		path == "linux.resources.pids" && ok && len(empty) == 0, path == "linux.seccomp" && ok && len(empty) == 0:
		return "engines leave it out"
	}
	return ""
}

// TestWhatTheSchemaRefusesIsRefused changes one thing at a time in a document
// that has everything. The other way round there is no rule: hull knows more.
func TestWhatTheSchemaRefusesIsRefused(t *testing.T) {
	t.Parallel()
	schema := testkit.Schema(t, "config-schema.json")
	text, err := os.ReadFile("testdata/everything.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(parse(t, text)); err != nil {
		t.Fatalf("the document itself: %v", err)
	}
	refused := 0
	root := parse(t, text)
	mutateValue(root, "", func(path string, value any) {
		if path == "" || schema.Validate(root) == nil {
			return
		}
		refused++
		mutant, err := json.Marshal(root)
		if err != nil {
			t.Fatal(err)
		}
		n := creation{config: mutant}
		if err := n.examine(); err == nil && beyond(path, value) == "" {
			t.Errorf("%s = %v: the schema refuses it, hull does not", path, value)
		}
	}, func(any) {})
	if refused < 200 {
		t.Errorf("the schema refused only %d mutants", refused)
	}
}

func parse(t *testing.T, text []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// mutateObject calls emit with each object that lacks one property of object, or
// has another value there.
func mutateObject(object map[string]any, path string, emit func(string, any)) {
	for _, key := range slices.Sorted(maps.Keys(object)) {
		here, before := strings.TrimPrefix(path+"."+key, "."), object[key]
		delete(object, key)
		emit(here+" deleted", nil)
		mutateValue(before, here, emit, func(v any) { object[key] = v })
		object[key] = before
	}
}

// mutateValue puts other values in the place of one, a random third of those that
// there are, and goes into it.
func mutateValue(before any, path string, emit func(string, any), put func(any)) {
	values := []any{
		nil, true, "bogus", "", json.Number("-1"), json.Number("1.5"),
		json.Number("4294967296"), json.Number("18446744073709551616"),
		[]any{},
		map[string]any{},
	}
	for _, i := range rand.Perm(len(values))[:len(values)/3] {
		put(values[i])
		emit(path, values[i])
	}
	put(before)
	switch v := before.(type) {
	case map[string]any:
		mutateObject(v, path, emit)
	case []any:
		for i := range v {
			mutateValue(v[i], fmt.Sprintf("%s[%d]", path, i), emit, func(n any) { v[i] = n })
		}
	}
}
