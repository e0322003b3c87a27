package tests

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// What engines make of the error of a runtime: Docker 20.10 looks for the first
// of these that it finds, Podman for the patterns.
var engines = map[string][2]*regexp.Regexp{
	"Docker": {
		regexp.MustCompile(`executable file not found|no such file or directory|system cannot find`),
		regexp.MustCompile(`permission denied`),
	},
	"Podman": {
		regexp.MustCompile(`(?i)executable file not found in|no such file or directory`),
		regexp.MustCompile(`(?i)permission denied|operation not permitted`),
	},
}

// A program that cannot be executed is one of three to a shell, and so to engines:
// not found, not executable, or neither.
func TestEnginesCanTellWhyAProgramDidNotStart(t *testing.T) {
	t.Parallel()
	for name, tt := range some(map[string]struct {
		program string
		env     string
		cwd     string
		words   []string
		status  int
	}{
		"a name that is nowhere":     {"cake", "PATH=/bin", "/", []string{`exec "cake": executable file not found in $PATH`}, 127},
		"a name without a PATH":      {"probe", "A=1", "/", []string{`exec "probe": executable file not found in $PATH`}, 127},
		"a name with an empty PATH":  {"probe", "PATH=", "/", []string{`exec "probe": executable file not found in $PATH`}, 127},
		"a path that is nowhere":     {"/cake", "PATH=/bin", "/", []string{`exec "/cake": no such file or directory`}, 127},
		"a link to nowhere":          {"/links/nowhere", "PATH=/bin", "/", []string{`exec "/links/nowhere": no such file or directory`}, 127},
		"a link in a circle":         {"/links/circle", "PATH=/bin", "/", []string{`exec "/links/circle": too many levels of symbolic links`}, 0},
		"a directory":                {"/etc", "PATH=/bin", "/", []string{`exec "/etc": is a directory`}, 126},
		"a file without permission":  {"/plain", "PATH=/bin", "/", []string{`exec "/plain": permission denied`}, 126},
		"a name of one":              {"plain", "PATH=/bin:/", "/", []string{`exec "plain": permission denied`}, 126},
		"a filesystem without":       {"/tmp/probe", "PATH=/bin", "/", []string{`exec "/tmp/probe": permission denied`}, 126},
		"a path through a file":      {"/plain/x", "PATH=/bin", "/", []string{`exec "/plain/x": not a directory`}, 0},
		"no program":                 {"/text", "PATH=/bin", "/", []string{`exec "/text": exec format error`, "script without #!"}, 0},
		"an interpreter that is not": {"/script", "PATH=/bin", "/", []string{`exec "/script": no such file or directory`, "interpreter"}, 127},
		"a directory that is a file": {"/probe", "PATH=/bin", "/plain", []string{`enter process.cwd /plain: not a directory`}, 0},
	}) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			b := h.newBundle(nil, func(s *specs.Spec) {
				s.Process.Args, s.Process.Env, s.Process.Cwd = []string{tt.program}, []string{tt.env}, tt.cwd
			},
				addMounts(specs.Mount{Destination: "/tmp", Source: t.TempDir(), Options: []string{"bind", "noexec"}}))
			for file, text := range map[string]string{"plain": "", "text": "echo hello\n", "script": "#!/no/such/interpreter\n"} {
				writeFile(t, b.path("rootfs/"+file), text)
				if file != "plain" {
					if err := os.Chmod(b.path("rootfs/"+file), 0o755); err != nil {
						t.Fatal(err)
					}
				}
			}
			copyFile(t, suite.probe, b.config.Mounts[len(b.config.Mounts)-1].Source+"/probe")
			for link, to := range map[string]string{"nowhere": "/cake", "circle": "circle"} {
				if err := os.MkdirAll(b.path("rootfs/links"), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(to, b.path("rootfs/links/"+link)); err != nil {
					t.Fatal(err)
				}
			}
			id := newID()
			check := func(what string, r result, status int) {
				t.Helper()
				said := strings.ReplaceAll(r.stderr, `\"`, `"`)
				equal(t, what+"'s status", r.status, status)
				for _, w := range tt.words {
					if !strings.Contains(said, w) {
						t.Errorf("%s: no %q in %s", what, w, said)
					}
				}
				for engine, matches := range engines {
					got := 0
					switch {
					case engine == "Podman" && matches[1].MatchString(said), matches[1].MatchString(said) && !matches[0].MatchString(said):
						got = 126
					case matches[0].MatchString(said):
						got = 127
					}
					equal(t, what+" as "+engine+" has it", got, tt.status)
				}
			}
			check("run", h.try("run", "--bundle", b.dir, id), 1)
			h.nothingRemains(id, b)

			b.config.Process = &specs.Process{Args: []string{"/probe", "sleep"}, Cwd: "/"}
			b.save(t)
			c := h.create(b)
			h.must("start", c.id)
			file := processFile(t, &specs.Process{Args: []string{tt.program}, Env: []string{tt.env}, Cwd: tt.cwd})
			check("exec", h.try("exec", "--process", file, c.id), 255)
			check("exec --detach", h.try("exec", "--detach", "--process", file, c.id), 255)
			equal(t, "status", h.state(c.id).Status, specs.StateRunning)
		})
	}
}

// exec does not make the directory, as create does: the container is somebody's by
// now.
func TestExecWhoseDirectoryIsNotThereSaysThatAndNotThatTheProgramIsNot(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	r := h.try("exec", "--cwd", "/nowhere", c.id, "/probe")
	equal(t, "status", r.status, 255)
	if !strings.Contains(r.stderr, "enter process.cwd /nowhere: no such file or directory") {
		t.Error(r.stderr)
	}
}

func TestExecWithMoreArgumentsThanTheKernelTakesSaysSo(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	file := processFile(t, &specs.Process{Args: []string{"/bin/true", strings.Repeat("x", 200_000)}, Cwd: "/"})
	r := h.try("exec", "--process", file, c.id)
	if r.status != 255 || !strings.Contains(r.stderr, "process.args[1]: 200000 bytes") {
		t.Errorf("status %d: %s", r.status, r.stderr)
	}
}

func TestExecInWhatDoesNotRunSaysSoInTheWordsThatEnginesKnow(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	h.must("pause", c.id)
	r := h.try("exec", c.id, "/bin/true")
	if r.status != 255 || !strings.Contains(r.stderr, "cannot exec in a paused container (use --ignore-paused to override)") {
		t.Errorf("paused: %d, %s", r.status, r.stderr)
	}
	h.must("resume", c.id)
	h.must("kill", c.id, "KILL")
	h.awaitStatus(c.id, specs.StateStopped)
	for _, flags := range [][]string{nil, {"--ignore-paused"}, {"--detach"}} {
		r = h.try(append(append([]string{"exec"}, flags...), c.id, "/bin/true")...)
		if r.status != 255 || !strings.Contains(r.stderr, "container not running") || !strings.Contains(r.stderr, "cannot exec in a stopped container") {
			t.Errorf("stopped: %d, %s", r.status, r.stderr)
		}
	}
	h.must("delete", c.id)
	r = h.try("exec", c.id, "/bin/true")
	if r.status != 255 || !strings.Contains(r.stderr, "container does not exist") {
		t.Errorf("deleted: %d, %s", r.status, r.stderr)
	}
}
