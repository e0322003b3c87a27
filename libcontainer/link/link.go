// Package link is the protocol half of the contract between the parent and
// the init stage: which messages there are, in which order they come, and how
// descriptors travel with them.
//
// The order is a script, computed from the plan by both ends from the same
// table, so that a message out of turn is an error that names itself and not a
// hang. The package gives messages no meaning beyond that.
package link

import (
	"errors"
	"io"
	"slices"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/libcontainer/plan"
)

// Kind is the first byte of a message.
type Kind uint8

// The messages, in the order in which they may come (see Script).
const (
	// Plan carries the encoded plan to init.
	Plan Kind = iota + 1
	// Sources carries descriptors of mounts that the parent opened.
	Sources
	// RootReady says that the mount tree is built and not yet pivoted into.
	RootReady
	// Proceed answers RootReady: the runtime's hooks have run.
	Proceed
	// Console carries the master of the container's pseudo-terminal.
	Console
	// Ready says that init is about to take on the identity of the program.
	Ready
	// Finish answers Ready; its payload is the seccomp filter (EncodeFilter).
	Finish
	// Listener carries the listener of a seccomp filter that notifies. Init may not be
	// able to say anything after.
	Listener
	// Listened answers Listener: whoever is to be notified has it.
	Listened
	// Failed carries an encoded fault; nothing follows.
	Failed
	// Note carries a warning; it may come at any time.
	Note
)

func (k Kind) String() string {
	names := [...]string{
		Plan: "plan", Sources: "sources", RootReady: "root-ready", Proceed: "proceed", Console: "console",
		Ready: "ready", Finish: "finish", Listener: "listener", Listened: "listened", Failed: "failed", Note: "note",
	}
	if int(k) < len(names) && names[k] != "" {
		return names[k]
	}
	return "unknown"
}

// Started is the byte that init writes to the fifo of its result right before
// execve(2). End of file after it means that the program runs, and anything
// more is an encoded fault; end of file without it means that init was killed.
const Started = 0

// MaxFiles is how many descriptors one message can carry (SCM_MAX_FD of
// unix(7) is 253).
const MaxFiles = 250

// Script is the order of messages for p, without Failed and Note.
func Script(p *plan.Plan) []Kind {
	s := []Kind{Plan}
	supplied := 0
	for i := range p.Mounts {
		if p.Mounts[i].Flags&plan.Supplied != 0 {
			supplied++
		}
	}
	for ; supplied > 0; supplied -= MaxFiles {
		s = append(s, Sources)
	}
	if p.Kind == plan.Create {
		s = append(s, RootReady, Proceed)
	}
	if p.Process.Terminal.Wanted {
		s = append(s, Console)
	}
	s = append(s, Ready, Finish)
	if p.Process.Notifies {
		s = append(s, Listener, Listened)
	}
	return s
}

// Message is one datagram.
type Message struct {
	Kind    Kind
	Payload []byte
	// Files belong to the receiver.
	Files []int
}

// ErrClosed is what Receive returns when the other end is gone.
var ErrClosed = io.EOF

// Conn is one end of the link. It is not safe for concurrent use.
type Conn struct {
	fd     int
	script []Kind
	next   int
	buf    []byte
	out    []byte
}

// NewConn takes ownership of a connected SOCK_SEQPACKET socket.
func NewConn(fd int) *Conn {
	return &Conn{fd: fd, script: []Kind{Plan}}
}

// Follow sets the script, which init does not know before the plan arrives.
func (c *Conn) Follow(s []Kind) { c.script = s }

// Done reports whether the script has been played to its end.
func (c *Conn) Done() bool { return c.next == len(c.script) }

// FD returns the descriptor, still owned by c, to be polled.
func (c *Conn) FD() int { return c.fd }

// Close closes this end.
func (c *Conn) Close() error {
	fd := c.fd
	c.fd = -1
	return unix.Close(fd)
}

// MoveTo moves this end to a descriptor of at least minimum.
func (c *Conn) MoveTo(minimum int) error {
	fd, err := unix.FcntlInt(uintptr(c.fd), unix.F_DUPFD_CLOEXEC, minimum)
	if err != nil {
		return fault.New("move", "the link", err)
	}
	unix.Close(c.fd)
	c.fd = fd
	return nil
}

