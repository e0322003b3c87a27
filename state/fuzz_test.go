package state

import (
	"reflect"
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
	f.Add([]byte("ociVersion \"1\"\nid 5\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &Record{Cgroup: new(section)}
		if record.Decode(b, r.walk) != nil {
			return
		}
		again := &Record{Cgroup: new(section)}
		if err := record.Decode(record.Encode(r.walk), again.walk); err != nil || !reflect.DeepEqual(r, again) {
			t.Errorf("%+v is not %+v: %v", again, r, err)
		}
	})
}
