package tests

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// kinds of hooks that fail create.
func hooksOf(s *specs.Spec, kind string) *[]specs.Hook {
	switch kind {
	case "prestart":
		return &s.Hooks.Prestart //nolint:staticcheck // deprecated, and used
	case "createRuntime":
		return &s.Hooks.CreateRuntime
	case "createContainer":
		return &s.Hooks.CreateContainer
	case "startContainer":
		return &s.Hooks.StartContainer
	case "poststart":
		return &s.Hooks.Poststart
	default:
		return &s.Hooks.Poststop
	}
}

// failing makes the first hook of the kind fail after it has recorded.
func failing(kind string) edit {
	return func(s *specs.Spec) {
		first := &(*hooksOf(s, kind))[0]
		first.Args = append(first.Args, "exit=3")
	}
}

//proves:runtime.md#lifecycle:6 runtime.md#lifecycle:8 runtime.md#lifecycle:10 runtime.md#lifecycle:16
func TestAHookOfCreateThatFailsUndoesCreate(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"prestart", "createRuntime", "createContainer"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			h, d := newHost(t), newDiary(t)
			b := h.newBundle([]string{"sleep"}, allHooks(d), failing(kind))
			id := newID()
			h.refuses([]string{kind, "exit status 3"}, "create", "--bundle", b.dir, id)
			ran := slices.Index(atCreate(), kind+" 1") + 1
			equal(t, "hooks", d.names(), append(atCreate()[:ran], atStop()...))
			h.nothingRemains(id, b)
			h.refuses([]string{"does not exist"}, "state", id)
		})
	}
}

// What hooks of create have left is theirs to take away who run after the end.
func TestPoststopHooksRunWheneverAHookOfCreateHasRun(t *testing.T) {
	t.Parallel()
	for kind, fail := range map[string]edit{
		"prestart":        func(s *specs.Spec) { s.Process.Args = []string{"/no/such"} },
		"createRuntime":   func(s *specs.Spec) { s.Process.Args = []string{"/no/such"} },
		"createContainer": func(s *specs.Spec) { s.Process.Cwd = "/proc/version" },
		"":                func(s *specs.Spec) { s.Process.Args = []string{"/no/such"} },
	} {
		t.Run("after "+kind, func(t *testing.T) {
			t.Parallel()
			h, d := newHost(t), newDiary(t)
			b := h.newBundle([]string{"sleep"}, allHooks(d), fail, failing("poststop"), func(s *specs.Spec) {
				for _, other := range hookKinds() {
					if other != kind && other != "poststop" {
						*hooksOf(s, other) = nil
					}
				}
			})
			want := []string{}
			if kind != "" {
				want = slices.Concat([]string{kind + " 1", kind + " 2"}, atStop())
			}
			id := newID()
			r := h.try("create", "--bundle", b.dir, id)
			if r.status == 0 || strings.Contains(r.stderr, "level=warning") != (kind != "") {
				t.Errorf("status %d: %s", r.status, r.stderr)
			}
			equal(t, "hooks", d.names(), want)
			h.nothingRemains(id, b)
		})
	}
}

//proves:runtime.md#lifecycle:12 runtime.md#lifecycle:15 runtime.md#lifecycle:16
func TestAHookOfStartThatFailsDestroysTheContainer(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"startContainer", "poststart"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			h, d := newHost(t), newDiary(t)
			b := h.newBundle([]string{"sleep"}, allHooks(d), failing(kind))
			c := h.create(b)
			h.refuses([]string{kind, "exit status 3"}, "start", c.id)
			ran := slices.Index(atStart(), kind+" 1") + 1
			equal(t, "hooks", d.names(), slices.Concat(atCreate(), atStart()[:ran], atStop()))
			h.nothingRemains(c.id, b)
			h.refuses([]string{"does not exist"}, "state", c.id)
		})
	}
}

//proves:config.md#startcontainer-hooks:1
func TestAProgramNeverRunsAfterAStartContainerHookThatFailed(t *testing.T) {
	t.Parallel()
	h, d := newHost(t), newDiary(t)
	b := h.newBundle([]string{"write=/diary/ran:yes"}, allHooks(d), failing("startContainer"))
	h.refuses([]string{"startContainer"}, "run", "--bundle", b.dir, newID())
	if names := d.names(); slices.Contains(names, "poststart 1") {
		t.Errorf("hooks: %v", names)
	}
	if fileExists(strings.TrimSuffix(d.path, "diary") + "ran") {
		t.Error("the program ran")
	}
}

func TestRunReportsAHookThatFailsAndLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			h, d := newHost(t), newDiary(t)
			b := h.newBundle([]string{"sleep"}, allHooks(d), failing(kind))
			id := newID()
			h.refuses([]string{kind}, "run", "--bundle", b.dir, id)
			if names := d.names(); !slices.Equal(names[len(names)-2:], atStop()) {
				t.Errorf("hooks: %v", names)
			}
			h.nothingRemains(id, b)
		})
	}
}

//proves:runtime.md#lifecycle:18 runtime.md#warnings:1
func TestAPoststopHookThatFailsIsAWarning(t *testing.T) {
	t.Parallel()
	h, d := newHost(t), newDiary(t)
	b := h.newBundle([]string{"sleep"}, allHooks(d), failing("poststop"))
	c := h.create(b)
	h.must("start", c.id)
	h.must("kill", c.id, "KILL")
	h.awaitStatus(c.id, specs.StateStopped)
	r := h.try("delete", c.id)
	if r.status != 0 {
		t.Errorf("delete: status %d", r.status)
	}
	if !strings.Contains(r.stderr, "level=warning") || !strings.Contains(r.stderr, "poststop") {
		t.Errorf("no warning of the hook: %q", r.stderr)
	}
	equal(t, "hooks", d.names(), slices.Concat(atCreate(), atStart(), atStop()))
	h.nothingRemains(c.id, b)
}

