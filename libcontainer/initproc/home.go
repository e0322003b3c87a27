package initproc

import (
	"strings"

	"golang.org/x/sys/unix"

	"hull/internal/passwd"
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
	const flags = unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY
	fd, err := unix.Open("/etc/passwd", flags, 0) //nolint:forbidigo // the root is the container's by now: no path leads out
	if err != nil {
		return "/"
	}
	defer unix.Close(fd)
	u, found, err := passwd.FindUser(fd, func(u *passwd.User) bool { return u.UID == uid })
	if err != nil || !found || u.Home == "" {
		return "/"
	}
	return u.Home
}
