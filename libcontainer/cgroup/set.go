package cgroup

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

var (
	errNoController = errors.New("no hierarchy with this controller is mounted or writable here")
	errOnlyV1       = errors.New("only cgroup v1 has this limit, and its hierarchy is not mounted here")
)

// Set applies linux.resources except devices, for which there is SetDevices. A
// zero value leaves what is set. The error names the JSON path, the file and
// the value; limits set before it remain.
func (c *Cgroup) Set(r *specs.LinuxResources) error {
	if r == nil || c.rec.Driver == Disabled {
		return nil
	}
	// Before systemd, which would write the limit as it is.
	if err := c.checkMemory(r); err != nil {
		return err
	}
	if c.rec.Driver == Systemd {
		if err := c.setUnitProperties(r); err != nil {
			// What systemd refuses the kernel does as well, as a rule, and
			// that error has the path and the value.
			return cmp.Or(c.writeAll(r), err)
		}
	}
	return c.writeAll(r)
}

// writeAll writes the files.
func (c *Cgroup) writeAll(r *specs.LinuxResources) error {
	for _, set := range c.setters() {
		if err := set(r); err != nil {
			return err
		}
	}
	return nil
}

// setters are what Set does, and Foresee looks at, after checkMemory. Memory comes
// last, that of unified as well: v2 kills for a limit that is below what is used,
// and that cannot be undone.
func (c *Cgroup) setters() [9]func(*specs.LinuxResources) error {
	return [...]func(*specs.LinuxResources) error{
		c.setPids, c.setCPU, c.setCpuset, c.setBlockIO,
		c.setHugepages, c.setNetwork, c.setRdma, c.setUnified, c.setMemory,
	}
}

// knobs are the files of one controller.
type knobs struct {
	name     string
	h        *Hierarchy
	foreseen *foreseen
	journal  *journal
}

func (c *Cgroup) knobs(controller string) knobs {
	return knobs{controller, c.controller(controller), c.foreseen, c.journal}
}

// v2 reports whether the files have their v2 names.
func (k knobs) v2() bool { return k.h != nil && k.h.v2() }

// pick returns the name that a file has in this hierarchy.
func (k knobs) pick(v1, v2 string) string {
	if k.v2() {
		return v2
	}
	return v1
}

// setting is one write: a value of linux.resources and the file for it.
type setting struct {
	field string // the JSON path below linux.resources
	file  string
	value string
}

// write applies s. A v2 file that is not there may only need its controller.
func (k knobs) write(s setting) error {
	if k.foreseen != nil {
		return k.foreseen.note(k, s)
	}
	err := k.record(s)
	if errors.Is(err, unix.ENOENT) && k.v2() {
		k.h.enable([]string{k.name})
		err = k.record(s)
	}
	if err == nil {
		return nil
	}
	return k.explain(s, err)
}

// record is try with an entry in the journal, if there is one.
func (k knobs) record(s setting) error {
	if k.journal == nil || k.h == nil || s.file == "" {
		return k.try(s)
	}
	before := k.before(s)
	if err := k.try(s); err != nil {
		return err
	}
	k.journal.changes = append(k.journal.changes, before...)
	return nil
}

// try is write with the bare cause.
func (k knobs) try(s setting) error {
	switch {
	case k.h == nil:
		return errNoController
	case s.file == "":
		return errOnlyV1
	case k.foreseen != nil:
		return k.foresee(s)
	}
	return writeFile(k.h.dir()+"/"+s.file, s.value)
}

func (k knobs) read(file string) (string, error) {
	if k.h == nil {
		return "", errNoController
	}
	if k.foreseen != nil {
		return k.foreseen.read(k, file)
	}
	return readFile(k.h.dir() + "/" + file)
}

// settle applies settings that the kernel checks against each other, in
// whatever order works: a limit and a limit that must not be below it, for
// instance, have to be raised in one order and lowered in the other.
func (k knobs) settle(settings []setting) error {
	for len(settings) > 0 {
		var refused []setting
		for _, s := range settings {
			err := k.write(s)
			if errors.Is(err, unix.EINVAL) {
				refused = append(refused, s)
				continue
			}
			if err != nil {
				return err
			}
		}
		if len(refused) == len(settings) {
			return k.explain(refused[0], unix.EINVAL)
		}
		settings = refused
	}
	return nil
}

