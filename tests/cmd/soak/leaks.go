package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// editConfig makes of what spec writes a container that runs a program.
func editConfig(path string, args []string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var config specs.Spec
	if err := json.Unmarshal(text, &config); err != nil {
		return err
	}
	config.Process.Terminal = false
	config.Process.Args = args
	text, err = json.Marshal(config)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// leaks names what is left of the containers.
func (h house) leaks() ([]string, error) {
	var found []string
	entries, err := os.ReadDir(h.root)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		// The cache of filters stays, and nothing else.
		if entry.Name() != ".cache" {
			found = append(found, "state "+entry.Name())
		}
	}
	inBundle, err := os.ReadDir(h.bundle)
	if err != nil {
		return nil, err
	}
	for _, entry := range inBundle {
		if entry.Name() != "config.json" && entry.Name() != "rootfs" {
			found = append(found, "file of the bundle "+entry.Name())
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, h.prefix) {
			found = append(found, "mount "+line)
		}
	}
	descriptors, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	for _, fd := range descriptors {
		// Containers were our children: nothing of theirs may be open here.
		target, err := os.Readlink("/proc/self/fd/" + fd.Name())
		if err == nil && strings.HasPrefix(target, h.dir) {
			found = append(found, "descriptor of "+target)
		}
	}
	found = append(found, h.leakedCgroups()...)
	return append(found, h.leakedProcesses()...), nil
}

func (h house) leakedCgroups() []string {
	var found []string
	// What goes away while we look is none of ours.
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && strings.Contains(entry.Name(), h.prefix) {
			found = append(found, "cgroup "+path)
		}
		return nil
	})
	return found
}

// leakedProcesses finds processes that are in one of the cgroups, or were
// started with one of the names.
func (h house) leakedProcesses() []string {
	var found []string
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	for _, dir := range entries {
		for _, file := range []string{"cgroup", "cmdline", "environ"} {
			// A process that has just gone is no leak.
			text, err := os.ReadFile(filepath.Join(dir, file))
			if err == nil && bytes.Contains(text, []byte(h.prefix)) {
				found = append(found, "process "+filepath.Base(dir)+" (by its "+file+")")
				break
			}
		}
	}
	return found
}
