package tests

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// notification and answer are struct seccomp_notif and seccomp_notif_resp of
// <linux/seccomp.h>.
type notification struct {
	ID         uint64
	PID, Flags uint32
	Number     int32
	Arch       uint32
	IP         uint64
	Args       [6]uint64
}

type answer struct {
	ID    uint64
	Value int64
	Error int32
	Flags uint32
}

const (
	notifReceive = 0xc0502100 // SECCOMP_IOCTL_NOTIF_RECV
	notifSend    = 0xc0182101 // SECCOMP_IOCTL_NOTIF_SEND
	notifGoOn    = 1          // SECCOMP_USER_NOTIF_FLAG_CONTINUE
)

// agent is who listens at linux.seccomp.listenerPath. It answers getpgid(2) with
// EXFULL, lets all else be made, and passes on what it was told.
type agent struct {
	path string
	// states are the messages, each the whole of a connection.
	states chan []byte
	// calls are the first notifications.
	calls chan notification
	// before is done with the listener before a getpgid(2) is answered.
	before func(listener int, asked notification)
}

func newAgent(t *testing.T) *agent {
	t.Helper()
	// The path has to fit a socket's address.
	dir, err := os.MkdirTemp("", "agent") //nolint:usetesting // short enough for the address of a socket
	if err != nil {
		t.Fatal(err)
	}
	a := &agent{path: filepath.Join(dir, "s"), states: make(chan []byte, 8), calls: make(chan notification, 8)}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: a.path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close()
		os.RemoveAll(dir)
	})
	go func() {
		for {
			conn, err := l.AcceptUnix()
			if err != nil {
				return
			}
			go a.serve(t, conn)
		}
	}()
	return a
}

// serve reads a connection to its end, which has to come, and answers.
func (a *agent) serve(t *testing.T, conn *net.UnixConn) {
	t.Helper()
	defer conn.Close()
	text, control := make([]byte, 1<<16), make([]byte, 256)
	n, cn, _, _, err := conn.ReadMsgUnix(text, control)
	if err != nil {
		t.Error(err)
		return
	}
	messages, err := unix.ParseSocketControlMessage(control[:cn])
	if err != nil || len(messages) != 1 {
		t.Errorf("control messages %v: %v", messages, err)
		return
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		t.Errorf("descriptors %v: %v", fds, err)
		return
	}
	defer unix.Close(fds[0])
	rest, err := io.ReadAll(conn)
	if err != nil {
		t.Error(err)
	}
	a.states <- append(text[:n:n], rest...)
	for {
		// Without a process under the filter, to receive is ENOENT for ever.
		waited := []unix.PollFd{{Fd: int32(fds[0]), Events: unix.POLLIN}}
		if _, err := unix.Poll(waited, -1); err == nil && waited[0].Revents&unix.POLLHUP != 0 {
			return
		}
		var asked notification
		err := listenerCall(fds[0], notifReceive, unsafe.Pointer(&asked))
		switch {
		case err == nil:
			a.reply(fds[0], asked)
		case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EINTR): // the caller was interrupted
		default:
			return
		}
	}
}

func (a *agent) reply(listener int, asked notification) {
	select {
	case a.calls <- asked:
	default:
	}
	told := answer{ID: asked.ID, Flags: notifGoOn}
	if asked.Number == unix.SYS_GETPGID {
		if a.before != nil {
			a.before(listener, asked)
		}
		told = answer{ID: asked.ID, Error: -int32(unix.EXFULL)}
	}
	_ = listenerCall(listener, notifSend, unsafe.Pointer(&told))
}

func listenerCall(listener int, request uintptr, argument unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), request, uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}

