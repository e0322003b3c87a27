package tests

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
)

// agent is who listens at linux.seccomp.listenerPath. It answers every system
// call with EXFULL, and passes on what it was told.
type agent struct {
	path   string
	states chan specs.ContainerProcessState
	calls  chan notification
}

func newAgent(t *testing.T) *agent {
	t.Helper()
	// The path has to fit a socket's address.
	dir, err := os.MkdirTemp("", "agent") //nolint:usetesting // short enough for the address of a socket
	if err != nil {
		t.Fatal(err)
	}
	a := &agent{filepath.Join(dir, "s"), make(chan specs.ContainerProcessState, 8), make(chan notification, 8)}
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

func (a *agent) serve(t *testing.T, conn *net.UnixConn) {
	t.Helper()
	defer conn.Close()
	text, control := make([]byte, 1<<16), make([]byte, 256)
	n, cn, _, _, err := conn.ReadMsgUnix(text, control)
	if err != nil {
		t.Error(err)
		return
	}
	var state specs.ContainerProcessState
	if err := json.Unmarshal(text[:n], &state); err != nil {
		t.Errorf("%v: %s", err, text[:n])
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
	a.states <- state
	for {
		var asked notification
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fds[0]), notifReceive, uintptr(unsafe.Pointer(&asked))); errno != 0 {
			return
		}
		a.calls <- asked
		told := answer{ID: asked.ID, Error: -int32(unix.EXFULL)}
		_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(fds[0]), notifSend, uintptr(unsafe.Pointer(&told)))
	}
}

//proves:linux.seccomp.listenerPath linux.seccomp.listenerMetadata linux.seccomp.syscalls[].action=SCMP_ACT_NOTIFY
//proves:config-linux.md#seccomp:7 config-linux.md#the-container-process-state:1
//proves:config-linux.md#the-container-process-state:4 config-linux.md#the-container-process-state:5
func TestAnAgentAnswersSystemCalls(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for name, nnp := range map[string]bool{"with no_new_privs": true, "without no_new_privs": false} {
		t.Run(name, func(t *testing.T) {
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
			state := <-a.states
			equal(t, "fds", state.Fds, []string{specs.SeccompFdName})
			equal(t, "metadata", state.Metadata, "some metadata")
			equal(t, "pid", []int{state.Pid, state.State.Pid}, []int{c.pid, c.pid})
			equal(t, "id", state.State.ID, c.id)
			equal(t, "status", state.State.Status, specs.StateCreating)
			equal(t, "annotations", state.State.Annotations["a"], "b")
			equal(t, "call", (<-a.calls).Number, 121)

			equal(t, "getpgid of an exec", c.exec(callGetpgid).failure(callGetpgid), unix.EXFULL.Error())
			state = <-a.states
			equal(t, "status at exec", state.State.Status, specs.StateRunning)
			equal(t, "pid of the container at exec", state.State.Pid, c.pid)
			if state.Pid == c.pid {
				t.Error("the pid of the exec is that of the container")
			}
		})
	}
}
