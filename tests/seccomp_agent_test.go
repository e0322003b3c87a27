package tests

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// withAgentAt is a filter whose listener goes to the socket at path.
func withAgentAt(path string) edit {
	f := filter(specs.ActNotify, nil)
	f.ListenerPath, f.ListenerMetadata = path, "metadata"
	return withFilter(f)
}

// shortDir is a directory whose sockets have addresses that are short enough.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent") //nolint:usetesting // short enough for the address of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// letter is what one message of a connection brings.
type letter struct {
	text string
	fds  int
}

// letters reads a connection to its end.
func letters(t *testing.T, conn *net.UnixConn) (all []letter) {
	t.Helper()
	for {
		text, control := make([]byte, 1<<16), make([]byte, 256)
		if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, cn, _, _, err := conn.ReadMsgUnix(text, control)
		if n == 0 {
			if err != nil && os.IsTimeout(err) {
				t.Error("the connection is not closed")
			}
			return all
		}
		l := letter{text: string(text[:n])}
		messages, _ := unix.ParseSocketControlMessage(control[:cn])
		for i := range messages {
			fds, _ := unix.ParseUnixRights(&messages[i])
			for _, fd := range fds {
				unix.Close(fd)
				l.fds++
			}
		}
		all = append(all, l)
	}
}

//proves:config-linux.md#seccomp:4 config-linux.md#seccomp:5 config-linux.md#seccomp:7
//proves:config-linux.md#the-container-process-state:1 config-linux.md#the-container-process-state:2
//proves:config-linux.md#the-container-process-state:3 config-linux.md#the-container-process-state:4
//proves:config-linux.md#the-container-process-state:5
func TestAnAgentGetsOneStateAConnection(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	path := filepath.Join(shortDir(t), "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	got := make(chan []letter, 8)
	go func() {
		for {
			conn, err := listener.AcceptUnix()
			if err != nil {
				return
			}
			got <- letters(t, conn)
			conn.Close()
		}
	}()
	c := h.create(h.newBundle([]string{"sleep"}, withAgentAt(path)))
	h.must("start", c.id)
	h.must("exec", c.id, "/probe", "pid")
	for _, whose := range []string{"the container", "an exec"} {
		all := <-got
		if len(all) == 0 || all[0].fds != 1 {
			t.Fatalf("%s: %+v", whose, all)
		}
		text := ""
		for i, l := range all {
			text += l.text
			if i > 0 && l.fds > 0 {
				t.Errorf("%s: descriptors in message %d", whose, i)
			}
		}
		// Exactly one: nothing follows the object.
		var state specs.ContainerProcessState
		if err := json.Unmarshal([]byte(text), &state); err != nil {
			t.Fatalf("%s: %v: %s", whose, err, text)
		}
		equal(t, "versions for "+whose, []string{state.Version, state.State.Version}, []string{specs.Version, specs.Version})
		equal(t, "descriptors for "+whose, state.Fds, []string{specs.SeccompFdName})
		equal(t, "metadata for "+whose, state.Metadata, "metadata")
		equal(t, "state for "+whose, []any{state.State.ID, state.State.Pid}, []any{c.id, c.pid})
		if state.Pid == 0 || (state.Pid == c.pid) != (whose == "the container") {
			t.Errorf("pid for %s: %d", whose, state.Pid)
		}
	}
	select {
	case more := <-got:
		t.Errorf("a third connection: %+v", more)
	default:
	}
}

//proves:config-linux.md#seccomp:3 config-linux.md#seccomp:6
func TestAnAgentThatCannotBeReachedFailsCreate(t *testing.T) {
	h := newHost(t)
	dir := shortDir(t)
	datagrams, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: dir + "/datagrams", Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	packets, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: dir + "/packets", Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	writeFile(t, dir+"/file", "")
	for name, path := range map[string]string{
		"nothing is there":       dir + "/nothing",
		"no socket is there":     dir + "/file",
		"a socket of datagrams":  dir + "/datagrams",
		"a socket of seqpackets": dir + "/packets",
	} {
		t.Run(name, func(t *testing.T) {
			(&host{t: t, root: h.root}).fails([]string{"linux.seccomp.listenerPath", path}, withAgentAt(path))
		})
	}
}

// Nobody has userfaultfd(2) in a container of the usual engines.
func TestAFilterThatNotifiesIsRefusedWhereInitCannotWait(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	strace := needTool(t, "strace")
	f := filter(specs.ActNotify, nil)
	f.ListenerPath = newAgent(t).path
	b := h.newBundle([]string{callGetpgid}, withFilter(f))
	h.run(b)
	h.through = []string{strace, "-f", "-qq", "-o", "/dev/null", "-e", "inject=userfaultfd:error=EPERM"}
	words := []string{"wait for the agent of linux.seccomp: operation not permitted", "userfaultfd(2)"}
	h.refuses(words, "run", "--bundle", b.dir, newID())
	r := h.try("check", "--bundle", b.dir)
	if r.status != 1 || !strings.Contains(r.stdout+r.stderr, words[0]) {
		t.Errorf("check: status %d\n%s%s", r.status, r.stdout, r.stderr)
	}
}

// Whoever looks at the runtime with strace(1) is init's tracer.
func TestAFilterThatNotifiesWorksUnderATracer(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	f := filter(specs.ActNotify, nil)
	f.ListenerPath = newAgent(t).path
	h.through = []string{needTool(t, "strace"), "-f", "-qq", "-o", "/dev/null"}
	equal(t, "what the agent answers", get[called](t, h.probe([]string{makeGetpgid}, withFilter(f)), makeGetpgid).Errno, unix.EXFULL)
}

// The thread that sends the listener does not have the descriptors of the one that
// executes the program, if the filter kills threads; those that are preserved move
// the link.
func TestAnExecUnderAFilterThatNotifiesAndKillsThreadsKeepsItsDescriptors(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	f := filter(specs.ActNotify, nil)
	f.ListenerPath = newAgent(t).path
	f.Syscalls = append(f.Syscalls, specs.LinuxSyscall{Names: []string{"acct"}, Action: specs.ActKillThread})
	c := h.start(nil, withFilter(f))
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, preserved := range []int{0, 2} {
		cmd := h.command("exec", "--preserve-fds", fmt.Sprint(preserved), c.id, "/probe", makeGetpgid, "fds")
		cmd.ExtraFiles = []*os.File{file, file}[:preserved]
		r := h.finish(cmd)
		if r.status != 0 {
			t.Fatalf("%d: status %d\n%s", preserved, r.status, r.stderr)
		}
		s := parseSight(t, r.stdout)
		equal(t, "what the agent answers", get[called](t, s, makeGetpgid).Errno, unix.EXFULL)
		equal(t, "descriptors", len(get[map[string]string](t, s, "fds")), 3+preserved)
	}
}
