package rdt

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// standIn is a directory that looks like a resctrl filesystem: no machine of
// ours has the real one. It keeps what is written, and checks nothing.
func standIn(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	mkdirs(t, root, "info/MB")
	put(t, root, "info/last_cmd_status", "ok\n")
	put(t, root, "info/MB/bandwidth_gran", "10\n")
	fill(t, root)
	return root
}

// fill gives a directory what the kernel gives a new class of service.
func fill(t *testing.T, dir string) {
	t.Helper()
	put(t, dir, "schemata", "    L3:0=7ff;1=7ff\n    MB:0=100;1=100\n")
	put(t, dir, "tasks", "")
	mkdirs(t, dir, "mon_groups")
}

// hollow takes away what the kernel would take away with the directory.
func hollow(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"schemata", "tasks", "mon_groups"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

func mkdirs(t *testing.T, path ...string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(path...), 0o755); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// content returns what a file has, or "none".
func content(path ...string) string {
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		return "none"
	}
	return string(b)
}

// plan plans for container c1 in a tree whose directories fill themselves.
func plan(t *testing.T, root string, config specs.LinuxIntelRdt) (*Group, error) {
	t.Helper()
	g, err := Plan(root, "c1", &config)
	if g != nil {
		g.mkdir = func(path string, mode uint32) error {
			err := unix.Mkdir(path, mode)
			if err == nil {
				fill(t, path)
			}
			return err
		}
	}
	return g, err
}

// create does what creating a container does.
func create(t *testing.T, root string, config specs.LinuxIntelRdt) Place {
	t.Helper()
	g, err := plan(t, root, config)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Make(); err != nil {
		t.Fatal(err)
	}
	if err := g.Place().Join(os.Getpid()); err != nil {
		t.Fatal(err)
	}
	return g.Place()
}

//proves:linux.intelRdt.memBwSchema config-linux.md#intelrdt:1 config-linux.md#intelrdt:9 config-linux.md#intelrdt:14
//proves:config-linux.md#intelrdt:19
func TestAContainerWithoutAClassGetsOneOfItsNameThatGoesWithIt(t *testing.T) {
	root := standIn(t)
	p := create(t, root, specs.LinuxIntelRdt{MemBwSchema: "MB:0=20", L3CacheSchema: "L3:0=f"})
	class := filepath.Join(root, "c1")
	if want := (Place{Class: class, Owned: true}); p != want {
		t.Errorf("%+v", p)
	}
	// The last that is written is all that a plain file keeps.
	if got := content(class, "schemata"); got != "MB:0=20\n" {
		t.Errorf("schemata: %q", got)
	}
	if got := content(class, "tasks"); got == "" || got == "none" {
		t.Errorf("tasks: %q", got)
	}
	if got := content(root, "tasks"); got != "" {
		t.Errorf("tasks of the default class: %q", got)
	}
	hollow(t, class)
	for range 2 { // what is gone is no error
		if err := p.Remove(); err != nil || exists(class) {
			t.Errorf("after Remove: %v, there: %v", err, exists(class))
		}
	}
}

