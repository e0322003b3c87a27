package link_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hull/libcontainer/link"
	"hull/libcontainer/plan"
)

func pair(t *testing.T, script []link.Kind) (parent, init *link.Conn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	parent, init = link.NewConn(fds[0]), link.NewConn(fds[1])
	parent.Follow(script)
	init.Follow(script)
	t.Cleanup(func() {
		parent.Close()
		init.Close()
	})
	return parent, init
}

func TestTheScriptFollowsFromThePlan(t *testing.T) {
	supplied := make([]plan.Mount, link.MaxFiles+1)
	for i := range supplied {
		supplied[i].Flags = plan.Supplied
	}
	tests := []struct {
		name string
		plan plan.Plan
		want []link.Kind
	}{
		{"create", plan.Plan{Kind: plan.Create}, []link.Kind{link.Plan, link.RootReady, link.Proceed, link.Ready, link.Finish}},
		{"exec", plan.Plan{Kind: plan.Exec}, []link.Kind{link.Plan, link.Ready, link.Finish}},
		{
			"exec with a terminal",
			plan.Plan{Kind: plan.Exec, Process: plan.Process{Terminal: plan.Terminal{Wanted: true}}},
			[]link.Kind{link.Plan, link.Console, link.Ready, link.Finish},
		},
		{
			"exec with a listener",
			plan.Plan{Kind: plan.Exec, Process: plan.Process{Notifies: true}},
			[]link.Kind{link.Plan, link.Ready, link.Finish, link.Listener, link.Listened},
		},
		{
			"more sources than one message holds",
			plan.Plan{Kind: plan.Create, Mounts: supplied},
			[]link.Kind{link.Plan, link.Sources, link.Sources, link.RootReady, link.Proceed, link.Ready, link.Finish},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := link.Script(&tt.plan); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestPayloadsOfAnyLengthArriveWhole(t *testing.T) {
	for _, size := range []int{0, 1, 64 << 10, 64<<10 + 1, 3 << 20} {
		parent, init := pair(t, []link.Kind{link.Plan})
		want := bytes.Repeat([]byte{7}, size)
		if err := parent.Send(link.Message{Kind: link.Plan, Payload: want}); err != nil {
			t.Fatal(size, err)
		}
		m, err := init.Receive(nil)
		if err != nil {
			t.Fatal(size, err)
		}
		if !bytes.Equal(m.Payload, want) || len(m.Files) != 0 {
			t.Errorf("%d bytes arrived as %d bytes and %d files", size, len(m.Payload), len(m.Files))
		}
	}
}

func TestDescriptorsTravelCloseOnExec(t *testing.T) {
	parent, init := pair(t, []link.Kind{link.Sources})
	if err := parent.Send(link.Message{Kind: link.Sources, Payload: make([]byte, 100<<10), Files: []int{0, 1, 2}}); err != nil {
		t.Fatal(err)
	}
	m, err := init.Receive(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Files) != 3 {
		t.Fatalf("got %d files", len(m.Files))
	}
	for _, fd := range m.Files {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("descriptor %d: flags %x, %v", fd, flags, err)
		}
		unix.Close(fd)
	}
}

func TestAMessageOutOfOrderIsNamed(t *testing.T) {
	parent, _ := pair(t, []link.Kind{link.Ready, link.Finish})
	err := parent.Send(link.Message{Kind: link.Finish})
	if err == nil || !strings.Contains(err.Error(), "finish") || !strings.Contains(err.Error(), "ready") {
		t.Errorf("sending: %v", err)
	}
	early, late := pair(t, nil)
	early.Follow([]link.Kind{link.Ready})
	late.Follow([]link.Kind{link.Plan})
	if err := early.Send(link.Message{Kind: link.Ready}); err != nil {
		t.Fatal(err)
	}
	if _, err := late.Receive(nil); err == nil || !strings.Contains(err.Error(), "out of order") {
		t.Errorf("receiving: %v", err)
	}
}

func TestAFaultMayComeAtAnyTime(t *testing.T) {
	parent, init := pair(t, []link.Kind{link.Ready})
	for _, k := range []link.Kind{link.Note, link.Failed} {
		if err := init.Send(link.Message{Kind: k, Payload: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		if m, err := parent.Receive(nil); err != nil || m.Kind != k {
			t.Errorf("got %v, %v", m.Kind, err)
		}
	}
}

func TestAClosedLinkIsTold(t *testing.T) {
	parent, init := pair(t, []link.Kind{link.Ready})
	init.Close()
	if _, err := parent.Receive(nil); !errors.Is(err, link.ErrClosed) {
		t.Errorf("receive: %v", err)
	}
	if err := parent.Send(link.Message{Kind: link.Ready}); !errors.Is(err, link.ErrClosed) {
		t.Errorf("send: %v", err)
	}
}

func TestTheLastWordOfAnEndThatHadMoreToReadArrives(t *testing.T) {
	parent, init := pair(t, []link.Kind{link.Ready})
	if err := parent.Send(link.Message{Kind: link.Ready}); err != nil {
		t.Fatal(err)
	}
	if err := init.Send(link.Message{Kind: link.Failed, Payload: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	init.Close()
	if m, err := parent.Receive(nil); err != nil || m.Kind != link.Failed {
		t.Errorf("got %v, %v", m.Kind, err)
	}
	if _, err := parent.Receive(nil); !errors.Is(err, link.ErrClosed) {
		t.Errorf("after that: %v", err)
	}
}
