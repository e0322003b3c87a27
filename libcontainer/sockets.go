package libcontainer

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/libcontainer/plan"
	"hull/spec"
)

// console is who gets the master of a terminal: a console socket, or without
// one the caller, as Process.Console.
type console struct {
	socket string
	conn   int // to the socket, if there is one
	setUp  func(master *os.File) error
}

// openConsole connects to the socket before anything is made: that nobody
// listens is the caller's mistake.
func openConsole(socket string, setUp func(*os.File) error) (c console, err error) {
	if socket == "" {
		return console{setUp: setUp}, nil
	}
	conn, err := dial(socket)
	if err != nil {
		return console{}, fault.New("connect to console socket", socket, patiently(err))
	}
	return console{socket: socket, conn: conn}, nil
}

func (c console) close() {
	if c.socket != "" {
		unix.Close(c.conn)
	}
}

// take gives the master of d's terminal to who is to have it.
func (c console) take(d *drive, master *os.File) error {
	if c.socket == "" {
		d.console = master
		if c.setUp == nil {
			return nil
		}
		return c.setUp(master)
	}
	defer master.Close()
	if err := sendWhole(c.conn, []byte(master.Name()), unix.UnixRights(int(master.Fd()))); err != nil {
		return fault.New("send the terminal to console socket", c.socket, patiently(err))
	}
	return nil
}

// discardConsole closes the master of a terminal whose process failed.
func (d *drive) discardConsole() {
	if d.console != nil {
		d.console.Close()
	}
}

// checkConsole refuses a terminal whose master nobody would hold, and a socket
// that nothing would be sent to.
func checkConsole(t plan.Terminal, socket string, l Lifetime) error {
	switch {
	case t.Wanted && socket == "" && l == Detached:
		return fault.Newf("allocate", "the terminal", "cannot allocate tty if hull will detach without setting console socket").
			WithHint("use --console-socket, or set process.terminal to false")
	case !t.Wanted && socket != "":
		return fault.Newf("use console socket", socket, "cannot use console socket if hull will not detach or allocate tty").
			WithHint("set process.terminal to true, or leave the socket out")
	}
	return nil
}

// sendPidfd sends a descriptor of the process to a socket, if there is one.
func sendPidfd(socket string, pid int) error {
	if socket == "" {
		return nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fault.New("open a pidfd of", "the process", err)
	}
	defer unix.Close(fd)
	if err := sendFile(socket, []byte("pidfd"), fd); err != nil {
		return fault.New("send the pidfd to", socket, err)
	}
	return nil
}

// sendToReceiver sends a pidfd of init to the socket that an annotation names,
// with the one byte that crun sends.
func (n *creation) sendToReceiver(pid int) error {
	path := n.receiver()
	if path == "" {
		return nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fault.New("open a pidfd of", "the process", err)
	}
	defer unix.Close(fd)
	if err := sendFile(path, []byte(" "), fd); err != nil {
		return receiverFailure(path, err)
	}
	return nil
}

// receiver is the path of the socket that gets a pidfd of init, or "".
func (n *creation) receiver() string {
	return inBundle(n.bundle, n.spec.Annotations[spec.AnnotationPidfdReceiver])
}

func receiverFailure(path string, cause error) error {
	return fault.New("send the pidfd to annotations."+spec.AnnotationPidfdReceiver, path, cause)
}

// patience is how long who listens at a socket may take no connection, or no
// message, in seconds. The container's lock is held meanwhile, and nothing else
// would end it.
const patience = 10

// sendFile connects to a stream socket and sends one message with fd.
func sendFile(socket string, message []byte, fd int) error {
	conn, err := dial(socket)
	if err == nil {
		defer unix.Close(conn)
		err = sendWhole(conn, message, unix.UnixRights(fd))
	}
	return patiently(err)
}

// patiently says of err what it means where patience is at an end.
func patiently(err error) error {
	if errors.Is(err, unix.EAGAIN) {
		return fault.New("", "", unix.ETIMEDOUT).WithHint("who listens there has taken nothing for %d s", patience)
	}
	return err
}

// sendWhole sends a message with its rights at the first byte. The kernel takes
// less than all of a long message when a signal comes, as the Go runtime sends
// them to itself.
func sendWhole(conn int, message, rights []byte) error {
	for {
		n, err := unix.SendmsgN(conn, message, rights, nil, unix.MSG_NOSIGNAL)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == len(message) {
			return err
		}
		message, rights = message[n:], nil
	}
}

// dial connects to an AF_UNIX stream socket at a path of any length: one that
// does not fit an address is reached through its directory's descriptor
// (unix(7), "Pathname sockets").
func dial(path string) (int, error) {
	conn, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err = connect(conn, path); err == nil {
		err = beBrief(conn, patience*time.Second)
	}
	if err != nil {
		unix.Close(conn)
		return -1, err
	}
	return conn, nil
}

func connect(conn int, path string) error {
	const longest = 107 // sun_path less its final NUL
	if len(path) <= longest {
		return tryConnect(conn, path)
	}
	dir, err := os.OpenFile(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return pathless(err)
	}
	defer dir.Close()
	return tryConnect(conn, procFD(dir)+"/"+filepath.Base(path))
}

// tryConnect is connect(2) until it is not interrupted, for as long as patience lasts:
// with a limit of time the kernel does not go on by itself, and the Go runtime sends
// signals to itself.
func tryConnect(conn int, path string) error {
	for end := time.Now().Add(patience * time.Second); time.Now().Before(end); {
		err := beBrief(conn, time.Until(end))
		if err == nil {
			err = unix.Connect(conn, &unix.SockaddrUnix{Name: path})
		}
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	return unix.EAGAIN
}

// beBrief limits how long a socket may take to send or to be connected.
func beBrief(conn int, limit time.Duration) error {
	tv := unix.NsecToTimeval(max(int64(limit), int64(time.Millisecond))) // 0 is for ever (socket(7))
	return unix.SetsockoptTimeval(conn, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv)
}

// sendListener sends the descriptor of a seccomp filter that notifies to the
// agent at linux.seccomp.listenerPath (config-linux.md, "The
// containerProcessState Object").
func (c *Container) sendListener(p *specs.LinuxSeccomp, status specs.ContainerState, fd, pid int) error {
	b, err := json.Marshal(specs.ContainerProcessState{
		Version:  specs.Version,
		Fds:      []string{specs.SeccompFdName},
		Pid:      pid,
		Metadata: p.ListenerMetadata,
		State:    *c.stateAs(status, c.initPID(pid)),
	})
	if err == nil {
		err = sendFile(p.ListenerPath, b, fd)
	}
	if err != nil {
		return listenerFailure(p.ListenerPath, err)
	}
	return nil
}

func listenerFailure(path string, cause error) error {
	return fault.New("send the seccomp listener to linux.seccomp.listenerPath", path, cause)
}

// initPID is the pid of the container's init, which is pid during creation.
func (c *Container) initPID(pid int) int {
	if c.record.PID == 0 {
		return pid
	}
	return c.record.PID
}

// procFD is a path to what f has open.
func procFD(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }
