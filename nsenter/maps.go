package nsenter

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// IDMapping is a line of uid_map or gid_map (user_namespaces(7)).
type IDMapping struct {
	ContainerID, HostID, Size uint32
}

// ClockOffset is a line of timens_offsets (time_namespaces(7)).
type ClockOffset struct {
	// Clock is "monotonic" or "boottime".
	Clock       string
	Seconds     int64
	Nanoseconds uint32
}

// writeMaps sets up the stage's new user and time namespaces from outside and
// lets it go on.
func (s *Stage) writeMaps(ns *Namespaces) error {
	if ns.New&unix.CLONE_NEWUSER != 0 {
		if err := s.writeIDMaps(ns); err != nil {
			return err
		}
	}
	if ns.New&unix.CLONE_NEWTIME != 0 && len(ns.ClockOffsets) > 0 {
		if err := s.writeProc("timens_offsets", clockOffsetText(ns.ClockOffsets)); err != nil {
			return offsetFailure(err)
		}
	}
	if _, err := unix.Write(s.link, []byte{1}); err != nil {
		return fault.New("release the init stage", "", err)
	}
	return nil
}

func (s *Stage) writeIDMaps(ns *Namespaces) error {
	privileged := os.Geteuid() == 0
	if !privileged && !needsHelper(ns.GIDMappings) {
		// Without privileges, gid_map is writable only once setgroups(2)
		// is denied for good (user_namespaces(7)).
		if err := s.writeProc("setgroups", "deny"); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fault.New("deny setgroups in", "the user namespace", err)
		}
	}
	for _, m := range [...]struct {
		file, helper, object string
		mappings             []IDMapping
	}{
		{"uid_map", "newuidmap", "linux.uidMappings", ns.UIDMappings},
		{"gid_map", "newgidmap", "linux.gidMappings", ns.GIDMappings},
	} {
		if !privileged && needsHelper(m.mappings) {
			if err := s.runMapHelper(m.helper, m.mappings); err != nil {
				return mapFailure(m.object, err)
			}
			continue
		}
		if err := s.writeProc(m.file, mappingText(m.mappings)); err != nil {
			return unmapped(m.object, err)
		}
	}
	return nil
}

// needsHelper says whether an unprivileged user cannot write these mappings:
// all but a single id, one's own.
func needsHelper(m []IDMapping) bool {
	return len(m) != 1 || m[0].Size != 1
}

func (s *Stage) writeProc(name, text string) error {
	f, err := os.OpenFile("/proc/"+strconv.Itoa(s.pid)+"/"+name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	// The kernel takes each of these files in a single write.
	if _, err := unix.Write(int(f.Fd()), []byte(text)); err != nil {
		return err
	}
	return nil
}

// runMapHelper runs newuidmap(1) or newgidmap(1), which hold the privilege to
// map what /etc/subuid and /etc/subgid grant the user.
func (s *Stage) runMapHelper(name string, mappings []IDMapping) error {
	path, err := exec.LookPath(name)
	if err != nil {
		return helperMissing(name, err)
	}
	args := []string{strconv.Itoa(s.pid)}
	for _, m := range mappings {
		args = append(args, uitoa(m.ContainerID), uitoa(m.HostID), uitoa(m.Size))
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		return fault.Newf("", name, "%w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// offsetFailure is the failure to set the clocks of a new time namespace.
func offsetFailure(cause error) error {
	return fault.New("set", "linux.timeOffsets", cause).
		WithHint("offsets must keep each clock positive and below 146 years")
}

// helperMissing is the failure of a mapping whose helper is not there.
func helperMissing(name string, err error) error {
	return fault.New("", name, err).WithHint("install the package uidmap, or map a single id: your own")
}

// mapFailure is the failure to apply linux.uidMappings or linux.gidMappings.
func mapFailure(object string, cause error) *fault.Error { return fault.New("map", object, cause) }

// unmapped is mapFailure where the kernel refused the mappings.
func unmapped(object string, cause error) error {
	return mapFailure(object, cause).
		WithHint("ranges must not overlap, and host ids must be mapped in the caller's own user namespace")
}

// builder is the id that init has until it takes that of the program: root's or,
// where there is none, the first that is mapped. What it makes in a filesystem of
// the user namespace must have an owner there (EOVERFLOW).
func builder(mappings []IDMapping) uint32 {
	if len(mappings) == 0 || slices.ContainsFunc(mappings, func(m IDMapping) bool { return m.ContainerID == 0 }) {
		return 0
	}
	return mappings[0].ContainerID
}

func mappingText(mappings []IDMapping) string {
	var b strings.Builder
	for _, m := range mappings {
		b.WriteString(uitoa(m.ContainerID) + " " + uitoa(m.HostID) + " " + uitoa(m.Size) + "\n")
	}
	return b.String()
}

func clockOffsetText(offsets []ClockOffset) string {
	var b strings.Builder
	for _, o := range offsets {
		b.WriteString(o.Clock + " " + strconv.FormatInt(o.Seconds, 10) + " " + uitoa(o.Nanoseconds) + "\n")
	}
	return b.String()
}

func uitoa(v uint32) string { return strconv.FormatUint(uint64(v), 10) }
