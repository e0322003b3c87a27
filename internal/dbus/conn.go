// Package dbus speaks as much of the D-Bus protocol as it takes to ask a
// systemd manager for something over its private socket: method calls, their
// replies, and the signals that come meanwhile. There is no bus in between, so
// there are no names, no matches and no other clients.
//
// It refuses big-endian peers, messages above a megabyte, and passing file
// descriptors. The protocol is the "D-Bus Specification", version 0.43.
package dbus

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// Conn is a connection to a manager. It is not safe for concurrent use.
type Conn struct {
	sock   socket
	in     *bufio.Reader
	serial uint32
	// signals are those that came while a reply was waited for.
	signals []Signal
}

// Signal is a signal message.
type Signal struct {
	Member string
	Body   *Reader
}

// Error is an error reply.
type Error struct{ Name, Message string }

func (e *Error) Error() string {
	if e.Message == "" {
		return e.Name
	}
	return e.Message
}

// IsLost reports whether err is that the peer has closed the connection.
func IsLost(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE)
}

// maxMessage bounds what the peer can make us allocate.
const maxMessage = 1 << 20

// Dial connects to the socket. All that is said on the connection must be said
// within the timeout: a peer that keeps sending other things does not extend it.
func Dial(path string, timeout time.Duration) (*Conn, error) {
	sock, err := connect(path, timeout)
	if err != nil {
		return nil, fault.New("connect to", path, err)
	}
	c := &Conn{sock: sock, in: bufio.NewReader(sock)}
	if err := c.authenticate(); err != nil {
		c.Close()
		return nil, fault.New("authenticate at", path, err)
	}
	return c, nil
}

// PeerPID returns the process that listens on the socket, in our pid
// namespace.
func PeerPID(path string, timeout time.Duration) (int, error) {
	sock, err := connect(path, timeout)
	if err != nil {
		return 0, fault.New("connect to", path, err)
	}
	defer unix.Close(sock.fd)
	cred, err := unix.GetsockoptUcred(sock.fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, fault.New("ask for the listener of", path, err)
	}
	if cred.Pid <= 0 {
		return 0, fault.Newf("ask for the listener of", path, "it is in another pid namespace")
	}
	return int(cred.Pid), nil
}

// Close closes the connection.
func (c *Conn) Close() { unix.Close(c.sock.fd) }

// authenticate relies on the credentials that the kernel gives with the
// socket, so that it works in a user namespace, where our own idea of the user
// ID is not the peer's (systemd 246).
func (c *Conn) authenticate() error {
	if _, err := io.WriteString(c.sock, "\x00AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n"); err != nil {
		return err
	}
	for _, want := range [...]string{"DATA", "OK"} {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return err
		}
		if word, _, _ := strings.Cut(strings.TrimSpace(line), " "); word != want {
			return errors.New("the peer answers " + word)
		}
	}
	return nil
}

// The message types and header fields of the specification.
const (
	typeCall   = 1
	typeReply  = 2
	typeError  = 3
	typeSignal = 4

	fieldPath        = 1
	fieldInterface   = 2
	fieldMember      = 3
	fieldErrorName   = 4
	fieldReplySerial = 5
	fieldDestination = 6
	fieldSignature   = 8
)

// Method names what to call.
type Method struct{ Destination, Path, Interface, Member string }

// Call calls m with the arguments in body, which have the given signature, and
// returns the reply's. An error reply is an *Error.
func (c *Conn) Call(m Method, signature string, body *Writer) (*Reader, error) {
	c.serial++
	if _, err := c.sock.Write(call(c.serial, m, signature, body)); err != nil {
		return nil, err
	}
	for {
		msg, err := c.receive()
		if err != nil {
			return nil, err
		}
		switch {
		case msg.kind == typeSignal:
			c.signals = append(c.signals, Signal{msg.member, msg.body})
		case msg.replyTo != c.serial:
		case msg.kind == typeError:
			text, _ := msg.body.String()
			return nil, &Error{msg.errorName, text}
		case msg.kind == typeReply:
			return msg.body, nil
		}
	}
}

// NextSignal returns the oldest signal that was not returned yet, and waits
// for one if there is none.
func (c *Conn) NextSignal() (Signal, error) {
	for len(c.signals) == 0 {
		msg, err := c.receive()
		if err != nil {
			return Signal{}, err
		}
		if msg.kind == typeSignal {
			c.signals = append(c.signals, Signal{msg.member, msg.body})
		}
	}
	s := c.signals[0]
	c.signals = c.signals[1:]
	return s, nil
}

func call(serial uint32, m Method, signature string, body *Writer) []byte {
	w := &Writer{}
	w.bytes(
		'l', typeCall, 0, 1, // little-endian, type, flags, protocol version
	)
	w.Uint32(uint32(len(body.buf)))
	w.Uint32(serial)
	w.Array(8, func() {
		for _, f := range [...]struct {
			code  byte
			kind  string
			value string
		}{
			{fieldPath, "o", m.Path},
			{fieldDestination, "s", m.Destination},
			{fieldInterface, "s", m.Interface},
			{fieldMember, "s", m.Member},
		} {
			w.Struct()
			w.bytes(f.code)
			w.signature(f.kind)
			w.String(f.value)
		}
		w.Struct()
		w.bytes(fieldSignature)
		w.signature("g")
		w.signature(signature)
	})
	w.align(8)
	return append(w.buf, body.buf...)
}

type message struct {
	kind      byte
	replyTo   uint32
	member    string
	errorName string
	body      *Reader
}

var errMalformed = errors.New("malformed D-Bus message")

func (c *Conn) receive() (*message, error) {
	var fixed [16]byte
	if _, err := io.ReadFull(c.in, fixed[:]); err != nil {
		return nil, err
	}
	bodyLen := binary.LittleEndian.Uint32(fixed[4:])
	fieldsLen := binary.LittleEndian.Uint32(fixed[12:])
	if fixed[0] != 'l' || bodyLen > maxMessage || fieldsLen > maxMessage {
		return nil, errMalformed
	}
	padded := (fieldsLen + 7) &^ 7
	rest := make([]byte, padded+bodyLen)
	if _, err := io.ReadFull(c.in, rest); err != nil {
		return nil, err
	}
	msg := &message{kind: fixed[1], body: &Reader{buf: rest[padded:]}}
	if err := msg.parseFields(&Reader{buf: rest[:fieldsLen]}); err != nil {
		return nil, err
	}
	return msg, nil
}

// parseFields parses the header array; it begins at offset 16, a multiple of
// every alignment.
func (m *message) parseFields(r *Reader) error {
	for r.pos < len(r.buf) {
		r.align(8)
		code, err := r.byte()
		if err != nil {
			return err
		}
		kind, err := r.signature()
		if err != nil {
			return err
		}
		var text string
		var number uint32
		switch kind {
		case "s", "o":
			text, err = r.String()
		case "g":
			text, err = r.signature()
		case "u":
			number, err = r.Uint32()
		default:
			err = errMalformed
		}
		if err != nil {
			return err
		}
		switch code {
		case fieldMember:
			m.member = text
		case fieldErrorName:
			m.errorName = text
		case fieldReplySerial:
			m.replyTo = number
		}
	}
	return nil
}