// state returns the next message.
func (a *agent) state(t *testing.T) (s specs.ContainerProcessState) {
	t.Helper()
	select {
	case text := <-a.states:
		if err := json.Unmarshal(text, &s); err != nil {
			t.Errorf("%v: %.200s", err, text)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the agent is not told of the listener")
	}
	return s
}

//proves:linux.seccomp.listenerPath linux.seccomp.listenerMetadata linux.seccomp.syscalls[].action=SCMP_ACT_NOTIFY
func TestAnAgentAnswersSystemCalls(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for name, nnp := range map[string]bool{"with no_new_privs": true, "without no_new_privs": false} {
		t.Run(name, func(t *testing.T) {
			//proves:linux.seccomp.syscalls[].action=SCMP_ACT_NOTIFY linux.seccomp.listenerPath linux.seccomp.listenerMetadata
			h := &host{t: t, root: h.root}
			a := newAgent(t)
			f := filter(specs.ActNotify, nil)
			f.ListenerPath, f.ListenerMetadata = a.path, "some metadata"
			c := h.start([]string{callGetpgid}, withFilter(f), noNewPrivileges(nnp), func(s *specs.Spec) {
				s.Annotations = map[string]string{"a": "b"}
			})
			if text := c.see().failure(callGetpgid); !strings.Contains(text, unix.EXFULL.Error()) {
				t.Errorf("getpgid: %q", text)
			}
			state := a.state(t)
			equal(t, "state at create", state, specs.ContainerProcessState{
				Version: specs.Version, Fds: []string{"seccompFd"}, Pid: c.pid, Metadata: "some metadata",
				State: specs.State{
					Version: h.state(c.id).Version, ID: c.id, Status: specs.StateCreating, Pid: c.pid,
					Bundle: h.state(c.id).Bundle, Annotations: map[string]string{"a": "b"},
				},
			})
			equal(t, "call", (<-a.calls).Number, 121)

			equal(t, "getpgid of an exec", c.exec(callGetpgid).failure(callGetpgid), unix.EXFULL.Error())
			state = a.state(t)
			equal(t, "status at exec", state.State.Status, specs.StateRunning)
			equal(t, "pid of the container at exec", state.State.Pid, c.pid)
			equal(t, "metadata at exec", state.Metadata, "some metadata")
			if state.Pid == c.pid {
				t.Error("the pid of the exec is that of the container")
			}
		})
	}
}

//proves:linux.seccomp.listenerMetadata
func TestAnAgentGetsALongMessageWhole(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	a := newAgent(t)
	f := filter(specs.ActNotify, nil)
	f.ListenerPath, f.ListenerMetadata = a.path, strings.Repeat("metadata ", 200_000)
	h.probe([]string{"pid"}, withFilter(f))
	if got := a.state(t).Metadata; got != f.ListenerMetadata {
		t.Errorf("%d bytes arrived of %d", len(got), len(f.ListenerMetadata))
	}
}

//proves:linux.seccomp.listenerPath
func TestAListenerThatNobodyIsNotifiedOfIsIgnored(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	f := filter(specs.ActErrno, pointer(uint(unix.EXFULL)))
	f.ListenerPath = "/nowhere/socket"
	equal(t, "errno", get[called](t, h.probe([]string{makeGetpgid}, withFilter(f)), makeGetpgid).Errno, unix.EXFULL)
}

// TestNothingThatAProfileForbidsKeepsTheListenerFromTheAgent has profiles that
// get hold of every system call by which init could send a listener, or wait
// until it is sent.
func TestNothingThatAProfileForbidsKeepsTheListenerFromTheAgent(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	ways := []string{
		"write", "writev", "sendmsg", "sendto", "recvmsg", "recvfrom", "close", "futex", "poll", "ppoll",
		"epoll_wait", "epoll_pwait", "wait4", "waitid", "capset", "prctl", "ioctl", "nanosleep", "pause", "tgkill",
		"rt_sigreturn", "sched_yield", "clone", "fcntl", "dup3", "execve",
	}
	everything := func(f *specs.LinuxSeccomp) {
		//proves:linux.seccomp.defaultAction=SCMP_ACT_NOTIFY
		*f = specs.LinuxSeccomp{DefaultAction: specs.ActNotify}
	}
	for name, change := range map[string]func(*specs.LinuxSeccomp){
		"notify by default": everything,
		"notify of them":    func(f *specs.LinuxSeccomp) { f.Syscalls[0].Names = append(f.Syscalls[0].Names, ways...) },
	} {
		for _, nnp := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, no_new_privs %v", name, nnp), func(t *testing.T) {
				h := &host{t: t, root: h.root}
				a := newAgent(t)
				f := filter(specs.ActNotify, nil)
				change(f)
				f.ListenerPath = a.path
				c := h.start([]string{makeGetpgid}, withFilter(f), noNewPrivileges(nnp))
				equal(t, "errno", get[called](t, c.see(), makeGetpgid).Errno, unix.EXFULL)
				equal(t, "pid", a.state(t).Pid, c.pid)
				equal(t, "errno in an exec", get[called](t, c.exec(makeGetpgid), makeGetpgid).Errno, unix.EXFULL)
			})
		}
	}
	for name, nnp := range map[string]bool{"kill for them": true, "kill for them, without no_new_privs": false} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			a := newAgent(t)
			f := &specs.LinuxSeccomp{DefaultAction: specs.ActKillProcess, ListenerPath: a.path, Syscalls: []specs.LinuxSyscall{
				// read(2) waits for start, write(2) tells of it; the rest is how
				// the Go runtime waits.
				{Names: []string{
					"exit", "read", "write", "futex", "nanosleep", "sched_yield", "clone", "mmap", "munmap", "madvise",
					"rt_sigprocmask", "sigaltstack", "gettid",
				}, Action: specs.ActAllow},
				{Names: []string{"execve"}, Action: specs.ActNotify},
			}}
			b := h.tiny(exitsWith42(), withFilter(f), noNewPrivileges(nnp))
			if r := h.try("run", "--bundle", b.dir, newID()); r.status != 42 {
				t.Fatalf("status %d\n%s", r.status, r.stderr)
			}
			equal(t, "status", a.state(t).State.Status, specs.StateCreating)
			equal(t, "call", (<-a.calls).Number, unix.SYS_EXECVE)
		})
	}
}

