package rtnl

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAMessageIsReadAsItWasWritten(t *testing.T) {
	body := appendAttribute(linkHeader(7, unix.IFF_UP), textAttribute(unix.IFLA_IFNAME, "eth0"))
	b := message{kind: unix.RTM_NEWLINK, flags: 5, sequence: 9, body: body}.append(nil)
	b = message{kind: unix.NLMSG_DONE, body: []byte{0, 0, 0, 0, 1}}.append(b)
	m, rest, err := parseMessage(b)
	if err != nil || m.kind != unix.RTM_NEWLINK || m.flags != 5 || m.sequence != 9 {
		t.Fatalf("%+v, %v", m, err)
	}
	l, err := parseLink(m)
	if want := (Link{Index: 7, Name: "eth0", Up: true}); err != nil || l != want {
		t.Errorf("%+v, %v", l, err)
	}
	m, rest, err = parseMessage(rest)
	if err != nil || m.kind != unix.NLMSG_DONE || len(m.body) != 5 || len(rest) != 0 {
		t.Errorf("%+v, %d left, %v", m, len(rest), err)
	}
}

func TestTheKernelsReasonIsTold(t *testing.T) {
	refusal := numberAttribute(0, ^uint32(unix.EINVAL)+1).value
	body := append(bytes.Clone(refusal), make([]byte, unix.NLMSG_HDRLEN)...)
	body = appendAttribute(body, attribute{9, []byte("another")})
	body = appendAttribute(body, textAttribute(unix.NLMSGERR_ATTR_MSG, "it is so"))
	for _, tt := range []struct {
		flags uint16
		want  string
	}{
		{unix.NLM_F_ACK_TLVS, "invalid argument: it is so"},
		{0, "invalid argument"},
	} {
		err := message{kind: unix.NLMSG_ERROR, flags: tt.flags, body: body}.verdict()
		if !errors.Is(err, unix.EINVAL) || err.Error() != tt.want {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
}

func TestAnswersThatAreNoneAreErrors(t *testing.T) {
	for name, b := range map[string][]byte{
		"half a header":              make([]byte, 15),
		"a length below the header":  message{}.append(nil)[:16:16],
		"a length beyond the buffer": message{body: make([]byte, 8)}.append(nil)[:20],
	} {
		if name == "a length below the header" {
			b[0] = 15
		}
		if _, _, err := parseMessage(b); !errors.Is(err, errMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, b := range map[string][]byte{
		"half a header":              {4, 0},
		"a length below the header":  {3, 0, 0, 0},
		"a length beyond the buffer": {9, 0, 0, 0, 0, 0, 0, 0},
	} {
		if _, err := parseAttributes(b); !errors.Is(err, errMalformed) {
			t.Errorf("attributes: %s: %v", name, err)
		}
	}
	for _, body := range [][]byte{nil, {1, 0, 0, 0}} {
		if err := (message{kind: unix.NLMSG_ERROR, body: body}).verdict(); !errors.Is(err, errMalformed) {
			t.Errorf("a verdict of %v: %v", body, err)
		}
	}
}

// FuzzRead feeds datagrams to all that reads them: no bytes may do more than
// yield an error, and what is read of an address is what is written of it.
func FuzzRead(f *testing.F) {
	link := appendAttribute(linkHeader(7, 0), textAttribute(unix.IFLA_IFNAME, "eth0"))
	address := appendAttribute([]byte{unix.AF_INET, 24, 0x80, 0, 1, 0, 0, 0}, attribute{unix.IFA_ADDRESS, []byte{10, 0, 0, 1}})
	address = appendAttribute(address, textAttribute(unix.IFA_LABEL, "eth0:1"))
	f.Add(message{kind: unix.RTM_NEWLINK, body: link}.append(nil))
	f.Add(message{kind: unix.RTM_NEWADDR, body: address}.append(message{kind: unix.RTM_NEWADDR, body: address}.append(nil)))
	f.Add(message{kind: unix.NLMSG_ERROR, flags: unix.NLM_F_ACK_TLVS, body: make([]byte, 24)}.append(nil))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		c := &Conn{}
		_, _ = c.read(datagram, func(m message) error {
			_, _ = parseLink(m)
			a, err := parseAddress(m)
			if err != nil {
				return nil //nolint:nilerr // the next message may be read
			}
			again, err := parseAddress(message{kind: m.kind, body: a.body(7)})
			if err != nil || again.flags != a.flags || again.Label != a.Label || len(again.attributes) != len(a.attributes) {
				t.Errorf("%+v was written as %+v, %v", a, again, err)
			}
			return nil
		})
	})
}
