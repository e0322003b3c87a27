package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// allHooks gives the container two hooks of each kind, which record.
func allHooks(d diary) edit {
	return func(s *specs.Spec) {
		d.visible(s)
		two := func(hook func(string, ...string) specs.Hook, kind string) []specs.Hook {
			return []specs.Hook{hook(kind + " 1"), hook(kind + " 2")}
		}
		s.Hooks = &specs.Hooks{
			Prestart:        two(d.hook, "prestart"), //nolint:staticcheck // deprecated, and used
			CreateRuntime:   two(d.hook, "createRuntime"),
			CreateContainer: two(d.hook, "createContainer"),
			StartContainer:  two(d.insideHook, "startContainer"),
			Poststart:       two(d.hook, "poststart"),
			Poststop:        two(d.hook, "poststop"),
		}
	}
}

func atCreate() []string {
	return []string{
		"prestart 1", "prestart 2", "createRuntime 1", "createRuntime 2", "createContainer 1", "createContainer 2",
	}
}

func atStart() []string {
	return []string{"startContainer 1", "startContainer 2", "poststart 1", "poststart 2"}
}

func atStop() []string { return []string{"poststop 1", "poststop 2"} }

//proves:runtime.md#lifecycle:5 runtime.md#lifecycle:7 runtime.md#lifecycle:9 runtime.md#lifecycle:11
//proves:runtime.md#lifecycle:14 runtime.md#lifecycle:17 config.md#posix-platform-hooks:19 config.md#prestart:2
//proves:config.md#createcontainer-hooks:2
func TestHooksRunInTheOrderOfTheLifeCycle(t *testing.T) {
	t.Parallel()
	h, d := newHost(t), newDiary(t)
	c := h.create(h.newBundle([]string{"sleep"}, allHooks(d)))
	equal(t, "after create", d.names(), atCreate())
	h.must("start", c.id)
	equal(t, "after start", d.names(), append(atCreate(), atStart()...))
	h.must("kill", c.id, "KILL")
	h.awaitStatus(c.id, specs.StateStopped)
	equal(t, "after kill", d.names(), append(atCreate(), atStart()...))
	h.must("delete", c.id)
	equal(t, "after delete", d.names(), slices.Concat(atCreate(), atStart(), atStop()))
}

func TestHooksRunInTheSameOrderForRun(t *testing.T) {
	t.Parallel()
	h, d := newHost(t), newDiary(t)
	b := h.newBundle([]string{"pid"}, allHooks(d))
	h.must("run", "--bundle", b.dir, newID())
	equal(t, "hooks", d.names(), slices.Concat(atCreate(), atStart(), atStop()))
}

//proves:config.md#posix-platform-hooks:20 runtime.md#state:6 state.pid state.status=creating state.status=created
//proves:state.status=running state.status=stopped
func TestHooksReadTheStateThatTheirMomentHas(t *testing.T) {
	t.Parallel()
	h, d := newHost(t), newDiary(t)
	b := h.newBundle([]string{"sleep"}, allHooks(d), func(s *specs.Spec) {
		s.Annotations = map[string]string{"org.example.colour": "blue"}
	})
	c := h.create(b)
	h.must("start", c.id)
	h.must("delete", "--force", c.id)
	want := map[string]struct {
		status specs.ContainerState
		pid    int
	}{
		"prestart 1": {specs.StateCreating, c.pid}, "createRuntime 1": {specs.StateCreating, c.pid},
		"createContainer 1": {specs.StateCreating, 1}, "startContainer 1": {specs.StateCreated, 1},
		"poststart 1": {specs.StateRunning, c.pid}, "poststop 1": {specs.StateStopped, 0},
	}
	seen := 0
	for _, o := range d.read() {
		w, ok := want[o.name()]
		if !ok {
			continue
		}
		seen++
		equal(t, "state of "+o.name(), o.state(t), specs.State{
			Version: b.config.Version, ID: c.id, Status: w.status, Pid: w.pid, Bundle: b.dir,
			Annotations: map[string]string{"org.example.colour": "blue"},
		})
	}
	equal(t, "hooks seen", seen, len(want))
}

