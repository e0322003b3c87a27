package testkit

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Schema compiles one of the JSON schemas that come with the specification, such
// as "config-schema.json". A machine without Go does not have them.
func Schema(tb testing.TB, name string) *jsonschema.Schema {
	tb.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/opencontainers/runtime-spec").Output()
	if err != nil {
		tb.Skipf("this machine lacks Go, and with it the schemas of the specification: %v", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft4) // only the top files say so
	compiler.UseLoader(schemaLoader{})
	schema, err := compiler.Compile(filepath.Join(strings.TrimSpace(string(out)), "schema", name))
	if err != nil {
		tb.Fatal(err)
	}
	return schema
}

// CheckSchema reports what a JSON document has against a schema.
func CheckSchema(tb testing.TB, schema *jsonschema.Schema, document string) {
	tb.Helper()
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(document))
	if err == nil {
		err = schema.Validate(value)
	}
	if err != nil {
		tb.Errorf("%v\n%s", err, document)
	}
}

// schemaLoader reads schemas and repairs a reference of version 1.3.0 that leads
// nowhere, "#definitions/uint32".
type schemaLoader struct{}

// Load implements jsonschema.URLLoader.
func (schemaLoader) Load(url string) (any, error) {
	text, err := os.ReadFile(strings.TrimPrefix(url, "file://"))
	if err != nil {
		return nil, err
	}
	text = bytes.ReplaceAll(text, []byte(`"#definitions/`), []byte(`"#/definitions/`))
	return jsonschema.UnmarshalJSON(bytes.NewReader(text))
}
