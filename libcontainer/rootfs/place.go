package rootfs

import (
	"errors"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/inroot"
	"hull/libcontainer/plan"
)

// place is where a mount goes: a handle, or an entry just made in one.
type place struct {
	dir inroot.Handle
	// name is empty when dir itself is the place. Otherwise dir is a fresh
	// tmpfs that is borrowed from the Rootfs.
	name string
	// plain means that the path of the target is free of symbolic links.
	plain bool
	// made means that the target did not exist.
	made bool
}

func (p *place) close() {
	if p.name == "" {
		p.dir.Close()
	}
}

// attach moves the detached tree here. MOVE_MOUNT_T_SYMLINKS is never given.
func (p *place) attach(tree inroot.Handle) error {
	flags := unix.MOVE_MOUNT_F_EMPTY_PATH
	if p.name == "" {
		flags |= unix.MOVE_MOUNT_T_EMPTY_PATH
	}
	err := unix.MoveMount(tree.FD(), "", p.dir.FD(), p.name, flags)
	if err == nil {
		return nil
	}
	// move_mount(2) has one EINVAL for a dozen reasons; this one users cause.
	if errors.Is(err, unix.EINVAL) && isFile(tree) != (p.name == "" && isFile(p.dir)) {
		err = unix.ENOTDIR
	}
	return &fault.Error{Op: "attach", Cause: err, Hint: attachHint(err)}
}

func attachHint(err error) string {
	switch {
	case errors.Is(err, unix.ENOTDIR):
		return "one of source and target is a directory and the other is not"
	case errors.Is(err, unix.EINVAL):
		return "the source is no detached mount, or an unbindable mount meets a shared one"
	case errors.Is(err, unix.ELOOP):
		return "the source contains the target"
	case errors.Is(err, unix.ENOENT):
		return "the target was removed meanwhile"
	case errors.Is(err, unix.ENOSPC):
		return "the limit fs.mount-max of mounts in a namespace is reached"
	}
	return ""
}

// place finds the target of m inside the root, or makes it: as a file if tree
// is valid and not a directory, else as a directory.
func (r *Rootfs) place(m *plan.Mount, tree inroot.Handle) (place, error) {
	clean := path.Clean(m.Target)
	if err := mayCover(clean, m, tree); err != nil {
		return place{}, err
	}
	if p, ok := r.placeInAnchor(clean, tree); ok {
		return p, nil
	}
	r.anchor = freshMount{}
	flags := targetFlags(m)
	h, err := r.root.OpenPlain(m.Target, flags)
	switch {
	case err == nil:
		return place{dir: h, plain: true}, nil
	case errors.Is(err, unix.ENOENT):
		return r.placeMade(m.Target, tree)
	case errors.Is(err, unix.ELOOP):
		if clean != "/proc" && clean != "/sys" {
			return r.placeBehindLink(m, tree, flags)
		}
	}
	return place{}, targetError(err, flags)
}

// targetFlags are those of open(2) for the target of m.
func targetFlags(m *plan.Mount) int {
	if demandsDirectory(path.Clean(m.Target), m) {
		return unix.O_PATH | unix.O_NOFOLLOW | unix.O_DIRECTORY
	}
	return unix.O_PATH
}

func targetError(err error, flags int) error {
	if flags&unix.O_DIRECTORY != 0 && (errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR)) {
		return &fault.Error{
			Op: "open the target", Cause: err,
			Hint: "it must be an ordinary directory: the image has a symbolic link or a file there",
		}
	}
	return &fault.Error{Op: "open the target", Cause: err, Hint: targetHint(err)}
}

func targetHint(err error) string {
	switch {
	case errors.Is(err, unix.EACCES):
		return "the container's user must be able to reach it: look at the owners and modes of the directories above"
	case errors.Is(err, unix.ENOENT): // of what is only changed
		return "neither the image nor a mount before has it"
	case errors.Is(err, unix.ENOTDIR):
		return "the image has a file on the way to it"
	case errors.Is(err, unix.ELOOP):
		return "the image has a circle of symbolic links on the way to it"
	}
	return ""
}

