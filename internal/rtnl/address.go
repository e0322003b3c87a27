package rtnl

import (
	"bytes"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// Address is an address of a network device, of any family. Most of it is kept
// as the kernel gave it, to be given back.
type Address struct {
	// Label is of IPv4: the name of the device, or that and more.
	Label string

	header [unix.SizeofIfAddrmsg]byte
	flags  uint32
	// attributes are all but the label.
	attributes []attribute
}

// Permanent reports whether the address stays until somebody removes it: it has
// not been learned, and has no lifetime (IFA_F_PERMANENT).
func (a *Address) Permanent() bool { return a.flags&unix.IFA_F_PERMANENT != 0 }

// Global reports whether the address is valid everywhere (RT_SCOPE_UNIVERSE).
func (a *Address) Global() bool { return a.header[3] == unix.RT_SCOPE_UNIVERSE }

// device is the index of the device that it was an address of.
func (a *Address) device() int32 { return int32(binary.NativeEndian.Uint32(a.header[4:])) }

// Addresses returns the addresses of the device with the index.
func (c *Conn) Addresses(index int32) ([]Address, error) {
	query := make([]byte, 4, unix.SizeofIfAddrmsg)
	query = binary.NativeEndian.AppendUint32(query, uint32(index))
	for {
		var list []Address
		torn := false
		err := c.do(unix.RTM_GETADDR, unix.NLM_F_DUMP, query, func(m message) error {
			torn = torn || m.flags&unix.NLM_F_DUMP_INTR != 0
			a, err := parseAddress(m)
			// Not all families know of the filter.
			if err == nil && a.device() == index {
				list = append(list, a)
			}
			return err
		})
		// A list that somebody changed meanwhile is asked for again.
		if !torn || err != nil {
			return list, err
		}
	}
}

// AddAddress gives the device with the index an address that Addresses of
// another device returned. It is no error if the device has it.
func (c *Conn) AddAddress(index int32, a *Address) error {
	err := c.do(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, a.body(index), nothing)
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}

// body is a struct ifaddrmsg (rtnetlink(7)) and its attributes.
func (a *Address) body(index int32) []byte {
	b := binary.NativeEndian.AppendUint32(bytes.Clone(a.header[:4]), uint32(index))
	for _, attribute := range a.attributes {
		b = appendAttribute(b, attribute)
	}
	if a.Label != "" {
		b = appendAttribute(b, textAttribute(unix.IFA_LABEL, a.Label))
	}
	return b
}

func parseAddress(m message) (a Address, err error) {
	if m.kind != unix.RTM_NEWADDR || len(m.body) < unix.SizeofIfAddrmsg {
		return a, errMalformed
	}
	// The buffer is used again for the next datagram.
	body := bytes.Clone(m.body)
	copy(a.header[:], body)
	// The header has room for the first eight flags; the attribute has all.
	a.flags = uint32(a.header[2])
	attributes, err := parseAttributes(body[unix.SizeofIfAddrmsg:])
	if err != nil {
		return a, err
	}
	for _, attribute := range attributes {
		switch attribute.kind {
		case unix.IFA_LABEL:
			a.Label = attribute.text()
			continue
		case unix.IFA_FLAGS:
			a.flags = attribute.number()
		}
		a.attributes = append(a.attributes, attribute)
	}
	return a, nil
}
