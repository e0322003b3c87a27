// Package plan is the data half of the contract between the parent and the
// init stage: everything init has to do, already decided. Option strings have
// become flags, names have become numbers, hook state has become bytes.
//
// The types are flat and hold hardly any behaviour but the codec. The package knows
// neither config.json (package spec compiles it into a Plan) nor the kernel
// (packages initproc and rootfs carry a Plan out).
package plan

import (
	"errors"
	"syscall"
)

// Kind says which of the two init stages a plan is for.
type Kind uint8

const (
	// Create builds a container and waits on the exec fifo.
	Create Kind = iota
	// Exec starts one more process in a running container.
	Exec
)

// Plan is all that an init stage is told.
type Plan struct {
	Kind Kind
	// ID is the container's ID, for the name of the session keyring.
	ID      string
	Rootfs  Rootfs
	Mounts  []Mount
	Devices []Device
	// DevLinks are the symbolic links below /dev that the spec demands
	// (config-linux.md, "Default Devices" and "Dev symbolic links").
	DevLinks []Symlink
	// MaskedPaths and ReadonlyPaths are absolute paths in the container.
	MaskedPaths   []string
	ReadonlyPaths []string
	// MountLabel is the option that gives masks their SELinux label, and has that
	// of mqueue; without a key there is none.
	MountLabel FSOption
	Hostname   string
	Domainname string
	Sysctls    []Sysctl
	// CreateContainer and StartContainer hooks run in the container's
	// namespaces, the first before the pivot, the second after start.
	CreateContainer []Hook
	StartContainer  []Hook
	// HooksOpened says that the programs of the CreateContainer hooks are sent
	// along with the plan: their paths are of another mount namespace.
	HooksOpened bool
	// HookStreams are sent along with the plan.
	HookStreams HookStreams
	Process     Process
}

// PivotMode is how init makes the container's root its own.
type PivotMode uint8

const (
	// PivotRoot uses pivot_root(2): the default.
	PivotRoot PivotMode = iota
	// MoveRoot moves the root mount over / and chroots (--no-pivot), for
	// hosts whose root is a ramfs.
	MoveRoot
	// ChrootOnly is for a container without a mount namespace of its own.
	ChrootOnly
)

// Access is whether something may be written.
type Access uint8

const (
	// ReadWrite allows writing.
	ReadWrite Access = iota
	// ReadOnly does not.
	ReadOnly
)

// Rootfs is the container's root filesystem.
type Rootfs struct {
	// Path is absolute, on the host, with symbolic links resolved.
	Path   string
	Pivot  PivotMode
	Access Access
	// HostPropagation is the MS_* set for the inherited tree before anything is
	// mounted (MS_REC included); never MS_SHARED.
	HostPropagation uint64
	// Propagation is the MS_* of linux.rootfsPropagation, set on / at the
	// end, or 0 to leave it.
	Propagation uint64
}

// MountKind is the way a mount comes into being.
type MountKind uint8

const (
	// NewFilesystem makes a superblock: fsopen, fsconfig, fsmount.
	NewFilesystem MountKind = iota
	// Bind clones a mount of the host: open_tree.
	Bind
	// Reconfigure changes the mount that is already at Target ("remount").
	Reconfigure
	// Link makes a symbolic link to Source at Target: cgroup v1's co-mounted
	// controllers.
	Link
)

// MountFlags are the yes-or-no parts of a Mount.
type MountFlags uint32

const (
	// Recursive clones the whole tree below a bind source ("rbind").
	Recursive MountFlags = 1 << iota
	// Supplied means that the parent opened the source and sends its
	// descriptor, in the order of Plan.Mounts.
	Supplied
	// CopyUp copies what the image has at Target into the new tmpfs.
	CopyUp
	// TargetNoFollow mounts over a symbolic link that is the last component of
	// Target, instead of following it ("dest-nofollow").
	TargetNoFollow
	// SourceNoFollow binds a symbolic link itself ("src-nofollow").
	SourceNoFollow
	// CopySymlink recreates a source that is a symbolic link instead of
	// mounting it.
	CopySymlink
	// SourceIsFile means that a missing Target is created as a file. Init
	// takes it from the descriptor when the source is Supplied.
	SourceIsFile
	// FallbackBind lets a sysfs or mqueue that the user namespace may not
	// mount become a recursive bind of the host's /sys or /dev/mqueue.
	FallbackBind
	// CloneFirst means that init clones a bind source before HostPropagation is
	// set, because the mount is to be a slave of one that becomes private.
	CloneFirst
)

