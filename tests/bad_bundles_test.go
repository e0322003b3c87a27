package tests

import (
	"bytes"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
)

// Broken bundles that testdata/bad cannot hold: files that are no JSON, or too
// large, or no files.

func TestAFileThatIsNoConfigurationIsRefusedInOneLine(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid"})
	good := []byte(readFile(t, b.path("config.json")))
	for name, tt := range some(map[string]struct {
		text []byte
		want string
	}{
		"an empty file":                 {nil, "line 1, column 1: the text ends where a value is expected"},
		"nothing but space":             {[]byte(" \n\n"), "line 3, column 1: the text ends"},
		"null":                          {[]byte("null"), "must be an object, not null"},
		"a list":                        {[]byte("[]"), "must be an object, not an array"},
		"a string":                      {[]byte(`"x"`), "must be an object, not a string"},
		"a number":                      {[]byte("1e9"), "must be an object, not the number 1e9"},
		"two objects":                   {append(bytes.Clone(good), "{}"...), "'{' where nothing more is expected"},
		"a NUL at the end":              {append(bytes.Clone(good), 0), `'\x00' where nothing more is expected`},
		"a byte order mark":             {append([]byte("\xef\xbb\xbf"), good...), "line 1, column 1: the text must not begin with a byte order mark"},
		"UTF-16":                        {[]byte("\xff\xfe{\x00}\x00"), "line 1, column 1: byte 0xff is not UTF-8"},
		"Latin-1":                       {bytes.Replace(good, []byte(`"hull"`), []byte("\"h\xfcll\""), 1), "byte 0xfc is not UTF-8"},
		"a comment":                     {append([]byte("// comment\n"), good...), "'/' where a value is expected"},
		"a comma too many":              {bytes.Replace(good, []byte("{"), []byte("{,"), 1), "',' where a name in quotes is expected"},
		"a line feed in a string":       {bytes.Replace(good, []byte(`"hull"`), []byte("\"hu\nll\""), 1), "hostname: line "},
		"single quotes":                 {[]byte(`{'ociVersion': '1.0.0'}`), `'\'' where a name in quotes is expected`},
		"NaN":                           {bytes.Replace(good, []byte(`"hull"`), []byte("NaN"), 1), "hostname: line "},
		"a name without quotes":         {[]byte(`{ociVersion: "1.0.0"}`), "'o' where a name in quotes is expected"},
		"a version twice":               {bytes.Replace(good, []byte("{"), []byte(`{"ociVersion": "1.0.0",`), 1), "ociVersion: the object has it twice"},
		"100,000 levels of arrays":      {nested(good, "["), "hostname: line "},
		"100,000 levels of objects":     {nested(good, `{"a":`), "hostname: line "},
		"levels that nobody knows":      {bytes.Replace(good, []byte("{"), []byte(`{"x":`+strings.Repeat("[", 100000)+","), 1), "x: line "},
		"a program":                     {[]byte("\x7fELF\x02\x01\x01"), `'\x7f' where a value is expected`},
		"ten thousand faults":           {bytes.Replace(good, []byte(`"mounts": [`), []byte(`"mounts": [`+strings.Repeat("{},", 10000)), 1), "mounts[0].destination: must be set; mounts[1].destination: must be set; "},
		"a value of a megabyte":         {bytes.Replace(good, []byte(`"cwd": "`), []byte(`"cwd": "`+strings.Repeat("x", 1<<20)), 1), "... 1048321 bytes ..."},
		"a megabyte of escapes":         {bytes.Replace(good, []byte(`"cwd": "`), []byte(`"cwd": "`+strings.Repeat(`\u0001`, 1<<20)), 1), " bytes ..."},
		"a name of a megabyte":          {bytes.Replace(good, []byte("{"), []byte(`{"annotations":{"`+strings.Repeat("x", 1<<20)+`":1},`), 1), "must be a string, not the number 1"},
		"a number of a megabyte":        {bytes.Replace(good, []byte(`"hull"`), []byte(strings.Repeat("9", 1<<20)), 1), "hostname: must be a string, not the number 999"},
		"two million mounts":            {bytes.Replace(good, []byte(`"mounts": [`), []byte(`"mounts": [`+strings.Repeat("{},", 2000000)), 1), "mounts: line "},
		"two million arguments":         {bytes.Replace(good, []byte(`"args": [`), []byte(`"args": [`+strings.Repeat(`"",`, 2000000)), 1), "process.args: line "},
		"a quarter of a million caps":   {bytes.Replace(good, []byte(`"bounding": [`), []byte(`"bounding": [`+strings.Repeat(`"",`, 270000)), 1), "process.capabilities.bounding: line "},
		"eight megabytes of annotation": {bytes.Replace(good, []byte("{"), []byte(`{"annotations":{"a":"`+strings.Repeat("x", 8<<20)+`"},`), 1), "longer than 8388608 bytes"},
		"eight megabytes of zeros":      {bytes.Replace(good, []byte("{"), []byte(`{"process":7,"x":[`+strings.Repeat("0,", 4000000)+"0],"), 1), "process: must be an object, not the number 7"},
	}) {
		t.Run(name, func(t *testing.T) {
			if bytes.Equal(tt.text, good) {
				t.Fatal("nothing is broken")
			}
			if err := os.WriteFile(b.path("config.json"), tt.text, 0o600); err != nil {
				t.Fatal(err)
			}
			(&host{t: t, root: h.root}).refusesBriefly(tt.want, "create", "--bundle", b.dir, badID())
		})
	}
}

