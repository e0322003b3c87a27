package cgroup

import (
	"errors"
	"math"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// explain turns the cause of a refused setting into the error that the user
// sees.
func (k knobs) explain(s setting, cause error) error {
	object := s.file + "=" + strings.TrimSpace(s.value)
	if s.file == "" || k.h == nil {
		object = s.value
	}
	err := fault.New("set linux.resources."+s.field, object, cause)
	if hint := join(k.hint(s, cause), k.inUse(s)); hint != "" {
		return err.WithHint("%s", hint)
	}
	return err
}

// inUse says what an update would have changed.
func (k knobs) inUse(s setting) string {
	if k.journal == nil || k.h == nil || s.file == "" {
		return ""
	}
	content, err := k.read(s.file)
	now, ok := present(s, content)
	switch n := number(now); {
	case err != nil || !ok:
		return ""
	case now == "":
		now = "empty"
	case n != Unlimited && n > math.MaxInt64-1<<20:
		now = "max" // of a page counter, in v1
	}
	return "it stays " + now
}

// join makes one hint of two, either of which may be empty.
func join(a, b string) string {
	if a != "" && b != "" {
		return a + "; " + b
	}
	return a + b
}

// hint says what is allowed, or what is in the way.
func (k knobs) hint(s setting, cause error) string {
	switch {
	case errors.Is(cause, unix.ENOENT):
		return k.hintMissing()
	case errors.Is(cause, unix.EBUSY) && k.name == "memory":
		usage, _ := k.read(k.pick("memory.usage_in_bytes", "memory.current"))
		return strings.TrimSpace(usage) + " bytes are in use"
	case errors.Is(cause, unix.ENODEV) && strings.HasPrefix(s.field, "blockIO."):
		return "there is no block device of this number, or it is a partition"
	case errors.Is(cause, unix.ENODEV) && k.name == "net_prio":
		return "it is not a network interface of the host's namespace"
	case errors.Is(cause, unix.ENODEV), errors.Is(cause, unix.EINVAL) && k.name == "rdma":
		return "the entry is the name of an RDMA device of this host"
	case errors.Is(cause, unix.EINVAL), errors.Is(cause, unix.ERANGE), errors.Is(cause, unix.EACCES):
		return k.hintRange(s)
	}
	return ""
}

func (k knobs) hintMissing() string {
	if k.name == "hugetlb" {
		sizes, _ := pageSizes()
		slices.Sort(sizes)
		return "the page sizes here are " + strings.Join(sizes, ", ")
	}
	if k.foreseen == nil && !k.h.exists() {
		return "the cgroup went with what was in it before the program could start: the limit may be too small; the kernel log tells of the out-of-memory killer"
	}
	if k.v2() {
		if hint := k.h.withheld(k.name); hint != "" {
			return hint
		}
		return k.h.dir() + " does not get the " + k.name + " controller from its parents, or the kernel lacks the file"
	}
	return "the kernel does not have it"
}

// withheld says which cgroup above has a controller of v2 and cannot pass it on, for
// there are processes in it (cgroups(7), "no internal processes" rule).
func (h *Hierarchy) withheld(controller string) string {
	for _, p := range slices.Backward(above(h.Path)) {
		has, _ := readFile(h.Mount + p + "/cgroup.controllers")
		given, _ := readFile(h.Mount + p + "/cgroup.subtree_control")
		if !slices.Contains(strings.Fields(has), controller) || slices.Contains(strings.Fields(given), controller) {
			continue
		}
		if pids, _ := readFile(h.Mount + p + "/cgroup.procs"); pids == "" {
			return ""
		}
		return h.Mount + p + " has the " + controller + " controller, and processes in it, so that it cannot pass it on: move them to a cgroup below"
	}
	return ""
}

// hintRange says what the kernel would take.
func (k knobs) hintRange(s setting) string {
	switch s.field {
	case "cpu.cpus", "cpu.mems":
		file := "/" + s.file + k.pick("", ".effective")
		if has, ok := k.h.above(file); ok {
			return "its parent has " + has
		}
	case "cpu.quota", "cpu.period":
		return "both are at least 1000 µs, a period at most 1000000 µs, and no share is above the parent's"
	case "cpu.burst":
		return "it is at most the quota"
	case "cpu.realtimeRuntime", "cpu.realtimePeriod":
		if has, ok := k.h.above("/cpu.rt_runtime_us"); ok {
			return "its parent has " + has + " µs for all its children, and the runtime is at most the period"
		}
	case "cpu.idle":
		return "it is 0 or 1"
	case "memory.limit", "memory.swap":
		return "memory.swap is the limit of memory and swap together, and at least memory.limit"
	case "memory.swappiness":
		return "it is 0 to 100"
	case "memory.disableOOMKiller":
		return "the cgroup must not be the root"
	}
	if strings.HasPrefix(s.field, "blockIO.") && strings.Contains(strings.ToLower(s.field), "weight") {
		return "a weight is 10 to 1000 (1 to 1000 with BFQ)"
	}
	return ""
}

// above returns what the parent has in a file. One that is yet to be made is
// going to have the same as its own.
func (h *Hierarchy) above(file string) (string, bool) {
	for p := path.Dir(h.Path); ; p = path.Dir(p) {
		has, err := readFile(h.Mount + p + file)
		if err == nil {
			return strings.TrimSpace(has), true
		}
		if p == "/" {
			return "", false
		}
	}
}
