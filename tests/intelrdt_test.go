package tests

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func withRdt(config specs.LinuxIntelRdt) edit {
	return func(s *specs.Spec) { s.Linux.IntelRdt = &config }
}

// resctrlMount is where resctrl is mounted, or "".
func resctrlMount(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 2 && f[2] == "resctrl" {
			return f[1]
		}
	}
	return ""
}

func needResctrl(t *testing.T) string {
	t.Helper()
	mount := resctrlMount(t)
	if mount == "" {
		lacks(t, "a mounted resctrl filesystem, which takes a CPU with Intel RDT")
	}
	return mount
}

func TestWithoutResctrlAContainerThatWantsItIsRefused(t *testing.T) {
	//proves:config-linux.md#intelrdt:2
	h := newHost(t)
	if mount := resctrlMount(t); mount != "" {
		h.through = []string{"unshare", "--mount", "sh", "-c", `umount "$0" && exec "$@"`, mount}
	}
	for name, config := range map[string]specs.LinuxIntelRdt{
		"nothing":    {},
		"a class":    {ClosID: "gold"},
		"the root":   {ClosID: "/"},
		"a cache":    {L3CacheSchema: "L3:0=f"},
		"bandwidth":  {MemBwSchema: "MB:0=20"},
		"lines":      {ClosID: "gold", Schemata: []string{"L3:0=f"}},
		"monitoring": {EnableMonitoring: true},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root, through: h.through}
			b := h.newBundle([]string{"pid"}, withRdt(config))
			id := newID()
			r := h.try("run", "--bundle", b.dir, id)
			if r.status != 1 || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, "linux.intelRdt: no resctrl filesystem is mounted") ||
				!strings.Contains(r.stderr, "mount -t resctrl resctrl /sys/fs/resctrl") {
				t.Errorf("status %d: %s", r.status, r.stderr)
			}
			h.nothingRemains(id, b)
		})
	}
}

func TestResctrlIsLeftAloneUnlessItIsAskedFor(t *testing.T) {
	//proves:config-linux.md#intelrdt:3
	strace := needTool(t, "strace")
	h := newHost(t)
	b := h.newBundle([]string{"pid"})
	trace := filepath.Join(t.TempDir(), "trace")
	h.through = []string{strace, "-f", "-o", trace, "-e", "trace=%file,write"}
	h.must("run", "--bundle", b.dir, newID())
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "config.json") || strings.Contains(string(text), "resctrl") {
		t.Errorf("the trace has no config.json, or has resctrl:\n%s", text)
	}
}

func TestMalformedPropertiesOfResctrlAreRefused(t *testing.T) {
	//proves:linux.intelRdt.closID linux.intelRdt.l3CacheSchema linux.intelRdt.memBwSchema
	//proves:linux.intelRdt.schemata config-linux.md#intelrdt:5 config-linux.md#intelrdt:6
	//proves:config-linux.md#intelrdt:7
	h := newHost(t)
	for path, config := range map[string]specs.LinuxIntelRdt{
		"linux.intelRdt.closID":        {ClosID: "a/b"},
		"linux.intelRdt.l3CacheSchema": {L3CacheSchema: "L3:0=f\nL3:1=f"},
		"linux.intelRdt.memBwSchema":   {MemBwSchema: "L3:0=f"},
		"linux.intelRdt.schemata[1]":   {Schemata: []string{"L3:0=f", "L3:0=f\nMB:0=10"}},
	} {
		t.Run(path, func(t *testing.T) {
			(&host{t: t, root: h.root}).fails([]string{path + ": "}, withRdt(config))
		})
	}
}

// That hull supports it does not depend on the host; what there is here does.
func TestFeaturesSayWhetherThereIsResctrl(t *testing.T) {
	t.Parallel()
	//proves:features.annotations.*
	mount := resctrlMount(t)
	has := featuresOf(t, newHost(t)).Annotations
	equal(t, "it", has["org.hull.kernel.intelRdt"] == "true", mount != "")
	equal(t, "schemata", has["org.hull.kernel.intelRdt.schemata"] == "true", mount != "")
	equal(t, "monitoring", has["org.hull.kernel.intelRdt.monitoring"] == "true",
		mount != "" && isDirectory(filepath.Join(mount, "mon_groups")))
}

