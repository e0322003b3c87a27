package initproc

import (
	"os"
	"strconv"
	"strings"

	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"
)

// withHome sets HOME if it is unset or empty: to the directory of uid in the
// container's /etc/passwd, else to /.
func withHome(env []string, uid uint32) []string {
	if lookupEnv(env, "HOME") != "" {
		return env
	}
	kept := env[:0:0]
	for _, e := range env {
		if !strings.HasPrefix(e, "HOME=") {
			kept = append(kept, e)
		}
	}
	return append(kept, "HOME="+homeOf(uid))
}

func homeOf(uid uint32) string {
	// O_NONBLOCK: the image may have made it a fifo.
	fd, err := unix.Open("/etc/passwd", unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0) //nolint:forbidigo // the root is the container's by now: no path leads out
	if err != nil {
		return "/"
	}
	f := os.NewFile(uintptr(fd), "/etc/passwd")
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "/"
	}
	users, err := user.ParsePasswdFilter(f, func(u user.User) bool { return strconv.Itoa(u.Uid) == strconv.FormatUint(uint64(uid), 10) })
	if err != nil || len(users) == 0 || users[0].Home == "" {
		return "/"
	}
	return users[0].Home
}
