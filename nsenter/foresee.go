package nsenter

import (
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Foresee returns the errors that Enter is going to return, as far as they show
// without an attempt: what the kernel or the caller's privileges do not allow.
// held are the capabilities that the caller has.
func Foresee(ns *Namespaces, held uint64) []error {
	var found []error
	for i := range ns.Join {
		if errno := refusesJoin(&ns.Join[i], held); errno != 0 {
			found = append(found, joinFailure(ns, i, errno))
		}
	}
	if errno := refusesNew(ns, held); errno != 0 {
		found = append(found, newNamespaceFailure(ns.New, errno))
	}
	if ns.New&unix.CLONE_NEWUSER != 0 {
		found = append(found, foreseeMaps(ns)...)
	}
	if ns.New&unix.CLONE_NEWTIME != 0 && !inRange(ns.ClockOffsets) {
		found = append(found, offsetFailure(unix.ERANGE))
	}
	return found
}

// inRange reports whether the kernel takes the offsets: a clock must be neither
// negative nor beyond half of what a ktime_t holds (proc_timens_set_offset()). An
// offset beyond that by itself is the caller's to refuse.
func inRange(offsets []ClockOffset) bool {
	const most = 9223372036 / 2 // KTIME_SEC_MAX / 2
	for _, o := range offsets {
		clock := int32(unix.CLOCK_MONOTONIC)
		if o.Clock == "boottime" {
			clock = unix.CLOCK_BOOTTIME
		}
		var now unix.Timespec
		if o.Seconds > most || o.Seconds < -most || unix.ClockGettime(clock, &now) != nil {
			continue
		}
		if sum := now.Sec + o.Seconds; sum < 0 || sum > most {
			return false
		}
	}
	return true
}

// refusesJoin says what setns(2) has against a namespace; 0 is nothing.
func refusesJoin(j *Join, held uint64) syscall.Errno {
	kind, err := unix.IoctlRetInt(int(j.File.Fd()), unix.NS_GET_NSTYPE)
	if err != nil || uint64(kind) != j.Type {
		return unix.EINVAL
	}
	if j.Type == unix.CLONE_NEWUSER && isOwn("user", j.File) {
		return unix.EINVAL
	}
	if held&(1<<unix.CAP_SYS_ADMIN) == 0 && ownerIsOwn(j.File) {
		return unix.EPERM
	}
	return 0
}

// isOwn reports whether f is the namespace of that name that the caller is in.
func isOwn(name string, f *os.File) bool {
	var own, theirs unix.Stat_t
	return unix.Stat("/proc/self/ns/"+name, &own) == nil && unix.Fstat(int(f.Fd()), &theirs) == nil &&
		own.Dev == theirs.Dev && own.Ino == theirs.Ino
}

// ownerIsOwn reports whether a namespace belongs to the caller's user namespace
// (NS_GET_USERNS of ioctl_ns(2)).
func ownerIsOwn(f *os.File) bool {
	fd, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_USERNS)
	if err != nil {
		return false
	}
	owner := os.NewFile(uintptr(fd), "user namespace")
	defer owner.Close()
	return isOwn("user", owner)
}

// namespaceKinds are the types of namespaces by their flags, with the names that they
// have in /proc/PID/ns and, within max_*_namespaces, in /proc/sys/user.
func namespaceKinds() [8]struct {
	flag        uint64
	file, limit string
} {
	return [...]struct {
		flag        uint64
		file, limit string
	}{
		{unix.CLONE_NEWUSER, "user", "user"},
		{unix.CLONE_NEWPID, "pid", "pid"},
		{unix.CLONE_NEWNET, "net", "net"},
		{unix.CLONE_NEWNS, "mnt", "mnt"},
		{unix.CLONE_NEWIPC, "ipc", "ipc"},
		{unix.CLONE_NEWUTS, "uts", "uts"},
		{unix.CLONE_NEWCGROUP, "cgroup", "cgroup"},
		{unix.CLONE_NEWTIME, "time", "time"},
	}
}

// Supported returns the CLONE_NEW* flags of the namespaces that this kernel has.
func Supported() (flags uint64) {
	for _, k := range namespaceKinds() {
		if unix.Access("/proc/self/ns/"+k.file, unix.F_OK) == nil {
			flags |= k.flag
		}
	}
	return flags
}

// refusesNew says what unshare(2) and clone(2) have against the new namespaces.
func refusesNew(ns *Namespaces, held uint64) syscall.Errno {
	if ns.New&^Supported() != 0 {
		return unix.EINVAL
	}
	if ns.New != 0 && !ns.EntersUser() && held&(1<<unix.CAP_SYS_ADMIN) == 0 {
		return unix.EPERM
	}
	for _, k := range namespaceKinds() {
		if ns.New&k.flag != 0 && setting("user/max_"+k.limit+"_namespaces") == "0" {
			return unix.ENOSPC
		}
	}
	// Debian's and Ubuntu's own: unprivileged users may have none.
	if ns.New&unix.CLONE_NEWUSER != 0 && held&(1<<unix.CAP_SYS_ADMIN) == 0 &&
		setting("kernel/unprivileged_userns_clone") == "0" {
		return unix.EPERM
	}
	return 0
}

func setting(name string) string {
	b, _ := os.ReadFile("/proc/sys/" + name)
	return strings.TrimSpace(string(b))
}

// foreseeMaps looks at the mappings with the eyes of writeIDMaps.
func foreseeMaps(ns *Namespaces) []error {
	var found []error
	for _, m := range [...]*idMap{uidMap(ns.UIDMappings), gidMap(ns.GIDMappings)} {
		if os.Geteuid() != 0 && m.needsHelper() {
			if err := m.helper.foresee(); err != nil {
				found = append(found, mapFailure(m.object, err))
			}
			continue
		}
		if !allMapped("/proc/self/"+m.file, m.mappings) {
			found = append(found, unmapped(m.object, unix.EPERM))
		}
	}
	return found
}

// allMapped reports whether the ids that mappings lead to exist for the caller.
func allMapped(file string, mappings []IDMapping) bool {
	text, err := os.ReadFile(file)
	if err != nil {
		return true // it will show
	}
	for _, m := range mappings {
		if !mapped(string(text), uint64(m.HostID), uint64(m.Size)) {
			return false
		}
	}
	return true
}

// mapped reports whether one line of a uid_map has all size ids from first on;
// the kernel does not put lines together either.
func mapped(text string, first, size uint64) bool {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		from, err1 := strconv.ParseUint(f[0], 10, 32)
		count, err2 := strconv.ParseUint(f[2], 10, 32)
		if err1 == nil && err2 == nil && first >= from && first+size <= from+count {
			return true
		}
	}
	return false
}