// tasksOf returns the threads in a directory of resctrl.
func tasksOf(t *testing.T, dir string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "tasks"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

// holdsAll checks that all threads of a process are in a directory.
func holdsAll(t *testing.T, dir string, pid int) {
	t.Helper()
	threads, err := filepath.Glob(procPath(pid, "task/*"))
	if err != nil || len(threads) == 0 {
		t.Fatalf("process %d: %v", pid, err)
	}
	tasks := tasksOf(t, dir)
	for _, thread := range threads {
		if !slices.Contains(tasks, filepath.Base(thread)) {
			t.Errorf("%s lacks thread %s of %d: %v", dir, filepath.Base(thread), pid, tasks)
		}
	}
}

// rootSchema is what the default class has of a resource.
func rootSchema(t *testing.T, mount, resource string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(mount, "schemata"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, resource+":") {
			return line
		}
	}
	lacks(t, "control over "+resource+" in resctrl")
	return ""
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func TestAContainerIsInAClassOfItsOwn(t *testing.T) {
	//proves:linux.intelRdt.l3CacheSchema linux.intelRdt.enableMonitoring config-linux.md#intelrdt:1
	//proves:config-linux.md#intelrdt:11 config-linux.md#intelrdt:14 config-linux.md#intelrdt:19
	//proves:config-linux.md#intelrdt:21 config-linux.md#intelrdt:22 config-linux.md#intelrdt:23
	mount := needResctrl(t)
	h := newHost(t)
	l3 := rootSchema(t, mount, "L3")
	c := h.start(nil, withRdt(specs.LinuxIntelRdt{L3CacheSchema: l3, EnableMonitoring: true}))
	class := filepath.Join(mount, c.id)
	monitor := filepath.Join(class, "mon_groups", c.id)
	holdsAll(t, class, c.pid)
	holdsAll(t, monitor, c.pid)
	equal(t, "its schema", rootSchema(t, class, "L3"), l3)
	c.exec("pid")
	pidFile := filepath.Join(t.TempDir(), "pid")
	h.quietly("exec", "--detach", "--pid-file", pidFile, c.id, "/probe", "sleep")
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	holdsAll(t, monitor, int(number(t, string(text))))
	h.must("delete", "--force", c.id)
	equal(t, "the class is there", isDirectory(class), false)
}

func TestAClassThatIsNamedStays(t *testing.T) {
	//proves:linux.intelRdt.closID linux.intelRdt.schemata linux.intelRdt.enableMonitoring
	//proves:config-linux.md#intelrdt:8 config-linux.md#intelrdt:12 config-linux.md#intelrdt:15
	//proves:config-linux.md#intelrdt:16 config-linux.md#intelrdt:17 config-linux.md#intelrdt:18
	//proves:config-linux.md#intelrdt:20 config-linux.md#intelrdt:21 config-linux.md#intelrdt:22
	//proves:config-linux.md#intelrdt:23
	mount := needResctrl(t)
	h := newHost(t)
	name := "hull-test-" + strconv.Itoa(os.Getpid())
	class := filepath.Join(mount, name)
	h.fails([]string{"linux.intelRdt.closID", class}, withRdt(specs.LinuxIntelRdt{ClosID: name}))
	l3 := rootSchema(t, mount, "L3")
	t.Cleanup(func() { _ = unix.Rmdir(class) })
	for _, config := range []specs.LinuxIntelRdt{
		{ClosID: name, Schemata: []string{l3}, EnableMonitoring: true},
		{ClosID: name, EnableMonitoring: true},
		{ClosID: name, L3CacheSchema: l3, EnableMonitoring: true},
	} {
		c := h.start(nil, withRdt(config))
		monitor := filepath.Join(class, "mon_groups", c.id)
		holdsAll(t, monitor, c.pid)
		holdsAll(t, class, c.pid)
		h.must("delete", "--force", c.id)
		equal(t, "the monitoring group is there", isDirectory(monitor), false)
		equal(t, "the class is there", isDirectory(class), true)
	}
	h.fails([]string{"linux.intelRdt.l3CacheSchema", "differs"}, withRdt(specs.LinuxIntelRdt{ClosID: name, L3CacheSchema: "L3:0=0"}))
}

func TestTheDefaultClassCanBeAskedFor(t *testing.T) {
	//proves:linux.intelRdt.closID config-linux.md#intelrdt:4
	mount := needResctrl(t)
	h := newHost(t)
	c := h.start(nil, withRdt(specs.LinuxIntelRdt{ClosID: "/"}))
	holdsAll(t, mount, c.pid)
	equal(t, "a class of its name is there", isDirectory(filepath.Join(mount, c.id)), false)
}

func TestMemoryBandwidthIsConfigured(t *testing.T) {
	//proves:linux.intelRdt.memBwSchema config-linux.md#intelrdt:9 config-linux.md#intelrdt:10
	//proves:config-linux.md#intelrdt:11
	mount := needResctrl(t)
	h := newHost(t)
	l3, mb := rootSchema(t, mount, "L3"), rootSchema(t, mount, "MB")
	// What comes last wins.
	c := h.start(nil, withRdt(specs.LinuxIntelRdt{L3CacheSchema: "MB:0=10", MemBwSchema: mb, Schemata: []string{l3}}))
	class := filepath.Join(mount, c.id)
	equal(t, "its bandwidth", rootSchema(t, class, "MB"), mb)
	equal(t, "its cache", rootSchema(t, class, "L3"), l3)
}

func TestAClassThatTheKernelRefusesLeavesNothing(t *testing.T) {
	mount := needResctrl(t)
	h := newHost(t)
	before, err := os.ReadDir(mount)
	if err != nil {
		t.Fatal(err)
	}
	h.fails([]string{"linux.intelRdt.l3CacheSchema"}, withRdt(specs.LinuxIntelRdt{L3CacheSchema: "L3:0=0"}))
	after, err := os.ReadDir(mount)
	if err != nil || len(after) != len(before) {
		t.Errorf("%v, %v: %v", before, after, err)
	}
}
