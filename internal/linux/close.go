package linux

import "golang.org/x/sys/unix"

// CloseFD closes fd where the outcome cannot matter: nothing is buffered that
// only close(2) would report as lost.
func CloseFD(fd int) { _ = unix.Close(fd) }
