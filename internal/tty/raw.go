package tty

import (
	"os"

	"golang.org/x/sys/unix"
)

// IsTerminal reports whether f is a terminal.
func IsTerminal(f *os.File) bool {
	_, err := getTermios(f)
	return err == nil
}

// getTermios, setTermios and the window sizes go through control because
// os.File.Fd would take the descriptor out of the poller.
func getTermios(f *os.File) (t *unix.Termios, err error) {
	cerr := control(f, func(fd int) { t, err = unix.IoctlGetTermios(fd, unix.TCGETS) })
	if cerr != nil {
		return nil, cerr
	}
	return t, err
}

func setTermios(f *os.File, t *unix.Termios) (err error) {
	cerr := control(f, func(fd int) { err = unix.IoctlSetTermios(fd, unix.TCSETS, t) })
	if cerr != nil {
		return cerr
	}
	return err
}

func control(f *os.File, do func(fd int)) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	return conn.Control(func(fd uintptr) { do(int(fd)) })
}

// makeRaw is cfmakeraw(3) but for output processing: the container's terminal
// does not turn "\n" into "\r\n" (see clearONLCR), so that this one has to.
func makeRaw(t *unix.Termios) {
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP |
		unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag &^= unix.CSIZE | unix.PARENB
	t.Cflag |= unix.CS8
	t.Cc[unix.VMIN] = 1
	t.Cc[unix.VTIME] = 0
}

// clearONLCR keeps the container's terminal from turning "\n" into "\r\n":
// what it prints may go to a file.
func clearONLCR(f *os.File) error {
	t, err := getTermios(f)
	if err != nil {
		return err
	}
	t.Oflag &^= unix.ONLCR
	return setTermios(f, t)
}
