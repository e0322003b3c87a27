package cli

import (
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"

	"hull/libcontainer"
)

// parse runs a command line whose command does see instead of what it does.
func parse(t *testing.T, line string, see func(p *program, c *cli.Context) error) {
	t.Helper()
	args := append([]string{"hull"}, strings.Fields(line)...)
	p := newProgram(args, Build{}, os.Stdout, os.Stderr)
	flags := globalFlags()
	at := commandIndex(args, flags)
	cmd := p.command(args[at])
	called := false
	cmd.Action = func(c *cli.Context) error {
		called = true
		return see(p, c)
	}
	if err := p.app(flags, []*cli.Command{cmd}).Run(arrange(args, at, cmd)); err != nil || !called {
		t.Errorf("%s: %v, called %v", line, err, called)
	}
}

func TestCreateFlagsBecomeOptions(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("LISTEN_FDS", "2")
	t.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	base := libcontainer.CreateOptions{Bundle: cwd, Stdio: ownStdio(), ListenFDs: 2}
	with := func(change func(*libcontainer.CreateOptions)) libcontainer.CreateOptions {
		o := base
		change(&o)
		return o
	}
	for line, want := range map[string]libcontainer.CreateOptions{
		"create x":      base,
		"run x -d":      base,
		"create x -b b": with(func(o *libcontainer.CreateOptions) { o.Bundle = filepath.Join(cwd, "b") }),
		"create --bundle /b --pid-file p --console-socket c --pidfd-socket d --no-pivot --no-new-keyring --preserve-fds 3 --config f x": with(func(o *libcontainer.CreateOptions) {
			o.Bundle, o.PidFile, o.ConsoleSocket, o.PidfdSocket = "/b", "p", "c", "d"
			o.Pivot, o.Keyring, o.PreserveFDs, o.ConfigFile = libcontainer.NoPivot, libcontainer.CallersKeyring, 3, "f"
		}),
		"run -no-subreaper -keep --detach --bundle=/b -f c x": with(func(o *libcontainer.CreateOptions) { o.Bundle, o.ConfigFile = "/b", "c" }),
	} {
		parse(t, line, func(_ *program, c *cli.Context) error {
			got, err := createOptions(c)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s:\n got %+v\nwant %+v", line, got, want)
			}
			return err
		})
	}
}

func TestSocketsOfAnotherProcessAreNotPassedOn(t *testing.T) {
	t.Setenv("LISTEN_FDS", "2")
	t.Setenv("LISTEN_PID", "1")
	if n := listenFDs(); n != 0 {
		t.Errorf("listenFDs() = %d", n)
	}
}

func TestGlobalFlagsBecomeTheRuntime(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", "")
	for line, want := range map[string]libcontainer.Runtime{
		"--rootless=false state x":                                            {Root: "/run/hull"},
		"--rootless false --root /r/../s state x":                             {Root: "/s"},
		"--rootless true --systemd-cgroup state x":                            {Root: "/run/hull", Cgroup: libcontainer.Systemd, Privilege: libcontainer.Rootless},
		"--rootless false --cgroup-manager systemd state x":                   {Root: "/run/hull", Cgroup: libcontainer.Systemd},
		"--rootless false --systemd-cgroup --cgroup-manager disabled state x": {Root: "/run/hull", Cgroup: libcontainer.NoCgroup},
		"--rootless false --cgroup-manager=cgroupfs --log-level=warn state x": {Root: "/run/hull"},
	} {
		parse(t, line, func(p *program, c *cli.Context) error {
			rt, err := p.runtime(c)
			if err != nil {
				return err
			}
			rt.Warn = nil // functions do not compare
			if !reflect.DeepEqual(*rt, want) {
				t.Errorf("%s:\n got %+v\nwant %+v", line, *rt, want)
			}
			return nil
		})
	}
}

// containerProcess is the process that exec starts from in these tests.
func containerProcess() *specs.Process {
	return &specs.Process{
		Terminal:     true,
		Args:         []string{"init"},
		Cwd:          "/home",
		Env:          []string{"A=1"},
		User:         specs.User{UID: 5, AdditionalGids: []uint32{7}},
		Capabilities: &specs.LinuxCapabilities{Bounding: []string{"CAP_KILL"}},
	}
}

