package tests

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/internal/testkit"
)

//proves:runtime.md#state:8 runtime.md#state:1 runtime.md#state:2 runtime.md#state:4 runtime.md#state:7
func TestTheStateIsAsItsSchemaHasIt(t *testing.T) {
	t.Parallel()
	schema := testkit.Schema(t, "state-schema.json")
	h, d := newHost(t), newDiary(t)
	b := h.newBundle([]string{"sleep"}, allHooks(d))
	c := h.create(b)
	testkit.CheckSchema(t, schema, h.must("state", c.id))
	h.must("start", c.id)
	testkit.CheckSchema(t, schema, h.must("state", c.id))
	h.must("kill", c.id, "KILL")
	h.awaitStatus(c.id, specs.StateStopped)
	testkit.CheckSchema(t, schema, h.must("state", c.id))
	h.must("delete", c.id)
	all := d.read()
	equal(t, "hooks", len(all), 12)
	for _, o := range all {
		testkit.CheckSchema(t, schema, o.Stdin)
	}
}

func TestTheConfigurationOfSpecIsAsItsSchemaHasIt(t *testing.T) {
	t.Parallel()
	schema, h := testkit.Schema(t, "config-schema.json"), newHost(t)
	for _, flags := range [][]string{nil, {"--rootless"}} {
		dir := t.TempDir()
		if r := h.finish(withDir(h.command(append([]string{"spec"}, flags...)...), dir)); r.status != 0 {
			t.Fatal(r.stderr)
		}
		text, err := os.ReadFile(filepath.Join(dir, "config.json"))
		if err != nil {
			t.Fatal(err)
		}
		testkit.CheckSchema(t, schema, string(text))
	}
}

//proves:features.md#annotations:1
func TestTheFeaturesAreAsTheirSchemaHasThem(t *testing.T) {
	t.Parallel()
	testkit.CheckSchema(t, testkit.Schema(t, "features-schema.json"), newHost(t).must("features"))
}
