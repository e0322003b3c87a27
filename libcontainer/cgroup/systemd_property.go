package cgroup

import (
	"errors"
	"math"
	"slices"
	"strings"

	"hull/internal/dbus"
)

// Property is a property of a unit of systemd.
type Property struct {
	name  string
	value dbus.Value
}

var (
	errPropertyName  = errors.New("the name of a property consists of letters")
	errPropertyOwned = errors.New("it follows from linux.cgroupsPath and the container's process")
	errSeconds       = errors.New("a property in seconds is a whole number of them")
)

// ParseProperty reads a property whose value is in the text form of GVariant.
//
// systemd documents times as NameSec and has them on its bus as NameUSec, in
// microseconds: the first is turned into the second.
func ParseProperty(name, text string) (Property, error) {
	if strings.IndexFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }) >= 0 || name == "" {
		return Property{}, errPropertyName
	}
	if name == "Slice" || name == "PIDs" {
		return Property{}, errPropertyOwned
	}
	v, err := dbus.ParseValue(text)
	if err != nil {
		return Property{}, err
	}
	stem, ok := strings.CutSuffix(name, "Sec")
	if !ok || stem == "" || strings.HasSuffix(stem, "U") {
		return Property{name, v}, nil
	}
	const second = 1_000_000
	n, ok := v.Integer()
	if !ok || n > math.MaxUint64/second {
		return Property{}, errSeconds
	}
	return Property{stem + "USec", dbus.Uint64(n * second)}, nil
}

// property appends an element of a(sv).
func property(w *dbus.Writer, name, signature string, value func()) {
	w.Struct()
	w.String(name)
	w.Variant(signature, value)
}

func textProperty(w *dbus.Writer, name, v string) {
	property(w, name, "s", func() { w.String(v) })
}

func boolProperty(w *dbus.Writer, name string) {
	property(w, name, "b", func() { w.Bool(true) })
}

// limitProperty is a property that follows from linux.resources.
type limitProperty struct {
	name   string
	append func(*dbus.Writer)
}

type limitProperties []limitProperty

func (l limitProperties) has(name string) bool {
	return slices.ContainsFunc(l, func(p limitProperty) bool { return p.name == name })
}

func (l *limitProperties) add(name string, v uint64) {
	switch name {
	case "TasksMax", "MemoryMax", "MemoryHigh":
		v = max(v, 1) // systemd has no 0: a byte is no page, and init is one task
	}
	*l = append(*l, limitProperty{name, func(w *dbus.Writer) {
		property(w, name, "t", func() { w.Uint64(v) })
	}})
}

func (l *limitProperties) addMask(name string, m []byte) {
	if len(m) > 0 {
		*l = append(*l, limitProperty{name, func(w *dbus.Writer) {
			property(w, name, "ay", func() { w.Bytes(m) })
		}})
	}
}
