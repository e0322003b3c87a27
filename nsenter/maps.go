package nsenter

import (
	"errors"
	"os"
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
	if DeniesGroups(ns.GIDMappings) {
		if err := s.writeProc("setgroups", "deny"); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fault.New("deny setgroups in", "the user namespace", err)
		}
	}
	for _, m := range [...]*idMap{uidMap(ns.UIDMappings), gidMap(ns.GIDMappings)} {
		if os.Geteuid() != 0 && m.needsHelper() {
			if err := m.helper.run(s.pid, m.mappings); err != nil {
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

// offsetFailure is the failure to set the clocks of a new time namespace.
func offsetFailure(cause error) error {
	return fault.New("set", "linux.timeOffsets", cause).
		WithHint("offsets must keep each clock positive and below 146 years")
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
