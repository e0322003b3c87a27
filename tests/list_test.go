package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// listed is an entry of list, and what state prints.
type listed struct {
	OCIVersion  string            `json:"ociVersion"`
	ID          string            `json:"id"`
	Pid         int               `json:"pid"`
	Status      string            `json:"status"`
	Bundle      string            `json:"bundle"`
	Rootfs      string            `json:"rootfs"`
	Created     time.Time         `json:"created"`
	Annotations map[string]string `json:"annotations"`
	Owner       string            `json:"owner"`
	Obstacles   []string          `json:"obstacles"`
}

func TestListShowsEveryContainerInEveryFormat(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	want := map[string]*container{}
	for status, bring := range statuses() {
		want[status] = bring(h)
	}
	var all []listed
	decodeStrictly(t, h.must("list", "--format", "json"), &all)
	equal(t, "number in JSON", len(all), len(want))
	table := strings.Split(strings.TrimSuffix(h.must("list"), "\n"), "\n")
	equal(t, "title", strings.Fields(table[0]), []string{"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"})
	equal(t, "number in the table", len(table)-1, len(want))
	for status, c := range want {
		s := h.state(c.id)
		i := slices.IndexFunc(all, func(l listed) bool { return l.ID == c.id })
		if i < 0 {
			t.Errorf("%s is not in the JSON", c.id)
			continue
		}
		equal(t, "JSON of "+status, []any{all[i].Status, all[i].Pid, all[i].Bundle, all[i].Rootfs, all[i].Owner, all[i].OCIVersion},
			[]any{status, s.Pid, s.Bundle, s.Bundle + "/rootfs", "root", s.Version})
		row := slices.IndexFunc(table, func(line string) bool { return strings.Fields(line)[0] == c.id })
		if row < 0 {
			t.Errorf("%s is not in the table", c.id)
			continue
		}
		equal(t, "row of "+status, strings.Fields(table[row]),
			[]string{c.id, strconv.Itoa(s.Pid), status, s.Bundle, all[i].Created.Format(time.RFC3339Nano), "root"})
		// Columns line up.
		equal(t, "column", strings.Index(table[0], "BUNDLE"), strings.Index(table[row], s.Bundle))
	}
	ids := strings.Fields(h.must("list", "-q"))
	equal(t, "IDs are sorted", slices.IsSorted(ids), true)
	equal(t, "number of IDs", len(ids), len(want))
	equal(t, "--quiet", h.must("list", "--quiet"), h.must("list", "-q"))
}

func TestAnEmptyListHasItsTitleOnly(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	equal(t, "table", strings.Fields(h.must("list")), []string{"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"})
	equal(t, "JSON", h.must("list", "--format", "json"), "null\n")
	equal(t, "IDs", h.must("list", "-q"), "")
}

func TestListRefusesAnUnknownFormatAndArguments(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.refuses([]string{"invalid format option"}, "list", "--format", "yaml")
	h.refuses([]string{`"list" requires exactly 0 argument`}, "list", "x")
	missing := filepath.Join(t.TempDir(), "missing")
	gone := &host{t: t, root: missing}
	gone.refuses([]string{missing, "no such file or directory"}, "list")
}

func TestABrokenContainerDoesNotHideTheOthers(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	broken := h.create(h.newBundle([]string{"sleep"}))
	restore := garble(t, filepath.Join(h.root, broken.id))
	defer restore()
	r := h.try("list", "-q")
	if r.status != 0 || !slices.Contains(strings.Fields(r.stdout), c.id) {
		t.Errorf("status %d: %q", r.status, r.stdout)
	}
	if !strings.Contains(r.stderr, "level=warning") || !strings.Contains(r.stderr, broken.id) {
		t.Errorf("no warning: %q", r.stderr)
	}
}

// garble overwrites the files of a directory and returns how to undo that.
func garble(t *testing.T, dir string) (restore func()) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	before := map[string][]byte{}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if before[path], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if len(before) == 0 {
		t.Fatalf("no file in %s", dir)
	}
	return func() {
		for path, text := range before {
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Error(err)
			}
		}
	}
}

