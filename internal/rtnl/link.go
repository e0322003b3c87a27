package rtnl

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Link is a network device as one network namespace has it.
type Link struct {
	Index int32
	Name  string
	Up    bool
	// Master is the index of the bridge or bond that it is part of, or 0.
	Master int32
}

// Change is what Set does to a device; what is zero stays as it is. The kernel
// moves it first, then names it, and what was done before something fails stays
// done.
type Change struct {
	// Namespace is where the device goes: a descriptor of a network
	// namespace. It is down there, and has no addresses.
	Namespace int
	// Index is what it gets there (Linux 5.13); without it the old one, or
	// another if that is taken.
	Index int32
	// Name is its new name. If it contains %d, the kernel puts a number there
	// that makes it unique.
	Name string
	// Master is the index of a bridge or bond to make it part of.
	Master int32
	// Up sets it up.
	Up bool
}

// ByName returns the device that has the name, or the alternative name; the
// error is ENODEV if there is none.
func (c *Conn) ByName(name string) (Link, error) {
	return c.link(appendAttribute(linkHeader(0, 0), textAttribute(unix.IFLA_IFNAME, name)))
}

// ByIndex returns the device that has the index.
func (c *Conn) ByIndex(index int32) (Link, error) { return c.link(linkHeader(index, 0)) }

func (c *Conn) link(query []byte) (l Link, err error) {
	const skipStatistics = 1 << 3 // RTEXT_FILTER_SKIP_STATS
	query = appendAttribute(query, numberAttribute(unix.IFLA_EXT_MASK, skipStatistics))
	err = c.do(unix.RTM_GETLINK, 0, query, func(m message) error {
		l, err = parseLink(m)
		return err
	})
	return l, err
}

// Set changes the device with the index.
func (c *Conn) Set(index int32, change Change) error {
	flags := uint32(0)
	if change.Up {
		flags = unix.IFF_UP
	}
	b := linkHeader(index, flags)
	if change.Namespace > 0 {
		b = appendAttribute(b, numberAttribute(unix.IFLA_NET_NS_FD, uint32(change.Namespace)))
	}
	if change.Index > 0 {
		b = appendAttribute(b, numberAttribute(unix.IFLA_NEW_IFINDEX, uint32(change.Index)))
	}
	if change.Name != "" {
		b = appendAttribute(b, textAttribute(unix.IFLA_IFNAME, change.Name))
	}
	if change.Master > 0 {
		b = appendAttribute(b, numberAttribute(unix.IFLA_MASTER, uint32(change.Master)))
	}
	return c.do(unix.RTM_NEWLINK, 0, b, nothing)
}

// linkHeader is a struct ifinfomsg (rtnetlink(7)): the flags are set, none is
// cleared.
func linkHeader(index int32, flags uint32) []byte {
	b := make([]byte, 4, unix.SizeofIfInfomsg)
	b = binary.NativeEndian.AppendUint32(b, uint32(index))
	b = binary.NativeEndian.AppendUint32(b, flags)
	return binary.NativeEndian.AppendUint32(b, flags)
}

func parseLink(m message) (l Link, err error) {
	if m.kind != unix.RTM_NEWLINK || len(m.body) < unix.SizeofIfInfomsg {
		return l, errMalformed
	}
	attributes, err := parseAttributes(m.body[unix.SizeofIfInfomsg:])
	if err != nil {
		return l, err
	}
	l.Index = int32(binary.NativeEndian.Uint32(m.body[4:]))
	l.Up = binary.NativeEndian.Uint32(m.body[8:])&unix.IFF_UP != 0
	for _, a := range attributes {
		switch a.kind {
		case unix.IFLA_IFNAME:
			l.Name = a.text()
		case unix.IFLA_MASTER:
			l.Master = int32(a.number())
		}
	}
	return l, nil
}
