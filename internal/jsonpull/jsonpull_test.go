package jsonpull_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"hull/internal/jsonpull"
)

// tree reads a value as encoding/json would, with numbers as they are written.
func tree(r *jsonpull.Reader) any {
	switch r.Next() {
	case jsonpull.True:
		return true
	case jsonpull.False:
		return false
	case jsonpull.Number:
		return json.Number(r.Text())
	case jsonpull.String:
		return r.Text()
	case jsonpull.Array:
		list := []any{}
		for r.More() {
			list = append(list, tree(r))
		}
		return list
	case jsonpull.Object:
		object := map[string]any{}
		for r.More() {
			name := r.Name()
			object[name] = tree(r)
		}
		return object
	default:
		return nil
	}
}

func parse(text []byte) (any, *jsonpull.SyntaxError) {
	r := jsonpull.New(text)
	v := tree(r)
	r.End()
	return v, r.Err()
}

func TestWhatIsWrongIsSaidWithItsPlace(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "0: the text ends where a value is expected",
		"[1,]":                   "3: ']' where a value is expected",
		"[1 2]":                  `3: '2' where "," or "]" is expected`,
		"[1}":                    `2: '}' where "," or "]" is expected`,
		`{"a" 1}`:                `5: '1' where ":" is expected`,
		`{"a":1,}`:               "7: '}' where a name in quotes is expected",
		`{a:1}`:                  "1: 'a' where a name in quotes is expected",
		`{"a":1`:                 `6: the text ends where "," or "}" is expected`,
		`"abc`:                   "4: the text ends where the end of a string is expected",
		"\"a\nb\"":               `2: a control character in a string, which must be written as \u000a`,
		`"\x"`:                   `2: 'x' where one of " \ / b f n r t u is expected`,
		`"\u12g4"`:               "5: 'g' where a hexadecimal digit is expected",
		`"\ud800"`:               "7: half of a surrogate pair",
		`"\ud800\u0041"`:         "13: half of a surrogate pair",
		`"\udc00\ud800"`:         "13: half of a surrogate pair",
		"nul":                    "3: the text ends where null is expected",
		"nil":                    "0: 'n' where null is expected",
		"-":                      "1: the text ends where a digit is expected",
		"01":                     "1: '1' where nothing more is expected",
		"1.":                     "2: the text ends where a digit is expected",
		"1e+":                    "3: the text ends where a digit is expected",
		"{} {}":                  "3: '{' where nothing more is expected",
		"{}\x00":                 "2: '\\x00' where nothing more is expected",
		"[\"\xff\"]":             "2: byte 0xff is not UTF-8",
		"\xef\xbb\xbf{}":         "0: the text must not begin with a byte order mark",
		strings.Repeat("[", 2e5): "1000: more than 1000 levels of brackets",
	} {
		_, err := parse([]byte(text))
		if err == nil || strconv.Itoa(err.Offset)+": "+err.Error() != want {
			t.Errorf("%.20q: got %+v, want %s", text, err, want)
		}
	}
}

func TestWhatIsSkippedIsReadToItsEnd(t *testing.T) {
	r := jsonpull.New([]byte(`[{"a":[{},[],{"b":[1,"]"]}]}, 2]`))
	r.Next()
	r.More()
	r.Skip(r.Next())
	if !r.More() || r.Next() != jsonpull.Number || r.Text() != "2" || r.More() {
		t.Errorf("at %d: %v", r.Offset(), r.Err())
	}
}

func TestNothingIsReadAfterAnError(t *testing.T) {
	r := jsonpull.New([]byte(`[!`))
	r.Next()
	for r.More() {
		r.Next()
	}
	if kind := r.Next(); kind != jsonpull.Invalid || r.More() || r.Name() != "" || r.Text() != "" || r.Err().Offset != 1 {
		t.Errorf("kind %d, %v", kind, r.Err())
	}
}

// agrees tells whether encoding/json takes text for the same value, and whether
// it should.
func FuzzAgreesWithEncodingJSON(f *testing.F) {
	for _, text := range []string{
		`{"a":[1,-0.5e+3,true,false,null,"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é"],"b":{}} `, "[1,]", `"\ud800"`, "\xff", "1e", "[[[]]]",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := parse(text)
		if err != nil {
			if err.Error() == "" || err.Offset < 0 || err.Offset > len(text) {
				t.Errorf("%q at %d", err, err.Offset)
			}
			if json.Valid(text) && !knownDifference(text, err) {
				t.Errorf("%q is valid, but: %v", text, err)
			}
			return
		}
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		var want any
		if err := dec.Decode(&want); err != nil || !json.Valid(text) {
			t.Fatalf("%q is not valid: %v", text, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %#v, want %#v", text, got, want)
		}
	})
}

// knownDifference is what the package comment promises, and the depth.
func knownDifference(text []byte, err error) bool {
	return !utf8.Valid(text) || strings.Contains(err.Error(), "surrogate") || strings.Contains(err.Error(), "levels")
}

func BenchmarkRead(b *testing.B) {
	text := []byte(`{"process":{"args":["sh","-c","true"],"env":["A=1","B=2"],"user":{"uid":0,"gid":0}},"mounts":[{},{}]}`)
	for b.Loop() {
		if _, err := parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