//proves:linux.seccomp.listenerPath
func TestAnAgentThatTakesNoMoreIsAnError(t *testing.T) {
	h := newHost(t)
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"no socket": filepath.Join(dir, "none"), "a file": plain} {
		t.Run(name, func(t *testing.T) {
			f := filter(specs.ActNotify, nil)
			f.ListenerPath = path
			(&host{t: t, root: h.root}).fails([]string{"linux.seccomp.listenerPath", path}, withFilter(f))
		})
	}
}

// TestInitTakesNoMemoryUnderAFilterThatNotifies has an environment for which init
// needs some: the profile of a program that needs none may forbid it.
func TestInitTakesNoMemoryUnderAFilterThatNotifies(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	a := newAgent(t)
	f := &specs.LinuxSeccomp{DefaultAction: specs.ActNotify, ListenerPath: a.path}
	b := h.withShell(withFilter(f), largeEnvironment, func(s *specs.Spec) { s.Process.Args = []string{"/bin/true"} })
	h.must("run", "--bundle", b.dir, newID())
	for range cap(a.calls) {
		call := <-a.calls
		switch call.Number {
		case unix.SYS_MMAP, unix.SYS_MUNMAP, unix.SYS_MADVISE, unix.SYS_BRK:
			t.Errorf("init made the call %d", call.Number)
		case unix.SYS_EXECVE:
			return
		}
	}
	t.Error("init made many calls")
}

//proves:linux.seccomp.flags=SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
func TestWaitKillableKeepsASignalFromInterruptingTheAgent(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for name, tt := range map[string]struct {
		flags []specs.LinuxSeccompFlag
		valid bool
	}{
		"with the flag": {[]specs.LinuxSeccompFlag{specs.LinuxSeccompFlagWaitKillableRecv}, true},
		"without":       {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			a := newAgent(t)
			interrupted, tries := make(chan bool, 8), 0
			a.before = func(listener int, asked notification) {
				tries++
				if tries > 1 {
					return
				}
				// The Go runtime of the probe handles SIGURG, and has the call restarted.
				_ = unix.Kill(int(asked.PID), unix.SIGURG)
				patience := 10 * time.Second
				if tt.valid {
					patience = 100 * time.Millisecond
				}
				interrupted <- awaitInvalid(listener, asked.ID, patience)
			}
			f := filter(specs.ActNotify, nil)
			f.ListenerPath, f.Flags = a.path, tt.flags
			s := h.probe([]string{makeGetpgid}, withFilter(f))
			equal(t, "errno", get[called](t, s, makeGetpgid).Errno, unix.EXFULL)
			equal(t, "interrupted", <-interrupted, !tt.valid)
		})
	}
}

// awaitInvalid reports whether a notification loses its caller in a time.
func awaitInvalid(listener int, id uint64, patience time.Duration) bool {
	const notifValid = 0x40082102 // SECCOMP_IOCTL_NOTIF_ID_VALID
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if listenerCall(listener, notifValid, unsafe.Pointer(&id)) != nil {
			return true
		}
	}
	return false
}