// Another returns another descriptor of this end, for a thread that may not
// share those of this one.
func (c *Conn) Another() (fd int, err error) {
	if fd, err = unix.FcntlInt(uintptr(c.fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
		return -1, fault.New("copy", "the link", err)
	}
	return fd, nil
}

// At returns this end as it is now, on the descriptor that Another returned.
func (c *Conn) At(fd int) *Conn { return &Conn{fd: fd, script: c.script, next: c.next} }

// advance checks that k is next in the script.
func (c *Conn) advance(k Kind) error {
	if k == Failed || k == Note {
		return nil
	}
	if c.next >= len(c.script) || c.script[c.next] != k {
		return fault.Newf("follow the link", "", "message %v out of order, expected %s", k, c.expected())
	}
	c.next++
	return nil
}

func (c *Conn) expected() string {
	if c.next < len(c.script) {
		return c.script[c.next].String()
	}
	return "the end"
}

const (
	// inlineLimit is how long a payload may be to travel in the datagram
	// itself; the default socket buffer holds 208 KiB.
	inlineLimit = 64 << 10
	// payloadLimit bounds what a message can make the receiver allocate.
	payloadLimit = 64 << 20
)

// Header bytes: kind, then where the payload is.
const (
	payloadInline = 0
	payloadFile   = 1
	headerSize    = 2
)

// outRoom is what a Conn keeps for messages, so that one of that length takes no
// memory but for the first.
const outRoom = 1024

// Send sends m; its files stay with the caller.
func (c *Conn) Send(m Message) error {
	if err := c.advance(m.Kind); err != nil {
		return err
	}
	files, payload := m.Files, m.Payload
	place := byte(payloadInline)
	if len(payload) > inlineLimit {
		fd, err := payloadMemfd(payload)
		if err != nil {
			return fault.New("send "+m.Kind.String()+" on", "the link", err)
		}
		defer unix.Close(fd)
		files = append([]int{fd}, files...)
		place, payload = payloadFile, nil
	}
	var rights []byte
	if len(files) > 0 {
		rights = unix.UnixRights(files...)
	}
	b := append(slices.Grow(c.out[:0], max(outRoom, headerSize+len(payload))), byte(m.Kind), place)
	b = append(b, payload...)
	c.out = b
	for {
		err := c.write(b, rights)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) {
			return ErrClosed
		}
		if err != nil {
			return fault.New("send "+m.Kind.String()+" on", "the link", err)
		}
		return nil
	}
}

func (c *Conn) write(b, rights []byte) error {
	if len(rights) == 0 {
		_, err := unix.Write(c.fd, b)
		return err
	}
	return unix.Sendmsg(c.fd, b, rights, nil, unix.MSG_NOSIGNAL)
}

// Receive waits for the next message. It returns ErrClosed when the other end
// is closed, and a foreign datagram as the error of foreign, if that is not
// nil and knows it.
func (c *Conn) Receive(foreign func([]byte) (error, bool)) (Message, error) {
	if c.buf == nil {
		c.buf = make([]byte, headerSize+inlineLimit)
	}
	n, files, err := receive(c.fd, c.buf)
	if err != nil {
		return Message{}, err
	}
	b := c.buf[:n]
	if foreign != nil {
		if err, ok := foreign(b); ok {
			return Message{}, err
		}
	}
	if n < headerSize {
		closeAll(files)
		return Message{}, fault.Newf("receive on", "the link", "datagram of %d bytes", n)
	}
	m := Message{Kind: Kind(b[0]), Files: files}
	if b[1] == payloadInline {
		m.Payload = append([]byte(nil), b[headerSize:]...)
	} else if err := m.readPayload(); err != nil {
		closeAll(files)
		return Message{}, fault.New("receive "+m.Kind.String()+" on", "the link", err)
	}
	if err := c.advance(m.Kind); err != nil {
		closeAll(m.Files)
		return Message{}, err
	}
	return m, nil
}

func receive(fd int, buf []byte) (int, []int, error) {
	oob := make([]byte, unix.CmsgSpace((MaxFiles+1)*4))
	for {
		n, oobn, flags, _, err := unix.Recvmsg(fd, buf, oob, unix.MSG_CMSG_CLOEXEC)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNRESET):
			// The latter, once, from an end that was closed before it had read all:
			// what it sent before that is still to come.
			continue
		case err != nil:
			return 0, nil, fault.New("receive on", "the link", err)
		case n == 0 && oobn == 0:
			return 0, nil, ErrClosed
		}
		files, err := rights(oob[:oobn])
		if err == nil && flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
			err = errors.New("truncated datagram")
		}
		if err != nil {
			closeAll(files)
			return 0, nil, fault.New("receive on", "the link", err)
		}
		return n, files, nil
	}
}

func rights(oob []byte) ([]int, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	control, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var files []int
	for i := range control {
		fds, err := unix.ParseUnixRights(&control[i])
		if err != nil {
			return files, err
		}
		files = append(files, fds...)
	}
	return files, nil
}

// payloadMemfd holds a payload that is too long for a datagram.
func payloadMemfd(b []byte) (int, error) {
	fd, err := unix.MemfdCreate("hull-link", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, err
	}
	for off := 0; off < len(b); {
		n, err := unix.Pwrite(fd, b[off:], int64(off))
		if err != nil {
			unix.Close(fd)
			return -1, err
		}
		off += n
	}
	return fd, nil
}

func (m *Message) readPayload() error {
	if len(m.Files) == 0 {
		return errors.New("a payload file is missing")
	}
	fd := m.Files[0]
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Size > payloadLimit {
		return errors.New("payload too long")
	}
	b := make([]byte, st.Size)
	for off := 0; off < len(b); {
		n, err := unix.Pread(fd, b[off:], int64(off))
		if err != nil {
			return err
		}
		if n == 0 {
			return io.ErrUnexpectedEOF
		}
		off += n
	}
	unix.Close(fd)
	m.Payload, m.Files = b, m.Files[1:]
	return nil
}

func closeAll(files []int) {
	for _, fd := range files {
		unix.Close(fd)
	}
}
