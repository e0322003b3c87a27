package record_test

import (
	"maps"
	"reflect"
	"testing"

	"hull/internal/record"
)

type inner struct {
	Name string
	Args []string
}

type outer struct {
	Text   string
	Number int
	Large  uint64
	Small  uint32
	Yes    bool
	Raw    []byte
	Map    map[string]string
	List   []inner
}

func (o *outer) walk(w *record.Walker) {
	w.String("text", &o.Text)
	w.Int("number", &o.Number)
	w.Uint64("large", &o.Large)
	w.Uint32("small", &o.Small)
	w.Bool("yes", &o.Yes)
	w.Bytes("raw", &o.Raw)
	w.Map("map", &o.Map)
	record.List(w, "list", &o.List, func(w *record.Walker, i *inner) {
		w.String("name", &i.Name)
		w.Strings("args", &i.Args)
	})
}

func full() *outer {
	return &outer{
		Text: "a \"quoted\"\nline\x00\xff", Number: -3, Large: 1<<64 - 1, Small: 1<<32 - 1, Yes: true, Raw: []byte{0, 10, 255},
		Map:  map[string]string{"b": "2", "a": "", "c\n": "= 3"},
		List: []inner{{Name: "one", Args: []string{"x", ""}}, {Name: ""}},
	}
}

func TestEveryKindOfFieldSurvives(t *testing.T) {
	for _, want := range []*outer{full(), {}} {
		b := record.Encode(want.walk)
		got := new(outer)
		if err := record.Decode(b, got.walk); err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestTheTextIsOfOneFieldALine(t *testing.T) {
	o := outer{Text: "x", Map: map[string]string{"k": "v"}}
	want := "text \"x\"\nnumber 0\nlarge 0\nsmall 0\nyes false\nraw \"\"\nmap 1\n- \"k\"\n= \"v\"\nlist 0\n"
	if got := string(record.Encode(o.walk)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestDamageIsAnErrorThatNamesTheField(t *testing.T) {
	b := record.Encode(full().walk)
	for n := range b {
		if err := record.Decode(b[:n], new(outer).walk); err == nil {
			t.Fatalf("the first %d of %d bytes were accepted", n, len(b))
		}
	}
	err := record.Decode([]byte("text \"x\"\nnumber y\n"), new(outer).walk)
	if err == nil || err.Error() != `field number: strconv.Atoi: parsing "y": invalid syntax` {
		t.Errorf("got %v", err)
	}
	if err := record.Decode(append(b, "more 1\n"...), new(outer).walk); err == nil {
		t.Error("a field too many was accepted")
	}
}

func FuzzDecodeNeverPanics(f *testing.F) {
	f.Add(record.Encode(full().walk))
	f.Add([]byte("text \"\"\nnumber 9999999999\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var o outer
		if record.Decode(b, o.walk) != nil {
			return
		}
		var again outer
		if err := record.Decode(record.Encode(o.walk), again.walk); err != nil || !maps.Equal(o.Map, again.Map) {
			t.Errorf("%+v does not survive: %v", o, err)
		}
	})
}
