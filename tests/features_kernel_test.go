package tests

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// list is an annotation that is one.
func list(text string) []string {
	items := append([]string{}, strings.FieldsFunc(text, func(r rune) bool { return r == ',' })...)
	slices.Sort(items)
	return items
}

// What the kernel has is looked at when it is asked for: each of the annotations is
// compared with what the kernel says to the test.
//
//proves:features.annotations.*
func TestFeaturesSayWhatTheKernelHas(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	has := featuresOf(t, h).Annotations
	const kernel = "org.hull.kernel."
	release := strings.TrimSpace(readFile(t, "/proc/sys/kernel/osrelease"))
	equal(t, "version", has[kernel+"version"], release)
	for name, want := range map[string][]string{
		"namespaces": namespacesOfTheKernel(), "capabilities.held": heldCapabilities(t, has[kernel+"capabilities"]),
		"cgroup.v1": controllersOfV1(t), "cgroup.v2": controllersOfV2(),
		"seccomp.actions": actionsOfTheKernel(t),
	} {
		equal(t, name, list(has[kernel+name]), append([]string{}, want...))
	}
	modes, flags := policiesOfTheKernel(t)
	equal(t, "modes of memory policies", list(has[kernel+"memoryPolicy.modes"]), modes)
	equal(t, "flags of memory policies", list(has[kernel+"memoryPolicy.flags"]), flags)
	last := number(t, strings.TrimSpace(readFile(t, "/proc/sys/kernel/cap_last_cap")))
	equal(t, "capabilities", int64(len(list(has[kernel+"capabilities"]))), last+1)

	apparmor, _ := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	_, noSELinux := os.Stat("/sys/fs/selinux/enforce")
	_, noSystemd := os.Stat("/run/systemd/private")
	resctrl := resctrlMount(t)
	for name, want := range map[string]bool{
		"apparmor":              strings.HasPrefix(string(apparmor), "Y"),
		"selinux":               noSELinux == nil,
		"systemd":               noSystemd == nil,
		"intelRdt":              resctrl != "",
		"intelRdt.schemata":     resctrl != "",
		"intelRdt.monitoring":   resctrl != "" && isDirectory(filepath.Join(resctrl, "mon_groups")),
		"netDevices":            true, // of root
		"mountExtensions.idmap": mapsIDsOf(t, "/") || mapsIDsOf(t, "/dev/shm") || mapsIDsOf(t, "/tmp"),
	} {
		equal(t, name, has[kernel+name], strconv.FormatBool(want))
	}
	build, err := buildinfo.ReadFile(suite.runtime)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "Go", has["org.hull.go.version"], build.GoVersion)
	if said := "libseccomp: " + has["io.github.seccomp.libseccomp.version"] + "\n"; !strings.Contains(h.must("--version")+"\n", said) {
		t.Errorf("the version of libseccomp is not %q", said)
	}
}

// What the kernel has for root only is not there for somebody else.
//
//proves:features.annotations.*
func TestFeaturesSayWhatTheUserMayUse(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.through = []string{needTool(t, "setpriv"), "--reuid", "65534", "--regid", "65534", "--clear-groups"}
	reachable(t, h.root)
	has := featuresOf(t, h).Annotations
	for name, want := range map[string]string{
		"capabilities.held": "", "cgroup.v1": "", "cgroup.v2": "", "netDevices": "false",
		"intelRdt": "false", "intelRdt.schemata": "false", "intelRdt.monitoring": "false",
	} {
		got, ok := has["org.hull.kernel."+name]
		equal(t, name, fmt.Sprint(got, ok), fmt.Sprint(want, true))
	}
}

func namespacesOfTheKernel() (names []string) {
	for kind, file := range procNames {
		if _, err := os.Stat("/proc/self/ns/" + file); err == nil {
			names = append(names, string(kind))
		}
	}
	slices.Sort(names)
	return names
}

