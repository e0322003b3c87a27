package nsenter

import (
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// mapHelper is one of the programs of the package uidmap, which hold the privilege
// to map what an administrator has granted a user (newuidmap(1), newgidmap(1)).
type mapHelper struct {
	// name is that of the program, granted the file of what it may map.
	name, granted string
	// own is the id of the caller that anyone may map without it.
	own int
}

// idMap is what becomes of one of linux.uidMappings and linux.gidMappings.
type idMap struct {
	// file is in /proc/PID, object in config.json.
	file, object string
	mappings     []IDMapping
	helper       mapHelper
}

func uidMap(mappings []IDMapping) *idMap {
	return &idMap{"uid_map", "linux.uidMappings", mappings, mapHelper{"newuidmap", "/etc/subuid", os.Geteuid()}}
}

func gidMap(mappings []IDMapping) *idMap {
	return &idMap{"gid_map", "linux.gidMappings", mappings, mapHelper{"newgidmap", "/etc/subgid", os.Getegid()}}
}

// needsHelper says whether an unprivileged user cannot write this map: all but a
// single id, his own.
func (m *idMap) needsHelper() bool {
	return len(m.mappings) != 1 || m.mappings[0].Size != 1 || int64(m.mappings[0].HostID) != int64(m.helper.own)
}

// DeniesGroups reports whether setgroups(2) is going to be denied for good in a new
// user namespace of the caller's with these groups: without privileges, he may map a group himself,
// his own, on that condition only (user_namespaces(7)).
func DeniesGroups(gids []IDMapping) bool {
	return os.Geteuid() != 0 && !gidMap(gids).needsHelper()
}

// run has the helper write the map of a process.
func (h mapHelper) run(pid int, mappings []IDMapping) error {
	path, err := h.find()
	if err != nil {
		return err
	}
	args := []string{strconv.Itoa(pid)}
	for _, m := range mappings {
		args = append(args, uitoa(m.ContainerID), uitoa(m.HostID), uitoa(m.Size))
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err == nil {
		return nil
	}
	said := strings.TrimPrefix(strings.TrimSpace(string(out)), h.name+": ")
	failed := fault.Newf("", h.name, "%w: %s", err, said)
	if why := powerless(path); why != "" {
		return failed.WithHint("%s", why)
	}
	return failed.WithHint("beyond one's own id it maps what %s grants the user: see subuid(5), usermod --add-subuids", h.granted)
}

// foresee returns the error of run that shows without an attempt.
func (h mapHelper) foresee() error {
	path, err := h.find()
	if err != nil {
		return err
	}
	if why := powerless(path); why != "" {
		return fault.New("", h.name, unix.EPERM).WithHint("%s", why)
	}
	return nil
}

func (h mapHelper) find() (path string, err error) {
	if path, err = exec.LookPath(h.name); err != nil {
		return "", fault.New("", h.name, err).WithHint("install the package uidmap, or map a single id: your own")
	}
	return path, nil
}

// powerless says why a program would run without the rights that its file is meant
// to have; "" is that it has some.
func powerless(path string) string {
	if set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err == nil && set == 1 {
		return "no_new_privs is set here, so that no program gets the rights of its file"
	}
	var fs unix.Statfs_t
	if unix.Statfs(path, &fs) == nil && fs.Flags&unix.ST_NOSUID != 0 {
		return path + " is on a nosuid mount"
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil || st.Uid == 0 && st.Mode&unix.S_ISUID != 0 {
		return ""
	}
	if _, err := unix.Getxattr(path, "security.capability", nil); err == nil {
		return ""
	}
	return path + " is neither setuid root nor has it file capabilities"
}