//proves:hooks.prestart[].path hooks.createRuntime[].path hooks.createContainer[].path hooks.startContainer[].path
//proves:hooks.poststart[].path hooks.poststop[].path config.md#posix-platform-hooks:1
//proves:config.md#posix-platform-hooks:4 config.md#posix-platform-hooks:5 config.md#posix-platform-hooks:6
//proves:config.md#posix-platform-hooks:9 config.md#posix-platform-hooks:10 config.md#posix-platform-hooks:11
//proves:config.md#posix-platform-hooks:12 config.md#posix-platform-hooks:13 config.md#posix-platform-hooks:14
//proves:config.md#posix-platform-hooks:15 config.md#posix-platform-hooks:16 config.md#posix-platform-hooks:17
//proves:config.md#posix-platform-hooks:18 config.md#prestart:3 config.md#prestart:4 config.md#createruntime-hooks:2
//proves:config.md#createruntime-hooks:3 config.md#createcontainer-hooks:3 config.md#createcontainer-hooks:4
//proves:config.md#startcontainer-hooks:2 config.md#startcontainer-hooks:3 config.md#poststart:2 config.md#poststart:3
//proves:config.md#poststop:2 config.md#poststop:3
func TestHooksRunInTheNamespacesOfTheirKind(t *testing.T) {
	t.Parallel()
	h, d := newHost(t), newDiary(t)
	c := h.create(h.newBundle([]string{"sleep"}, allHooks(d)))
	h.must("start", c.id)
	outside, inside := namespacesOf(t, os.Getpid()), namespacesOf(t, c.pid)
	h.must("delete", "--force", c.id)
	container := map[string]bool{"createContainer 1": true, "startContainer 1": true}
	for _, o := range d.read() {
		want := outside
		if container[o.name()] || container[o.name()[:len(o.name())-1]+"1"] {
			want = inside
		}
		for _, ns := range []string{"mnt", "pid", "net", "ipc", "uts"} {
			if o.Namespaces[ns] != want[ns] {
				t.Errorf("%s: %s namespace %s, want %s", o.name(), ns, o.Namespaces[ns], want[ns])
			}
		}
	}
}

func TestRuntimeHooksSeeTheNetworkOfTheContainerThroughItsPid(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	// As dockerd's: it reads the pid and enters the network namespace.
	script := `pid=$(sed 's/.*"pid": *\([0-9]*\).*/\1/'); nsenter --net=/proc/$pid/ns/net ip addr add 10.99.98.97/32 dev lo`
	needTool(t, "nsenter")
	needTool(t, "ip")
	s := h.probe([]string{"read=/proc/net/fib_trie"}, func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{Prestart: []specs.Hook{{ //nolint:staticcheck // what dockerd uses
			Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: []string{"PATH=" + os.Getenv("PATH")},
		}}}
	})
	if routes := get[string](t, s, "read=/proc/net/fib_trie"); !strings.Contains(routes, "10.99.98.97") {
		t.Errorf("the container lacks the address:\n%s", routes)
	}
}

//proves:config.md#prestart:1 config.md#createruntime-hooks:1 config.md#createcontainer-hooks:1
func TestHooksOfCreateSeeTheMountsButNotYetTheNewRoot(t *testing.T) {
	t.Parallel()
	h, d := newHost(t), newDiary(t)
	b := h.newBundle([]string{"pid"}, d.visible)
	mounts := "read=/proc/self/mountinfo"
	see := func(name string) specs.Hook {
		hook := d.hook(name)
		hook.Args = slices.Insert(hook.Args, 1, mounts, "list="+b.path("rootfs/proc/self"))
		return hook
	}
	b.config.Hooks = &specs.Hooks{
		Prestart:      []specs.Hook{see("first")}, //nolint:staticcheck // deprecated, and used
		CreateRuntime: []specs.Hook{see("runtime")}, CreateContainer: []specs.Hook{see("container")},
	}
	b.save(t)
	h.must("run", "--bundle", b.dir, newID())
	for _, o := range d.read() {
		shown := filepath.Join(b.dir, "rootfs/proc")
		if inside := o.name() == "container"; inside != containsMount(get[string](t, o.raw, mounts), shown) {
			t.Errorf("%s: a mount on %s is wrongly there or not", o.name(), shown)
		}
	}
	equal(t, "hooks", d.names(), []string{"first", "runtime", "container"})
}

//proves:hooks.prestart[].args hooks.createRuntime[].args hooks.createContainer[].args hooks.startContainer[].args
//proves:hooks.poststart[].args hooks.poststop[].args hooks.prestart[].env hooks.createRuntime[].env
//proves:hooks.createContainer[].env hooks.startContainer[].env hooks.poststart[].env hooks.poststop[].env
func TestHooksGetWhatTheConfigurationSaysAndNothingElse(t *testing.T) {
	h, d := newHost(t), newDiary(t)
	t.Setenv("HULL_TEST_SECRET", "of the caller")
	b := h.newBundle([]string{"pid"}, allHooks(d), func(s *specs.Spec) { s.Process.Cwd = "/tmp" })
	leak, err := os.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer leak.Close()
	cmd := h.command("run", "--bundle", b.dir, newID())
	cmd.ExtraFiles = []*os.File{leak, leak}
	if r := h.finish(cmd); r.status != 0 {
		t.Fatal(r.stderr)
	}
	all := d.read()
	equal(t, "number of hooks", len(all), 12)
	for _, o := range all {
		equal(t, "environment of "+o.name(), o.Env, []string{"NAME=" + o.name()})
		if len(o.Args) != 2 || o.Args[1] == "" {
			t.Errorf("arguments of %s: %q", o.name(), o.Args)
		}
		delete(o.FDs, "0")
		delete(o.FDs, "1")
		delete(o.FDs, "2")
		equal(t, "more descriptors of "+o.name(), o.FDs, map[string]string{})
	}
}

