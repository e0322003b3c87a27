package state

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"reflect"
	"strings"
	"testing"
	"time"

	"hull/internal/record"
	"hull/libcontainer/plan"
)

// section is a part of a record as another package has it.
type section struct{ Text string }

func (s *section) Walk(w *record.Walker) { w.String("section", &s.Text) }

// FuzzRecords checks that a record is refused, or is what is written of it.
func FuzzRecords(f *testing.F) {
	full := &Record{
		OCIVersion: "1.0.0", ID: "a", Bundle: "/b\n", Rootfs: "/r", Annotations: map[string]string{"a": "b", "": "\x00"},
		Created: time.Unix(1, 2).UTC(), PID: 1, StartTime: 2, Namespaces: 3, HostMounts: []HostMount{{"/a", 1}},
		Cgroup: &section{"x"}, Poststop: []plan.Hook{{Name: "n", Path: "/p", Args: []string{"a"}, State: []byte{0}}},
	}
	f.Add(record.Encode(full.walk))
	f.Add([]byte("record 1\nociVersion \"1\"\nid 5\nsum 0\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &Record{Cgroup: new(section)}
		if record.Decode(sealed(b), r.walk) != nil {
			return
		}
		again := &Record{Cgroup: new(section)}
		if err := record.Decode(record.Encode(r.walk), again.walk); err != nil || !reflect.DeepEqual(r, again) {
			t.Errorf("%+v is not %+v: %v", again, r, err)
		}
	})
}

// sealed gives what may be a record the checksum that it has to have.
func sealed(b []byte) []byte {
	lines, _, _ := bytes.Cut(b, []byte("\nsum "))
	lines = append(bytes.Clone(lines), '\n')
	sum := fnv.New64a()
	_, _ = sum.Write(lines)
	return fmt.Appendf(lines, "sum %x\n", sum.Sum64())
}

// Containers outlive the hull that has made them.
func TestARecordOfAnotherVersionIsRead(t *testing.T) {
	for name, text := range map[string]string{
		"older": `record 1
ociVersion "1.2.0"
id "c"
bundle "/b"
pid 7
startTime 8
poststop 1
- name "hooks.poststop[0]"
  path "/bin/hook"
section "x"
`,
		"newer": `record 1
ociVersion "1.2.0"
id "c"
checkpoints 1
- name "one"
  images 1
- "a"
bundle "/b"
pid 7
startTime 8
poststop 1
- name "hooks.poststop[0]"
  path "/bin/hook"
  args 0
  user "nobody"
  env 0
section "x"
section.of "something else"
`,
	} {
		root := t.TempDir()
		d, err := Create(root, "c")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		if err := d.write(recordFile, sealed([]byte(strings.TrimSuffix(text, "\n")))); err != nil {
			t.Fatal(err)
		}
		want := &Record{
			OCIVersion: "1.2.0", ID: "c", Bundle: "/b", PID: 7, StartTime: 8, Cgroup: &section{"x"},
			Poststop: []plan.Hook{{Name: "hooks.poststop[0]", Path: "/bin/hook"}},
		}
		if r, err := d.Load(new(section)); err != nil || !reflect.DeepEqual(r, want) {
			t.Errorf("%s: %+v, %v, want %+v", name, r, err, want)
		}
		if err := d.write(recordFile, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if r, err := d.Load(new(section)); err == nil {
			t.Errorf("%s, without its end: %+v", name, r)
		}
	}
}
