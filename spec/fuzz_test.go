package spec_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/internal/fault"
	"hull/spec"
)

// explained fails the test unless each fault of err names a JSON path, and all
// are one line of bounded length.
func explained(t *testing.T, err error, below ...string) {
	t.Helper()
	if text := err.Error(); strings.ContainsAny(text, "\n\r") || len(text) > 16<<10 {
		t.Errorf("not a short line: %d bytes, %.500q", len(text), text)
	}
	var all spec.InvalidError
	if !errors.As(err, &all) {
		t.Fatalf("%T: %v", err, err)
	}
	for _, e := range all {
		var f *fault.Error
		if !errors.As(e, &f) || f.Object == "" {
			t.Errorf("no path: %v", e)
		}
		for _, b := range below {
			if f != nil && !strings.HasPrefix(f.Object, b) {
				t.Errorf("%q is not below %s", f.Object, b)
			}
		}
	}
}

// FuzzWhatIsExaminedCompiles reads any text as a configuration: it is refused
// in a line, or what Examine lets through can be compiled but for the host.
func FuzzWhatIsExaminedCompiles(f *testing.F) {
	good, err := spec.Encode(spec.Default())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"ociVersion":"1.0.0","root":{"path":"/"},"process":{"cwd":"/","args":["x"],"rlimits":[{"type":"RLIMIT_CORE","soft":2,"hard":1}]}}`))
	f.Add([]byte(`{"ociVersion":"1.0.0","mounts":[null],"annotations":{"a\nb":1}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := spec.Examine(text)
		if err != nil && (strings.ContainsAny(err.Error(), "\n\r") || len(err.Error()) > 16<<10) {
			t.Errorf("not a short line: %.500q", err)
		}
		if s == nil || err != nil {
			return
		}
		s.Root.Path = "/"
		p, _, err := spec.Compile(s, spec.Inputs{Bundle: "/"})
		if err == nil && (p.Rootfs.Path != "/" || s.Process != nil && len(p.Process.Args) == 0) {
			t.Errorf("%+v", p)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\n\r") {
			t.Errorf("not a line: %q", err)
		}
	})
}

// FuzzIDMappings checks that mappings that are accepted are those that the
// kernel takes (user_namespaces(7)): no ID twice, and none beyond the last.
func FuzzIDMappings(f *testing.F) {
	f.Add(uint32(0), uint32(100000), uint32(65536), uint32(65536), uint32(0), uint32(1))
	f.Add(uint32(0), uint32(1), uint32(4294967295), uint32(1), uint32(0), uint32(0))
	f.Fuzz(func(t *testing.T, c1, h1, n1, c2, h2, n2 uint32) {
		s := spec.Default()
		list := []specs.LinuxIDMapping{{ContainerID: c1, HostID: h1, Size: n1}, {ContainerID: c2, HostID: h2, Size: n2}}
		s.Linux.UIDMappings, s.Linux.GIDMappings = list, []specs.LinuxIDMapping{{Size: 4294967295}}
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		if err := spec.Validate(s); err != nil {
			explained(t, err, "")
			return
		}
		for _, m := range list {
			if m.Size == 0 || uint64(m.ContainerID)+uint64(m.Size) > 1<<32-1 || uint64(m.HostID)+uint64(m.Size) > 1<<32-1 {
				t.Errorf("%+v is accepted", m)
			}
			for _, id := range []uint32{m.ContainerID, m.ContainerID + m.Size - 1} {
				if host, ok := spec.HostID(list, id); !ok || host != m.HostID+(id-m.ContainerID) {
					t.Errorf("%+v: %d is %d", list, id, host)
				}
			}
		}
		apart := func(a, b, n, m uint32) bool { return a >= b+m || b >= a+n }
		if !apart(c1, c2, n1, n2) || !apart(h1, h2, n1, n2) {
			t.Errorf("%+v overlap", list)
		}
		var back [6]uint32
		lines := string(spec.IDMapLines(list))
		if _, err := fmt.Sscan(lines, &back[0], &back[1], &back[2], &back[3], &back[4], &back[5]); err != nil || back != [6]uint32{c1, h1, n1, c2, h2, n2} {
			t.Errorf("%q is %v: %v", lines, back, err)
		}
	})
}