// unmade is the error of a target that could not be made.
func unmade(err error) error {
	hint := targetHint(err)
	switch {
	case errors.Is(err, unix.EACCES):
		hint = "the image lacks it, and has a directory above that the container's user may not write to"
	case errors.Is(err, unix.EROFS):
		hint = "the image lacks it, and is on a read-only filesystem"
	}
	return &fault.Error{Op: "create the target", Cause: err, Hint: hint}
}

// demandsDirectory tells whether the target must be a real directory, because
// labels and sysctls are looked for below it (CVE-2019-19921, CVE-2023-27561,
// CVE-2023-28642).
func demandsDirectory(clean string, m *plan.Mount) bool {
	return clean == "/proc" || clean == "/sys" ||
		m.Kind == plan.NewFilesystem && (m.Type == "proc" || m.Type == "sysfs")
}

// placeBehindLink resolves a target that has a symbolic link in it. Then the
// text says nothing about where it ends, and procfs is looked for there.
func (r *Rootfs) placeBehindLink(m *plan.Mount, tree inroot.Handle, flags int) (place, error) {
	if m.Flags&plan.TargetNoFollow != 0 {
		flags |= unix.O_NOFOLLOW
	}
	h, err := r.root.OpenFile(m.Target, flags)
	switch {
	case err == nil:
		return place{dir: h}, refuseProc(h)
	case errors.Is(err, unix.ENOENT):
		p, err := r.placeMade(m.Target, tree)
		p.plain = false
		return p, err
	}
	return place{}, targetError(err, flags)
}

// placeMade makes the target.
func (r *Rootfs) placeMade(unsafePath string, tree inroot.Handle) (place, error) {
	var (
		h   inroot.Handle
		err error
	)
	if isFile(tree) {
		h, err = r.root.CreateFile(unsafePath, 0o644)
	} else {
		h, err = r.root.MkdirAll(unsafePath, 0o755)
	}
	if err != nil {
		return place{}, unmade(err)
	}
	return place{dir: h, plain: true, made: true}, refuseProc(h)
}

// refuseProc closes h, and is an error, if it is on a procfs: by way of a
// symbolic link, perhaps one that appeared only now.
func refuseProc(h inroot.Handle) error {
	magic, err := h.FSMagic()
	if err == nil && magic == unix.PROC_SUPER_MAGIC {
		err = errCoversProc("the target has a symbolic link into it")
	}
	if err != nil {
		h.Close()
	}
	return err
}

// isFile tells whether tree is a mount of something that is not a directory.
func isFile(tree inroot.Handle) bool {
	if !tree.Valid() {
		return false
	}
	st, err := tree.Stat()
	return err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR
}

// placeInAnchor makes a directory in the tmpfs that was mounted last, which
// nobody else can have touched: the ten hierarchies below /sys/fs/cgroup and
// the mounts below /dev need no resolution at all.
func (r *Rootfs) placeInAnchor(clean string, tree inroot.Handle) (place, bool) {
	dir, name := path.Split(clean)
	if !r.anchor.tree.Valid() || strings.TrimSuffix(dir, "/") != r.anchor.path || isFile(tree) {
		return place{}, false
	}
	if r.anchor.tree.Mkdir(name, 0o755) != nil {
		return place{}, false
	}
	return place{dir: r.anchor.tree, name: name, plain: true, made: true}, true
}

// mayCover refuses a mount over procfs, also where a plan is wrong about it.
func mayCover(clean string, m *plan.Mount, tree inroot.Handle) error {
	at := *m
	at.Target = clean
	if hint := at.CoversProc(); hint != "" {
		return errCoversProc(hint)
	}
	if clean != "/proc" || m.Kind != plan.Bind {
		return nil
	}
	if magic, err := tree.FSMagic(); err != nil {
		return err
	} else if magic != unix.PROC_SUPER_MAGIC {
		return errCoversProc(notProcfs)
	}
	return nil
}

const notProcfs = "the source is not a procfs"

func errCoversProc(hint string) error {
	return &fault.Error{Op: "cover procfs", Cause: unix.EPERM, Hint: hint}
}
