// Package state is the directory of a container: its record, its lock, the
// fifos of start, the snapshot of its configuration and its compiled filter.
//
// What is here is small and replaced as a whole. The status of a container is
// not: it is derived from the kernel. The package gives the contents of the
// record no meaning.
package state

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/record"
	"hull/libcontainer/plan"
)

// Errors that callers tell apart. Engines match on the words: containerd's
// shim and Podman on "does not exist".
var (
	ErrNotExist = errors.New("container does not exist")
	ErrExist    = errors.New("container with given ID already exists")
)

// Record is what has to be known of a container without reading its
// configuration. It is written before the first side effect of creation, so
// that whatever is left of a container can be found and removed.
type Record struct {
	OCIVersion  string
	ID          string
	Bundle      string
	Rootfs      string
	Annotations map[string]string
	Created     time.Time
	Owner       int
	// PID and StartTime name the init process; both are 0 until it is ready,
	// unless nothing else leads to it.
	PID       int
	StartTime uint64
	// Creating says that create is not done, or was cut off.
	Creating bool
	// Namespaces are the CLONE_NEW* flags of those that differ from hull's.
	Namespaces uint64
	// SharesPIDs says that init is not the first process of a pid namespace,
	// so that the kernel does not end the others with it.
	SharesPIDs bool
	// HasProcess says that there is a program to start.
	HasProcess bool
	// Silenced says that a seccomp filter or a limit of memory may keep init
	// from executing it, or from saying that it could not.
	Silenced bool
	// CallersKeyring says that its processes keep the session keyring of who
	// starts them.
	CallersKeyring bool
	// HostMounts are what the container mounts in a namespace that is not
	// its own, in order.
	HostMounts []HostMount
	// Resctrl is where its processes are in the resctrl filesystem.
	Resctrl Resctrl
	// Cgroup is the part that another package knows.
	Cgroup Section
	// Poststart and Poststop are the hooks that run after create.
	Poststart []plan.Hook
	Poststop  []plan.Hook
}

// HostMount is a mount point below the root filesystem.
type HostMount struct {
	Target string
	// Before is the id of the mount that was there before, or 0.
	Before uint64
}

// Resctrl is a place in the resctrl filesystem; package rdt knows more.
type Resctrl struct {
	Class   string
	Owned   bool
	Monitor string
}

// Section is a part of the record whose fields the package does not know.
type Section interface {
	Walk(*record.Walker)
}

// walk visits all fields of the record.
func (r *Record) walk(w *record.Walker) {
	created := r.Created.Format(time.RFC3339Nano)
	w.String("ociVersion", &r.OCIVersion)
	w.String("id", &r.ID)
	w.String("bundle", &r.Bundle)
	w.String("rootfs", &r.Rootfs)
	w.String("created", &created)
	w.Int("owner", &r.Owner)
	w.Int("pid", &r.PID)
	w.Uint64("startTime", &r.StartTime)
	w.Bool("creating", &r.Creating)
	w.Uint64("namespaces", &r.Namespaces)
	w.Bool("sharesPIDs", &r.SharesPIDs)
	w.Bool("hasProcess", &r.HasProcess)
	w.Bool("silenced", &r.Silenced)
	w.Bool("callersKeyring", &r.CallersKeyring)
	w.Map("annotations", &r.Annotations)
	record.List(w, "poststart", &r.Poststart, walkHook)
	record.List(w, "poststop", &r.Poststop, walkHook)
	record.List(w, "hostMounts", &r.HostMounts, func(w *record.Walker, m *HostMount) {
		w.String("- target", &m.Target)
		w.Uint64("  before", &m.Before)
	})
	w.String("resctrl", &r.Resctrl.Class)
	w.Bool("resctrl.owned", &r.Resctrl.Owned)
	w.String("resctrl.monitor", &r.Resctrl.Monitor)
	r.Cgroup.Walk(w)
	// A time that does not parse is the zero time: nothing depends on it.
	r.Created, _ = time.Parse(time.RFC3339Nano, created)
}

func walkHook(w *record.Walker, h *plan.Hook) {
	w.String("- name", &h.Name)
	w.String("  path", &h.Path)
	w.Strings("  args", &h.Args)
	w.Strings("  env", &h.Env)
	w.Uint32("  timeout", &h.TimeoutSeconds)
}

// The files of a container's directory.
const (
	recordFile = "record"
	configFile = "config.json"
	filterFile = "filter.bpf"
	gateFifo   = "exec.fifo"
	resultFifo = "exec.result"
)

// Dir is an open container directory. It is not safe for concurrent use.
type Dir struct {
	path string
	fd   int
	// held says that this value has the lock.
	held bool
}

// idMax bounds an ID: it becomes one path component (NAME_MAX is 255) and part
// of systemd's unit names.
const idMax = 200

// ValidateID reports why id cannot name a container: IDs become names of
// directories and cgroups.
func ValidateID(id string) error {
	invalid := func(why string) error {
		return fault.New("use container ID", quote(id), errors.New(why)).
			WithHint("letters, digits and _ + - . are allowed, but neither . nor ..")
	}
	switch {
	case id == "":
		return fault.New("", "", errors.New("container id cannot be empty"))
	case len(id) > idMax:
		return invalid("longer than 200 characters")
	case id == "." || id == "..":
		return invalid("not a name")
	}
	for _, c := range []byte(id) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '+', c == '-', c == '.':
		default:
			return invalid("invalid characters")
		}
	}
	return nil
}