// list collects settings; those without a value are left out.
type list []setting

func (l *list) add(field, file, value string) { *l = append(*l, setting{field, file, value}) }

func (l *list) addInt(field, file string, v *int64) {
	if v != nil && *v != 0 {
		l.add(field, file, strconv.FormatInt(*v, 10))
	}
}

func (l *list) addUint(field, file string, v *uint64) {
	if v != nil && *v != 0 {
		l.add(field, file, strconv.FormatUint(*v, 10))
	}
}

func (c *Cgroup) setPids(r *specs.LinuxResources) error {
	if r.Pids == nil || r.Pids.Limit == nil {
		return nil
	}
	k := c.knobs("pids")
	if k.leaves(r, "pids.max") {
		return nil
	}
	// 0 is a limit like any other (config-linux.md, "PIDs"): init is there
	// already, and nothing can be added to it.
	v := "max"
	if n := *r.Pids.Limit; n >= 0 {
		v = strconv.FormatInt(n, 10)
	}
	return k.write(setting{"pids.limit", "pids.max", v})
}

func (c *Cgroup) setCpuset(r *specs.LinuxResources) error {
	if r.CPU == nil {
		return nil
	}
	k := c.knobs("cpuset")
	for _, s := range [...]setting{
		{"cpu.cpus", "cpuset.cpus", r.CPU.Cpus},
		{"cpu.mems", "cpuset.mems", r.CPU.Mems},
	} {
		if s.value == "" {
			continue
		}
		if err := k.write(s); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cgroup) setHugepages(r *specs.LinuxResources) error {
	k := c.knobs("hugetlb")
	for i, l := range r.HugepageLimits {
		field := "hugepageLimits[" + strconv.Itoa(i) + "].limit"
		prefix := "hugetlb." + l.Pagesize
		value := strconv.FormatUint(l.Limit, 10)
		if strings.Contains(l.Pagesize, "/") {
			return fault.Newf("set linux.resources."+field, l.Pagesize, "pageSize must not have a slash")
		}
		if err := k.write(setting{field, prefix + k.pick(".limit_in_bytes", ".max"), value}); err != nil {
			return err
		}
		// Pages reserved by mmap(2) and not yet touched count only here
		// (kernel 5.7, where it is built in).
		rsvd := setting{field, prefix + ".rsvd" + k.pick(".limit_in_bytes", ".max"), value}
		if err := k.record(rsvd); err != nil && !errors.Is(err, unix.ENOENT) {
			return k.explain(rsvd, err)
		}
	}
	return nil
}

func (c *Cgroup) setNetwork(r *specs.LinuxResources) error {
	if r.Network == nil {
		return nil
	}
	if id := r.Network.ClassID; id != nil && *id != 0 {
		k := c.knobs("net_cls")
		s := setting{"network.classID", k.pick("net_cls.classid", ""), strconv.FormatUint(uint64(*id), 10)}
		if err := k.write(s); err != nil {
			return err
		}
	}
	k := c.knobs("net_prio")
	for i, p := range r.Network.Priorities {
		s := setting{
			"network.priorities[" + strconv.Itoa(i) + "]", k.pick("net_prio.ifpriomap", ""),
			p.Name + " " + strconv.FormatUint(uint64(p.Priority), 10),
		}
		if err := k.write(s); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cgroup) setRdma(r *specs.LinuxResources) error {
	k := c.knobs("rdma")
	for _, device := range sortedKeys(r.Rdma) {
		limit, line := r.Rdma[device], device
		if limit.HcaHandles != nil {
			line += " hca_handle=" + strconv.FormatUint(uint64(*limit.HcaHandles), 10)
		}
		if limit.HcaObjects != nil {
			line += " hca_object=" + strconv.FormatUint(uint64(*limit.HcaObjects), 10)
		}
		if err := k.write(setting{"rdma." + device, "rdma.max", line}); err != nil {
			return err
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
