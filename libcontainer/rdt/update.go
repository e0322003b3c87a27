package rdt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/internal/fault"
)

var errNoClass = errors.New("the container was created without linux.intelRdt")

// Update writes the schemata of config for the class of a container that is
// there, and returns how to undo that. If one is refused, it undoes the others.
func (p Place) Update(config *specs.LinuxIntelRdt) (undo func() error, err error) {
	g := &Group{place: p, config: config, mount: p.Class}
	if !exists(g.mount, "info") { // all but the default class are below it
		g.mount = filepath.Dir(g.mount)
	}
	values := g.values()
	if len(values) == 0 {
		return func() error { return nil }, nil
	}
	if p.Class == "" {
		return nil, fault.New("use", values[0].path, errNoClass)
	}
	file := filepath.Join(p.Class, "schemata")
	before, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.New("read", file, errors.Unwrap(err))
	}
	undo = func() error { return restore(file, string(before), values) }
	for _, v := range values {
		if err := write(file, v.text+"\n"); err != nil {
			refused := g.explain(fault.New("write "+v.path+" to", p.Class, err))
			if undone := undo(); undone != nil {
				return nil, fmt.Errorf("%w; %w", refused, undone)
			}
			return nil, refused
		}
	}
	return undo, nil
}

// restore writes the lines of schemata that values are about.
func restore(file, schemata string, values []value) error {
	for _, v := range values {
		wanted, _ := parseLine(v.text)
		for line := range strings.Lines(schemata) {
			if resource, _ := parseLine(line); resource != wanted {
				continue
			}
			if err := write(file, strings.TrimSpace(line)+"\n"); err != nil {
				return fault.New("restore "+v.path+" in", file, err)
			}
		}
	}
	return nil
}
