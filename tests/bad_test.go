package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// badCase is one broken bundle; see testdata/bad/README.md.
type badCase struct {
	name    string
	changes []string
	want    string
}

// badCases reads a file of cases.
func badCases(t *testing.T, file string) (cases []badCase) {
	t.Helper()
	for i, line := range strings.Split(readFile(t, file), "\n") {
		text, indented := strings.CutPrefix(line, "\t")
		want, isWant := strings.CutPrefix(text, "> ")
		switch {
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#"):
		case !indented:
			cases = append(cases, badCase{name: line})
		case len(cases) == 0:
			t.Fatalf("%s:%d: a change of no case", file, i+1)
		case isWant:
			cases[len(cases)-1].want = repeated(want)
		default:
			cases[len(cases)-1].changes = append(cases[len(cases)-1].changes, repeated(text))
		}
	}
	return cases
}

var repetition = regexp.MustCompile(`\{([^{}]+)\*(\d+)\}`)

// repeated expands {X*N}.
func repeated(text string) string {
	return repetition.ReplaceAllStringFunc(text, func(s string) string {
		parts := repetition.FindStringSubmatch(s)
		n, _ := strconv.Atoi(parts[2])
		return strings.Repeat(parts[1], n)
	})
}

// broken returns the JSON of a configuration with the changes of a case.
func (c *badCase) broken(good []byte) ([]byte, error) {
	text := json.RawMessage(good)
	for _, change := range c.changes {
		path, isDelete := strings.CutPrefix(change, "delete ")
		path, value, isSet := strings.Cut(path, " = ")
		if isSet == isDelete {
			return nil, fmt.Errorf("neither PATH = JSON nor delete PATH: %s", change)
		}
		var err error
		if text, err = edited(text, steps(path), value); err != nil {
			return nil, fmt.Errorf("%s: %w", change, err)
		}
	}
	return text, nil
}

// steps splits a path at its dots and brackets: a[0].b is a, [0, b.
func steps(path string) []string {
	path = strings.ReplaceAll(strings.ReplaceAll(path, "[", ".["), "]", "")
	return strings.Split(path, ".")
}

// edited returns text with another value at the path, or with none. What is
// beside it, and the value, stay as they are written.
func edited(text json.RawMessage, path []string, value string) (json.RawMessage, error) {
	if len(path) == 0 {
		return json.RawMessage(value), nil
	}
	if index, ok := strings.CutPrefix(path[0], "["); ok {
		var list []json.RawMessage
		if err := decoded(text, &list); err != nil {
			return nil, err
		}
		i, err := strconv.Atoi(index)
		if err != nil || i >= len(list) {
			i = len(list)
			list = append(list, nil)
		}
		if list[i], err = edited(list[i], path[1:], value); err != nil {
			return nil, err
		}
		return json.Marshal(list)
	}
	object := map[string]json.RawMessage{}
	err := decoded(text, &object)
	if err == nil {
		object[path[0]], err = edited(object[path[0]], path[1:], value)
	}
	if err != nil {
		return nil, err
	}
	if len(path) == 1 && value == "" {
		delete(object, path[0])
	}
	return json.Marshal(object)
}

func decoded(text json.RawMessage, to any) error {
	if len(text) == 0 || string(text) == "null" {
		return nil
	}
	return json.Unmarshal(text, to)
}

// The bounds of a refusal. It is the CPU time that is bounded tightly: how long
// a machine with other things to do takes is not hull's fault.
const (
	badCPU    = 1000 // milliseconds
	badMemory = 64 << 10
)

// refusal is how the runtime ended, and what that took.
type refusal struct {
	Status  int
	Stderr  string
	CPU     int64 // milliseconds
	Memory  int64 // kibibytes
	Elapsed int64 // milliseconds
}

// weigh runs the runtime below a small process, so that its peak of memory is
// its own: a child begins with that of its parent (getrusage(2)).
func (h *host) weigh(args ...string) (r refusal) {
	h.t.Helper()
	cmd := h.command(args...)
	cmd.Args = append([]string{suite.probe, "weigh"}, cmd.Args...)
	cmd.Path = suite.probe
	out := h.finish(cmd)
	if err := json.Unmarshal([]byte(out.stdout), &r); err != nil {
		h.t.Fatalf("%v: %v: %s%s", args, err, out.stdout, out.stderr)
	}
	return r
}

