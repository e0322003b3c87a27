package cgroup

import (
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/internal/fault"
)

// What linux.resources.unified names wins over what another property of
// linux.resources says of the same file, whoever writes it: hull, or systemd.

// Split parts r into what a cgroup gets early, and what comes when its first
// process has all the memory and threads that it will need: limits of these. The
// devices are in neither.
func Split(r *specs.LinuxResources) (early, late *specs.LinuxResources) {
	first := *r
	first.Memory, first.Pids, first.Devices, first.Unified = nil, nil, nil, nil
	last := specs.LinuxResources{Memory: r.Memory, Pids: r.Pids}
	for file, value := range r.Unified {
		part := &first
		if isMemory(file) || strings.HasPrefix(file, "pids.") {
			part = &last
		}
		if part.Unified == nil {
			part.Unified = make(map[string]string, len(r.Unified))
		}
		part.Unified[file] = value
	}
	return &first, &last
}

func isMemory(file string) bool { return strings.HasPrefix(file, "memory.") }

// leaves reports whether the file is left to linux.resources.unified. It is not
// even written before that: with less memory than is in use, v2 kills.
func (k knobs) leaves(r *specs.LinuxResources, file string) bool {
	_, named := r.Unified[file]
	return named && k.v2()
}

// setUnified writes v2 files by name, but those of memory, which setMemory does.
func (c *Cgroup) setUnified(r *specs.LinuxResources) error {
	for _, file := range sortedKeys(r.Unified) {
		if isMemory(file) {
			continue
		}
		if err := c.writeUnified(file, r.Unified[file]); err != nil {
			return err
		}
	}
	return nil
}

// setUnifiedMemory writes memory.max last: see setters.
func (c *Cgroup) setUnifiedMemory(r *specs.LinuxResources) error {
	const limit = "memory.max"
	files := slices.DeleteFunc(sortedKeys(r.Unified), func(file string) bool { return !isMemory(file) || file == limit })
	if _, ok := r.Unified[limit]; ok {
		files = append(files, limit)
	}
	for _, file := range files {
		if err := c.writeUnified(file, r.Unified[file]); err != nil {
			return err
		}
	}
	return nil
}

// writeUnified writes one file. A value of several lines is several commands, and
// one without any the empty one: the kernel says what it makes of that.
func (c *Cgroup) writeUnified(file, text string) error {
	controller, _, ok := strings.Cut(file, ".")
	if !ok || controller == "" || strings.Contains(file, "/") {
		return fault.Newf("set linux.resources.unified", file, "the key must be a file name of the form controller.parameter")
	}
	if text == "" {
		text = empty
	}
	k := knobs{controller, c.unified(), c.foreseen, c.journal}
	for line := range strings.Lines(text) {
		if err := k.write(setting{"unified." + file, file, line}); err != nil {
			return err
		}
	}
	return nil
}

// idle is what r says of cpu.idle, and where; nil is nothing.
func (k knobs) idle(r *specs.LinuxResources) (v *int64, field string) {
	if k.leaves(r, "cpu.idle") {
		if n, err := strconv.ParseInt(lastCommand(r.Unified["cpu.idle"]), 0, 64); err == nil {
			return &n, "unified.cpu.idle"
		}
	}
	if r.CPU != nil {
		return r.CPU.Idle, "cpu.idle"
	}
	return nil, ""
}

// lastCommand is the one that holds, of several for the same thing.
func lastCommand(text string) string {
	text = strings.TrimSpace(text)
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}

// unifiedNumber is what the kernel reads in a value, if that is a number or max,
// which is Unlimited: of bytes with a suffix, as memparse of the kernel has it, else
// without (kstrtoull).
func unifiedNumber(file, text string) (v uint64, ok bool) {
	text = lastCommand(text)
	if text == "max" {
		return Unlimited, true
	}
	var shift int
	if digits := len(text) - 1; isMemory(file) && digits > 0 {
		if i := strings.IndexByte("kmgtpe", text[digits]|0x20); i >= 0 && !isHex(text) {
			text, shift = text[:digits], 10*(i+1)
		}
	}
	v, err := strconv.ParseUint(text, 0, 64)
	if err != nil || bits.Len64(v)+shift > 64 {
		return 0, false
	}
	return v << shift, true
}

// isHex reports whether the last E of a number may be one of its digits.
func isHex(text string) bool {
	return strings.HasPrefix(strings.ToLower(text), "0x") && text[len(text)-1]|0x20 == 'e'
}