//proves:linux.intelRdt.l3CacheSchema linux.intelRdt.memBwSchema linux.intelRdt.schemata config-linux.md#intelrdt:10
//proves:config-linux.md#intelrdt:8 config-linux.md#intelrdt:9 config-linux.md#intelrdt:11 config-linux.md#intelrdt:12
func TestSchemataAreWrittenInTheOrderOfTheSpecification(t *testing.T) {
	g := Group{config: &specs.LinuxIntelRdt{Schemata: []string{"L3:0=1", "L2:0=3"}, MemBwSchema: "MB:0=20", L3CacheSchema: "L3:0=f"}}
	var got []string
	for _, v := range g.values() {
		got = append(got, v.text)
	}
	if want := []string{"L3:0=f", "MB:0=20", "L3:0=1\nL2:0=3"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

//proves:config-linux.md#intelrdt:13
func TestWithoutASchemaNothingIsWrittenToSchemata(t *testing.T) {
	root := standIn(t)
	create(t, root, specs.LinuxIntelRdt{})
	if got := content(root, "c1", "schemata"); !strings.Contains(got, "L3:0=7ff") {
		t.Errorf("schemata: %q", got)
	}
}

//proves:linux.intelRdt.closID linux.intelRdt.schemata config-linux.md#intelrdt:12 config-linux.md#intelrdt:15
//proves:config-linux.md#intelrdt:18 config-linux.md#intelrdt:20 config-linux.md#intelrdt:17
func TestAClassThatIsNamedIsMadeIfNeedBeAndStays(t *testing.T) {
	root := standIn(t)
	for _, config := range []specs.LinuxIntelRdt{
		{ClosID: "gold", Schemata: []string{"L3:0=f", "MB:0=20"}},
		{ClosID: "gold"}, // there by now
	} {
		p := create(t, root, config)
		if want := (Place{Class: filepath.Join(root, "gold")}); p != want {
			t.Errorf("%+v", p)
		}
		if got := content(root, "gold", "schemata"); got != "L3:0=f\nMB:0=20\n" {
			t.Errorf("schemata: %q", got)
		}
		if err := p.Remove(); err != nil || !exists(root, "gold", "tasks") {
			t.Errorf("after Remove: %v", err)
		}
		if exists(root, "c1") {
			t.Error("a class of the container's name was made as well")
		}
	}
}

//proves:linux.intelRdt.closID config-linux.md#intelrdt:4
func TestTheDefaultClassIsTheRoot(t *testing.T) {
	root := standIn(t)
	p := create(t, root, specs.LinuxIntelRdt{ClosID: "/", EnableMonitoring: true})
	if want := (Place{Class: root, Monitor: filepath.Join(root, "mon_groups", "c1")}); p != want {
		t.Errorf("%+v", p)
	}
	if got := content(root, "schemata"); !strings.Contains(got, "L3:0=7ff") {
		t.Errorf("schemata: %q", got)
	}
}

//proves:linux.intelRdt.enableMonitoring config-linux.md#intelrdt:21 config-linux.md#intelrdt:22
//proves:config-linux.md#intelrdt:23
func TestAMonitoringGroupIsMadeInTheClassAndGoesWithTheContainer(t *testing.T) {
	for _, closID := range []string{"", "gold"} {
		root := standIn(t)
		p := create(t, root, specs.LinuxIntelRdt{ClosID: closID, Schemata: []string{"L3:0=f"}, EnableMonitoring: true})
		if want := filepath.Join(p.Class, "mon_groups", "c1"); p.Monitor != want {
			t.Errorf("%+v", p)
		}
		for _, dir := range []string{p.Class, p.Monitor} {
			if got := content(dir, "tasks"); got == "" || got == "none" {
				t.Errorf("tasks of %s: %q", dir, got)
			}
		}
		hollow(t, p.Monitor)
		if closID == "" {
			// The monitoring group is removed before its parent directory can be.
			if err := p.Remove(); !errors.Is(err, unix.ENOTEMPTY) {
				t.Errorf("Remove: %v", err)
			}
			hollow(t, p.Class)
		}
		if err := p.Remove(); err != nil || exists(p.Monitor) || exists(p.Class) == p.Owned {
			t.Errorf("after Remove: %v, %+v", err, p)
		}
	}
}

//proves:linux.intelRdt.closID linux.intelRdt.l3CacheSchema linux.intelRdt.memBwSchema linux.intelRdt.enableMonitoring
//proves:config-linux.md#intelrdt:16 config-linux.md#intelrdt:17 config-linux.md#intelrdt:18
//proves:config-linux.md#intelrdt:24
func TestWhatCannotBeIsRefusedBeforeAnythingIsMade(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(root string)
		config  specs.LinuxIntelRdt
		want    string
	}{
		"no such class": {nil, specs.LinuxIntelRdt{ClosID: "gold"}, "use linux.intelRdt.closID: there is no "},
		"no class":      {nil, specs.LinuxIntelRdt{ClosID: "info"}, "info is not a class of service"},
		"another cache": {
			nil,
			specs.LinuxIntelRdt{ClosID: "/", L3CacheSchema: "L3:0=f"},
			`use linux.intelRdt.l3CacheSchema: "L3:0=f" differs from what `,
		},
		"another bandwidth": {
			nil,
			specs.LinuxIntelRdt{ClosID: "/", L3CacheSchema: "L3:0=7ff", MemBwSchema: "MB:0=20"},
			`use linux.intelRdt.memBwSchema: "MB:0=20" differs from what `,
		},
		"a class that is somebody else's": {func(root string) { mkdirs(t, root, "c1") }, specs.LinuxIntelRdt{}, "/c1: exists already"},
		"a monitoring group that is somebody else's": {
			func(root string) { mkdirs(t, root, "mon_groups/c1") },
			specs.LinuxIntelRdt{ClosID: "/", EnableMonitoring: true},
			"/mon_groups/c1: exists already",
		},
		"no monitoring": {
			func(root string) { _ = os.Remove(filepath.Join(root, "mon_groups")) },
			specs.LinuxIntelRdt{EnableMonitoring: true},
			"use linux.intelRdt.enableMonitoring: there is no ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := standIn(t)
			if tt.prepare != nil {
				tt.prepare(root)
			}
			before := tree(t, root)
			if _, err := plan(t, root, tt.config); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
			if after := tree(t, root); !slices.Equal(before, after) {
				t.Errorf("%q, before %q", after, before)
			}
		})
	}
}

