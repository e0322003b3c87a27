package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"hull/internal/fault"
	"hull/internal/tty"
)

type logLevel int

const (
	levelError logLevel = iota
	levelWarning
	levelInfo
	levelDebug
)

func (l logLevel) String() string {
	return [...]string{"error", "warning", "info", "debug"}[l]
}

// logger writes the log in the formats of runc's: containerd and Podman show
// their users the message of the last line whose level is error.
type logger struct {
	to     *os.File
	stderr *os.File
	json   bool
	source bool // say which line of the program wrote a line
	most   logLevel
}

// newLogger returns the logger that is used until configure: text, to stderr.
func newLogger(stderr *os.File) *logger {
	return &logger{to: stderr, stderr: stderr, most: levelInfo}
}

// configure applies the values of --log, --log-format, --log-level, --debug.
func (l *logger) configure(file, format, level string, debug bool) error { //nolint:revive // flag-parameter: it is the value of a flag
	switch format {
	case "", "text":
	case "json":
		l.json = true
	default:
		return errors.New("invalid log-format: " + format)
	}
	switch level {
	case "error":
		l.most = levelError
	case "warn", "warning":
		l.most = levelWarning
	case "", "info":
		l.most = levelInfo
	case "debug":
		l.most = levelDebug
	default:
		return errors.New("invalid log-level: " + level)
	}
	if debug {
		l.most, l.source = levelDebug, true
	}
	if file == "" {
		return nil
	}
	// Made even if nothing is logged: engines open it whatever happens.
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fault.New("open log", file, errors.Unwrap(err))
	}
	l.to = f
	return nil
}

// Close closes the log's file.
func (l *logger) Close() error {
	if l.toFile() {
		return l.to.Close()
	}
	return nil
}

func (l *logger) toFile() bool { return l.to != l.stderr }

func (l *logger) error(err error) { l.write(levelError, err.Error()) }

func (l *logger) warn(err error) { l.write(levelWarning, err.Error()) }

func (l *logger) debugf(format string, args ...any) {
	if l.most >= levelDebug {
		l.write(levelDebug, fmt.Sprintf(format, args...))
	}
}

// write appends one line with one write, so that lines of processes that share
// the log do not mix. There is nobody to tell when that fails.
func (l *logger) write(level logLevel, msg string) {
	if level > l.most {
		return
	}
	var source string
	if l.source {
		if _, file, line, ok := runtime.Caller(2); ok {
			source = filepath.Base(file) + ":" + strconv.Itoa(line)
		}
	}
	var line []byte
	switch {
	case l.json:
		line = jsonLine(level, msg, source)
	case !l.toFile() && tty.IsTerminal(l.to):
		line = plainLine(level, msg, source)
	default:
		line = textLine(level, msg, source)
	}
	_, _ = l.to.Write(append(line, '\n'))
}

// jsonLine has its keys in the alphabetical order of logrus.
func jsonLine(level logLevel, msg, source string) []byte {
	line, err := json.Marshal(struct {
		File  string `json:"file,omitempty"`
		Level string `json:"level"`
		Msg   string `json:"msg"`
		Time  string `json:"time"`
	}{source, level.String(), msg, time.Now().Format(time.RFC3339)})
	if err != nil { // four strings can always be encoded
		return []byte(`{"level":"error","msg":"encode a log line"}`)
	}
	return line
}

func textLine(level logLevel, msg, source string) []byte {
	var b []byte
	b = append(b, "time="...)
	b = appendValue(b, time.Now().Format(time.RFC3339))
	b = append(b, " level="...)
	b = appendValue(b, level.String())
	b = append(b, " msg="...)
	b = appendValue(b, msg)
	if source != "" {
		b = append(b, " file="...)
		b = appendValue(b, source)
	}
	return b
}

// appendValue quotes s where logrus does.
func appendValue(b []byte, s string) []byte {
	plain := strings.IndexFunc(s, func(r rune) bool {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return false
		}
		return !strings.ContainsRune("-._/@^+", r)
	}) < 0
	if plain {
		return append(b, s...)
	}
	return strconv.AppendQuote(b, s)
}

// plainLine is what a person at a terminal reads.
func plainLine(level logLevel, msg, source string) []byte {
	line := "hull: "
	if level != levelError {
		line += level.String() + ": "
	}
	line += msg
	if source != "" {
		line += " (" + source + ")"
	}
	return []byte(line)
}
