package tests

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// marked returns open files whose names tell them apart.
func marked(t *testing.T, count int) (files []*os.File) {
	t.Helper()
	dir := t.TempDir()
	for i := range count {
		f, err := os.Create(filepath.Join(dir, "file"+strconv.Itoa(i)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		files = append(files, f)
	}
	return files
}

// basenames maps descriptors above the standard streams to the names of files.
func basenames(t *testing.T, s sight) map[string]string {
	t.Helper()
	out := map[string]string{}
	for fd, target := range get[map[string]string](t, s, "fds") {
		if !slices.Contains([]string{"0", "1", "2"}, fd) {
			out[fd] = filepath.Base(target)
		}
	}
	return out
}

func TestPreservedDescriptorsReachTheProgramAndNoOthersDo(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"run", "exec"} {
		for count, want := range map[int]map[string]string{
			0: {},
			1: {"3": "file0"},
			3: {"3": "file0", "4": "file1", "5": "file2"},
		} {
			t.Run(command+" "+strconv.Itoa(count), func(t *testing.T) {
				t.Parallel()
				h := newHost(t)
				args := []string{command, "--preserve-fds", strconv.Itoa(count)}
				if command == "run" {
					b := h.newBundle([]string{"fds"})
					args = append(args, "--bundle", b.dir, newID())
				} else {
					args = append(args, h.start(nil).id, "/probe", "fds")
				}
				cmd := h.command(args...)
				cmd.ExtraFiles = marked(t, 5)
				r := h.finish(cmd)
				if r.status != 0 {
					t.Fatal(r.stderr)
				}
				equal(t, "descriptors", basenames(t, parseSight(t, r.stdout)), want)
			})
		}
	}
}

func TestPreservedDescriptorsSurviveUntilStart(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"fds"})
	id := newID()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := h.command("create", "--preserve-fds", "2", "--bundle", b.dir, id)
	cmd.ExtraFiles, cmd.Stdout = marked(t, 4), out
	if r := h.finish(cmd); r.status != 0 {
		t.Fatal(r.stderr)
	}
	start := h.command("start", id)
	start.ExtraFiles = marked(t, 3)
	h.finish(start)
	awaitText(t, out.Name(), "}\n")
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "descriptors", basenames(t, parseSight(t, string(text))), map[string]string{"3": "file0", "4": "file1"})
	h.must("delete", "--force", id)
}

func TestHooksDoNotGetThePreservedDescriptors(t *testing.T) {
	t.Parallel()
	h, d := newHost(t), newDiary(t)
	b := h.newBundle([]string{"fds"}, allHooks(d))
	cmd := h.command("run", "--preserve-fds", "2", "--bundle", b.dir, newID())
	cmd.ExtraFiles = marked(t, 3)
	if r := h.finish(cmd); r.status != 0 {
		t.Fatal(r.stderr)
	}
	for _, o := range d.read() {
		equal(t, "descriptors of "+o.name(), len(o.FDs), 3)
	}
}

func TestDescriptorsThatAreNotThereCannotBePreserved(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"fds"})
	id := newID()
	cmd := h.command("run", "--preserve-fds", "3", "--bundle", b.dir, id)
	cmd.ExtraFiles = marked(t, 1)
	r := h.finish(cmd)
	if r.status != 1 || !strings.Contains(r.stderr, "descriptor 4: bad file descriptor") {
		t.Errorf("status %d: %s", r.status, r.stderr)
	}
	h.nothingRemains(id, b)
	h.refuses([]string{"preserve-fds must not be negative"}, "run", "--preserve-fds", "-1", "--bundle", b.dir, id)
}

// What hull itself has open is nothing that a caller could pass.
func TestAGapInWhatIsPreservedIsNotFilledByHull(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b, c := h.newBundle([]string{"fds"}), h.start(nil)
	h.flags = []string{"--log", filepath.Join(t.TempDir(), "log")}
	for missing, script := range map[string]string{
		"3": `exec "$0" "$@"`, "4": `exec 3</dev/null; exec "$0" "$@"`, "5": `exec 3</dev/null 4</dev/null 6</dev/null 7</dev/null; exec "$0" "$@"`,
	} {
		for _, args := range [][]string{
			{"run", "--preserve-fds", "4", "--bundle", b.dir, newID()},
			{"exec", "--preserve-fds", "4", c.id, "/probe", "fds"},
			{"exec", "--preserve-fds", "100000", c.id, "/probe", "fds"},
		} {
			cmd := h.command(args...)
			cmd.Args = append([]string{"sh", "-c", script}, cmd.Args...)
			cmd.Path = "/bin/sh"
			r := h.finish(cmd)
			if r.status == 0 || !strings.Contains(r.stderr, "descriptor "+missing+": bad file descriptor") {
				t.Errorf("%s with a gap at %s: status %d: %s%s", args[0], missing, r.status, r.stdout, r.stderr)
			}
		}
	}
}

func TestSocketsOfSystemdAreAnnouncedToTheProgram(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"fds", "env"})
	// LISTEN_PID names the runtime, which only a shell can know beforehand.
	script := `export LISTEN_PID=$$; exec "$0" "$@"`
	cmd := h.command("run", "--bundle", b.dir, "--preserve-fds", "1", newID())
	cmd.Args = append([]string{"sh", "-c", script}, cmd.Args...)
	cmd.Path = "/bin/sh"
	cmd.Env = append(os.Environ(), "LISTEN_FDS=2")
	cmd.ExtraFiles = marked(t, 4)
	r := h.finish(cmd)
	if r.status != 0 {
		t.Fatal(r.stderr)
	}
	s := parseSight(t, r.stdout)
	env := get[[]string](t, s, "env")
	equal(t, "environment", []string{lastValue(env, "LISTEN_FDS"), lastValue(env, "LISTEN_PID")}, []string{"2", "1"})
	equal(t, "descriptors", basenames(t, s), map[string]string{"3": "file0", "4": "file1", "5": "file2"})
}

