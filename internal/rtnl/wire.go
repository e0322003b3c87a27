package rtnl

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// attribute is a netlink attribute: a length, a type and a value, padded to
// four bytes (netlink(7), "struct nlattr").
type attribute struct {
	kind  uint16
	value []byte
}

const (
	attributeHeader = 4
	// kindMask leaves the type without NLA_F_NESTED and NLA_F_NET_BYTEORDER.
	kindMask = 0x3fff
)

func textAttribute(kind uint16, text string) attribute {
	return attribute{kind, append([]byte(text), 0)}
}

func numberAttribute(kind uint16, n uint32) attribute {
	return attribute{kind, binary.NativeEndian.AppendUint32(nil, n)}
}

// text is the value as a string that ends at the first NUL.
func (a attribute) text() string { return unix.ByteSliceToString(a.value) }

// number is the value as a number of 32 bits, and 0 if it is none.
func (a attribute) number() uint32 {
	if len(a.value) != 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(a.value)
}

func appendAttribute(b []byte, a attribute) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(attributeHeader+len(a.value)))
	b = binary.NativeEndian.AppendUint16(b, a.kind)
	return pad(append(b, a.value...))
}

// errMalformed is what a message is that the kernel would not send.
var errMalformed = errors.New("malformed netlink message")

// parseAttributes takes attributes apart. Their values are parts of b.
func parseAttributes(b []byte) (out []attribute, err error) {
	for len(b) > 0 {
		if len(b) < attributeHeader {
			return nil, errMalformed
		}
		n := int(binary.NativeEndian.Uint16(b))
		if n < attributeHeader || n > len(b) {
			return nil, errMalformed
		}
		kind := binary.NativeEndian.Uint16(b[2:]) & kindMask
		out = append(out, attribute{kind, b[attributeHeader:n]})
		b = b[min(aligned(n), len(b)):]
	}
	return out, nil
}

// message is a netlink message without its header (netlink(7), "struct
// nlmsghdr").
type message struct {
	kind     uint16
	flags    uint16
	sequence uint32
	body     []byte
}

// append adds the message, as this process sends it, to b.
func (m message) append(b []byte) []byte {
	b = binary.NativeEndian.AppendUint32(b, uint32(unix.NLMSG_HDRLEN+len(m.body)))
	b = binary.NativeEndian.AppendUint16(b, m.kind)
	b = binary.NativeEndian.AppendUint16(b, m.flags)
	b = binary.NativeEndian.AppendUint32(b, m.sequence)
	b = binary.NativeEndian.AppendUint32(b, 0) // the port, which the kernel fills in
	return pad(append(b, m.body...))
}

// parseMessage takes the first message off a datagram. Its body is a part of b.
func parseMessage(b []byte) (m message, rest []byte, err error) {
	if len(b) < unix.NLMSG_HDRLEN {
		return m, nil, errMalformed
	}
	n := int(binary.NativeEndian.Uint32(b))
	if n < unix.NLMSG_HDRLEN || n > len(b) {
		return m, nil, errMalformed
	}
	m = message{
		kind:     binary.NativeEndian.Uint16(b[4:]),
		flags:    binary.NativeEndian.Uint16(b[6:]),
		sequence: binary.NativeEndian.Uint32(b[8:]),
		body:     b[unix.NLMSG_HDRLEN:n],
	}
	return m, b[min(aligned(n), len(b)):], nil
}

// verdict is what the kernel thinks of a request: nil, or a *RefusedError. It is
// the body of NLMSG_ERROR and NLMSG_DONE.
func (m message) verdict() error {
	if len(m.body) < 4 {
		return errMalformed
	}
	code := int32(binary.NativeEndian.Uint32(m.body))
	if code == 0 {
		return nil
	}
	if code > 0 {
		return errMalformed
	}
	return &RefusedError{Errno: unix.Errno(-int64(code)), Reason: m.reason()}
}

// reason is the kernel's explanation, where it gives one: it follows the header
// of the request, without its body (NETLINK_CAP_ACK).
func (m message) reason() string {
	const start = 4 + unix.NLMSG_HDRLEN
	if m.kind != unix.NLMSG_ERROR || m.flags&unix.NLM_F_ACK_TLVS == 0 || len(m.body) < start {
		return ""
	}
	attributes, err := parseAttributes(m.body[start:])
	if err != nil {
		return ""
	}
	for _, a := range attributes {
		if a.kind == unix.NLMSGERR_ATTR_MSG {
			return a.text()
		}
	}
	return ""
}

// aligned rounds up to the four bytes that netlink aligns everything to.
func aligned(n int) int { return (n + 3) &^ 3 }

func pad(b []byte) []byte { return append(b, make([]byte, aligned(len(b))-len(b))...) }
