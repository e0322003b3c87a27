package seccomp

import (
	"math"
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	libseccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/sys/unix"

	"hull/libcontainer/seccomp/profile"
)

// dice turns fuzzer bytes into choices; it says 0 when they are used up.
type dice struct {
	b []byte
	// wrong says that wrong choices are made now and then.
	wrong bool
}

func (d *dice) roll(n int) int {
	if len(d.b) == 0 {
		return 0
	}
	v := int(d.b[0])
	d.b = d.b[1:]
	return v % n
}

func (d *dice) number() uint64 {
	return []uint64{0, 1, 7, 0x7fffffff, 0xffffffff, 1 << 32, 1<<32 | 7, 1 << 63, ^uint64(0)}[d.roll(9)]
}

// errno is nil most of the time, and always for actions without one.
func (d *dice) errno(a specs.LinuxSeccompAction) *uint {
	n := []uint{1, 38, 4094, 4095, 70000}[d.roll(5)]
	if !d.wrong && (n > 4094 || a != specs.ActErrno && a != specs.ActTrace) || d.roll(3) != 0 {
		return nil
	}
	return &n
}

func pick[T ~string](d *dice, names []string) T {
	if d.wrong && d.roll(16) == 15 {
		return "x"
	}
	return T(names[d.roll(len(names))])
}

// profile makes a profile, often a valid one. Each call is in one rule only.
func (d *dice) profile() *specs.LinuxSeccomp {
	d.wrong = d.roll(4) == 3
	p := &specs.LinuxSeccomp{DefaultAction: pick[specs.LinuxSeccompAction](d, profile.Actions()), ListenerPath: "/run/agent"}
	p.DefaultErrnoRet = d.errno(p.DefaultAction)
	if d.wrong && d.roll(4) == 0 {
		p.ListenerPath = ""
	}
	x86 := []string{string(specs.ArchX86_64), string(specs.ArchX86), string(specs.ArchX32), string(specs.ArchAARCH64)}
	for range d.roll(3) {
		p.Flags = append(p.Flags, pick[specs.LinuxSeccompFlag](d, profile.Flags()))
	}
	for range d.roll(3) {
		p.Architectures = append(p.Architectures, pick[specs.Arch](d, x86))
	}
	for nr := -1; len(d.b) > 0 && nr < 120; {
		r := specs.LinuxSyscall{Action: pick[specs.LinuxSeccompAction](d, profile.Actions())}
		r.ErrnoRet = d.errno(r.Action)
		for range 1 + d.roll(3) {
			nr += 1 + d.roll(2)
			if name, err := libseccomp.ScmpSyscall(nr).GetName(); err == nil {
				r.Names = append(r.Names, name)
			}
		}
		for range d.roll(4) {
			r.Args = append(r.Args, specs.LinuxSeccompArg{
				Index: uint(d.roll(6)), Value: d.number(), ValueTwo: d.number(),
				Op: pick[specs.LinuxSeccompOperator](d, profile.Operators()),
			})
		}
		if !misread(r.Args) {
			p.Syscalls = append(p.Syscalls, r)
		}
	}
	return p
}

// misread reports whether libseccomp 2.5.4 makes a wrong program of args: two
// ordering conditions as alternatives on one argument, with a value of more
// than 32 bits.
func misread(args []specs.LinuxSeccompArg) bool {
	ordering, indices, wide := 0, map[uint]bool{}, false
	for _, a := range args {
		indices[a.Index] = true
		switch a.Op {
		case specs.OpLessThan, specs.OpLessEqual, specs.OpGreaterThan, specs.OpGreaterEqual:
			ordering++
			wide = wide || a.Value > math.MaxUint32
		case specs.OpEqualTo, specs.OpNotEqual, specs.OpMaskedEqual:
		}
	}
	return len(indices) < len(args) && ordering > 1 && wide
}

// holds is what a condition means.
func holds(a specs.LinuxSeccompArg, c call) bool {
	v := c.args[a.Index]
	switch a.Op {
	case specs.OpEqualTo:
		return v == a.Value
	case specs.OpNotEqual:
		return v != a.Value
	case specs.OpLessThan:
		return v < a.Value
	case specs.OpLessEqual:
		return v <= a.Value
	case specs.OpGreaterThan:
		return v > a.Value
	case specs.OpGreaterEqual:
		return v >= a.Value
	case specs.OpMaskedEqual:
		// libseccomp drops the bits of the datum that the mask has not.
		return v&a.Value == a.ValueTwo&a.Value
	}
	return false
}

// matches is what a rule means for a call that it names.
func matches(r specs.LinuxSyscall, c call) bool {
	indices := map[uint]bool{}
	held := 0
	for _, a := range r.Args {
		indices[a.Index] = true
		if holds(a, c) {
			held++
		}
	}
	if len(indices) < len(r.Args) {
		return held > 0
	}
	return held == len(r.Args)
}

// meaning is what p says about c: a model of the whole package, for profiles
// that name a call in one rule only.
func meaning(p *specs.LinuxSeccomp, c call) uint32 {
	name, _ := libseccomp.ScmpSyscall(c.nr).GetName()
	for _, r := range p.Syscalls {
		if slices.Contains(r.Names, name) && matches(r, c) {
			return returned(r.Action, r.ErrnoRet)
		}
	}
	highest := -1
	for _, r := range p.Syscalls {
		for _, n := range r.Names {
			nr, _ := libseccomp.GetSyscallFromName(n)
			highest = max(highest, int(nr))
		}
	}
	if highest >= 0 && int(c.nr) > highest && deniesByDefault(p) {
		return enosys
	}
	return returned(p.DefaultAction, p.DefaultErrnoRet)
}

func returned(a specs.LinuxSeccompAction, errnoRet *uint) uint32 {
	v, _ := profile.ActionValue(a)
	if a != specs.ActErrno && a != specs.ActTrace {
		return v
	}
	if errnoRet != nil {
		return v | uint32(*errnoRet)
	}
	return v | uint32(unix.EPERM)
}

func FuzzAFilterDecidesWhatItsProfileMeans(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0, 0, 1, 0, 1, 2, 1, 1, 1, 2, 3, 0})
	f.Add([]byte{1, 0, 1, 0, 1, 2, 1, 0, 1, 3, 0, 0, 0, 3, 1, 1, 1, 2, 2, 1, 5, 2, 1, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		d := &dice{b: b[:min(len(b), 600)]}
		p := d.profile()
		filter, err := Compile(p, IgnoreUnknown)
		if valid := Validate(p); valid != nil {
			if err == nil || err.Error() != valid.Error() {
				t.Fatalf("not valid: %v, but compiled: %v", valid, err)
			}
			return
		}
		if err != nil || filter == nil {
			return // libseccomp lacks the architecture, or nothing is asked for
		}
		for nr := range uint32(130) {
			for _, v := range []uint64{0, 1, 7, 8, 0x7fffffff, 0xffffffff, 1 << 32, 1<<32 | 7, 1<<32 | 8, 1 << 63, ^uint64(0)} {
				c := call{arch: unix.AUDIT_ARCH_X86_64, nr: nr, args: [6]uint64{v, v ^ 1, v, v >> 1, v, 0}}
				if got, want := verdict(t, filter, c), meaning(p, c); got != want {
					t.Fatalf("%+v\ncall %+v: %#x, want %#x", p, c, got, want)
				}
			}
		}
	})
}