func quote(id string) string {
	if len(id) > 64 {
		id = id[:64] + "…"
	}
	return strconv.Quote(id)
}

// Create makes the directory of a new container below root, and root itself if
// need be, and locks it. The error is ErrExist if there is such a container.
func Create(root, id string) (*Dir, error) {
	if err := ValidateID(id); err != nil {
		return nil, err
	}
	path := filepath.Join(root, id)
	err := unix.Mkdir(path, 0o711)
	if errors.Is(err, unix.ENOENT) {
		if err := os.MkdirAll(root, 0o700); err != nil {
			return nil, fault.New("make state directory", root, unwrapPath(err))
		}
		err = unix.Mkdir(path, 0o711)
	}
	if errors.Is(err, unix.EEXIST) {
		return nil, fault.New("create", id, ErrExist)
	}
	if err != nil {
		return nil, fault.New("make state directory", path, err)
	}
	d, err := open(path)
	if err == nil {
		err = d.Lock()
	}
	if err != nil {
		_ = unix.Rmdir(path)
		return nil, err
	}
	return d, nil
}

// Open opens the directory of a container; the error is ErrNotExist if there
// is none.
func Open(root, id string) (*Dir, error) {
	if err := ValidateID(id); err != nil {
		return nil, err
	}
	d, err := open(filepath.Join(root, id))
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil, fault.New("load", id, ErrNotExist)
	}
	return d, err
}

func open(path string) (*Dir, error) {
	fd, err := unix.Open(path, unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fault.New("open state directory", path, err)
	}
	return &Dir{path: path, fd: fd}, nil
}

// List returns the IDs of all containers below root, sorted. A root that is not
// there is an error, fs.ErrNotExist.
func List(root string) ([]string, error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, fault.New("list", root, unwrapPath(err))
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() && ValidateID(e.Name()) == nil {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

// Close releases the directory and its lock. Closing twice does no harm.
func (d *Dir) Close() error {
	if d.fd < 0 {
		return nil
	}
	fd := d.fd
	d.fd = -1
	return unix.Close(fd)
}

// Lock waits for the exclusive lock; create, start and delete hold it.
func (d *Dir) Lock() error {
	for {
		err := unix.Flock(d.fd, unix.LOCK_EX)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fault.New("lock", d.path, err)
		}
		d.held = true
		return nil
	}
}

// TryLock takes the exclusive lock if nobody holds it.
func (d *Dir) TryLock() (bool, error) {
	err := unix.Flock(d.fd, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, fault.New("lock", d.path, err)
	}
	d.held = true
	return true, nil
}

// Unlock releases the lock.
func (d *Dir) Unlock() {
	_ = unix.Flock(d.fd, unix.LOCK_UN)
	d.held = false
}

// Held reports whether this value has the lock.
func (d *Dir) Held() bool { return d.held }

// Locked reports whether anybody else holds the lock now. To ask costs the
// lock that this value itself has, so that it is not asked for then.
func (d *Dir) Locked() bool {
	if d.held {
		return false
	}
	if err := unix.Flock(d.fd, unix.LOCK_SH|unix.LOCK_NB); err != nil {
		return true
	}
	_ = unix.Flock(d.fd, unix.LOCK_UN)
	return false
}

// Removed reports whether the directory was removed while it was open.
func (d *Dir) Removed() bool {
	var st unix.Stat_t
	return unix.Fstat(d.fd, &st) == nil && st.Nlink == 0
}

// Save replaces the record.
func (d *Dir) Save(r *Record) error { return d.replace(recordFile, record.Encode(r.walk)) }

// Load reads the record, and its section into cgroup. The error is ErrNotExist
// while there is none: creation was cut off before it had any effect.
func (d *Dir) Load(cgroup Section) (*Record, error) {
	b, err := d.read(recordFile)
	if err != nil {
		return nil, err
	}
	r := &Record{Cgroup: cgroup}
	if err := record.Decode(b, r.walk); err != nil {
		return nil, fault.New("decode", d.path+"/"+recordFile, err)
	}
	return r, nil
}

// SaveConfig keeps the configuration as it was at creation.
func (d *Dir) SaveConfig(b []byte) error { return d.write(configFile, b) }

// LoadConfig reads what SaveConfig kept.
func (d *Dir) LoadConfig() ([]byte, error) { return d.read(configFile) }

// SaveFilter keeps the compiled seccomp filter for exec.
func (d *Dir) SaveFilter(b []byte) error { return d.write(filterFile, b) }

// LoadFilter reads what SaveFilter kept; nil if nothing was.
func (d *Dir) LoadFilter() ([]byte, error) {
	b, err := d.read(filterFile)
	if errors.Is(err, ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// Remove deletes the directory with all that is in it. It is not an error if
// it is gone already.
func (d *Dir) Remove() error {
	if d.Removed() {
		return nil // and another container may have the name by now
	}
	if err := os.RemoveAll(d.path); err != nil {
		return fault.New("remove state directory", d.path, unwrapPath(err))
	}
	return nil
}