// heldCapabilities are those that the test has, of all.
func heldCapabilities(t *testing.T, all string) (held []string) {
	t.Helper()
	_, rest, _ := strings.Cut(readFile(t, "/proc/thread-self/status"), "CapPrm:")
	line, _, _ := strings.Cut(rest, "\n")
	set, err := strconv.ParseUint(strings.TrimSpace(line), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range strings.Split(all, ",") {
		if set&(1<<i) != 0 {
			held = append(held, name)
		}
	}
	slices.Sort(held)
	return held
}

// controllersOfV1 are those of /proc/cgroups that are mounted by themselves.
func controllersOfV1(t *testing.T) (names []string) {
	t.Helper()
	for line := range strings.Lines(readFile(t, "/proc/cgroups")) {
		name, _, _ := strings.Cut(line, "\t")
		if _, err := os.Stat(filepath.Join(cgroupRoot, name, "cgroup.procs")); err == nil && !onlyV2() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func controllersOfV2() []string {
	text, err := os.ReadFile(filepath.Join(unifiedMount(), "cgroup.controllers"))
	if err != nil {
		return nil
	}
	names := append(strings.Fields(string(text)), "cgroup")
	slices.Sort(names)
	return names
}

// actionsOfTheKernel are those of the specification (seccomp(2), "/proc interfaces").
func actionsOfTheKernel(t *testing.T) (names []string) {
	t.Helper()
	for _, name := range strings.Fields(readFile(t, "/proc/sys/kernel/seccomp/actions_avail")) {
		if name == "user_notif" {
			name = "notify"
		}
		names = append(names, "SCMP_ACT_"+strings.ToUpper(name))
	}
	names = append(names, string(specs.ActKill)) // the other name of kill_thread
	slices.Sort(names)
	return names
}

// policiesOfTheKernel are what set_mempolicy(2) takes, on a thread that has its
// policy back afterwards.
func policiesOfTheKernel(t *testing.T) (modes, flags []string) {
	t.Helper()
	node := uint64(1)
	takes := func(mode int, nodes *uint64) (ok bool) {
		bound(t, func() {
			err := setMemoryPolicy(mode, nodes)
			if ok = err == nil; !ok && !errors.Is(err, unix.EINVAL) {
				t.Fatal(err)
			}
		})
		return ok
	}
	for mode, name := range []string{
		unix.MPOL_DEFAULT: "MPOL_DEFAULT", unix.MPOL_PREFERRED: "MPOL_PREFERRED", unix.MPOL_BIND: "MPOL_BIND",
		unix.MPOL_INTERLEAVE: "MPOL_INTERLEAVE", unix.MPOL_LOCAL: "MPOL_LOCAL", unix.MPOL_PREFERRED_MANY: "MPOL_PREFERRED_MANY",
		unix.MPOL_WEIGHTED_INTERLEAVE: "MPOL_WEIGHTED_INTERLEAVE",
	} {
		nodes := &node
		if mode == unix.MPOL_DEFAULT || mode == unix.MPOL_LOCAL {
			nodes = nil
		}
		if takes(mode, nodes) {
			modes = append(modes, name)
		}
	}
	for flag, name := range map[int]string{
		unix.MPOL_F_STATIC_NODES: "MPOL_F_STATIC_NODES", unix.MPOL_F_RELATIVE_NODES: "MPOL_F_RELATIVE_NODES",
		unix.MPOL_F_NUMA_BALANCING: "MPOL_F_NUMA_BALANCING",
	} {
		if takes(unix.MPOL_BIND|flag, &node) {
			flags = append(flags, name)
		}
	}
	slices.Sort(modes)
	slices.Sort(flags)
	return modes, flags
}

// mapsIDsOf reports whether the filesystem that is mounted at a directory takes
// the mapping of a user namespace (mount_setattr(2)).
func mapsIDsOf(t *testing.T, dir string) bool {
	t.Helper()
	userns, err := os.Open(nsPath(holder(t, "--user", "--map-root-user"), specs.UserNamespace))
	if err != nil {
		t.Fatal(err)
	}
	defer userns.Close()
	fd, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(userns.Fd())}
	return unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &attr) == nil
}
