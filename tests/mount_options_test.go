package tests

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// mountFixture fills a directory with what the probe's "allows" tries, for the
// user 1000.
func mountFixture(t *testing.T, dir string) {
	t.Helper()
	path := func(name string) string { return filepath.Join(dir, name) }
	copyFile(t, suite.probe, path("program"))
	copyFile(t, suite.probe, path("suid"))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Chmod(path("suid"), 0o755|os.ModeSetuid))
	must(unix.Mknod(path("null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	must(os.Chmod(path("null"), 0o666))
	writeFile(t, path("old"), "x")
	writeFile(t, path("new"), "x")
	must(os.Symlink("new", path("link")))
	must(os.Mkdir(path("dir"), 0o755))
	must(os.Chmod(dir, 0o777))
	now := time.Now()
	for name, from := range map[string]time.Duration{"old": -72 * time.Hour, "dir": -72 * time.Hour, "new": time.Hour} {
		must(os.Chown(path(name), 1000, 1000))
		must(os.Chtimes(path(name), now.Add(from), now.Add(-100*time.Hour)))
	}
}

// Attributes of the sources of bind mounts.
const (
	guards = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOSYMFOLLOW |
		unix.MS_NOATIME | unix.MS_NODIRATIME
	plainSource, guardedSource, mixedSource = "plain", "guarded", "mixed"
)

// mountSources makes a mount with another below it, three times over the same
// two filesystems: with no attributes, with all, and with all below only.
func mountSources(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	reachable(t, dir)
	bindAt := func(from, to string, flags uintptr) {
		t.Helper()
		if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(to, unix.MNT_DETACH) })
		if err := unix.Mount("", to, "", unix.MS_BIND|unix.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{plainSource, guardedSource, mixedSource, "below"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	plain, below := filepath.Join(dir, plainSource), filepath.Join(dir, "below")
	mountTmpfs(t, plain)
	mountTmpfs(t, below)
	mountFixture(t, plain)
	mountFixture(t, below)
	if err := os.Mkdir(filepath.Join(plain, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	bindAt(plain, filepath.Join(dir, guardedSource), guards)
	bindAt(plain, filepath.Join(dir, mixedSource), 0)
	bindAt(below, filepath.Join(plain, "sub"), 0)
	bindAt(below, filepath.Join(dir, guardedSource, "sub"), guards)
	bindAt(below, filepath.Join(dir, mixedSource, "sub"), guards)
	return dir
}

// allAllowed is what a mount without attributes lets the probe do.
func allAllowed() map[string]string {
	return map[string]string{
		"write": "yes", "exec": "yes", "suid": "yes", "dev": "yes", "follow": "yes",
		"atime": "relative", "diratime": "yes",
	}
}

// nothingAllowed is what one with all attributes lets it do.
func nothingAllowed() map[string]string {
	out := allAllowed()
	for what := range out {
		out[what] = "no"
	}
	return out
}

// changed applies the differences of a table, "-write +exec atime=strict", to what
// a source allows.
func changed(allows map[string]string, differences string) map[string]string {
	for d := range strings.FieldsSeq(differences) {
		switch name, value, is := strings.Cut(d, "="); {
		case is:
			allows[name] = value
		case d[0] == '-':
			allows[d[1:]] = "no"
		default:
			allows[d[1:]] = "yes"
		}
	}
	return allows
}

// seenAs compares what the probe could do at a mount point, and what mountinfo
// says of it, with what is wanted.
func seenAs(t *testing.T, s sight, command string, m mountSeen, want map[string]string) {
	t.Helper()
	got := get[map[string]string](t, s, command)
	for what, refusal := range map[string]string{
		"write": "read-only file system", "exec": "permission denied", "dev": "permission denied",
		"follow": "too many levels of symbolic links",
	} {
		if strings.Contains(got[what], refusal) {
			got[what] = "no"
		}
	}
	if strings.Contains(got["suid"], "permission denied") { // not even executed
		got["suid"] = want["suid"]
	}
	could := maps.Clone(want)
	if want["write"] == "no" { // then access times are not written either
		could["atime"], could["diratime"] = "no", "no"
	}
	if !maps.Equal(got, could) {
		t.Errorf("%s\ngot  %v\nwant %v", m.target, got, could)
	}
	for flag, there := range map[string]bool{
		"ro": want["write"] == "no", "nosuid": want["suid"] == "no", "nodev": want["dev"] == "no", "noexec": want["exec"] == "no",
		"nosymfollow": want["follow"] == "no", "noatime": want["atime"] == "no", "relatime": want["atime"] == "relative",
	} {
		if m.has(flag) != there {
			t.Errorf("%s: mountinfo has %s: %v, want %v", m.target, flag, m.has(flag), there)
		}
	}
}

// boundOption is one row: what options make of a bind of the source and of the
// mount below it.
type boundOption struct {
	options, source string
	// top and sub are the differences from what the source allows.
	top, sub string
}

func (o *boundOption) want() (top, sub map[string]string) {
	switch o.source {
	case guardedSource:
		return changed(nothingAllowed(), o.top), changed(nothingAllowed(), o.sub)
	case mixedSource:
		return changed(allAllowed(), o.top), changed(nothingAllowed(), o.sub)
	}
	return changed(allAllowed(), o.top), changed(allAllowed(), o.sub)
}

// boundRows binds the source of every row in one container, and looks.
func boundRows(t *testing.T, rows []boundOption) {
	t.Helper()
	h := newHost(t)
	dir := mountSources(t)
	mounts := []specs.Mount{{Destination: "/w", Type: "bind", Source: filepath.Join(dir, plainSource), Options: []string{"rbind"}}}
	commands := []string{"mounts"}
	for i, row := range rows {
		at := fmt.Sprintf("/m/%d", i)
		mounts = append(mounts, specs.Mount{
			Destination: at, Type: "bind", Source: filepath.Join(dir, row.source),
			Options: append([]string{"rbind"}, strings.Fields(row.options)...),
		})
		commands = append(commands, "allows="+at+":/w", "allows="+at+"/sub:/w/sub")
	}
	s := h.probe(commands, addMounts(mounts...), writableRoot, noNewPrivileges(false), withCapabilities("CAP_SETUID"),
		func(s *specs.Spec) { s.Process.User = specs.User{UID: 1000, GID: 1000} })
	seen := mountsOf(t, s)
	for i, row := range rows {
		t.Run(row.source+" "+row.options, func(t *testing.T) {
			at := fmt.Sprintf("/m/%d", i)
			top, sub := row.want()
			seenAs(t, s, "allows="+at+":/w", seen[at], top)
			seenAs(t, s, "allows="+at+"/sub:/w/sub", seen[at+"/sub"], sub)
		})
	}
}

//proves:config.md#linux-mount-options:14
func TestEachOptionOfABindMountActsOnItAlone(t *testing.T) {
	t.Parallel()
	boundRows(t, []boundOption{
		//proves:mounts[].options=rbind mounts[].options=bind mounts[].options=defaults
		{"", plainSource, "", ""},
		{"defaults", plainSource, "", ""},
		{"", guardedSource, "", ""},
		{"defaults", guardedSource, "", ""},
		//proves:mounts[].options=ro mounts[].options=rw
		{"ro", plainSource, "-write", ""},
		{"rw", guardedSource, "+write", ""},
		{"ro rw", plainSource, "", ""},
		{"rw ro", guardedSource, "", ""},
		//proves:mounts[].options=nosuid mounts[].options=suid
		{"nosuid", plainSource, "-suid", ""},
		{"suid exec", guardedSource, "+suid +exec", ""},
		{"nosuid suid", plainSource, "", ""},
		//proves:mounts[].options=nodev mounts[].options=dev
		{"nodev", plainSource, "-dev", ""},
		{"dev", guardedSource, "+dev", ""},
		{"nodev dev", plainSource, "", ""},
		//proves:mounts[].options=noexec mounts[].options=exec
		{"noexec", plainSource, "-exec", ""},
		{"exec", guardedSource, "+exec", ""},
		{"noexec exec", plainSource, "", ""},
		//proves:mounts[].options=nosymfollow mounts[].options=symfollow
		{"nosymfollow", plainSource, "-follow", ""},
		{"symfollow", guardedSource, "+follow", ""},
		{"nosymfollow symfollow", plainSource, "", ""},
		//proves:mounts[].options=noatime mounts[].options=atime mounts[].options=relatime mounts[].options=norelatime
		//proves:mounts[].options=strictatime mounts[].options=nostrictatime mounts[].options=nodiratime mounts[].options=diratime
		{"noatime", plainSource, "atime=no -diratime", ""},
		{"noatime atime", plainSource, "", ""},
		{"atime", guardedSource, "atime=relative", ""},
		{"relatime", guardedSource, "atime=relative", ""},
		{"relatime diratime", guardedSource, "atime=relative +diratime", ""},
		{"strictatime", plainSource, "atime=strict", ""},
		{"strictatime nodiratime", plainSource, "atime=strict -diratime", ""},
		{"strictatime diratime", guardedSource, "atime=strict +diratime", ""},
		{"strictatime nostrictatime", plainSource, "", ""},
		{"strictatime norelatime", plainSource, "atime=strict", ""},
		{"norelatime", guardedSource, "atime=relative", ""},
		{"nodiratime", plainSource, "-diratime", ""},
		{"nodiratime diratime", plainSource, "", ""},
		//proves:mounts[].options=silent mounts[].options=loud mounts[].options=iversion mounts[].options=noiversion
		{"silent loud iversion noiversion", plainSource, "", ""},
		{"ro,noexec,,nodev", plainSource, "-write -exec -dev", ""},
	})
}

func TestRecursiveOptionsActOnTheWholeTree(t *testing.T) {
	t.Parallel()
	boundRows(t, []boundOption{
		//proves:mounts[].options=rro mounts[].options=rrw
		{"rro", plainSource, "-write", "-write"},
		{"rro", mixedSource, "-write", ""},
		{"rrw", guardedSource, "+write", "+write"},
		{"rrw", mixedSource, "", "+write"},
		//proves:mounts[].options=rnosuid mounts[].options=rsuid
		{"rnosuid", plainSource, "-suid", "-suid"},
		{"rsuid rexec", guardedSource, "+suid +exec", "+suid +exec"},
		//proves:mounts[].options=rnodev mounts[].options=rdev
		{"rnodev", plainSource, "-dev", "-dev"},
		{"rdev", guardedSource, "+dev", "+dev"},
		//proves:mounts[].options=rnoexec mounts[].options=rexec
		{"rnoexec", plainSource, "-exec", "-exec"},
		{"rexec", mixedSource, "", "+exec"},
		//proves:mounts[].options=rnosymfollow mounts[].options=rsymfollow
		{"rnosymfollow", plainSource, "-follow", "-follow"},
		{"rsymfollow", guardedSource, "+follow", "+follow"},
		//proves:mounts[].options=rnoatime mounts[].options=ratime mounts[].options=rrelatime mounts[].options=rnorelatime
		//proves:mounts[].options=rstrictatime mounts[].options=rnostrictatime mounts[].options=rnodiratime mounts[].options=rdiratime
		{"rnoatime", plainSource, "atime=no -diratime", "atime=no -diratime"},
		{"ratime", guardedSource, "atime=relative", "atime=relative"},
		{"rrelatime rdiratime", guardedSource, "atime=relative +diratime", "atime=relative +diratime"},
		{"rstrictatime", mixedSource, "atime=strict", "atime=strict"},
		{"rstrictatime rnostrictatime", plainSource, "", ""},
		{"rnorelatime", guardedSource, "atime=relative", "atime=relative"},
		{"rnodiratime", plainSource, "-diratime", "-diratime"},
		// The last wish wins, whatever its reach.
		{"ro rrw", mixedSource, "", "+write"},
		{"rro rw", plainSource, "", "-write"},
		{"rrw ro", mixedSource, "-write", "+write"},
		{"rnoatime relatime", plainSource, "", "atime=no -diratime"},
		{"rnoexec exec rnodev", plainSource, "-dev", "-exec -dev"},
		// These mean nothing to the kernel, and say so.
		{"rsync rasync rdirsync rmand rnomand", plainSource, "", ""},
	})
}