// editedProcess is what the flags make of containerProcess.
func editedProcess(c *cli.Context) (*specs.Process, error) {
	o, err := execOptions(c)
	if err != nil || o.Process != nil {
		return o.Process, err
	}
	process := containerProcess()
	return process, o.Edit(process)
}

func TestExecFlagsChangeTheContainersProcess(t *testing.T) {
	with := func(change func(*specs.Process)) *specs.Process {
		p := containerProcess()
		p.Args = []string{"cmd", "-a", "--env", "b"}
		p.Terminal = false
		change(p)
		return p
	}
	for line, want := range map[string]*specs.Process{
		"exec x cmd -a --env b": with(func(*specs.Process) {}),
		"exec -t --cwd /tmp -e B=2,3 -e=C=4 x cmd -a --env b": with(func(p *specs.Process) {
			p.Terminal, p.Cwd, p.Env = true, "/tmp", []string{"A=1", "B=2,3", "C=4"}
		}),
		"exec -g 8 -g 9 --no-new-privs --apparmor a --process-label l x cmd -a --env b": with(func(p *specs.Process) {
			p.User.AdditionalGids = []uint32{7, 8, 9}
			p.NoNewPrivileges, p.ApparmorProfile, p.SelinuxLabel = true, "a", "l"
		}),
		"exec --cap CAP_CHOWN --cap CAP_FOWNER x cmd -a --env b": with(func(p *specs.Process) {
			p.Capabilities = &specs.LinuxCapabilities{
				Bounding:  []string{"CAP_KILL", "CAP_CHOWN", "CAP_FOWNER"},
				Effective: []string{"CAP_CHOWN", "CAP_FOWNER"},
				Permitted: []string{"CAP_CHOWN", "CAP_FOWNER"},
			}
		}),
	} {
		parse(t, line, func(_ *program, c *cli.Context) error {
			got, err := editedProcess(c)
			if err == nil && !reflect.DeepEqual(got, want) {
				t.Errorf("%s:\n got %+v\nwant %+v", line, got, want)
			}
			return err
		})
	}
}

func TestExecFlagsBecomeOptions(t *testing.T) {
	parse(t, "exec -u 1:2 -d --pid-file p --pidfd-socket s --preserve-fds 2 --cgroup cpu:/a --cgroup pids:/b --ignore-paused x cmd", func(_ *program, c *cli.Context) error {
		got, err := execOptions(c)
		got.Edit = nil // functions do not compare
		want := libcontainer.ExecOptions{
			User: "1:2", Stdio: ownStdio(), PidFile: "p", PidfdSocket: "s",
			PreserveFDs: 2, Cgroup: []libcontainer.SubCgroup{{Controllers: "cpu", Path: "a"}, {Controllers: "pids", Path: "b"}}, Paused: libcontainer.IgnorePaused, Lifetime: libcontainer.Detached,
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("\n got %+v\nwant %+v", got, want)
		}
		return err
	})
}

func TestAProcessFileIsTakenAsItIs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "process")
	if err := os.WriteFile(file, []byte(`{"args":["a"],"cwd":"/","user":{"uid":3,"gid":4}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	// Podman gives --tty together with --process.
	parse(t, "exec --process "+file+" --tty -u 9 -d x", func(_ *program, c *cli.Context) error {
		got, err := execOptions(c)
		want := &specs.Process{Args: []string{"a"}, Cwd: "/", User: specs.User{UID: 3, GID: 4}}
		if got.User != "" || got.Edit != nil || !reflect.DeepEqual(got.Process, want) {
			t.Errorf("got %+v %q", got.Process, got.User)
		}
		return err
	})
}

func TestExecRefusesWhatCannotBeMeant(t *testing.T) {
	for line, want := range map[string]string{
		"exec x":                       "exec args cannot be empty",
		"exec -g -1 x cmd":             "additional-gids must be a positive number -1",
		"exec -g 4294967296 x cmd":     "additional-gids must be a positive number 4294967296",
		"exec --preserve-fds -1 x cmd": "preserve-fds must not be negative",
		"exec -p /does/not/exist x":    "open /does/not/exist: no such file or directory",
	} {
		parse(t, line, func(_ *program, c *cli.Context) error {
			if _, err := editedProcess(c); err == nil || err.Error() != want {
				t.Errorf("%s: %v, want %s", line, err, want)
			}
			return nil
		})
	}
}
