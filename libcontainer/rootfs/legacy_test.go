package rootfs

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestOptionsThatFsconfigDoesNotTakeGoThroughMount(t *testing.T) {
	m := with(newfs("overlay", "/m", opt("lowerdir", `/a\,b:/c\:d`), flag("sync"), flag("nolazytime"), flag("userxattr"),
		opt("context", "u:r:t:s0:c1,c2")), nosuid)
	m.RecSet, m.Clear = noexec|nosuid, noexec
	if !exceedsFsconfig(&m) {
		t.Error("an escaped comma is given to fsconfig")
	}
	flags, data := legacyOptions(&m)
	if flags != unix.MS_SYNCHRONOUS|unix.MS_NOSUID {
		t.Errorf("flags 0x%x", flags)
	}
	if want := `lowerdir=/a\,b:/c\:d,userxattr,context="u:r:t:s0:c1,c2"`; data != want {
		t.Errorf("got  %s\nwant %s", data, want)
	}
	plain := newfs("overlay", "/m", opt("lowerdir", "/a:/b"), opt("context", "u:r:t:s0:c1,c2"))
	if exceedsFsconfig(&plain) {
		t.Error("a context alone takes mount(2)")
	}
}
