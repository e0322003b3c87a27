package cgroup

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/linux"
)

// diceRules makes rules of fuzzer bytes, four a rule, from few enough numbers
// that rules meet.
func diceRules(b []byte) []specs.LinuxDeviceCgroup {
	numbers := []*int64{nil, ptr(int64(-1)), ptr(int64(0)), ptr(int64(1)), ptr(int64(5)), ptr(int64(math.MaxUint32)), ptr(int64(1 << 40)), ptr(int64(-2))}
	types := []string{"", "a", "b", "c", "c", "b", "c", "x"}
	accesses := []string{"r", "w", "m", "rw", "rwm", "rm", "wm", "mrw", "", "x"}
	var rules []specs.LinuxDeviceCgroup
	for ; len(b) >= 4; b = b[4:] {
		rules = append(rules, specs.LinuxDeviceCgroup{
			Allow: b[0]&1 == 1, Type: types[b[0]>>1&7], Major: numbers[b[1]&7], Minor: numbers[b[2]&7], Access: accesses[int(b[3])%len(accesses)],
		})
	}
	return rules
}

// question is an access that a process asks for.
type question struct {
	kind         byte
	major, minor uint32
	access       access
}

// verdict runs a program as the kernel does.
func (q question) verdict(t *testing.T, program []linux.BPFInstruction) action {
	t.Helper()
	kind := uint32(unix.BPF_DEVCG_DEV_CHAR)
	if q.kind == 'b' {
		kind = unix.BPF_DEVCG_DEV_BLOCK
	}
	memory := map[int16]uint32{0: uint32(q.access)<<16 | kind, 4: q.major, 8: q.minor}
	var r [11]uint32
	for pc := 0; ; pc++ {
		if pc >= len(program) {
			t.Fatal("the program has no end")
		}
		i := program[pc]
		dst, src, value := &r[i.Registers&15], r[i.Registers>>4], uint32(i.Immediate)
		if i.Code&unix.BPF_X != 0 {
			value = src
		}
		holds := false
		switch i.Code &^ unix.BPF_X {
		case unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W:
			*dst = memory[i.Offset]
		case unix.BPF_ALU | unix.BPF_MOV:
			*dst = value
		case unix.BPF_ALU | unix.BPF_AND:
			*dst &= value
		case unix.BPF_ALU | unix.BPF_RSH:
			*dst >>= value
		case unix.BPF_JMP32 | unix.BPF_JNE:
			holds = *dst != value
		case unix.BPF_JMP32 | unix.BPF_JEQ:
			holds = *dst == value
		case unix.BPF_JMP | unix.BPF_EXIT:
			return action(r[0])
		default:
			t.Fatalf("instruction %d: %+v", pc, i)
		}
		if holds {
			pc += int(i.Offset)
		}
	}
}

// obey does with v1 files what the kernel does (security/device_cgroup.c): the
// lines of one file are exceptions from what "a" in the other has set.
func (q question) obey(t *testing.T, l *deviceList) action {
	t.Helper()
	for e := range l.all() {
		var kind byte
		var major, minor, accesses string
		line := e.String()
		if _, err := fmt.Sscanf(strings.Replace(line, ":", " ", 1), "%c %s %s %s", &kind, &major, &minor, &accesses); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		of := func(text string, n uint32) bool { return text == "*" || text == strconv.FormatUint(uint64(n), 10) }
		if kind != q.kind || !of(major, q.major) || !of(minor, q.minor) {
			continue
		}
		var has access
		for i, c := range "mrw" {
			if strings.ContainsRune(accesses, c) {
				has |= 1 << i
			}
		}
		if l.otherwise == deny && q.access&^has == 0 || l.otherwise == allow && q.access&has != 0 {
			return allow - l.otherwise
		}
	}
	return l.otherwise
}

// meant is what the rules say of an access of one kind, in their order, and of the
// devices that are always allowed: reading and writing them whatever else is denied,
// making them and others where that is not denied more particularly.
func (q question) meant(rules []specs.LinuxDeviceCgroup, otherwise action) action {
	asked := deviceRule{device{q.kind, int64(q.major), int64(q.minor)}, q.access}
	verdict := deny
	for i := range rules {
		r := &rules[i]
		of := func(n *int64, m uint32) bool { return n == nil || *n == -1 || *n == int64(m) }
		everything := r.Type == "" || r.Type == "a"
		a, _ := parseAccess(r.Access)
		if !everything && otherwise == allow && !r.Allow && takesFromDefault(r, a&q.access) {
			continue
		}
		if everything || r.Type[0] == q.kind && of(r.Major, q.major) && of(r.Minor, q.minor) && a&q.access != 0 {
			verdict = deny
			if r.Allow {
				verdict = allow
			}
		}
	}
	for _, d := range defaultDevices() {
		if d.overlaps(asked) && (otherwise == deny || q.access != mknod) {
			verdict = allow
		}
	}
	return verdict
}

// takesFromDefault reports whether a rule is about exactly the devices of a default.
func takesFromDefault(r *specs.LinuxDeviceCgroup, a access) bool {
	number := func(n *int64) int64 {
		if n == nil {
			return anyNumber
		}
		return *n
	}
	is := device{r.Type[0], number(r.Major), number(r.Minor)}
	for _, d := range defaultDevices() {
		if d.device == is && d.access&a != 0 {
			return true
		}
	}
	return false
}

