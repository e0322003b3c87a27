package main

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// notify sends one datagram to the socket of the service manager.
func notify(text string) (string, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	to := &unix.SockaddrUnix{Name: os.Getenv("NOTIFY_SOCKET")}
	return "sent", unix.Sendto(fd, []byte(strings.ReplaceAll(text, ";", "\n")), 0, to)
}
