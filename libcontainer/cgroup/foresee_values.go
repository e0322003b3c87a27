package cgroup

import (
	"math"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// foreseeCpuset compares CPUs and memory nodes with those of the parent. The
// errnos are those of the kernel: ERANGE for what no machine like this can have,
// EINVAL for what this one has not, EACCES on v1 for what the parent has not.
func (k knobs) foreseeCpuset(s setting) error {
	wanted, err := mask(s.value)
	if err != nil {
		return unix.EINVAL
	}
	nodes := strings.HasSuffix(s.file, "mems")
	if nodes && len(wanted)*8 > maxNodes() {
		return unix.ERANGE
	}
	if all, err := readFile("/sys/devices/system/cpu/possible"); !nodes && err == nil && !covers(all, wanted) {
		return unix.ERANGE
	}
	root := s.file
	if k.v2() { // what the parent lacks is left out there
		if !nodes {
			return nil
		}
		root += ".effective"
	}
	if root, err := readFile(k.h.Mount + "/" + root); err == nil && !covers(root, wanted) {
		return unix.EINVAL
	}
	if parent, ok := k.h.above("/" + s.file); !k.v2() && ok && parent != "" && !covers(parent, wanted) {
		return unix.EACCES
	}
	return nil
}

// maxNodes is how many memory nodes a kernel like this one may have (MAX_NUMNODES):
// as many as it prints bits of Mems_allowed, four a digit (proc_pid_status(5)).
func maxNodes() int {
	status, err := readFile("/proc/self/status")
	_, line, found := strings.Cut(status, "\nMems_allowed:")
	if err != nil || !found {
		return math.MaxInt
	}
	line, _, _ = strings.Cut(line, "\n")
	return 4 * len(strings.ReplaceAll(strings.TrimSpace(line), ",", ""))
}

// covers reports whether the list has every bit of the mask.
func covers(list string, wanted []byte) bool {
	have, err := mask(strings.TrimSpace(list))
	if err != nil {
		return true // who knows
	}
	for i, b := range wanted {
		if i >= len(have) && b != 0 || i < len(have) && b&^have[i] != 0 {
			return false
		}
	}
	return true
}

// foreseeBlockIO looks for the device of a value such as "8:0 1048576". Leaf
// weights went with CFQ, in Linux 5.0.
func foreseeBlockIO(s setting) error {
	if strings.HasPrefix(s.file, "blkio.leaf_weight") {
		return unix.ENOENT
	}
	number, _, ok := strings.Cut(s.value, " ")
	if ok && strings.Contains(number, ":") && !exists("/sys/dev/block/"+number) {
		return unix.ENODEV
	}
	return nil
}

// foreseePageSize looks for the pages of a file such as "hugetlb.2MB.max".
func foreseePageSize(file string) error {
	size, _, _ := strings.Cut(strings.TrimPrefix(file, "hugetlb."), ".")
	if sizes, err := pageSizes(); err == nil && strings.HasSuffix(size, "B") && !slices.Contains(sizes, size) {
		return unix.ENOENT
	}
	return nil
}

// foreseeInterface looks for the network device of a value such as "eth0 5".
func foreseeInterface(value string) error {
	if name, _, _ := strings.Cut(value, " "); !exists("/sys/class/net/" + name) {
		return unix.ENODEV
	}
	return nil
}

// foreseeRdma looks for the RDMA device of a value such as "mlx5_0 hca_handle=2".
func foreseeRdma(value string) error {
	if name, _, _ := strings.Cut(value, " "); !exists("/sys/class/infiniband/" + name) {
		return unix.ENODEV
	}
	return nil
}

// GrantsRealtime reports whether processes with a real-time policy are going to
// get any time: a new v1 cgroup has none (sched-rt-group.rst of the kernel).
func (c *Cgroup) GrantsRealtime(r *specs.LinuxResources) bool {
	h := c.controller("cpu")
	if h == nil || h.v2() {
		return true
	}
	if _, ok := h.example("cpu.rt_runtime_us"); !ok {
		return true
	}
	return r != nil && r.CPU != nil && deref(r.CPU.RealtimeRuntime) != 0
}