func TestRuntimeHooksStartInTheBundle(t *testing.T) {
	t.Parallel()
	h, d := newHost(t), newDiary(t)
	b := h.newBundle([]string{"pid"}, allHooks(d), func(s *specs.Spec) { s.Process.Cwd = "/tmp" })
	h.must("run", "--bundle", b.dir, newID())
	for _, o := range d.read() {
		want := b.dir
		if o.name() == "startContainer 1" || o.name() == "startContainer 2" {
			want = "/tmp" // process.cwd
		}
		equal(t, "directory of "+o.name(), o.Cwd, want)
	}
}

//proves:config.md#poststart:1 config.md#poststop:1
func TestPoststartRunsOnceTheProgramExecutesAndPoststopOnceAllIsGone(t *testing.T) {
	t.Parallel()
	h, d := newHost(t), newDiary(t)
	b := h.newBundle([]string{"sleep"}, allHooks(d))
	id := newID()
	b.config.Hooks.Poststop[0].Args = []string{"poststop 1", "list=" + h.root, "record=" + d.path}
	b.save(t)
	h.must("run", "--detach", "--bundle", b.dir, id)
	h.must("delete", "--force", id)
	for _, o := range d.read() {
		switch o.name() {
		case "createRuntime 1":
			if o.Comm == "probe" {
				t.Error("createRuntime ran after the program")
			}
		case "poststart 1":
			equal(t, "program at poststart", o.Comm, "probe")
		case "poststop 1":
			if slices.Contains(get[[]string](t, o.raw, "list="+h.root), id) {
				t.Error("poststop ran before the state was removed")
			}
		}
	}
}

func TestAHookWithoutArgumentsAndEnvironmentRuns(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	out := filepath.Join(t.TempDir(), "environment")
	script := filepath.Join(t.TempDir(), "hook")
	text := "#!/bin/sh\necho \"$0 $#\" >" + out + "\n"
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	b := h.newBundle([]string{"pid"}, func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: script}}}
	})
	h.must("run", "--bundle", b.dir, newID())
	got, err := os.ReadFile(out)
	if err != nil || string(got) != script+" 0\n" {
		t.Errorf("the hook wrote %q, %v", got, err)
	}
}

// config.md, "POSIX-platform Hooks": of createContainer, "the value of path MUST
// resolve in the runtime namespace" and "MUST be executed in the container
// namespace". The two differ in a mount namespace that was there before.
//
//proves:config.md#createcontainer-hooks:3 config.md#createcontainer-hooks:4
func TestACreateContainerHookIsTheRuntimesInAJoinedMountNamespace(t *testing.T) {
	t.Parallel()
	h, d := newHost(t), newDiary(t)
	hidden := t.TempDir()
	copyFile(t, suite.probe, filepath.Join(hidden, "program"))
	if err := os.WriteFile(filepath.Join(hidden, "script"), []byte("#!"+suite.probe+" record="+d.path+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	pid := holder(t, "--mount")
	if out, err := exec.Command(needTool(t, "nsenter"), "-t", fmt.Sprint(pid), "-m", "mount", "-t", "tmpfs", "none", hidden).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	program := d.hook("program")
	program.Path = filepath.Join(hidden, "program")
	b := h.newBundle([]string{"pid"}, addNamespace(specs.MountNamespace, nsPath(pid, specs.MountNamespace)), func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{CreateContainer: []specs.Hook{program, {Path: filepath.Join(hidden, "script")}}}
	})
	h.run(b)
	equal(t, "hooks", d.names(), []string{"program", suite.probe})
	for _, o := range d.read() {
		equal(t, "mount namespace", o.Namespaces["mnt"], nsOf(t, pid, specs.MountNamespace))
	}

	b.config.Hooks.CreateContainer[0].Path = filepath.Join(hidden, "cake")
	b.save(t)
	h.failsWith(b, []string{"hooks.createContainer[0]", "cake", "no such file or directory"})
}
