package tests

import (
	"bytes"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// output takes what a command writes to a pipe. A file would do, but for
// RLIMIT_FSIZE.
type output struct {
	t           *testing.T
	read, write *os.File
	text        bytes.Buffer
	stopped     chan struct{}
}

// newOutput makes an output of a command a pipe, unless it is something already.
func newOutput(t *testing.T, of *io.Writer) *output { //nolint:gocritic // it sets a field of exec.Cmd
	t.Helper()
	o := &output{t: t, stopped: make(chan struct{})}
	if *of != nil {
		return o
	}
	var err error
	if o.read, o.write, err = os.Pipe(); err != nil {
		t.Fatal(err)
	}
	*of = o.write
	go func() {
		defer close(o.stopped)
		_, _ = io.Copy(&o.text, o.read) // until take says so, at the latest
	}()
	return o
}

// take returns what has been written until now, whoever still holds the pipe.
func (o *output) take() string {
	o.t.Helper()
	if o.read == nil {
		return ""
	}
	defer o.read.Close()
	o.write.Close()
	if err := o.read.SetReadDeadline(time.Now()); err != nil {
		o.t.Fatal(err)
	}
	<-o.stopped
	_ = o.read.SetReadDeadline(time.Time{})
	conn, err := o.read.SyscallConn()
	if err != nil {
		o.t.Fatal(err)
	}
	// The deadline may have come before the last of it.
	buf := make([]byte, 64<<10)
	err = conn.Read(func(fd uintptr) bool {
		for {
			n, err := unix.Read(int(fd), buf)
			if n <= 0 || err != nil {
				return true
			}
			o.text.Write(buf[:n])
		}
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return o.text.String()
}