// nested returns a configuration whose host name is within 100,000 brackets.
func nested(good []byte, bracket string) []byte {
	return bytes.Replace(good, []byte(`"hull"`), []byte(strings.Repeat(bracket, 100000)), 1)
}

func TestABundleWithoutAConfigurationIsRefusedInOneLine(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid"})
	huge := b.path("huge.json")
	writeHole(t, huge, 100<<20)
	for name, tt := range some(map[string]struct {
		config, want string
	}{
		"100 MB":              {huge, "longer than 8388608 bytes"},
		"without end":         {"/dev/zero", "longer than 8388608 bytes"},
		"a directory":         {b.dir, "is a directory"},
		"no file":             {b.path("missing"), "no such file or directory"},
		"a device of nothing": {"/dev/null", "line 1, column 1: the text ends where a value is expected"},
		"a name too long":     {b.path(strings.Repeat("x", 300)), "file name too long"},
		"a path too long":     {"/" + strings.Repeat("x/", 2500), "file name too long"},
	}) {
		t.Run(name, func(t *testing.T) {
			(&host{t: t, root: h.root}).refusesBriefly(tt.want, "create", "--bundle", b.dir, "--config", tt.config, badID())
		})
	}
	t.Run("no bundle", func(t *testing.T) {
		(&host{t: t, root: h.root}).refusesBriefly("no such file or directory", "create", "--bundle", b.path("missing"), badID())
	})
	t.Run("no root filesystem", func(t *testing.T) {
		if err := os.Rename(b.path("rootfs"), b.path("elsewhere")); err != nil {
			t.Fatal(err)
		}
		(&host{t: t, root: h.root}).refusesBriefly("root.path: open "+b.path("rootfs"), "create", "--bundle", b.dir, badID())
	})
}

func TestAConfigurationThatIsCutOffIsRefusedInOneLine(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid"})
	good := bytes.TrimSpace([]byte(readFile(t, b.path("config.json"))))
	// Every place is tried by the tests of package spec.
	for n := 1; n < len(good); n += len(good) / fewer(20) {
		t.Run(strconv.Itoa(n)+" bytes", func(t *testing.T) {
			if err := os.WriteFile(b.path("config.json"), good[:n], 0o600); err != nil {
				t.Fatal(err)
			}
			(&host{t: t, root: h.root}).refusesBriefly("the text ends where ", "create", "--bundle", b.dir, badID())
		})
	}
}

func TestTheLogOfARefusalIsOneLineOfJSON(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid"})
	good := []byte(readFile(t, b.path("config.json")))
	for i, c := range badCases(t, "testdata/bad/process.txt") {
		if i%8 != 0 {
			continue
		}
		text, err := c.broken(good)
		if err == nil {
			err = os.WriteFile(b.path("config.json"), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		log := b.path("log." + strconv.Itoa(i))
		r := h.try("--log", log, "--log-format", "json", "create", "--bundle", b.dir, badID())
		var line struct{ Level, Msg string }
		text = []byte(readFile(t, log))
		if err := json.Unmarshal(text, &line); err != nil || bytes.Count(text, []byte("\n")) != 1 {
			t.Errorf("%s: not a line of JSON: %v: %s", c.name, err, text)
		}
		if r.status != 1 || line.Level != "error" || !strings.Contains(line.Msg, c.want) {
			t.Errorf("%s: status %d, %+v, want %s", c.name, r.status, line, c.want)
		}
	}
}
