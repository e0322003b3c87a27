package plan

import (
	"encoding/binary"
	"errors"
	"math"
)

// magic tells a plan of this build from anything else. Parent and init are
// always the same executable, so a change of layout needs no version.
const magic = 0x6e616c70

// ErrMalformed is what Decode says of bytes that Encode did not make.
var ErrMalformed = errors.New("malformed plan")

// Encode renders p for the link.
func Encode(p *Plan) []byte {
	w := walker{buf: make([]byte, 0, 4096), encoding: true}
	w.header()
	w.plan(p)
	return w.buf
}

// Decode is the inverse of Encode. It never panics, and it allocates no more
// than a small multiple of len(b), whatever the bytes say. Strings of the plan
// share memory with one copy of b.
func Decode(b []byte) (*Plan, error) {
	w := walker{buf: b, text: string(b)}
	w.header()
	p := new(Plan)
	w.plan(p)
	if w.bad || len(w.buf) != 0 {
		return nil, ErrMalformed
	}
	return p, nil
}

// walker visits every field of a plan once, and either appends it to buf or
// takes it off: one walk per struct, so that the two directions cannot drift.
type walker struct {
	buf      []byte
	text     string
	encoding bool
	bad      bool
}

func (w *walker) header() {
	m := uint32(magic)
	w.u32(&m)
	w.bad = w.bad || m != magic
}

func (w *walker) take(n int) []byte {
	if w.bad || n > len(w.buf) {
		w.bad = true
		return nil
	}
	b := w.buf[:n]
	w.buf = w.buf[n:]
	return b
}

func (w *walker) u8(v *uint8) {
	if w.encoding {
		w.buf = append(w.buf, *v)
	} else if b := w.take(1); b != nil {
		*v = b[0]
	}
}

func (w *walker) u32(v *uint32) {
	if w.encoding {
		w.buf = binary.LittleEndian.AppendUint32(w.buf, *v)
	} else if b := w.take(4); b != nil {
		*v = binary.LittleEndian.Uint32(b)
	}
}

func (w *walker) u64(v *uint64) {
	if w.encoding {
		w.buf = binary.LittleEndian.AppendUint64(w.buf, *v)
	} else if b := w.take(8); b != nil {
		*v = binary.LittleEndian.Uint64(b)
	}
}

func (w *walker) u16(v *uint16) {
	x := uint32(*v)
	w.u32(&x)
	if x > math.MaxUint16 {
		w.bad = true
		return
	}
	*v = uint16(x)
}

func (w *walker) i32(v *int32) {
	x := uint32(*v)
	w.u32(&x)
	*v = int32(x)
}

func (w *walker) i64(v *int64) {
	x := uint64(*v)
	w.u64(&x)
	*v = int64(x)
}

func (w *walker) flag(v *bool) {
	var x uint8
	if *v {
		x = 1
	}
	w.u8(&x)
	w.bad = w.bad || x > 1
	*v = x == 1
}

func (w *walker) str(v *string) {
	n := uint32(len(*v))
	w.u32(&n)
	if w.encoding {
		w.buf = append(w.buf, *v...)
		return
	}
	start := len(w.text) - len(w.buf)
	if b := w.take(int(n)); b != nil {
		*v = w.text[start : start+len(b)]
	}
}

func (w *walker) bytes(v *[]byte) {
	n := uint32(len(*v))
	w.u32(&n)
	if w.encoding {
		w.buf = append(w.buf, *v...)
		return
	}
	if b := w.take(int(n)); len(b) > 0 {
		*v = append([]byte(nil), b...)
	}
}

// enum walks a named uint8 whose values are below limit.
func enum[T ~uint8](w *walker, v *T, limit T) {
	x := uint8(*v)
	w.u8(&x)
	w.bad = w.bad || x >= uint8(limit)
	*v = T(x)
}

// list walks a slice. Every element takes at least one byte, which bounds what
// a hostile length can make us allocate.
func list[T any](w *walker, v *[]T, each func(*walker, *T)) {
	n := uint32(len(*v))
	w.u32(&n)
	if !w.encoding {
		if w.bad || uint64(n) > uint64(len(w.buf)) {
			w.bad = true
			return
		}
		if n > 0 {
			*v = make([]T, 0, min(n, 1024))
		}
	}
	for i := range n {
		if w.bad {
			return
		}
		if !w.encoding {
			*v = append(*v, *new(T))
		}
		each(w, &(*v)[i])
	}
}

func strings(w *walker, v *[]string) { list(w, v, (*walker).str) }