// decodeStrictly decodes JSON, all of it, into what has a place for everything.
func decodeStrictly(t *testing.T, text string, v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if d.More() {
		t.Errorf("something follows the JSON: %s", text)
	}
}

// multiply makes as many containers of one as are wanted: records of the same
// process.
func (c *container) multiply(count int) {
	c.h.t.Helper()
	for i := range count - 1 {
		id := fmt.Sprintf("%s-%d", c.id, i)
		err := filepath.WalkDir(filepath.Join(c.h.root, c.id), func(path string, d os.DirEntry, err error) error {
			to := strings.ReplaceAll(path, c.id, id)
			switch {
			case err != nil:
				return err
			case d.IsDir():
				return os.Mkdir(to, 0o700)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text = bytes.ReplaceAll(text, []byte(c.id), []byte(id))
			if d.Name() == "record" {
				text = sealed(text)
			}
			return os.WriteFile(to, text, 0o600)
		})
		if err != nil {
			c.h.t.Fatal(err)
		}
	}
}

// sealed gives a record the checksum that it has to have.
func sealed(record []byte) []byte {
	lines := record[:bytes.LastIndex(record, []byte("\nsum "))+1]
	sum := fnv.New64a()
	_, _ = sum.Write(lines)
	return fmt.Appendf(slices.Clone(lines), "sum %x\n", sum.Sum64())
}

// A container outlives the hull that has made it: another one has fields of which
// this one knows nothing, or lacks some.
func TestAContainerOfAnotherVersionIsUsedAndDeleted(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(record string) string{
		"newer": func(r string) string {
			r = strings.Replace(r, "\nbundle ", "\nimages 1\n- name \"a\"\n  layers 1\n- \"b\"\nbundle ", 1)
			return strings.ReplaceAll(r, "\n  path ", "\n  depth 3\n  path ")
		},
		"older": func(r string) string {
			return strings.Replace(r, "\nsilenced false\ncallersKeyring false\n", "\n", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, d := newHost(t), newDiary(t)
			b := h.newBundle([]string{"sleep"}, func(s *specs.Spec) {
				s.Hooks = &specs.Hooks{Poststop: []specs.Hook{d.hook("poststop")}}
			})
			c := h.create(b)
			file := filepath.Join(h.root, c.id, "record")
			was := readFile(t, file)
			changed := change(was)
			if changed == was {
				t.Fatalf("it is not changed:\n%s", was)
			}
			writeFile(t, file, string(sealed([]byte(changed))))
			equal(t, "status", h.state(c.id).Status, specs.StateCreated)
			h.must("start", c.id)
			h.must("exec", c.id, "/probe", "pid")
			h.must("kill", c.id, "KILL")
			h.awaitStatus(c.id, specs.StateStopped)
			h.must("delete", c.id)
			equal(t, "hooks", d.names(), []string{"poststop"})
			h.nothingRemains(c.id, b)
		})
	}
}

func TestListTakesAThousandContainersAndFewDescriptors(t *testing.T) {
	h := newHost(t)
	c := h.start(nil)
	count, broken := fewer(1000), 10
	c.multiply(count + broken)
	defer func() { // they are one, and go with it
		for _, dir := range globOf(t, filepath.Join(h.root, c.id+"-*")) {
			_ = os.RemoveAll(dir)
		}
	}()
	for i := range broken {
		garble(t, filepath.Join(h.root, fmt.Sprintf("%s-%d", c.id, i)))
	}
	h.through = []string{needTool(t, "prlimit"), "--nofile=64:64"}
	for _, format := range []string{"json", "table"} {
		began := time.Now()
		r := h.try("list", "--format", format)
		took := time.Since(began)
		// As a rule it is 0.1 s.
		if r.status != 0 || took > atMost(3) {
			t.Errorf("%s: status %d after %v", format, r.status, took)
		}
		t.Logf("%s: %v", format, took)
		equal(t, "warnings of the broken ones", strings.Count(r.stderr, "level=warning"), broken)
		shown := strings.Count(r.stdout, "\n") - 1
		if format == "json" {
			var all []listed
			decodeStrictly(t, r.stdout, &all)
			shown = len(all)
		}
		equal(t, "containers", shown, count)
	}
}

func globOf(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return names
}
