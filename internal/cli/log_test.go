package cli

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

func TestLogLinesAreThoseOfLogrus(t *testing.T) {
	const stamp = `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)`
	for _, test := range []struct {
		name, format, level string
		debug               bool
		log                 func(*logger)
		want                string // a regular expression
	}{
		{"text", "text", "", false, func(l *logger) { l.error(errors.New(`no "x"`)) }, `time="` + stamp + `" level=error msg="no \\"x\\""`},
		{"text that needs no quotes", "", "", false, func(l *logger) { l.warn(errors.New("a/b@c")) }, `time="` + stamp + `" level=warning msg=a/b@c`},
		{"json", "json", "", false, func(l *logger) { l.error(errors.New("no\n\"x\"")) }, `{"level":"error","msg":"no\\n\\"x\\"","time":"` + stamp + `"}`},
		{"debug tells the source", "json", "", true, func(l *logger) { l.error(errors.New("e")) }, `{"file":"log_test.go:\d+","level":"error","msg":"e","time":"` + stamp + `"}`},
		{"debug tells the source in text", "text", "", true, func(l *logger) { l.warn(errors.New("e")) }, `time="` + stamp + `" level=warning msg=e file="log_test.go:\d+"`},
		{"below the level", "text", "error", false, func(l *logger) { l.warn(errors.New("e")) }, ``},
		{"warn is a name of warning", "text", "warn", false, func(l *logger) { l.warn(errors.New("e")) }, `.* msg=e`},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "log")
			l := newLogger(os.Stderr)
			if err := l.configure(file, test.format, test.level, test.debug); err != nil {
				t.Fatal(err)
			}
			test.log(l)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want := "^$"
			if test.want != "" {
				want = "^" + test.want + "\n$"
			}
			if !regexp.MustCompile(want).Match(got) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}
