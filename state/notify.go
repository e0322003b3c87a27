package state

import (
	"errors"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

const (
	notifyDir = "notify"
	// NotifySocket is the name of the socket that ListenNotify makes.
	NotifySocket = "notify.sock"
)

// NotifyPath is where MakeNotifyDir makes its directory.
func NotifyPath(root, id string) (string, error) {
	path, err := filepath.Abs(filepath.Join(root, id, notifyDir))
	if err != nil {
		return "", fault.New("find state directory", root, err)
	}
	return path, nil
}

// MakeNotifyDir makes the directory that the container sees, for a socket that
// is not there before somebody listens to it.
func (d *Dir) MakeNotifyDir() error {
	err := unix.Mkdirat(d.fd, notifyDir, 0o755)
	if err == nil { // whatever the umask
		err = unix.Fchmodat(d.fd, notifyDir, 0o755, 0)
	}
	if err != nil {
		return fault.New("make", d.path+"/"+notifyDir, err)
	}
	return nil
}

// ListenNotify makes the socket in that directory, for whoever is in the
// container to write datagrams to, and returns it. The error is ErrNotExist if
// there is no directory.
func (d *Dir) ListenNotify() (socket int, err error) {
	dir, err := unix.Openat(d.fd, notifyDir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return -1, fault.New("open", d.path+"/"+notifyDir, ErrNotExist)
	}
	if err != nil {
		return -1, fault.New("open", d.path+"/"+notifyDir, err)
	}
	defer unix.Close(dir)
	socket, err = listenAt(dir)
	if err != nil {
		return -1, fault.New("listen at", d.path+"/"+notifyDir+"/"+NotifySocket, err)
	}
	return socket, nil
}

func listenAt(dir int) (int, error) {
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	_ = unix.Unlinkat(dir, NotifySocket, 0) // what a killed start left
	// A path of any length does not fit an address (unix(7)).
	err = unix.Bind(socket, &unix.SockaddrUnix{Name: "/proc/self/fd/" + strconv.Itoa(dir) + "/" + NotifySocket})
	if err == nil { // to write to it is to connect (unix(7)), for any user
		err = unix.Fchmodat(dir, NotifySocket, 0o777, 0)
	}
	if err != nil {
		unix.Close(socket)
		return -1, err
	}
	return socket, nil
}
