package dbus

import (
	"bytes"
	"testing"
)

func TestTheTextFormOfAValueBecomesItsTypeAndBytes(t *testing.T) {
	for in, want := range map[string]struct{ signature, bytes string }{
		"true":                        {"b", "\x01\x00\x00\x00"},
		" false ":                     {"b", "\x00\x00\x00\x00"},
		"7":                           {"i", "\x07\x00\x00\x00"},
		"-1":                          {"i", "\xff\xff\xff\xff"},
		"0x10":                        {"i", "\x10\x00\x00\x00"},
		"byte 255":                    {"y", "\xff"},
		"uint16 258":                  {"q", "\x02\x01"},
		"uint32 4294967295":           {"u", "\xff\xff\xff\xff"},
		"uint64 18446744073709551615": {"t", "\xff\xff\xff\xff\xff\xff\xff\xff"},
		"int64 -1":                    {"x", "\xff\xff\xff\xff\xff\xff\xff\xff"},
		"0.5":                         {"d", "\x00\x00\x00\x00\x00\x00\xe0\x3f"},
		"double 2":                    {"d", "\x00\x00\x00\x00\x00\x00\x00\x40"},
		`'a b'`:                       {"s", "\x03\x00\x00\x00a b\x00"},
		`"it's"`:                      {"s", "\x04\x00\x00\x00it's\x00"},
		`'\n\u00e9'`:                  {"s", "\x03\x00\x00\x00\n\xc3\xa9\x00"},
		"objectpath '/a'":             {"o", "\x02\x00\x00\x00/a\x00"},
		"signature 'as'":              {"g", "\x02as\x00"},
		`b'a\xff'`:                    {"ay", "\x03\x00\x00\x00a\xff\x00"},
		"['a', 'b']":                  {"as", "\x0e\x00\x00\x00\x01\x00\x00\x00a\x00\x00\x00\x01\x00\x00\x00b\x00"},
		"@as []":                      {"as", "\x00\x00\x00\x00"},
		"[byte 1, 2]":                 {"ay", "\x02\x00\x00\x00\x01\x02"},
		"[1, uint64 2]":               {"at", "\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00"},
		"[('a', uint32 1)]":           {"a(su)", "\x0c\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00a\x00\x00\x00\x01\x00\x00\x00"},
		"@a(su) []":                   {"a(su)", "\x00\x00\x00\x00\x00\x00\x00\x00"},
	} {
		v, err := ParseValue(in)
		w := &Writer{}
		if err == nil {
			w.Value(v)
		}
		if err != nil || v.Signature != want.signature || !bytes.Equal(w.buf, []byte(want.bytes)) {
			t.Errorf("%s: %q %q %v", in, v.Signature, w.buf, err)
		}
	}
}

func TestTextThatIsNoValueIsRefused(t *testing.T) {
	for _, in := range []string{
		"", " ", "'", "'a", "a", "[", "[]", "[1", "[1 2]", "[1,'a']", "()", "(1", "uint64", "uint64 -1", "uint32 4294967296",
		"byte 256", "uint64 'a'", "1 2", "true false", "@", "@x", "@as 'a'", "@a( []", "@() 1", "{'a': 1}", "<1>", "nothing",
		"1x", "1e", "inf x", `'\x00'`, `'\xff'`, "byte true", "((((((((((((((((((((((((((((((((((((((((1",
		"@" + string(bytes.Repeat([]byte("a"), 1<<16)) + "s []",
	} {
		if v, err := ParseValue(in); err == nil {
			t.Errorf("%q: %q", in, v.Signature)
		}
	}
}

func FuzzValuesParseOrAreRefused(f *testing.F) {
	f.Add("[('a', uint64 1), ('b', 2)]")
	f.Add("@a(sas) []")
	f.Fuzz(func(t *testing.T, s string) {
		v, err := ParseValue(s)
		if err != nil {
			return
		}
		if firstType(v.Signature) != len(v.Signature) {
			t.Errorf("%q is not one type", v.Signature)
		}
		w := &Writer{}
		w.Value(v)
	})
}
