package tests

import (
	"fmt"
	"net"
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

// manager is the end of sd_notify(3) that a service manager has.
type manager struct {
	t       *testing.T
	address string
	conn    *net.UnixConn
}

func newManager(t *testing.T, address string) *manager {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &manager{t, address, conn}
}

func newManagerHere(t *testing.T) *manager {
	t.Helper()
	return newManager(t, filepath.Join(shortDir(t), "notify"))
}

// hears returns the next message, and answers a barrier as a manager does that
// has read it.
func (m *manager) hears() string {
	m.t.Helper()
	text, files := m.reads()
	for _, fd := range files {
		unix.Close(fd)
	}
	return text
}

func (m *manager) reads() (string, []int) {
	m.t.Helper()
	b, oob := make([]byte, 8192), make([]byte, 1024)
	if err := m.conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		m.t.Fatal(err)
	}
	n, oobn, _, _, err := m.conn.ReadMsgUnix(b, oob)
	if err != nil {
		m.t.Fatal("the manager hears nothing: ", err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		m.t.Fatal(err)
	}
	var files []int
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			m.t.Fatal(err)
		}
		files = append(files, fds...)
	}
	return string(b[:n]), files
}

// hearsNothing checks that there is no message.
func (m *manager) hearsNothing() {
	m.t.Helper()
	if err := m.conn.SetReadDeadline(time.Now()); err != nil {
		m.t.Fatal(err)
	}
	b := make([]byte, 8192)
	if n, err := m.conn.Read(b); err == nil {
		m.t.Errorf("the manager hears %q", b[:n])
	}
}

// starts makes the command one of a unit of the manager.
func (m *manager) starts(cmd *exec.Cmd) *exec.Cmd {
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+m.address)
	return cmd
}

// gated is a bundle whose probe waits until the returned function is called, does
// what the commands say, and sleeps.
func (h *host) gated(commands []string, edits ...edit) (b *bundle, open func()) {
	h.t.Helper()
	dir := h.t.TempDir()
	reachable(h.t, dir)
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o644); err != nil {
		h.t.Fatal(err)
	}
	mount := addMounts(specs.Mount{Destination: "/gate", Source: dir, Options: []string{"bind"}})
	commands = slices.Concat([]string{"read=/gate/fifo"}, commands, []string{"sleep"})
	return h.newBundle(commands, append(edits, mount)...), func() {
		if err := os.WriteFile(fifo, nil, 0); err != nil {
			h.t.Fatal(err)
		}
	}
}

// running starts cmd and returns a channel that its end closes.
func (h *host) running(cmd *exec.Cmd) (output string, ended <-chan struct{}) {
	h.t.Helper()
	output = h.startCommand(cmd)
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	return output, done
}

func ends(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal(what, " does not end")
	}
}

func isRunning(done <-chan struct{}) bool {
	select {
	case <-done:
		return false
	case <-time.After(50 * time.Millisecond):
		return true
	}
}

func TestStartTellsTheServiceManagerWhenTheContainerIsReady(t *testing.T) {
	t.Parallel()
	for name, edits := range map[string][]edit{
		"root":                      nil,
		"a user":                    {func(s *specs.Spec) { s.Process.User = specs.User{UID: 1000, GID: 1000} }},
		"in a user namespace":       {inUserNamespace},
		"with something on /run":    {addMounts(specs.Mount{Destination: "/run", Type: "tmpfs", Source: "tmpfs"})},
		"with the host's mounts":    {alone(specs.PIDNamespace), nothingToMount, writableRoot},
		"with the host's processes": {dropNamespace(specs.PIDNamespace)},
		"with NOTIFY_SOCKET of its own": {func(s *specs.Spec) {
			s.Process.Env = append(s.Process.Env, "NOTIFY_SOCKET=/nowhere")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, m := newHost(t), newManagerHere(t)
			b, open := h.gated([]string{
				"notify=EXTEND_TIMEOUT_USEC=5000000;X=1", "notify=MAINPID=1", "notify=FDSTORE=1;FDNAME=x",
				"notify=STATUS=all is well;READY=1;MAINPID=1;NOTIFYACCESS=all",
			}, edits...)
			id := newID()
			file := filepath.Join(t.TempDir(), "pid")
			create := m.starts(h.command("create", "--bundle", b.dir, "--pid-file", file, id))
			said, created := h.running(create)
			ends(t, "create", created)
			if create.ProcessState.ExitCode() != 0 {
				t.Fatal(readFile(t, said))
			}
			start := m.starts(h.command("start", id))
			_, started := h.running(start)
			h.awaitStatus(id, specs.StateRunning)
			if !isRunning(started) {
				t.Error("start does not wait")
			}
			open()
			equal(t, "first message", m.hears(), "EXTEND_TIMEOUT_USEC=5000000\n")
			equal(t, "second message", m.hears(), "STATUS=all is well\nREADY=1\nMAINPID="+readFile(t, file)+"\n")
			text, files := m.reads()
			if text != "BARRIER=1" || len(files) != 1 {
				t.Errorf("a barrier: %q with %d descriptors", text, len(files))
			}
			if !isRunning(started) {
				t.Error("start has gone before the manager could see who it is")
			}
			for _, fd := range files {
				unix.Close(fd)
			}
			ends(t, "start", started)
			equal(t, "exit status", start.ProcessState.ExitCode(), 0)
			m.hearsNothing()
			h.must("delete", "--force", id)
			h.nothingRemains(id, b)
		})
	}
}