// FuzzDeviceRulesMeanTheSameOnEitherVersion runs the programs of cgroup v2 and
// the files of v1 on all that can be asked, and compares them with each other,
// where v1 can have the rules, and with what the rules say.
func FuzzDeviceRulesMeanTheSameOnEitherVersion(f *testing.F) {
	f.Add([]byte{0, 0, 0, 4, 7, 3, 3, 0, 5, 2, 0, 3})
	f.Add([]byte{3, 0, 0, 4, 6, 3, 0, 1, 6, 3, 4, 2})
	f.Add([]byte{7, 3, 0, 4, 6, 3, 3, 1})
	f.Add([]byte{3, 0, 0, 4, 6, 3, 0, 4, 7, 3, 4, 3, 6, 3, 4, 0, 7, 0, 0, 2})
	f.Fuzz(func(t *testing.T, b []byte) { checkMeaning(t, diceRules(b[:min(len(b), 200)])) })
}

// As above, for lists that allow everything at first.
func TestDeviceRulesHoldInTheirOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	holes := 0
	for range 400 {
		b := make([]byte, 4*(1+r.IntN(6)))
		for i := range b {
			b[i] = byte(r.IntN(256))
		}
		rules := slices.DeleteFunc(diceRules(b), func(d specs.LinuxDeviceCgroup) bool {
			return d.Type == "x" || parsed(d.Access) == 0 || deref(d.Major) > math.MaxUint32 || deref(d.Minor) > math.MaxUint32 ||
				deref(d.Major) < anyNumber || deref(d.Minor) < anyNumber
		})
		rules = append([]specs.LinuxDeviceCgroup{{Allow: true}}, rules...)
		if l, err := compileDevices(rules); err == nil && l.hole != nil {
			holes++
		}
		checkMeaning(t, rules)
	}
	if holes < 20 {
		t.Errorf("%d lists allow again a part of what they deny", holes)
	}
}

func parsed(s string) access {
	a, _ := parseAccess(s)
	return a
}

// checkMeaning asks all that can be asked.
func checkMeaning(t *testing.T, rules []specs.LinuxDeviceCgroup) {
	t.Helper()
	l, err := compileDevices(rules)
	if err != nil {
		if !strings.HasPrefix(err.Error(), "linux.resources.devices[") {
			t.Errorf("no path: %v", err)
		}
		return
	}
	program := l.program()
	for _, kind := range []byte{'b', 'c'} {
		for _, major := range []uint32{0, 1, 5, 7, math.MaxUint32} {
			for _, minor := range []uint32{0, 1, 3, 5, math.MaxUint32} {
				checkNode(t, rules, &l, program, question{kind: kind, major: major, minor: minor})
			}
		}
	}
}

// checkNode asks for every access to one node.
func checkNode(t *testing.T, rules []specs.LinuxDeviceCgroup, l *deviceList, program []linux.BPFInstruction, q question) {
	t.Helper()
	each := [allAccess + 1]action{allow}
	for a := mknod; a <= allAccess; a++ {
		q.access = a
		got := q.verdict(t, program)
		each[a] = got
		if l.hole == nil && q.obey(t, l) != got {
			t.Fatalf("%+v\n%+v: v2 says %d, v1 does not", rules, q, got)
		}
		if l.allows(deviceRule{device{q.kind, int64(q.major), int64(q.minor)}, a}) != (got == allow) {
			t.Fatalf("%+v\n%+v: the program says %d, the list does not", rules, q, got)
		}
		single := a&(a-1) == 0
		want := each[a&(a-1)] & each[a&-a]
		if single {
			want = q.meant(rules, l.otherwise)
		}
		// An allow-list is not asked for the parts: one exception has to cover all.
		if got != want && (single || l.otherwise == allow) {
			t.Fatalf("%+v\n%+v: %d, the rules say otherwise", rules, q, got)
		}
	}
}

func FuzzCgroupPathsStayWhereTheyBelong(f *testing.F) {
	for _, seed := range []string{"/a/b", "../../x", "", "/", "a//b/..", "x\ny", "slice:prefix:name", "system.slice::x", "a-b.slice:x:y.slice"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		self := described(t, hybridSelf, hybridInfo)
		locate, err := (&Cgroup{system: self}).locator(Config{ID: "ct", Path: text})
		if err == nil {
			p := locate(tree{mount: "/cg/unified"})
			if checkPath(p) == nil && (path.Clean(p) != p || p[0] != '/' || p == "/" || strings.Contains(p+"/", "/../") || strings.ContainsRune(p, '\n')) {
				t.Errorf("%q leads to %q", text, p)
			}
			for name := range strings.SplitSeq(p, "/") {
				if checkPath(p) == nil && len(name) > maxName {
					t.Errorf("%q has a name that no directory can have", text)
				}
			}
		}
		if dir, err := expandSlice(text); err == nil && (path.Clean(dir) != dir || dir[0] != '/') {
			t.Errorf("the slice %q is in %q", text, dir)
		}
		unit := new(Cgroup)
		if err := unit.nameUnit(Config{ID: "ct", Path: text}, "system.slice"); err == nil && strings.Contains(unit.rec.Unit, "/") {
			t.Errorf("%q is the unit %q", text, unit.rec.Unit)
		}
	})
}

func FuzzListsOfBits(f *testing.F) {
	for _, seed := range []string{"0-3,7", "", "3-1", "0-65535", " 1 , 2", "99999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := mask(text)
		if err != nil {
			return
		}
		var list []string
		for i := range 8 * len(m) {
			if m[i/8]>>(i%8)&1 == 1 {
				list = append(list, strconv.Itoa(i))
			}
		}
		again, err := mask(strings.Join(list, ","))
		if err != nil || !bytes.Equal(again, m) || len(m) > maxMask/8 {
			t.Errorf("%q: %x is not %x: %v", text, m, again, err)
		}
	})
}