// refusesBriefly runs the runtime, which has to fail in one line with want, within
// the bounds, and to leave no file. It returns the message.
func (h *host) refusesBriefly(want string, args ...string) string {
	h.t.Helper()
	r := h.weigh(args...)
	said := message(h.t, r.Stderr)
	if r.Status != 1 || !strings.Contains(said, want) {
		h.t.Errorf("status %d\n got %s\nwant %s", r.Status, said, want)
	}
	if strings.Count(r.Stderr, "\n") != 1 || strings.ContainsAny(said, "\n\r") || len(r.Stderr) > 16<<10 {
		h.t.Errorf("not one short line, but %d of %d bytes: %.1000q", strings.Count(r.Stderr, "\n"), len(r.Stderr), r.Stderr)
	}
	if r.CPU > pace()*badCPU || r.Elapsed > 10*pace()*badCPU || r.Memory > badMemory {
		h.t.Errorf("it took %d ms, %d of them running, and %d KiB", r.Elapsed, r.CPU, r.Memory)
	}
	if left, err := os.ReadDir(h.root); err != nil || len(left) > 0 {
		h.t.Errorf("left in the state directory: %v %v", left, err)
	}
	peak.Store(max(peak.Load(), r.Memory))
	return said
}

// peak is the most memory that a refusal took, for the log.
var peak atomic.Int64

// message returns what a line of the text log says.
func message(t *testing.T, line string) string {
	t.Helper()
	_, quoted, ok := strings.Cut(strings.TrimSpace(line), " msg=")
	if !ok {
		t.Errorf("not a line of the log: %.1000q", line)
		return ""
	}
	if text, err := strconv.Unquote(quoted); err == nil {
		return text
	}
	return quoted
}

// badID makes an ID by which all that is left of the broken bundles can be found.
func badID() string { return strings.TrimSuffix(idPrefix(), "-") + "bad" + newID() }

// nothingBadRemains looks at the whole machine for what broken bundles have left.
func nothingBadRemains(t *testing.T) {
	t.Helper()
	mark := strings.TrimSuffix(idPrefix(), "-") + "bad"
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d os.DirEntry, _ error) error {
		if d != nil && d.IsDir() && strings.Contains(d.Name(), mark) {
			t.Errorf("a cgroup is left: %s", path)
		}
		return nil
	})
	if mounts := readFile(t, "/proc/self/mountinfo"); strings.Contains(mounts, mark) {
		t.Errorf("a mount is left:\n%s", mounts)
	}
	processes, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range processes {
		if text, _ := os.ReadFile(file); strings.Contains(string(text), mark) {
			t.Errorf("a process is left: %s", text)
		}
	}
}

// TestEveryBrokenBundleIsRefusedInOneLineThatSaysWhereAndWhatIsAllowed goes
// through the corpus.
//
//proves:ociVersion config.md#specification-version:1 config.md#valid-values:1 config.md#root:3 config.md#root:4
//proves:runtime.md#errors:1 runtime.md#lifecycle:2 runtime.md#create:6
func TestEveryBrokenBundleIsRefusedInOneLineThatSaysWhereAndWhatIsAllowed(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no corpus", err)
	}
	t.Cleanup(func() {
		nothingBadRemains(t)
		t.Logf("at most %d KiB", peak.Load())
	})
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			b := h.newBundle([]string{"pid"}, firstNamespaces)
			h.must("run", "--bundle", b.dir, newID()) // what is refused, is refused for its change
			reachable(t, b.path("rootfs"))            // also if that is a user namespace
			good := []byte(readFile(t, b.path("config.json")))
			for i, c := range few(badCases(t, file)) {
				t.Run(c.name, func(t *testing.T) {
					text, err := c.broken(good)
					if err == nil {
						err = os.WriteFile(b.path("config.json"), text, 0o600)
					}
					if err != nil || c.want == "" {
						t.Fatal("not a case:", err)
					}
					h := &host{t: t, root: h.root}
					command := []string{"create", "run"}[i%2]
					said := h.refusesBriefly(c.want, command, "--bundle", b.dir, badID())
					h.checkAgrees(b, said)
				})
			}
		})
	}
}

func TestTheCorpusHasHundredsOfBrokenBundles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	const least = 300
	names := map[string]bool{}
	for _, file := range files {
		for _, c := range badCases(t, file) {
			if name := file + ": " + c.name; names[name] {
				t.Errorf("two are called %s", name)
			} else {
				names[name] = true
			}
		}
	}
	if len(names) < least {
		t.Errorf("%d cases are less than %d", len(names), least)
	}
}

// writeHole makes a sparse file.
func writeHole(t *testing.T, path string, size int64) {
	t.Helper()
	f, err := os.Create(path)
	if err == nil {
		defer f.Close()
		err = unix.Ftruncate(int(f.Fd()), size)
	}
	if err != nil {
		t.Fatal(err)
	}
}
