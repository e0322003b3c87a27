package cgroup

import (
	"errors"
	"path"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// Foresee returns the errors that Create, Set and SetDevices are going to
// return, as far as they show before the cgroup is there: hierarchies that
// cannot be written, controllers and files that the host lacks, values that are
// more than a parent has. It goes the ways of Set with nothing written, and
// changes nothing. What Create tolerates goes to Config.Warn.
func (c *Cgroup) Foresee(r *specs.LinuxResources) []error {
	if c.rec.Driver == Disabled {
		return nil
	}
	look := *c
	look.foreseen = new(foreseen)
	found := look.foreseeCreate()
	if r == nil {
		return found
	}
	setters := look.setters()
	for _, set := range append(setters[:], look.checkMemory) {
		if err := set(r); err != nil {
			found = append(found, err)
		}
	}
	found = append(found, look.foreseen.errors...)
	if err := look.foreseeDevices(r.Devices); err != nil {
		found = append(found, err)
	}
	return found
}

// foreseeDevices leaves to Validate what is wrong with the rules anywhere.
func (c *Cgroup) foreseeDevices(rules []specs.LinuxDeviceCgroup) error {
	h := c.controller("devices")
	list, err := compileDevices(rules)
	switch {
	case c.unwritable == Tolerate || c.devices == Tolerate && h != nil:
	case h == nil:
		return fault.New("set", "linux.resources.devices", errNoController)
	case err == nil && !h.v2() && list.hole != nil:
		return list.hole
	}
	return nil
}

// foreseeCreate looks at the directories that Create will make, and leaves out
// the hierarchies that Create will leave out.
func (c *Cgroup) foreseeCreate() []error {
	if err := c.EnsureUnused(); err != nil {
		return []error{err}
	}
	if c.rec.Driver != Cgroupfs {
		return nil
	}
	var found, lost []error
	hierarchies := c.Record().Hierarchies
	c.rec.Hierarchies = nil
	for i := range hierarchies {
		h := &hierarchies[i]
		err := h.creatable()
		switch {
		case err == nil:
			c.rec.Hierarchies = append(c.rec.Hierarchies, *h)
		case c.dispensable(h, err):
			lost = append(lost, err)
		default:
			found = append(found, err)
			c.rec.Hierarchies = append(c.rec.Hierarchies, *h)
		}
	}
	c.goWithout(lost)
	return found
}

// creatable returns the error of mkdir for the first directory that is missing.
func (h *Hierarchy) creatable() error {
	missing := h.Path
	for _, p := range append([]string{h.Path}, append(ancestors(h.Path), "/")...) {
		err := unix.Faccessat(unix.AT_FDCWD, h.Mount+p, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
		if errors.Is(err, unix.ENOENT) {
			missing = p
			continue
		}
		if err != nil && p != h.Path {
			return fault.New("create cgroup", h.Mount+missing, err)
		}
		return nil
	}
	return nil
}

// foreseen collects what the setters would have failed with.
type foreseen struct{ errors []error }

// note keeps the error that s is going to have; nothing stops the setter.
func (f *foreseen) note(k knobs, s setting) error {
	if err := k.try(s); err != nil {
		f.errors = append(f.errors, k.explain(s, err))
	}
	return nil
}

// read reads a file where the cgroup is going to have the same. Nothing is used
// by a cgroup that is yet to be.
func (*foreseen) read(k knobs, file string) (string, error) {
	dir, ok := k.h.example(file)
	if !ok || strings.HasSuffix(file, ".current") {
		return "", unix.ENOENT
	}
	return readFile(dir + "/" + file)
}

// foresee returns the cause with which the kernel is going to refuse s, or nil.
func (k knobs) foresee(s setting) error {
	if k.v2() && !k.h.offers(k.name) {
		return unix.ENOENT
	}
	if _, ok := k.h.example(s.file); !ok && k.h.hasExamples(k.name) {
		return unix.ENOENT
	}
	switch k.name {
	case "cpuset":
		return k.foreseeCpuset(s)
	case "hugetlb":
		return foreseePageSize(s.file)
	case "blkio", "io":
		return foreseeBlockIO(s)
	case "net_prio":
		return foreseeInterface(s.value)
	case "rdma":
		return foreseeRdma(s.value)
	}
	return nil
}

// example returns a cgroup of the hierarchy that has the file: the nearest that
// exists above the container's, or one below the root, where a file is missing
// that only other cgroups have.
func (h *Hierarchy) example(file string) (dir string, ok bool) {
	for _, p := range ancestors(h.Path + "/x") {
		if exists(h.Mount + p + "/" + file) {
			return h.Mount + p, true
		}
	}
	below, _ := children(h.Mount)
	for _, name := range below {
		if dir := path.Join(h.Mount, name); exists(dir + "/" + file) {
			return dir, true
		}
	}
	return h.Mount, exists(h.Mount + "/" + file)
}

// hasExamples reports whether there is a cgroup from whose files a missing one
// can be told. On v1 the root is one, but for controllers with files that it has
// not (CFTYPE_NOT_ON_ROOT); on v2 it is any other that has the controller.
func (h *Hierarchy) hasExamples(controller string) bool {
	below, _ := children(h.Mount)
	if !h.v2() {
		return len(below) > 0 || controller != "blkio" && controller != "pids" && controller != "rdma"
	}
	for _, name := range below {
		has, err := readFile(path.Join(h.Mount, name) + "/cgroup.controllers")
		if err == nil && hasName(has, controller) {
			return true
		}
	}
	return false
}

// offers reports whether a v2 cgroup can get the controller: all above it have
// it, and give it on already or may be told to (cgroups(7), "no internal
// processes"). Files of the core and of the kernel's own belong to no controller.
func (h *Hierarchy) offers(controller string) bool {
	if controller == "cgroup" {
		return true
	}
	has, err := readFile(h.Mount + "/cgroup.controllers")
	if err != nil || !hasName(has, controller) {
		return false
	}
	above := ancestors(h.Path)
	for i := len(above) - 1; i >= 0; i-- {
		dir := h.Mount + above[i]
		has, err := readFile(dir + "/cgroup.controllers")
		if err != nil {
			return true // it is yet to be made, by us
		}
		given, _ := readFile(path.Dir(dir) + "/cgroup.subtree_control")
		if !hasName(has, controller) && !hasName(given, controller) && !mayGive(path.Dir(dir), h.Mount) {
			return false
		}
	}
	return true
}

// mayGive reports whether controllers can be turned on for the children of dir.
func mayGive(dir, root string) bool {
	if unix.Faccessat(unix.AT_FDCWD, dir+"/cgroup.subtree_control", unix.W_OK, unix.AT_EACCESS) != nil {
		return false
	}
	inside, err := readFile(dir + "/cgroup.procs")
	return dir == root || err == nil && inside == ""
}

func hasName(list, word string) bool {
	for w := range strings.FieldsSeq(list) {
		if w == word {
			return true
		}
	}
	return false
}

func exists(name string) bool {
	return unix.Faccessat(unix.AT_FDCWD, name, unix.F_OK, 0) == nil
}