func FuzzAffinity(f *testing.F) {
	for _, seed := range []string{"0-3,7", "", "3-1", "8191", "8192", ",", "0-99999999999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		mask, err := spec.CPUMask(text)
		if err != nil {
			if len(err.Error()) > 4<<10 {
				t.Errorf("%d bytes", len(err.Error()))
			}
			return
		}
		var list []string
		for i := range 8 * len(mask) {
			if mask[i/8]>>(i%8)&1 == 1 {
				list = append(list, strconv.Itoa(i))
			}
		}
		again, err := spec.CPUMask(strings.Join(list, ","))
		if err != nil || !bytes.Equal(again, mask) || len(mask)%8 != 0 || len(mask) > 1024 {
			t.Errorf("%q: %x is not %x: %v", text, mask, again, err)
		}
	})
}

// FuzzSysctls checks that what is accepted stays below /proc/sys and belongs to
// a namespace.
func FuzzSysctls(f *testing.F) {
	for _, seed := range []string{"net.ipv4.ip_forward", "net/ipv4/conf/eth0.1/forwarding", "kernel.shmmax", "net...", "net/../vm", "", "user.x\x00", "net.ipv4.a/b"} {
		f.Add(seed, "1")
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		s := spec.Default()
		s.Linux.Sysctl = map[string]string{key: value}
		if err := spec.Validate(s); err != nil {
			explained(t, err, "linux.sysctl")
			return
		}
		s.Root.Path = "/"
		p, _, err := spec.Compile(s, spec.Inputs{Bundle: "/"})
		if err != nil || len(p.Sysctls) != 1 {
			t.Fatalf("%q: %v", key, err)
		}
		path := filepath.Join("/proc/sys", strings.Map(func(r rune) rune {
			switch r {
			case '.':
				return '/'
			case '/':
				return '.'
			}
			return r
		}, p.Sysctls[0].Key))
		top, _, _ := strings.Cut(strings.TrimPrefix(path, "/proc/sys/"), "/")
		if top != "net" && top != "kernel" && top != "fs" && top != "user" || strings.ContainsRune(path, 0) {
			t.Errorf("%q is %s", key, path)
		}
	})
}

func FuzzHooks(f *testing.F) {
	f.Add("/bin/true", "x", "A=1", 5)
	f.Add("bin/true", "\x00", "", 0)
	f.Fuzz(func(t *testing.T, path, arg, env string, timeout int) {
		s := spec.Default()
		hook := specs.Hook{Path: path, Args: []string{arg}, Env: []string{env}, Timeout: &timeout}
		s.Hooks = &specs.Hooks{CreateContainer: []specs.Hook{hook}, StartContainer: []specs.Hook{hook}, Poststop: []specs.Hook{hook}}
		if err := spec.Validate(s); err != nil {
			explained(t, err, "hooks.")
			return
		}
		for _, h := range spec.Hooks("poststop", s.Hooks.Poststop) {
			if !filepath.IsAbs(h.Path) || h.TimeoutSeconds == 0 || int(h.TimeoutSeconds) != timeout || strings.ContainsRune(h.Path+arg+env, 0) {
				t.Errorf("%+v is accepted", h)
			}
		}
	})
}

// FuzzAnyValueAnywhere puts a value in the place of any property of the default
// configuration: whatever is wrong then, its path is said.
func FuzzAnyValueAnywhere(f *testing.F) {
	good, err := spec.Encode(spec.Default())
	if err != nil {
		f.Fatal(err)
	}
	for i, seed := range []string{"null", "-1", "1e3", `"\u0000"`, "[]", "{}", `"` + strings.Repeat("x", 5000) + `"`, "true", "18446744073709551616", `{"a":1,"a":2}`} {
		f.Add(uint(i*7), []byte(seed))
	}
	f.Fuzz(func(t *testing.T, place uint, value []byte) {
		if !json.Valid(value) {
			return
		}
		var tree any
		if err := json.Unmarshal(good, &tree); err != nil {
			t.Fatal(err)
		}
		count := place % 300
		replace(tree, &count, json.RawMessage(value))
		text, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := spec.Examine(text); err != nil {
			if all := spec.InvalidError(nil); errors.As(err, &all) {
				explained(t, err)
			} else if one := (*fault.Error)(nil); !errors.As(err, &one) || !strings.Contains(err.Error(), "line ") {
				t.Errorf("%T: %v", err, err)
			}
		}
	})
}

// replace puts value in the place of the element of tree that count says.
func replace(tree any, count *uint, value json.RawMessage) {
	each := func(child any, put func()) {
		*count--
		if *count == 0 {
			put()
			return
		}
		replace(child, count, value)
	}
	switch tree := tree.(type) {
	case map[string]any:
		for _, key := range sortedKeys(tree) {
			each(tree[key], func() { tree[key] = value })
		}
	case []any:
		for i := range tree {
			each(tree[i], func() { tree[i] = value })
		}
	}
}

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
