package spec_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/spec"
)

// populate gives every field below v a value that differs from its neighbours'.
// Types that contain themselves do not occur.
func populate(v reflect.Value, next *int) {
	*next++
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			populate(v.Field(i), next)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		populate(v.Elem(), next)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			populate(v.Index(i), next)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		e := reflect.New(v.Type().Elem()).Elem()
		populate(e, next)
		v.SetMapIndex(reflect.ValueOf(fmt.Sprint("k", *next)), e)
	case reflect.String:
		v.SetString(fmt.Sprint("s", *next))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Interface:
		v.Set(reflect.ValueOf("any"))
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt(-int64(*next))
	default:
		v.SetUint(uint64(*next))
	}
}

func TestEveryFieldOfTheSpecificationIsDecoded(t *testing.T) {
	want, next := new(specs.Spec), 0
	populate(reflect.ValueOf(want).Elem(), &next)
	want.Version = specs.Version
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := spec.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		again, _ := json.Marshal(got)
		t.Errorf("got  %s\nwant %s", again, b)
	}
}

func TestRealConfigurationsDecodeAsEncodingJSONDoes(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no configurations", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want := new(specs.Spec)
		if err := json.Unmarshal(b, want); err != nil {
			t.Fatal(file, err)
		}
		got, err := spec.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", file, got, want)
		}
	}
}