func TestTheSocketInTheContainerIsWhereItIsSaidToBe(t *testing.T) {
	t.Parallel()
	h, m := newHost(t), newManager(t, "@"+newID())
	b := h.newBundle([]string{"env", "mounts", "stat=/run/notify/notify.sock", "write=/run/notify/x:x", "notify=READY=1"})
	out := h.startCommand(m.starts(h.command("run", "--bundle", b.dir, newID())))
	m.hears()
	awaitText(t, out, "}\n")
	s := parseSight(t, readFile(t, out))
	equal(t, "NOTIFY_SOCKET", lastValue(get[[]string](t, s, "env"), "NOTIFY_SOCKET"), "/run/notify/notify.sock")
	equal(t, "mode", get[fileStat](t, s, "stat=/run/notify/notify.sock").Mode, "140777")
	equal(t, "what is written there", s.failure("write=/run/notify/x:x"), "open /run/notify/x: read-only file system")
	for _, line := range get[[]string](t, s, "mounts") {
		if strings.Contains(line, " /run/notify ") && !strings.Contains(line, " ro,nosuid,nodev,noexec") {
			t.Error(line)
		}
	}
}

func TestARunInTheForegroundPassesOnWhatTheContainerReportsUntilItsEnd(t *testing.T) {
	t.Parallel()
	h, m := newHost(t), newManagerHere(t)
	b := h.newBundle([]string{"notify=READY=1", "notify=WATCHDOG=1", "notify=RELOADING=1;MONOTONIC_USEC=5", "notify=READY=1", "notify=STOPPING=1", "exit=5"})
	id := newID()
	cmd := m.starts(h.command("run", "--bundle", b.dir, id))
	_, ended := h.running(cmd)
	main := fmt.Sprintf("READY=1\nMAINPID=%d\n", cmd.Process.Pid)
	for _, want := range []string{main, "WATCHDOG=1\n", "RELOADING=1\nMONOTONIC_USEC=5\n", main, "STOPPING=1\n"} {
		equal(t, "message", m.hears(), want)
	}
	ends(t, "run", ended)
	m.hearsNothing()
	equal(t, "exit status", cmd.ProcessState.ExitCode(), 5)
	h.nothingRemains(id, b)
}

func TestADetachedRunReturnsWhenTheContainerIsReady(t *testing.T) {
	t.Parallel()
	h, m := newHost(t), newManagerHere(t)
	b, open := h.gated([]string{"notify=READY=1"})
	id := newID()
	_, ended := h.running(m.starts(h.command("run", "--detach", "--bundle", b.dir, id)))
	eventually(t, "it runs", func() bool { return h.try("state", id).status == 0 && h.state(id).Status == specs.StateRunning })
	if !isRunning(ended) {
		t.Error("run does not wait")
	}
	open()
	equal(t, "message", m.hears(), fmt.Sprintf("READY=1\nMAINPID=%d\n", h.state(id).Pid))
	equal(t, "message", m.hears(), "BARRIER=1")
	ends(t, "run", ended)
	h.must("delete", "--force", id)
}

// A container that never says that it is ready.
func TestStartReturnsWhenTheContainerEndsBeforeItIsReady(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(h *host, id string){
		"killed":  func(h *host, id string) { h.must("kill", id, "KILL") },
		"deleted": func(h *host, id string) { h.must("delete", "--force", id) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, m := newHost(t), newManagerHere(t)
			b := h.newBundle([]string{"sleep"})
			id := newID()
			_, created := h.running(m.starts(h.command("create", "--bundle", b.dir, id)))
			ends(t, "create", created)
			start := m.starts(h.command("start", id))
			_, started := h.running(start)
			h.awaitStatus(id, specs.StateRunning)
			eventually(t, "nothing wakes it for 200 ms", func() bool { return wakings(t, start.Process.Pid, 200*time.Millisecond) == 0 })
			end(h, id)
			ends(t, "start", started)
			equal(t, "exit status", start.ProcessState.ExitCode(), 0)
			m.hearsNothing()
		})
	}
}