// SourceHint says what an errno of open_tree(2) on a bind source usually means,
// for whoever opens it: the parent or init.
func (f MountFlags) SourceHint(err error) string {
	switch {
	case errors.Is(err, syscall.ENOENT):
		return "it does not exist on the host"
	case errors.Is(err, syscall.EACCES):
		return "the modes of the directories above keep from it whoever binds it"
	case errors.Is(err, syscall.EINVAL):
		if f&Recursive == 0 {
			return "its mount is unbindable, or has mounts below that a user namespace may not uncover: use rbind"
		}
		return "its mount is unbindable"
	case errors.Is(err, syscall.ELOOP):
		return "a circle of symbolic links, or more than 40 of them"
	case errors.Is(err, syscall.EPERM):
		return "CAP_SYS_ADMIN is missing"
	}
	return ""
}

// Mount is one step of building the mount tree.
type Mount struct {
	// Name is where the user wrote it: "mounts[3]".
	Name string
	Kind MountKind
	// Source is the bind source (absolute, on the host), the device of a new
	// filesystem, or the content of a Link.
	Source string
	// Target is absolute in the container; not to be trusted.
	Target string
	// Type is the filesystem type, of NewFilesystem and Reconfigure.
	Type  string
	Flags MountFlags
	// Options go to fsconfig(2), in order.
	Options []FSOption
	// RecSet and RecClear are MOUNT_ATTR_* of the mount and all below it
	// (mount_setattr(2)); Set and Clear, of the mount itself, come after them.
	// Clear holds MOUNT_ATTR__ATIME whenever Set changes the atime mode.
	Set, Clear       uint64
	RecSet, RecClear uint64
	// Propagation are MS_SHARED, MS_PRIVATE, MS_SLAVE, MS_UNBINDABLE, each
	// with or without MS_REC, applied in order.
	Propagation []uint64
}

// Value returns that of the last of the Options with a key, "" if there is none.
func (m *Mount) Value(key string) string {
	for i := len(m.Options) - 1; i >= 0; i-- {
		if m.Options[i].Key == key {
			return m.Options[i].Value
		}
	}
	return ""
}

// Describe says what the step does and to what, for errors: "mount tmpfs on" and
// "/x (mounts[3])".
func (m *Mount) Describe() (op, object string) {
	switch m.Kind {
	case NewFilesystem:
		op = "mount " + m.Type + " on"
		if m.Source != "" && m.Source != "none" && m.Source != m.Type {
			op = "mount " + m.Type + " " + m.Source + " on"
		}
	case Bind:
		op = "bind " + m.Source + " on"
	case Reconfigure:
		op = "remount"
	case Link:
		op = "link " + m.Source + " at"
	}
	object = m.Target
	if m.Name != "" {
		object += " (" + m.Name + ")"
	}
	return op, object
}

// Attributes are those that the mount itself ends up with, if it is new.
func (m *Mount) Attributes() uint64 { return m.RecSet&^m.Clear | m.Set }

// FSOption is one fsconfig(2) parameter; a flag when Value is empty and
// IsFlag is set.
type FSOption struct {
	Key, Value string
	IsFlag     bool
}

// Device is a node below the container's /dev (or elsewhere).
type Device struct {
	// Path is absolute in the container; not to be trusted.
	Path string
	// Mode is the file type (S_IFCHR, S_IFBLK, S_IFIFO) and the permissions.
	Mode         uint32
	Major, Minor uint32
	UID, GID     uint32
	// Source is how the node is made.
	Source DeviceSource
}

// DeviceSource is how a device node comes into being.
type DeviceSource uint8

const (
	// Mknod makes the node.
	Mknod DeviceSource = iota
	// BindHost binds the host's node of the same path: in a user namespace
	// mknod(2) is not permitted.
	BindHost
)

// Symlink is a symbolic link at Path whose content is Target.
type Symlink struct {
	Path, Target string
}

// Sysctl is a kernel parameter; Key has dots.
type Sysctl struct {
	Key, Value string
}

// Hook is one OCI hook with the state it reads on stdin.
type Hook struct {
	// Name is where the user wrote it: "hooks.createContainer[0]".
	Name string
	Path string
	Args []string
	Env  []string
	// TimeoutSeconds is 0 for none.
	TimeoutSeconds uint32
	State          []byte
}

// HookStreams says which streams of hooks go to a file that the parent opened.
type HookStreams uint8

const (
	// HookStdout is the standard output.
	HookStdout HookStreams = 1 << iota
	// HookStderr is the standard error.
	HookStderr
)
