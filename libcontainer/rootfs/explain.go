package rootfs

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/inroot"
	"hull/libcontainer/plan"
)

// logged is err of a filesystem context with what the context's log says of
// it; doing stands in where it says nothing.
func logged(fs inroot.Handle, fsType, doing string, err error) error {
	if text := contextLog(fs, fsType); text != "" {
		doing = text
	}
	return fault.New(doing, "", err)
}

// contextLog is the last error in the log of a filesystem context. Each
// read(2) gives one message: "e", "w" or "i", a space, and text that begins
// with the name of the filesystem.
func contextLog(fs inroot.Handle, fsType string) string {
	var (
		buf  [512]byte
		text string
	)
	for {
		n, err := unix.Read(fs.FD(), buf[:])
		if err != nil || n == 0 {
			return text
		}
		if msg, ok := strings.CutPrefix(string(buf[:n]), "e "); ok {
			text = plainText(msg, fsType)
		}
	}
}

// plainText makes a message of the kernel one of ours: no name in front that
// the operation has already, no capital, no full stop.
func plainText(msg, fsType string) string {
	msg = strings.TrimRight(msg, "\n. ")
	msg = strings.TrimPrefix(msg, fsType+": ")
	if msg != "" && 'A' <= msg[0] && msg[0] <= 'Z' {
		msg = string(msg[0]+'a'-'A') + msg[1:]
	}
	return msg
}

// hinted adds a hint to err, if there is one.
func hinted(err error, hint string) error {
	if f, ok := err.(*fault.Error); ok && hint != "" { //nolint:errorlint // made by logged
		f.Hint = hint
	}
	return err
}

// newHint says what an errno of a new filesystem usually means.
func newHint(m *plan.Mount, err error) string {
	switch {
	case errors.Is(err, unix.ENODEV):
		return "this kernel has no filesystem of that type"
	case errors.Is(err, unix.EPERM):
		return refusedHint(m.Type)
	case errors.Is(err, unix.EBUSY):
		if m.Type == "cgroup" {
			return "the controllers are mounted in another combination, or belong to cgroup v2"
		}
	case errors.Is(err, unix.EINVAL):
		switch m.Type {
		case "devpts":
			return "an id in gid= or uid= may have no mapping in the user namespace"
		case "fuse":
			return "it takes fd, which the program that serves it has opened"
		case "overlay":
			return "it takes lowerdir; upperdir and workdir go together, two directories apart on one mount that is no overlay"
		}
	case errors.Is(err, unix.ENOENT):
		return "the source, or a path among the options, does not exist"
	case errors.Is(err, unix.ENOTBLK):
		return "filesystems of this type are on block devices; an image in a file takes a loop device, losetup(8)"
	case errors.Is(err, unix.EACCES):
		return "a path among the options cannot be reached, or the device is read-only"
	}
	return ""
}

func refusedHint(fsType string) string {
	switch fsType {
	case "proc":
		return "the host's /proc is covered by other mounts, or the pid namespace is not the user namespace's own: " +
			"a user namespace may not mount a fuller one"
	case "sysfs":
		return "a user namespace may mount sysfs only with a network namespace of its own, and if the host's is not covered"
	case "mqueue":
		return "a user namespace may mount mqueue only with an ipc namespace of its own"
	case "cgroup", "cgroup2":
		return "a user namespace may mount cgroups only with a cgroup namespace of its own"
	}
	return "a user namespace may not mount this filesystem, or CAP_SYS_ADMIN is missing"
}

func optionHint(o *plan.FSOption, err error) string {
	if errors.Is(err, unix.EINVAL) && (o.Key == "uid" || o.Key == "gid") {
		return "id " + o.Value + " may have no mapping in the user namespace"
	}
	return ""
}

func isEPERM(err error) bool { return errors.Is(err, unix.EPERM) }
