package tests

import (
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func makeFifo(t *testing.T, path string) {
	t.Helper()
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

//proves:annotations.run.oci.keep_original_groups
func TestTheGroupsOfTheCallerStayIfAnAnnotationSaysSo(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	inGroups := func(args ...string) []uint32 {
		cmd := h.command(args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Groups: []uint32{998, 999}}}
		r := h.finish(cmd)
		if r.status != 0 {
			t.Fatal(r.stderr)
		}
		return append([]uint32{}, get[identity](t, parseSight(t, r.stdout), "ids").Groups...)
	}
	for value, want := range map[string][]uint32{"1": {998, 999}, "0": {}} {
		b := h.newBundle([]string{"ids"}, annotate("run.oci.keep_original_groups", value))
		equal(t, "groups with "+value, inGroups("run", "--bundle", b.dir, newID()), want)
		c := h.start(nil, annotate("run.oci.keep_original_groups", value))
		equal(t, "groups of an exec with "+value, inGroups("exec", c.id, "/probe", "ids"), want)
	}
}

//proves:annotations.run.oci.pidfd_receiver
func TestThePidfdReceiverGetsAPidfdOfInit(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	socket := newInbox(t, filepath.Join(t.TempDir(), "receiver.sock"))
	c := h.create(h.newBundle([]string{"sleep"}, annotate("run.oci.pidfd_receiver", socket.path)))
	message, pidfd := socket.receive()
	equal(t, "message", message, " ")
	equal(t, "pid", pidOf(t, pidfd), c.pid)
	h.must("start", c.id)
	// It is not sent again.
	h.must("exec", c.id, "/probe", "pid")

	b := h.newBundle([]string{"pid"}, annotate("run.oci.pidfd_receiver", "relative.sock"))
	inBundle := newInbox(t, b.path("relative.sock"))
	h.run(b)
	inBundle.receive()
}

func TestAPidfdReceiverThatIsNotThereFailsCreate(t *testing.T) {
	h := newHost(t)
	h.fails([]string{"annotations.run.oci.pidfd_receiver", "/nowhere/sock", "no such file or directory"},
		annotate("run.oci.pidfd_receiver", "/nowhere/sock"))
}