// wakings counts how often the threads of a process begin to wait in a time. Those of
// the Go runtime do for a while after the last that was to be done.
func wakings(t *testing.T, pid int, while time.Duration) int {
	t.Helper()
	count := func() (all int) {
		threads, err := filepath.Glob(procPath(pid, "task/*/status"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range threads {
			for line := range strings.Lines(readFile(t, file)) {
				if value, ok := strings.CutPrefix(line, "voluntary_ctxt_switches:"); ok {
					all += int(number(t, strings.TrimSpace(value)))
				}
			}
		}
		return all
	}
	before := count()
	time.Sleep(while)
	return count() - before
}

func TestAContainerRunsThoughNobodyCanBeTold(t *testing.T) {
	t.Parallel()
	for address, word := range map[string]string{
		filepath.Join(t.TempDir(), "nobody"): "nobody: no such file or directory",
		"@" + newID():                        "connection refused",
	} {
		h := newHost(t)
		b := h.newBundle([]string{"notify=READY=1"})
		r := h.finish((&manager{address: address}).starts(h.command("run", "--bundle", b.dir, newID())))
		if r.status != 0 || !strings.Contains(r.stdout, "sent") || !strings.Contains(r.stderr, "level=warning") || !strings.Contains(r.stderr, word) {
			t.Errorf("%s: %+v", address, r)
		}
	}
	for _, address := range []string{"relative", "vsock:2:1234", "/", "@"} {
		h := newHost(t)
		b := h.newBundle([]string{"env", "list=/"})
		r := h.finish((&manager{address: address}).starts(h.command("run", "--bundle", b.dir, newID())))
		if r.status != 0 || !strings.Contains(r.stderr, "NOTIFY_SOCKET") || !strings.Contains(r.stderr, "level=warning") {
			t.Errorf("%s: %+v", address, r)
		}
		s := parseSight(t, r.stdout)
		equal(t, "NOTIFY_SOCKET", lastValue(get[[]string](t, s, "env"), "NOTIFY_SOCKET"), "")
	}
}

func TestStartWithoutAManagerOfCreateDoesNotWait(t *testing.T) {
	t.Parallel()
	h, m := newHost(t), newManagerHere(t)
	c := h.create(h.newBundle([]string{"sleep"}))
	r := h.finish(m.starts(h.command("start", c.id)))
	if r.status != 0 || !strings.Contains(r.stderr, "created without NOTIFY_SOCKET") {
		t.Errorf("%+v", r)
	}
	id := newID()
	b := h.newBundle([]string{"notify=READY=1", "sleep"})
	_, created := h.running(m.starts(h.command("create", "--bundle", b.dir, id)))
	ends(t, "create", created)
	start := h.command("start", id)
	start.Env = slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "NOTIFY_SOCKET=") })
	_, started := h.running(start)
	ends(t, "start", started)
	m.hearsNothing()
	h.must("delete", "--force", id)
}

func TestTheStateDirectoryMayBeFarAwayForASocket(t *testing.T) {
	t.Parallel()
	h, m := newHost(t), newManagerHere(t)
	h.root = filepath.Join(h.root, strings.Repeat("long/", 40)+strconv.Itoa(os.Getpid()))
	b := h.newBundle([]string{"notify=READY=1"})
	_, ended := h.running(m.starts(h.command("run", "--bundle", b.dir, newID())))
	m.hears()
	ends(t, "run", ended)
}

func TestExecHasNothingToDoWithTheServiceManager(t *testing.T) {
	t.Parallel()
	h, m := newHost(t), newManagerHere(t)
	c := h.start(nil)
	cmd := m.starts(h.command("exec", c.id, "/probe", "env"))
	cmd.Env = append(cmd.Env, "LISTEN_FDS=1", "LISTEN_PID=1")
	s := parseSight(t, h.finish(cmd).stdout)
	for _, name := range []string{"NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID"} {
		equal(t, name, lastValue(get[[]string](t, s, "env"), name), "")
	}
}

func TestAnOrdinaryUsersContainerReportsToo(t *testing.T) {
	h, m := newHost(t), newManagerHere(t)
	h.asNobody()
	reachable(t, filepath.Dir(m.address))
	if err := os.Chmod(m.address, 0o777); err != nil {
		t.Fatal(err)
	}
	b := h.rootlessBundle([]string{"notify=READY=1"})
	out, ended := h.running(m.starts(h.command("run", "--bundle", b.dir, newID())))
	ends(t, "run", ended)
	if !strings.Contains(readFile(t, out), `"sent"`) {
		t.Fatal(readFile(t, out))
	}
	if heard := m.hears(); !strings.HasPrefix(heard, "READY=1\nMAINPID=") {
		t.Error(heard)
	}
}
