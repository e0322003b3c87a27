package dbus

import (
	"bufio"
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// answer listens, reads one call, and sends what reply makes of it, with pauses
// between the messages.
func answer(t *testing.T, reply func(serial uint32) [][]byte, pause ...time.Duration) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "socket")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		peer, err := l.Accept()
		if err != nil {
			return
		}
		defer peer.Close()
		in := bufio.NewReader(peer)
		for range 3 { // AUTH, DATA, BEGIN
			if _, err := in.ReadString('\n'); err != nil {
				return
			}
		}
		_, _ = io.WriteString(peer, "DATA\r\nOK 1234deadbeef\r\n")
		if _, err := in.Peek(1); err != nil {
			return
		}
		for _, b := range reply(1) {
			if _, err := peer.Write(b); err != nil {
				return
			}
			for _, d := range pause {
				time.Sleep(d)
			}
		}
		_, _ = io.Copy(io.Discard, in)
	}()
	return path
}

// answerMessage is a message of the kind with header fields and a body.
func answerMessage(kind byte, fields, body func(w *Writer)) []byte {
	b, w := &Writer{}, &Writer{}
	body(b)
	w.bytes('l', kind, 0, 1)
	w.Uint32(uint32(len(b.buf)))
	w.Uint32(7)
	w.Array(8, func() { fields(w) })
	w.align(8)
	return append(w.buf, b.buf...)
}

func replyTo(serial uint32) func(*Writer) {
	return func(w *Writer) {
		w.Struct()
		w.bytes(fieldReplySerial)
		w.Variant("u", func() { w.Uint32(serial) })
	}
}

func dial(t *testing.T, path string, timeout time.Duration) *Conn {
	t.Helper()
	c, err := Dial(path, timeout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestASignalBeforeTheReplyIsKept(t *testing.T) {
	path := answer(t, func(serial uint32) [][]byte {
		return [][]byte{
			answerMessage(typeSignal, func(w *Writer) {
				w.Struct()
				w.bytes(fieldMember)
				w.Variant("s", func() { w.String("JobRemoved") })
			}, func(w *Writer) { w.Uint32(42) }),
			answerMessage(typeReply, replyTo(serial+100), func(w *Writer) { w.String("not ours") }),
			answerMessage(typeReply, replyTo(serial), func(w *Writer) { w.String("/job/1") }),
		}
	})
	c := dial(t, path, 5*time.Second)
	reply, err := c.Call(Method{"d", "/p", "i", "m"}, "", &Writer{})
	if err != nil {
		t.Fatal(err)
	}
	if s, err := reply.String(); err != nil || s != "/job/1" {
		t.Errorf("reply: %q %v", s, err)
	}
	s, err := c.NextSignal()
	if err != nil || s.Member != "JobRemoved" {
		t.Fatalf("signal: %+v %v", s, err)
	}
	if n, err := s.Body.Uint32(); err != nil || n != 42 {
		t.Errorf("body: %d %v", n, err)
	}
}

func TestAnErrorReplyKeepsItsNameAndText(t *testing.T) {
	path := answer(t, func(serial uint32) [][]byte {
		return [][]byte{answerMessage(typeError, func(w *Writer) {
			w.Struct()
			w.bytes(fieldErrorName)
			w.Variant("s", func() { w.String("org.example.No") })
			replyTo(serial)(w)
		}, func(w *Writer) { w.String("no such unit") })}
	})
	_, err := dial(t, path, 5*time.Second).Call(Method{"d", "/p", "i", "m"}, "", &Writer{})
	var e *Error
	if !errors.As(err, &e) || e.Name != "org.example.No" || err.Error() != "no such unit" {
		t.Errorf("got %#v", err)
	}
}

func TestASilentPeerIsATimeoutAndAHangupAnError(t *testing.T) {
	silent := answer(t, func(uint32) [][]byte { return nil })
	c, err := Dial(silent, 50*time.Millisecond)
	if err == nil { // in time
		defer c.Close()
		_, err = c.Call(Method{"d", "/p", "i", "m"}, "", &Writer{})
	}
	if !errors.Is(err, unix.ETIMEDOUT) {
		t.Errorf("a silent peer: %v", err)
	}
	if _, err := Dial(filepath.Join(t.TempDir(), "missing"), time.Second); err == nil {
		t.Error("nobody listens, and it connects")
	}
}

func TestAPeerThatKeepsTalkingDoesNotExtendTheTime(t *testing.T) {
	chatter := answerMessage(typeSignal, func(w *Writer) {
		w.Struct()
		w.bytes(fieldMember)
		w.Variant("s", func() { w.String("UnitNew") })
	}, func(*Writer) {})
	path := answer(t, func(uint32) [][]byte {
		all := make([][]byte, 1000)
		for i := range all {
			all[i] = chatter
		}
		return all
	}, 5*time.Millisecond)
	start := time.Now()
	_, err := dial(t, path, time.Second).Call(Method{"d", "/p", "i", "m"}, "", &Writer{})
	if took := time.Since(start); !errors.Is(err, unix.ETIMEDOUT) || took > 4*time.Second {
		t.Errorf("after %v: %v", took, err)
	}
}

func FuzzParsingNeverPanics(f *testing.F) {
	w := &Writer{}
	replyTo(1)(w)
	f.Add(w.buf)
	f.Add([]byte{1, 1, 's', 0, 255, 255, 255, 255})
	f.Fuzz(func(_ *testing.T, b []byte) {
		m := &message{}
		_ = m.parseFields(&Reader{buf: b})
		r := &Reader{buf: b}
		for range 4 {
			if _, err := r.String(); err != nil {
				break
			}
		}
	})
}