func TestAnUnreadableConfigurationIsExplained(t *testing.T) {
	for _, c := range []struct {
		name, text, want string
	}{
		{"nothing", ``, `line 1, column 1: the text ends where a value is expected`},
		{"half an object", "{\n\"ociVersion\": \"1.0.0\",", `line 2, column 23: the text ends where a name in quotes is expected`},
		{"a stray comma", "{\n  \"a\": 1,,\n}", `line 2, column 10: ',' where a name in quotes is expected`},
		{"two objects", `{"ociVersion":"1.0.0"} {}`, `line 1, column 24: '{' where nothing more is expected`},
		{"null", `null`, `must be an object, not null`},
		{"an array", `[]`, `must be an object, not an array`},
		{"a string for an array", `{"ociVersion":"1.0.0","process":{"cwd":"/","args":"sh"}}`, `process.args: must be an array, not a string`},
		{"a number in an array of strings", `{"ociVersion":"1.0.0","mounts":[{"destination":"/a"},{"destination":"/b","options":["ro",3]}]}`, `mounts[1].options[1]: must be a string, not the number 3`},
		{"a negative id", `{"ociVersion":"1.0.0","process":{"cwd":"/","user":{"uid":-1}}}`, `process.user.uid: must be an integer from 0 to 4294967295, not the number -1`},
		{"a fraction", `{"ociVersion":"1.0.0","process":{"cwd":"/","oomScoreAdj":1.5}}`, `process.oomScoreAdj: must be an integer, not the number 1.5`},
		{"a string for a boolean", `{"ociVersion":"1.0.0","root":{"path":"r","readonly":"yes"}}`, `root.readonly: must be true or false, not a string`},
		{"a wrong value in a map", `{"ociVersion":"1.0.0","annotations":{"k":{}}}`, `annotations.k: must be a string, not an object`},
		{"half a string", `{"ociVersion":"1.0.0","process":{"args":["a","b`, `process.args[1]: line 1, column 48: the text ends where the end of a string is expected`},
		{"a property twice", `{"ociVersion":"1.0.0","process":{"cwd":"/","cwd":"/x"},"annotations":{"":"","":""},"x":1,"x":2}`, `process.cwd: the object has it twice; annotations."": the object has it twice; x: the object has it twice`},
		{"null in an array", `{"ociVersion":"1.0.0","mounts":[null],"annotations":{"a":null}}`, `mounts[0]: must be an object, not null; annotations.a: must be a string, not null`},
		{"a name of two lines", `{"ociVersion":"1.0.0","annotations":{"a\nb":1}}`, `annotations."a\nb": must be a string, not the number 1`},
		{"a long name", `{"ociVersion":"1.0.0","annotations":{"` + strings.Repeat("x", 1000) + `":1}}`, `annotations.` + strings.Repeat("x", 116) + `... 756 bytes ...` + strings.Repeat("x", 128) + `: must be a string, not the number 1`},
		{"a long number", `{"ociVersion":` + strings.Repeat("1", 1000) + `}`, `ociVersion: must be a string, not the number ` + strings.Repeat("1", 117) + `... 755 bytes ...` + strings.Repeat("1", 128)},
		{"nothing that is required", `{"ociVersion":"1.0.0","linux":{"uidMappings":[{"size":1}]},"hooks":{"poststop":[{}]}}`, `linux.uidMappings[0].containerID: must be set; linux.uidMappings[0].hostID: must be set; hooks.poststop[0].path: must be set`},
		{"two wrong types", `{"ociVersion":"1.0.0","hostname":1,"mounts":{}}`, `hostname: must be a string, not the number 1; mounts: must be an array, not an object`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := spec.Decode([]byte(c.text)); err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestVersionsOfMajorOneAreAccepted(t *testing.T) {
	for version, want := range map[string]string{
		"1.0.0": "", "1.0.2-dev": "", "1.1.0+dev": "", "1.3.0": "", "1.9.12-rc.1+build.5": "",
		"":        "ociVersion: must be set",
		"2.0.0":   "ociVersion: 2.0.0 is not supported, only 1.x is",
		"0.2.0":   "ociVersion: 0.2.0 is not supported, only 1.x is",
		"1.0":     `ociVersion: "1.0" is not a version of the form MAJOR.MINOR.PATCH`,
		"1.0.0.0": `ociVersion: "1.0.0.0" is not a version of the form MAJOR.MINOR.PATCH`,
		"v1.0.0":  `ociVersion: "v1.0.0" is not a version of the form MAJOR.MINOR.PATCH`,
		"1.01.0":  `ociVersion: "1.01.0" is not a version of the form MAJOR.MINOR.PATCH`,
		"1.0.0-":  `ociVersion: "1.0.0-" is not a version of the form MAJOR.MINOR.PATCH`,
		"1.0.0+_": `ociVersion: "1.0.0+_" is not a version of the form MAJOR.MINOR.PATCH`,
	} {
		_, err := spec.Decode([]byte(`{"ociVersion":"` + version + `"}`))
		if got := fmt.Sprint(err); err == nil && want != "" || err != nil && got != want {
			t.Errorf("%q: got %v, want %q", version, err, want)
		}
	}
}

func TestAMissingConfigurationIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	_, err := spec.Load(path)
	if want := "open " + path + ": no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if !errors.Is(err, unix.ENOENT) {
		t.Error("the errno is lost")
	}
}

func TestTheFileIsNamedWithWhatIsWrongInIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, []byte(`{"ociVersion":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := spec.Load(path)
	if want := "load " + path + ": ociVersion: must be a string, not the number 1"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestAnEndlessConfigurationIsRefused(t *testing.T) {
	if _, err := spec.Load("/dev/zero"); err == nil || !strings.Contains(err.Error(), "longer than 8388608 bytes") {
		t.Errorf("got %v", err)
	}
}

func TestAProcessIsDecoded(t *testing.T) {
	p, err := spec.DecodeProcess([]byte(`{"args":["true"],"cwd":"/","user":{"uid":7}}`))
	if err != nil || p.Args[0] != "true" || p.User.UID != 7 {
		t.Errorf("got %+v, %v", p, err)
	}
}

func FuzzDecodeAgreesWithEncodingJSON(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.json")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := spec.Decode(b)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without a text")
			}
			return
		}
		again, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		want := new(specs.Spec)
		if err := json.Unmarshal(again, want); err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		if got, err := spec.Decode(again); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s decodes to %+v (%v)", again, got, err)
		}
		// Whatever it says, no document makes the checks panic.
		if err := spec.Validate(s); err != nil {
			if all := spec.InvalidError(nil); !errors.As(err, &all) || len(all) == 0 {
				t.Errorf("Validate returned %T", err)
			}
			if one := (*fault.Error)(nil); !errors.As(err, &one) {
				t.Errorf("no fault in %v", err)
			}
		}
	})
}

func TestAConfigurationCutOffAnywhereIsRefusedWithItsPlace(t *testing.T) {
	b, err := spec.Encode(spec.Default())
	if err != nil {
		t.Fatal(err)
	}
	for n := range b {
		_, err := spec.Decode(b[:n])
		if err == nil || !strings.Contains(err.Error(), "the text ends where ") || strings.Contains(err.Error(), "\n") {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
}