// A program without a pid namespace of its own is not the process 1.
func TestSocketsOfSystemdNameTheProcessByThePidThatItHas(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"pid", "env"}, dropNamespace(specs.PIDNamespace), func(s *specs.Spec) {
		s.Process.Env = append(s.Process.Env, "LISTEN_PID=5", "LISTEN_FDNAMES=x")
	})
	cmd := h.command("run", "--bundle", b.dir, newID())
	cmd.Args = append([]string{"sh", "-c", `export LISTEN_PID=$$; exec "$0" "$@"`}, cmd.Args...)
	cmd.Path = "/bin/sh"
	cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES=web")
	cmd.ExtraFiles = marked(t, 1)
	s := parseSight(t, h.finish(cmd).stdout)
	env := get[[]string](t, s, "env")
	pid := strconv.Itoa(get[map[string]int](t, s, "pid")["pid"])
	equal(t, "LISTEN_PID", lastValue(env, "LISTEN_PID"), pid)
	equal(t, "LISTEN_FDNAMES", lastValue(env, "LISTEN_FDNAMES"), "web")
}

func TestSocketsOfSystemdForAnotherProcessAreNotPassedOn(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"fds", "env"})
	cmd := h.command("run", "--bundle", b.dir, newID())
	cmd.Env = append(os.Environ(), "LISTEN_FDS=2", "LISTEN_PID=1")
	cmd.ExtraFiles = marked(t, 2)
	s := parseSight(t, h.finish(cmd).stdout)
	equal(t, "LISTEN_FDS", lastValue(get[[]string](t, s, "env"), "LISTEN_FDS"), "")
	equal(t, "descriptors", basenames(t, s), map[string]string{})
}

func TestTheDescriptorsOfConmonDoNotReachTheProgram(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"fds", "env"})
	cmd := h.command("run", "--bundle", b.dir, newID())
	cmd.Env = append(os.Environ(), "_OCI_SYNCPIPE=3", "_OCI_STARTPIPE=4")
	cmd.ExtraFiles = marked(t, 2)
	s := parseSight(t, h.finish(cmd).stdout)
	equal(t, "descriptors", basenames(t, s), map[string]string{})
	equal(t, "_OCI_SYNCPIPE", lastValue(get[[]string](t, s, "env"), "_OCI_SYNCPIPE"), "")
}

// inbox is a socket that takes one descriptor.
type inbox struct {
	t        *testing.T
	path     string
	listener *net.UnixListener
}

func newInbox(t *testing.T, path string) inbox {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return inbox{t, path, l}
}

// receive waits for the message and returns its text and its one descriptor.
func (i inbox) receive() (string, *os.File) {
	i.t.Helper()
	conn, err := i.listener.AcceptUnix()
	if err != nil {
		i.t.Fatal(err)
	}
	defer conn.Close()
	text, oob := make([]byte, 4096), make([]byte, 1024)
	n, oobn, _, _, err := conn.ReadMsgUnix(text, oob)
	if err != nil {
		i.t.Fatal(err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 {
		i.t.Fatalf("%d control messages, %v", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		i.t.Fatalf("descriptors %v, %v", fds, err)
	}
	unix.CloseOnExec(fds[0])
	if err := unix.SetNonblock(fds[0], true); err != nil {
		i.t.Fatal(err)
	}
	f := os.NewFile(uintptr(fds[0]), "received")
	i.t.Cleanup(func() { f.Close() })
	// It is one message: then the other end closes.
	if rest, err := conn.Read(text[n:]); rest != 0 || err == nil {
		i.t.Errorf("%d bytes more, %v", rest, err)
	}
	return string(text[:n]), f
}

func TestThePidfdSocketGetsAPidfdOfTheProcess(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	socket := newInbox(t, filepath.Join(t.TempDir(), "pidfd.sock"))
	b := h.newBundle([]string{"sleep"})
	id := newID()
	h.must("create", "--pidfd-socket", socket.path, "--bundle", b.dir, id)
	_, pidfd := socket.receive()
	equal(t, "pid of create", pidOf(t, pidfd), h.state(id).Pid)
	h.must("start", id)

	file := filepath.Join(t.TempDir(), "pid")
	h.must("exec", "--detach", "--pidfd-socket", socket.path, "--pid-file", file, id, "/probe", "sleep")
	_, pidfd = socket.receive()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "pid of exec", strconv.Itoa(pidOf(t, pidfd)), string(text))
	h.must("delete", "--force", id)
}

func pidOf(t *testing.T, pidfd *os.File) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(int(pidfd.Fd())))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "Pid:"); ok {
			pid, err := strconv.Atoi(strings.TrimSpace(value))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatalf("not a pidfd: %s", text)
	return 0
}

func TestASocketThatIsNotThereFailsCreateAndLeavesNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for flag, terminal := range map[string]bool{"--pidfd-socket": false, "--console-socket": true} {
		b := h.newBundle([]string{"sleep"}, func(s *specs.Spec) { s.Process.Terminal = terminal })
		id := newID()
		h.refuses([]string{"/no/such/socket", "no such file or directory"}, "create", flag, "/no/such/socket", "--bundle", b.dir, id)
		h.nothingRemains(id, b)
	}
}
