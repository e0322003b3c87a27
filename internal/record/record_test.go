package record_test

import (
	"bytes"
	"maps"
	"reflect"
	"slices"
	"strings"
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
		w.String("- name", &i.Name)
		w.Strings("  args", &i.Args)
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
	want := "record 1\ntext \"x\"\nnumber 0\nlarge 0\nsmall 0\nyes false\nraw \"\"\nmap 1\n- \"k\"\n= \"v\"\nlist 0\nsum d37c433aa9e11edd\n"
	if got := string(record.Encode(o.walk)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestDamageIsAnError(t *testing.T) {
	b := record.Encode(full().walk)
	for n := range b {
		if err := record.Decode(b[:n], new(outer).walk); err == nil {
			t.Fatalf("the first %d of %d bytes were accepted", n, len(b))
		}
		damaged := slices.Clone(b)
		damaged[n] ^= 4
		if err := record.Decode(damaged, new(outer).walk); err == nil {
			t.Fatalf("damage at byte %d was accepted", n)
		}
	}
	for _, damaged := range [][]byte{append(slices.Clone(b), "more 1\n"...), append(slices.Clone(b), b...), bytes.Replace(b, []byte("record 1"), []byte("record 2"), 1)} {
		if err := record.Decode(damaged, new(outer).walk); err == nil {
			t.Errorf("accepted:\n%s", damaged)
		}
	}
}

// writtenAs is a record with lines that are not what walk visits.
func writtenAs(lines ...string) []byte {
	return record.Encode(func(w *record.Walker) {
		for _, l := range lines {
			name, value, _ := strings.Cut(l, " ")
			if name == "" || name == "-" && value[0] != '"' { // of an element
				name, value, _ = strings.Cut(l[2:], " ")
				name = l[:2] + name
			}
			record.Line(w, name, value)
		}
	})
}

func TestAnErrorNamesTheField(t *testing.T) {
	for line, want := range map[string]string{
		"number y":       `field number: strconv.Atoi: parsing "y": invalid syntax`,
		"yes 2":          `field yes: strconv.ParseBool: parsing "2": invalid syntax`,
		"list 1":         "field list: value out of range",
		"list 1\ntail 1": "field list: elements are missing",
		"map -1":         "field map: value out of range",
	} {
		if err := record.Decode(writtenAs(strings.Split(line, "\n")...), new(outer).walk); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
}

// A newer hull has fields of which this one knows nothing, anywhere.
func TestWhatAnotherVersionHasWrittenIsRead(t *testing.T) {
	newer := writtenAs(
		`first 1`, `text "x"`, `more 2`, `- name "not in the list"`, `  args 1`, `- "y"`, `- name "nor this"`,
		`number 5`, `things 1`, `- "z"`, `pairs 1`, `- "k"`, `= "v"`, `large 6`, `small 7`, `yes true`, `raw "r"`,
		`map 1`, `- "a"`, `= "b"`,
		`list 2`, `- name "one"`, `  early 1`, `- "p"`, `  args 1`, `- "x"`, `  late 2`, `- "q"`, `- "r"`, `- name "two"`, `  args 0`, `  late 0`,
		`last "end"`)
	want := outer{
		Text: "x", Number: 5, Large: 6, Small: 7, Yes: true, Raw: []byte("r"), Map: map[string]string{"a": "b"},
		List: []inner{{Name: "one", Args: []string{"x"}}, {Name: "two"}},
	}
	moved := writtenAs(
		`list 2`, `- name "one"`, `  args 1`, `- "x"`, `- name "two"`, `  args 0`,
		`map 1`, `- "a"`, `= "b"`, `raw "r"`, `yes true`, `small 7`, `large 6`, `number 5`, `text "x"`)
	for name, b := range map[string][]byte{"newer": newer, "moved": moved} {
		var got outer
		if err := record.Decode(b, got.walk); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
		}
	}
	// An older one lacks some.
	older := writtenAs(`number 5`, `list 2`, `- name "one"`, `- name "two"`, `  args 1`, `- "x"`)
	want = outer{Number: 5, List: []inner{{Name: "one"}, {Name: "two", Args: []string{"x"}}}}
	var got outer
	if err := record.Decode(older, got.walk); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("older: %+v, %v, want %+v", got, err, want)
	}
	got = outer{}
	if err := record.Decode(writtenAs(), got.walk); err != nil || !reflect.DeepEqual(got, outer{}) {
		t.Errorf("nothing: %+v, %v", got, err)
	}
}

func BenchmarkBothWays(b *testing.B) {
	o := full()
	for b.Loop() {
		if err := record.Decode(record.Encode(o.walk), new(outer).walk); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzDecodeNeverPanics(f *testing.F) {
	f.Add(record.Encode(full().walk))
	f.Add(writtenAs(`text ""`, `number 9999999999`))
	f.Add(writtenAs(`list 1`, `- name "x"`, `  more 1`, `- "y"`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var o outer
		if record.Decode(record.Sealed(b), o.walk) != nil {
			return
		}
		var again outer
		if err := record.Decode(record.Encode(o.walk), again.walk); err != nil || !maps.Equal(o.Map, again.Map) {
			t.Errorf("%+v does not survive: %v", o, err)
		}
	})
}