// tree lists all files below a directory.
func tree(t *testing.T, root string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

//proves:linux.intelRdt.l3CacheSchema linux.intelRdt.memBwSchema config-linux.md#intelrdt:16
func TestAClassAgreesWithWhatItWasMadeFrom(t *testing.T) {
	const schemata = "    L2:0=ff\n    L3:0=7f0;1=1f\n    MB:0=20;1=70\n"
	root := standIn(t)
	g := Group{mount: root}
	for line, want := range map[string]bool{
		"L3:0=7f0;1=1f":    true,
		"L3:1=1f;0=7f0":    true,
		"L3: 0=07F0 ;1=1f": true,
		"L3:0=0x7f0":       true,
		"L3:1=1f":          true, // and the other stays as it is
		"L3:0=7f1":         false,
		"L3:2=7f0":         false,
		"L3:0=zz":          false,
		"L3CODE:0=7f0":     false,
		"MB:0=20;1=70":     true,
		"MB:0=15;1=61":     true, // the kernel rounds up to bandwidth_gran
		"MB:0=10":          false,
		"MB:0=21":          false,
		"L2:0=ff":          true,
		"L2:0=f0":          false,
		"MB:1=70;0=100":    false,
		"SMBA:0=20":        false,
	} {
		if got := g.agrees(line, schemata); got != want {
			t.Errorf("%s: %v", line, got)
		}
	}
}

func TestWhatFailsHalfwayIsUndone(t *testing.T) {
	root := standIn(t)
	g, err := plan(t, root, specs.LinuxIntelRdt{ClosID: "gold", Schemata: []string{"L3:0=0"}})
	if err != nil {
		t.Fatal(err)
	}
	put(t, root, "info/last_cmd_status", "mask 0x0 has no bits\n")
	class := filepath.Join(root, "gold")
	g.mkdir = func(path string, mode uint32) error {
		// A class whose schemata cannot be written.
		return errors.Join(unix.Mkdir(path, mode), unix.Mkdir(filepath.Join(path, "schemata"), mode))
	}
	err = g.Make()
	if err == nil || !strings.HasPrefix(err.Error(), "write linux.intelRdt.schemata to "+class) || !strings.HasSuffix(err.Error(), "(mask 0x0 has no bits)") {
		t.Errorf("Make: %v", err)
	}
	if err := os.Remove(filepath.Join(class, "schemata")); err != nil {
		t.Fatal(err)
	}
	put(t, class, "tasks", "1\n")
	if err := g.Undo(); err != nil || !exists(class) {
		t.Errorf("a class with the tasks of another is removed: %v", err)
	}
	put(t, class, "tasks", "")
	// The kernel's own files are no hindrance to rmdir(2) in resctrl; this one
	// is, and says that it was tried.
	if err := g.Undo(); !errors.Is(err, unix.ENOTEMPTY) {
		t.Errorf("Undo: %v", err)
	}
}

//proves:config-linux.md#intelrdt:24
func TestAMachineWithoutMoreClassesSaysSo(t *testing.T) {
	root := standIn(t)
	g, err := plan(t, root, specs.LinuxIntelRdt{})
	if err != nil {
		t.Fatal(err)
	}
	g.mkdir = func(string, uint32) error { return unix.ENOSPC }
	if err := g.Make(); !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "num_closids") {
		t.Errorf("Make: %v", err)
	}
	if err := g.Undo(); err != nil {
		t.Errorf("Undo: %v", err)
	}
}

func TestTheProbeLooksForWhatIsThere(t *testing.T) {
	root := standIn(t)
	if got := support(root); got != (Support{Schemata: true, Monitoring: true}) {
		t.Errorf("%+v", got)
	}
	hollow(t, root)
	if got := support(root); got != (Support{}) {
		t.Errorf("%+v", got)
	}
}