func (w *walker) plan(p *Plan) {
	enum(w, &p.Kind, Exec+1)
	w.str(&p.ID)
	w.rootfs(&p.Rootfs)
	list(w, &p.Mounts, (*walker).mount)
	list(w, &p.Devices, (*walker).device)
	list(w, &p.DevLinks, (*walker).symlink)
	strings(w, &p.MaskedPaths)
	strings(w, &p.ReadonlyPaths)
	w.fsOption(&p.MountLabel)
	w.str(&p.Hostname)
	w.str(&p.Domainname)
	list(w, &p.Sysctls, (*walker).sysctl)
	list(w, &p.CreateContainer, (*walker).hook)
	list(w, &p.StartContainer, (*walker).hook)
	w.flag(&p.HooksOpened)
	enum(w, &p.HookStreams, (HookStdout|HookStderr)+1)
	w.process(&p.Process)
}

func (w *walker) rootfs(r *Rootfs) {
	w.str(&r.Path)
	enum(w, &r.Pivot, ChrootOnly+1)
	enum(w, &r.Access, ReadOnly+1)
	w.u64(&r.HostPropagation)
	w.u64(&r.Propagation)
}

func (w *walker) mount(m *Mount) {
	w.str(&m.Name)
	enum(w, &m.Kind, Link+1)
	w.str(&m.Source)
	w.str(&m.Target)
	w.str(&m.Type)
	w.u32((*uint32)(&m.Flags))
	list(w, &m.Options, (*walker).fsOption)
	w.u64(&m.Set)
	w.u64(&m.Clear)
	w.u64(&m.RecSet)
	w.u64(&m.RecClear)
	list(w, &m.Propagation, (*walker).u64)
}

func (w *walker) fsOption(o *FSOption) {
	w.str(&o.Key)
	w.str(&o.Value)
	w.flag(&o.IsFlag)
}

func (w *walker) device(d *Device) {
	w.str(&d.Path)
	w.u32(&d.Mode)
	w.u32(&d.Major)
	w.u32(&d.Minor)
	w.u32(&d.UID)
	w.u32(&d.GID)
	enum(w, &d.Source, BindHost+1)
}

func (w *walker) symlink(s *Symlink) {
	w.str(&s.Path)
	w.str(&s.Target)
}

func (w *walker) sysctl(s *Sysctl) {
	w.str(&s.Key)
	w.str(&s.Value)
}

func (w *walker) hook(h *Hook) {
	w.str(&h.Name)
	w.str(&h.Path)
	strings(w, &h.Args)
	strings(w, &h.Env)
	w.u32(&h.TimeoutSeconds)
	w.bytes(&h.State)
}

func (w *walker) process(p *Process) {
	strings(w, &p.Args)
	strings(w, &p.Env)
	w.str(&p.Cwd)
	w.u32(&p.UID)
	w.u32(&p.GID)
	enum(w, &p.Groups, KeepGroups+1)
	list(w, &p.AdditionalGIDs, (*walker).u32)
	w.i32(&p.Umask)
	w.u64(&p.Capabilities.Bounding)
	w.u64(&p.Capabilities.Effective)
	w.u64(&p.Capabilities.Inheritable)
	w.u64(&p.Capabilities.Permitted)
	w.u64(&p.Capabilities.Ambient)
	w.flag(&p.NoNewPrivs)
	w.flag(&p.Notifies)
	w.flag(&p.KillsThread)
	enum(w, &p.Keyring, KeepKeyring+1)
	w.str(&p.KeyringLabel)
	w.str(&p.SELinuxLabel)
	w.str(&p.AppArmorProfile)
	w.bytes(&p.Scheduler.Attr)
	w.i32(&p.Scheduler.Nice)
	w.i32(&p.IOPriority)
	w.i64(&p.Personality)
	enum(w, &p.Affinity.Policy, ChosenCPUs+1)
	w.bytes(&p.Affinity.CPUs)
	w.i32(&p.MemoryPolicy.Mode)
	w.bytes(&p.MemoryPolicy.Nodes)
	list(w, &p.Limits, (*walker).limit)
	w.flag(&p.Terminal.Wanted)
	w.u16(&p.Terminal.Rows)
	w.u16(&p.Terminal.Columns)
	w.u32(&p.PreserveFDs)
}

func (w *walker) limit(l *Limit) {
	w.str(&l.Name)
	w.u32(&l.Resource)
	w.u64(&l.Soft)
	w.u64(&l.Hard)
}
