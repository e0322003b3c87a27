package hook_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hull/libcontainer/hook"
	"hull/libcontainer/plan"
)

func shell(script string) *plan.Hook {
	return &plan.Hook{Name: "hooks.prestart[0]", Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: []string{"GREETING=hi"}, State: []byte(`{"id":"x"}`)}
}

func TestAHookGetsStateEnvironmentAndDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := hook.Run(shell(`cat > state; /usr/bin/env > env; echo "$0"; pwd > cwd`), hook.Place{Dir: dir, End: -1}); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"state": `{"id":"x"}`, "env": "GREETING=hi", "cwd": dir} {
		got, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%s: %q, %v; want %q", file, got, err, want)
		}
	}
	if env, _ := os.ReadFile(filepath.Join(dir, "env")); strings.Contains(string(env), "HOME=") {
		t.Errorf("the caller's environment leaked: %s", env)
	}
}

func TestAFailingHookIsNamedWithItsOutput(t *testing.T) {
	tests := []struct{ name, script, want string }{
		{"exit status", "echo out; echo no bridge >&2; exit 7", "run hook hooks.prestart[0] (/bin/sh): exit status 7 (it said: out no bridge)"},
		{"signal", "kill -9 $$", "run hook hooks.prestart[0] (/bin/sh): killed by SIGKILL"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := hook.Run(shell(tt.script), hook.Place{Dir: "/", End: -1})
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestAMissingHookIsNamed(t *testing.T) {
	err := hook.Run(&plan.Hook{Name: "hooks.poststop[1]", Path: "/no/such"}, hook.Place{Dir: "/", End: -1})
	if err == nil || err.Error() != "run hook hooks.poststop[1] (/no/such): no such file or directory (the file is missing, or its interpreter)" {
		t.Errorf("got %v", err)
	}
}

// TestAStateThatTheCallersLimitCutsIsAnError sets a limit of this process.
func TestAStateThatTheCallersLimitCutsIsAnError(t *testing.T) {
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &own); err != nil {
		t.Fatal(err)
	}
	low := unix.Rlimit{Cur: 100, Max: own.Max}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &low); err != nil {
		t.Fatal(err)
	}
	h := shell("true")
	h.State = make([]byte, 101)
	err := hook.Run(h, hook.Place{Dir: "/", End: -1})
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &own); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, unix.EFBIG) || !strings.Contains(err.Error(), "RLIMIT_FSIZE") {
		t.Errorf("got %v", err)
	}
}

func TestAHookThatOutlivesItsTimeoutIsKilledWithItsChildren(t *testing.T) {
	dir := t.TempDir()
	h := shell(`sleep 30 & echo $! > child; sleep 30`)
	h.TimeoutSeconds = 1
	start := time.Now()
	err := hook.Run(h, hook.Place{Dir: dir, End: -1})
	if err == nil || !strings.Contains(err.Error(), "timeout of 1 s") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	child, err := os.ReadFile(filepath.Join(dir, "child"))
	if err != nil {
		t.Fatal(err)
	}
	// The kernel has sent the signal; the child takes it when it runs next.
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(child)) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the hook's child lives: %s", stat)
		}
	}
}

func TestAHookIsKilledWhenThereIsNoUseInIt(t *testing.T) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	unix.Close(pipe[1])
	start := time.Now()
	if err := hook.Run(shell(`sleep 30`), hook.Place{Dir: "/", End: pipe[0]}); !errors.Is(err, hook.ErrEnded) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestAHookThatLeavesAChildDoesNotBlock(t *testing.T) {
	start := time.Now()
	if err := hook.Run(shell(`sleep 30 & true`), hook.Place{Dir: "/", End: -1}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("took %v", took)
	}
}
