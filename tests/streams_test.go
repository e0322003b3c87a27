package tests

import (
	"bufio"
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// standardStream is a file that a standard stream can be.
type standardStream struct {
	name string
	file *os.File
}

// everyStream makes one of each kind, blocking or not.
func everyStream(t *testing.T, flags int) (all []standardStream) {
	t.Helper()
	add := func(name string, fds ...int) {
		file := os.NewFile(uintptr(fds[0]), name)
		t.Cleanup(func() {
			file.Close()
			for _, other := range fds[1:] {
				unix.Close(other)
			}
		})
		if _, err := unix.FcntlInt(uintptr(fds[0]), unix.F_SETFL, flags); err != nil {
			t.Fatal(err)
		}
		all = append(all, standardStream{name, file})
	}
	var pipe, pair [2]int
	err := unix.Pipe2(pipe[:], unix.O_CLOEXEC)
	if err == nil {
		pair, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	add("pipe", pipe[1], pipe[0])
	add("socket", pair[0], pair[1])
	open := func(path string) int {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOCTTY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	add("file", open(filepath.Join(t.TempDir(), "file")))
	add("/dev/null", open("/dev/null"))
	_, peer := ptyPair(t, 24, 80)
	fd, err := unix.FcntlInt(peer.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	add("terminal", fd)
	return all
}

// look tells who owns a stream, its mode, and the flags of what is open.
func (s standardStream) look(t *testing.T) string {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(int(s.file.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d:%d %o", st.Uid, st.Gid, st.Mode)
}

func (s standardStream) flags(t *testing.T) int {
	t.Helper()
	flags, err := unix.FcntlInt(s.file.Fd(), unix.F_GETFL, 0)
	if err != nil {
		t.Fatal(err)
	}
	return flags
}

// What a caller's streams are after a container of another user, in the
// foreground and detached, is what the reference runtime leaves.
func TestTheStreamsAreLeftAsTheReferenceRuntimeLeavesThem(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	reference := newHost(t)
	reference.binary = needTool(t, "runc")
	user := func(s *specs.Spec) {
		s.Version = "1.0.2"
		s.Process.User = specs.User{UID: 1000, GID: 1000}
		s.Process.Args = []string{"/bin/true"}
	}
	b := h.newBundle(nil, user)
	for _, flags := range [][]string{{"run"}, {"run", "--detach"}} {
		left := func(h *host) (found []string) {
			for _, s := range everyStream(t, 0) {
				id := newID()
				cmd := h.command(append(flags, "--bundle", b.dir, id)...)
				cmd.Stdout = s.file
				var said bytes.Buffer
				if len(flags) == 1 {
					cmd.Stderr = &said
				}
				if err := cmd.Run(); err != nil {
					t.Fatalf("%v: %v: %s", cmd.Args, err, said.String())
				}
				found = append(found, s.name+" "+s.look(t))
				_ = h.command("delete", "--force", id).Run()
			}
			return found
		}
		got, want := left(h), left(reference)
		if !slices.Equal(got, want) {
			t.Errorf("%v leaves\n%s\nwant\n%s", flags, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func TestTheStreamsAreTheUsersWhileTheProgramRunsInTheForeground(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	user := func(s *specs.Spec) { s.Process.User = specs.User{UID: 1000, GID: 1000} }
	b := h.newBundle(nil, user, shell("echo reopened >/proc/self/fd/1; read line"))
	c := h.start(nil, user)
	for _, args := range [][]string{
		{"run", "--bundle", b.dir, newID()},
		{"exec", c.id, "/bin/sh", "-c", "echo reopened >/proc/self/fd/1; read line"},
	} {
		out, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { out.Close() })
		cmd := h.command(args...)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdout = out
		h.startCommand(cmd)
		awaitText(t, out.Name(), "reopened\n")
		s := standardStream{"out", out}
		equal(t, "meanwhile", s.look(t), "1000:0 100644")
		in.Close()
		_ = cmd.Wait()
		equal(t, "afterwards", s.look(t), "0:0 100644")
	}
}

// The flags are of the open file, which the caller shares.
func TestTheFlagsOfTheCallersStreamsStay(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(nil)
	nap := shell("sleep 0.05")
	for _, args := range [][]string{
		{"run", "--bundle", h.newBundle(nil, nap).dir},
		{"run", "--bundle", h.newBundle(nil, nap, terminal).dir},
		{"exec", c.id, "/bin/sleep", "0.05"},
		{"exec", "--tty", c.id, "/bin/sleep", "0.05"},
	} {
		for _, flags := range []int{0, unix.O_NONBLOCK} {
			streams := map[string]standardStream{}
			for _, s := range everyStream(t, flags) {
				streams[s.name] = s
			}
			cmd := h.command(args...)
			if args[0] == "run" {
				cmd.Args = append(cmd.Args, newID())
			}
			cmd.Stdin, cmd.Stdout, cmd.Stderr = streams["terminal"].file, streams["pipe"].file, streams["socket"].file
			before := map[string]int{}
			for name, s := range streams {
				before[name] = s.flags(t)
			}
			h.startCommand(cmd)
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = cmd.Wait()
			}()
			for running := true; running; {
				select {
				case <-done:
					running = false
				case <-time.After(time.Millisecond):
				}
				for name, s := range streams {
					if s.flags(t) != before[name] {
						t.Fatalf("%v: flags of the %s %#o, before %#o", args, name, s.flags(t), before[name])
					}
				}
			}
		}
	}
}

// What is closed must not become one of the runtime's own descriptors.
func TestStreamsThatAreClosedAreTheNullDevice(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	inside := h.newBundle([]string{"sleep"}, writableRoot)
	c := h.create(inside)
	h.must("start", c.id)
	for _, closed := range []string{"<&-", ">&-", "2>&-", "<&- >&- 2>&-"} {
		b := h.newBundle([]string{"fds", "record=/tmp/seen"}, writableRoot)
		for _, tt := range []struct {
			b    *bundle
			args []string
		}{
			{b, []string{"run", "--bundle", b.dir, newID()}},
			{inside, []string{"exec", c.id, "/probe", "fds", "record=/tmp/seen"}},
		} {
			_ = os.Remove(tt.b.path("rootfs/tmp/seen"))
			cmd := exec.Command("/bin/sh", slices.Concat([]string{"-c", `exec "$0" "$@" ` + closed}, h.command(tt.args...).Args)...)
			if r := h.finish(cmd); r.status != 0 {
				t.Errorf("%s %s: status %d: %s", tt.args[0], closed, r.status, r.stderr)
				continue
			}
			text, err := os.ReadFile(tt.b.path("rootfs/tmp/seen"))
			if err != nil {
				t.Fatal(err)
			}
			fds := get[map[string]string](t, parseSight(t, string(text)), "fds")
			equal(t, "descriptors", len(fds), 3)
			for fd, word := range map[string]string{"0": "<&-", "1": ">&-", "2": "2>&-"} {
				// The input of the suite is the null device, too.
				null := fd == "0" || slices.Contains(strings.Fields(closed), word)
				if (fds[fd] == "/dev/null") != null {
					t.Errorf("%s %s: descriptor %s is %s", tt.args[0], closed, fd, fds[fd])
				}
			}
		}
	}
}

// inputMount is where the mount is, inside of the container, that its standard
// input was opened on; "" if it is none of the container's.
func inputMount(t *testing.T, s sight) (point string) {
	t.Helper()
	id := ""
	for line := range strings.Lines(get[string](t, s, inputCommands()[0])) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":\t")
		switch {
		case name == "mnt_id":
			id = value
		case name == "flags" && octal(t, value)&unix.O_NONBLOCK != 0:
			t.Errorf("the input does not block: %s", line)
		}
	}
	for line := range strings.Lines(get[string](t, s, inputCommands()[1])) {
		if fields := strings.Fields(line); fields[0] == id {
			point = fields[4]
		}
	}
	return point
}

func inputCommands() []string {
	return []string{"read=/proc/self/fdinfo/0", "read=/proc/self/mountinfo"}
}

// As root the program could change the mode of the host's device.
func TestTheNullDeviceOfAStreamIsTheContainers(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	equal(t, "mount of the input of run", inputMount(t, h.probe(inputCommands())), "/dev")
	c := h.start(nil)
	equal(t, "mount of the input of exec", inputMount(t, c.exec(inputCommands()...)), "/dev")
	// What the container has made of it is not opened.
	for _, script := range []string{
		"busybox rm /dev/null; busybox mkfifo /dev/null",
		"busybox rm /dev/null; busybox mkfifo /dev/fifo; busybox ln -s /dev/fifo /dev/null",
		"busybox rm /dev/null",
	} {
		h.must("exec", c.id, "/bin/sh", "-c", script)
		equal(t, "mount of the input after "+script, inputMount(t, c.exec(inputCommands()...)), "")
	}
}

func TestAStreamGoesThroughWithoutTheRuntime(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	const size = 256 << 20
	b := h.newBundle([]string{"sleep"}, func(s *specs.Spec) { s.Process.Args = []string{"/bin/cat"} })
	cmd := h.command("run", "--bundle", b.dir, newID())
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	h.startCommand(cmd)
	block := make([]byte, 1<<20)
	for i := range block {
		block[i] = byte(i*i>>7 ^ i)
	}
	want, got := crc32.NewIEEE(), crc32.NewIEEE()
	go func() {
		for i := range size / len(block) {
			block[0] = byte(i) // each is another
			_, _ = want.Write(block)
			if _, err := in.Write(block); err != nil {
				return
			}
		}
	}()
	n, err := io.CopyN(got, bufio.NewReaderSize(out, 1<<20), size)
	if err != nil || n != size {
		t.Fatalf("%d bytes, %v", n, err)
	}
	// It still runs: what it has read and written so far is of its own making.
	text, err := os.ReadFile(procPath(cmd.Process.Pid, "io"))
	if err != nil {
		t.Fatal(err)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	equal(t, "sum", got.Sum32(), want.Sum32())
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if (name == "rchar" || name == "wchar") && number(t, value) > size/10 {
			t.Errorf("the runtime itself: %s", text)
		}
	}
}

func octal(t *testing.T, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 8, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