//proves:hooks.createRuntime[].timeout hooks.createContainer[].timeout hooks.startContainer[].timeout
//proves:hooks.poststart[].timeout hooks.prestart[].timeout
func TestAHookThatOutlivesItsTimeoutIsKilledAndFails(t *testing.T) {
	t.Parallel()
	for kind, command := range map[string]string{
		"prestart": "create", "createRuntime": "create", "createContainer": "create", "startContainer": "run", "poststart": "run",
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			h, d := newHost(t), newDiary(t)
			b := h.newBundle([]string{"sleep"}, allHooks(d), func(s *specs.Spec) {
				first := &(*hooksOf(s, kind))[0]
				first.Args = append(first.Args, "sleep=30")
				first.Timeout = pointer(1)
			})
			id := newID()
			begin := time.Now()
			h.refuses([]string{kind, "timeout of 1 s"}, command, "--bundle", b.dir, id)
			if took := time.Since(begin); took < time.Second || took > atMost(10) {
				t.Errorf("it took %v", took)
			}
			h.nothingRemains(id, b)
		})
	}
}

//proves:hooks.poststop[].timeout
func TestAPoststopHookThatOutlivesItsTimeoutIsKilledAndAWarning(t *testing.T) {
	t.Parallel()
	h, d := newHost(t), newDiary(t)
	b := h.newBundle([]string{"pid"}, allHooks(d), func(s *specs.Spec) {
		first := &s.Hooks.Poststop[0]
		first.Args = append(first.Args, "sleep=30")
		first.Timeout = pointer(1)
	})
	id := newID()
	begin := time.Now()
	r := h.try("run", "--bundle", b.dir, id)
	if took := time.Since(begin); r.status != 0 || took > atMost(10) {
		t.Errorf("status %d after %v", r.status, took)
	}
	if !strings.Contains(r.stderr, "level=warning") || !strings.Contains(r.stderr, "timeout of 1 s") {
		t.Errorf("no warning: %q", r.stderr)
	}
	names := d.names()
	equal(t, "last hook", names[len(names)-1], "poststop 2")
	h.nothingRemains(id, b)
}

// Each kind has to have an absolute path, and patience above nothing.
//
//proves:config.md#posix-platform-hooks:2 config.md#posix-platform-hooks:3
//proves:config.md#posix-platform-hooks:7 config.md#posix-platform-hooks:8
func TestAHookOfAnyKindIsChecked(t *testing.T) {
	h := newHost(t)
	for _, kind := range hookKinds() {
		h.fails([]string{"hooks." + kind + "[0].path", `"bin/true"`, "absolute", "hooks." + kind + "[1].timeout", "-1"}, func(s *specs.Spec) {
			s.Hooks = &specs.Hooks{}
			*hooksOf(s, kind) = []specs.Hook{{Path: "bin/true"}, {Path: "/bin/true", Timeout: pointer(-1)}}
		})
	}
}

func TestAHookThatCannotRunFailsAndIsNamed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		hook  specs.Hook
		words []string
	}{
		"a missing program":      {specs.Hook{Path: "/no/such/hook"}, []string{"/no/such/hook", "no such file or directory"}},
		"one that is killed":     {specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", "kill -9 $$"}}, []string{"SIGKILL"}},
		"one that says why":      {specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", "echo because >&2; exit 1"}}, []string{"because"}},
		"one that is a relative": {specs.Hook{Path: "bin/sh"}, []string{"hooks.createRuntime[0].path"}},
		"one without patience":   {specs.Hook{Path: "/bin/sh", Timeout: pointer(0)}, []string{"hooks.createRuntime[0].timeout"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			b := h.newBundle([]string{"pid"}, func(s *specs.Spec) {
				s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{tt.hook}}
			})
			id := newID()
			h.refuses(tt.words, "create", "--bundle", b.dir, id)
			h.nothingRemains(id, b)
		})
	}
}

func TestAHookMayLeaveAProcessBehindWithoutHoldingUpCreate(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"sleep"}, func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "sleep 30 & exit 0"}}}}
	})
	begin := time.Now()
	h.create(b)
	if took := time.Since(begin); took > atMost(15) {
		t.Errorf("create took %v", took)
	}
}

func TestAHookThatDoesNotReadItsStateDoesNotBlock(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.probe([]string{"pid"}, func(s *specs.Spec) {
		// More than a pipe holds.
		s.Annotations = map[string]string{"org.example.large": strings.Repeat("x", 200_000)}
		s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/true"}}, Poststop: []specs.Hook{{Path: "/bin/true"}}}
	})
}

// How the process is scheduled is how init is, which cannot start a hook then.
func TestAHookThatTheProcessMayNotStartIsExplained(t *testing.T) {
	t.Parallel()
	const ms = 1_000_000
	h := newHost(t)
	deadline := specs.Scheduler{Policy: specs.SchedDeadline, Runtime: 10 * ms, Deadline: 100 * ms}
	b := h.withShell(asleep, scheduler(deadline), func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/bin/true"}}}
	})
	id := newID()
	h.refuses([]string{"hooks.startContainer[0]", "SCHED_FLAG_RESET_ON_FORK"}, "run", "--bundle", b.dir, id)
	h.nothingRemains(id, b)
}
