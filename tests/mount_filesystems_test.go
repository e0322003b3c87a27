package tests

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func filesystem(kind, at string, options ...string) specs.Mount {
	return specs.Mount{Destination: at, Type: kind, Source: kind, Options: options}
}

func TestEachOptionOfANewFilesystemIsSeenInItsMount(t *testing.T) {
	t.Parallel()
	rows := []struct{ options, has, lacks, super, superLacks string }{
		//proves:mounts[].type mounts[].options=defaults
		{"", "rw relatime", "ro nosuid nodev noexec noatime nodiratime nosymfollow", "rw", "ro sync dirsync lazytime mand"},
		{"defaults", "rw relatime", "ro nosuid nodev noexec", "rw", ""},
		//proves:mounts[].options=ro mounts[].options=nosuid mounts[].options=nodev mounts[].options=noexec
		{"ro nosuid nodev noexec nosymfollow", "ro nosuid nodev noexec nosymfollow", "rw", "", ""},
		{"ro rw nosuid suid nodev dev noexec exec nosymfollow symfollow", "rw", "ro nosuid nodev noexec nosymfollow", "", ""},
		{"rro rnosuid rnoexec", "ro nosuid noexec", "rw", "", ""},
		{"rro rw", "rw", "ro", "", ""},
		//proves:mounts[].options=noatime mounts[].options=strictatime mounts[].options=nodiratime
		{"noatime nodiratime", "noatime nodiratime", "relatime", "", ""},
		{"strictatime", "rw", "relatime noatime", "", ""},
		{"strictatime relatime nodiratime diratime", "relatime", "noatime nodiratime", "", ""},
		//proves:mounts[].options=sync mounts[].options=async mounts[].options=dirsync
		{"sync dirsync", "rw", "", "sync dirsync", ""},
		{"sync async", "rw", "", "", "sync async"},
		//proves:mounts[].options=lazytime mounts[].options=nolazytime mounts[].options=mand mounts[].options=nomand
		{"lazytime mand", "rw", "", "lazytime mand", ""},
		{"lazytime nolazytime mand nomand", "rw", "", "", "lazytime mand nolazytime nomand"},
		//proves:mounts[].options=silent mounts[].options=loud mounts[].options=iversion mounts[].options=noiversion
		{"silent loud iversion noiversion", "rw", "", "rw", "silent loud iversion noiversion"},
	}
	var mounts []specs.Mount
	for i, row := range rows {
		mounts = append(mounts, filesystem("tmpfs", fmt.Sprintf("/m/%d", i), strings.Fields(row.options)...))
	}
	seen := mountsOf(t, newHost(t).probe([]string{"mounts"}, addMounts(mounts...)))
	for i, row := range rows {
		m := seen[mounts[i].Destination]
		for words, want := range map[string]bool{row.has: true, row.lacks: false} {
			for o := range strings.FieldsSeq(words) {
				equal(t, fmt.Sprintf("%q: the mount is %s", row.options, o), m.has(o), want)
			}
		}
		for words, want := range map[string]bool{row.super: true, row.superLacks: false} {
			for o := range strings.FieldsSeq(words) {
				equal(t, fmt.Sprintf("%q: the filesystem is %s", row.options, o), m.superHas(o), want)
			}
		}
	}
}

//proves:mounts[].options=tmpcopyup
func TestATmpfsWithFilesOfTheImageAllowsWhatItsOptionsAllow(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"mounts", "allows=/open", "allows=/shut"}, writableRoot, noNewPrivileges(false), withCapabilities("CAP_SETUID"),
		func(s *specs.Spec) { s.Process.User = specs.User{UID: 1000, GID: 1000} }, addMounts(
			filesystem("tmpfs", "/open", "tmpcopyup", "strictatime"),
			filesystem("tmpfs", "/shut", "tmpcopyup", "ro", "nosuid", "nodev", "noexec", "nosymfollow", "noatime"),
		))
	for _, dir := range []string{"open", "shut"} {
		if err := os.Mkdir(b.path("rootfs/"+dir), 0o755); err != nil {
			t.Fatal(err)
		}
		mountFixture(t, b.path("rootfs/"+dir))
	}
	s := h.run(b)
	seen := mountsOf(t, s)
	seenAs(t, s, "allows=/open", seen["/open"], changed(allAllowed(), "atime=strict"))
	seenAs(t, s, "allows=/shut", seen["/shut"], nothingAllowed())
	if _, err := os.Stat(b.path("rootfs/open/written")); err == nil {
		t.Error("what was written to the tmpfs is in the image")
	}
}

//proves:mounts[].options config.md#linux-mount-options:16
func TestFilesystemsGetTheirOwnOptions(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	s := h.probe([]string{
		"statfs=/m/tmpfs", "stat=/m/tmpfs", "list=/m/proc", "read=/m/proc/uptime", "open=/dev/ptmx", "stat=/dev/pts/ptmx",
		"list=/dev/pts", "make=/dev/mqueue/queue", "list=/dev/mqueue", "list=/sys/class/net", "mounts",
	}, allCapabilities, addMounts(
		filesystem("tmpfs", "/m/tmpfs", "size=1m,nr_inodes=7", "mode=1751", "uid=3", "gid=4"),
		filesystem("proc", "/m/proc", "subset=pid"),
	))
	equal(t, "size of the tmpfs", get[map[string]int](t, s, "statfs=/m/tmpfs"), map[string]int{"bytes": 1 << 20, "files": 7})
	top := get[fileStat](t, s, "stat=/m/tmpfs")
	equal(t, "root of the tmpfs", []any{top.Mode, top.UID, top.GID}, []any{"041751", 3, 4})
	names := get[[]string](t, s, "list=/m/proc")
	if !slices.Contains(names, "1") || slices.Contains(names, "uptime") || s.failure("read=/m/proc/uptime") == "" {
		t.Errorf("proc with subset=pid has %v", names)
	}
	get[string](t, s, "open=/dev/ptmx")
	equal(t, "ptmxmode", get[fileStat](t, s, "stat=/dev/pts/ptmx").Mode, "020666")
	equal(t, "terminals of the container", get[[]string](t, s, "list=/dev/pts"), []string{"ptmx"})
	equal(t, "message queues", get[[]string](t, s, "list=/dev/mqueue"), []string{"queue"})
	if _, err := os.Stat("/dev/mqueue/queue"); err == nil {
		t.Error("the queue is the host's")
	}
	equal(t, "network devices of sysfs", get[[]string](t, s, "list=/sys/class/net"), []string{"lo"})
	devpts := mountsOf(t, s)["/dev/pts"]
	equal(t, "gid and mode of terminals", []bool{devpts.superHas("gid=5"), devpts.superHas("mode=620")}, []bool{true, true})
}

//proves:mounts[].options
func TestProcHidesProcessesOfOthersWithHidepid(t *testing.T) {
	t.Parallel()
	c := newHost(t).start([]string{"pid"}, func(s *specs.Spec) { s.Mounts[0].Options = []string{"hidepid=invisible"} })
	c.see()
	for user, want := range map[string]bool{"0": true, "1000:1000": false} {
		s := parseSight(t, c.h.must("exec", "--user", user, c.id, "/probe", "list=/proc"))
		equal(t, "user "+user+" sees process 1", slices.Contains(get[[]string](t, s, "list=/proc"), "1"), want)
	}
}

// overlayLayers makes directories with a file of the same name in each.
func overlayLayers(t *testing.T, owner int, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	reachable(t, dir)
	for _, name := range names {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name, "from-"+name)
		writeFile(t, file, name)
		if err := errors.Join(os.Chown(file, owner, owner), os.Chown(filepath.Join(dir, name), owner, owner)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

//proves:mounts[].options mounts[].type
func TestOverlaysAreMounted(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	escape := strings.NewReplacer(`,`, `\,`, `:`, `\:`)
	many := make([]string, 40)
	for i := range many {
		many[i] = strconv.Itoa(i)
	}
	for name, tt := range map[string]struct {
		lowers  []string
		owner   int
		options []string
		edits   []edit
	}{
		"of two layers":           {[]string{"a", "b"}, 0, nil, nil},
		"with commas and colons":  {[]string{"a,b", "c:d", "e"}, 0, nil, nil},
		"of forty layers":         {many, 0, nil, nil},
		"with options of its own": {[]string{"a"}, 0, []string{"metacopy=on", "nosuid"}, nil},
		"in a user namespace":     {[]string{"a", "b"}, mappedRoot, []string{"userxattr"}, []edit{inUserNamespace}},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			dir := overlayLayers(t, tt.owner, append([]string{"up", "work"}, tt.lowers...)...)
			lower, want := []string{}, []string{"from-up"}
			for _, l := range tt.lowers {
				lower = append(lower, filepath.Join(dir, escape.Replace(l)))
				want = append(want, "from-"+l)
			}
			options := append([]string{"lowerdir=" + strings.Join(lower, ":"), "upperdir=" + dir + "/up", "workdir=" + dir + "/work"}, tt.options...)
			first := "write=/m/from-" + tt.lowers[0] + ":changed"
			s := h.probe([]string{"list=/m", first, "mounts"}, append(tt.edits, addMounts(filesystem("overlay", "/m", options...)))...)
			slices.Sort(want)
			equal(t, "files", get[[]string](t, s, "list=/m"), want)
			get[string](t, s, first)
			equal(t, "the layer", readFile(t, filepath.Join(dir, tt.lowers[0], "from-"+tt.lowers[0])), tt.lowers[0])
			equal(t, "the upper layer", readFile(t, filepath.Join(dir, "up/from-"+tt.lowers[0])), "changed")
			m := mountsOf(t, s)["/m"]
			for _, o := range tt.options {
				if !m.superHas(o) && !m.has(o) {
					t.Errorf("no %s: %v %v", o, m.options, m.super)
				}
			}
		})
	}
}

// The page that mount(2) takes is too short for some, and the kernel would cut
// them. A layer that is given by itself needs none.
//
//proves:mounts[].options
func TestAnOverlayWithMoreLayersThanFitAPage(t *testing.T) {
	h := newHost(t)
	var names, joined, single []string
	for i := range 80 {
		names = append(names, strconv.Itoa(i)+strings.Repeat("x", 60))
	}
	dir := overlayLayers(t, 0, names...)
	for _, n := range names {
		joined = append(joined, filepath.Join(dir, n))
		single = append(single, "lowerdir+="+filepath.Join(dir, n))
	}
	h.fails([]string{"mounts[7]", "/m", "argument list too long", "lowerdir+"}, addMounts(
		filesystem("overlay", "/m", "lowerdir="+strings.Join(joined, ":"))))
	needKernel(t, 6, 7, "lowerdir+ of overlay")
	s := h.probe([]string{"list=/m"}, addMounts(filesystem("overlay", "/m", single...)))
	equal(t, "files", len(get[[]string](t, s, "list=/m")), len(names))
}

// needKernel skips a test of what an older kernel does not have.
func needKernel(t *testing.T, major, minor int, feature string) {
	t.Helper()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil || kernelBefore(unix.ByteSliceToString(u.Release[:]), major, minor) {
		lacks(t, fmt.Sprintf("Linux %d.%d, which has %s", major, minor, feature))
	}
}

func kernelBefore(release string, major, minor int) bool {
	var has [2]int
	_, _ = fmt.Sscanf(release, "%d.%d", &has[0], &has[1])
	return has[0] < major || has[0] == major && has[1] < minor
}

func TestOptionsOfAFilesystemAreRefusedForABind(t *testing.T) {
	h := newHost(t)
	for _, option := range []string{"size=1m", "mode=755", "xattr", "errors=remount-ro"} {
		t.Run(option, func(t *testing.T) {
			(&host{t: t, root: h.root}).fails([]string{"mounts[7].options", option, "not possible for a bind mount"}, addMounts(bind("/tmp", option)))
		})
	}
}

//proves:mounts[].options=rsync mounts[].options=rasync mounts[].options=rdirsync mounts[].options=rmand
//proves:mounts[].options=rnomand
func TestOptionsWithoutEffectAreReported(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	options := []string{"sync", "dirsync", "lazytime", "mand", "rsync", "rasync", "rdirsync", "rmand", "rnomand", "tmpcopyup"}
	b := h.newBundle([]string{"pid"}, addMounts(bind("/tmp", options...)), writableRoot)
	r := h.try("run", "--bundle", b.dir, newID())
	equal(t, "status", r.status, 0)
	for _, o := range options {
		want := fmt.Sprintf("mounts[7].options: %q has no effect here", o)
		if !strings.Contains(strings.ReplaceAll(r.stderr, `\"`, `"`), want) {
			t.Errorf("no warning %s:\n%s", want, r.stderr)
		}
	}
}

// longSize is an option that is longer than the 255 bytes of fsconfig(2).
func longSize() string { return "size=" + strings.Repeat("0", 300) + "1m" }

//proves:mounts[].options=tmpcopyup mounts[].options=ro
func TestATmpfsWithALongOptionIsLikeAnyOther(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	long := longSize()
	for name, in := range map[string]edit{
		"with a mount namespace": func(*specs.Spec) {},
		"in a user namespace":    inUserNamespace,
		"shared with the host":   func(s *specs.Spec) { s.Linux.RootfsPropagation = "shared" },
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			b := h.newBundle([]string{"mounts", "stat=/open", "write=/open/new:1", "write=/shut/new:1", "read=/copy/file", "write=/copy/new:1"},
				in, writableRoot, addMounts(
					filesystem("tmpfs", "/open", long),
					filesystem("tmpfs", "/shut", long, "ro", "nosuid"),
					filesystem("tmpfs", "/shut/made/below", "mode=1777"),
					filesystem("tmpfs", "/copy", long, "tmpcopyup"),
				))
			for _, dir := range []string{"open", "shut", "copy"} {
				if err := os.Mkdir(b.path("rootfs/"+dir), 0o777); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(b.path("rootfs/"+dir), os.ModeSticky|0o757); err != nil {
					t.Fatal(err)
				}
			}
			writeFile(t, b.path("rootfs/copy/file"), "of the image")
			before := mountsBelow(t, b.dir)
			s := h.run(b)
			equal(t, "mounts on the host", mountsBelow(t, b.dir), before)
			seen := mountsOf(t, s)
			for _, dir := range []string{"/open", "/shut", "/copy"} {
				equal(t, "size of "+dir, seen[dir].superHas("size=1024k"), true)
			}
			equal(t, "mounts", strings.Count(strings.Join(get[[]string](t, s, "mounts"), "\n"), "size=1024k"), 3)
			equal(t, "inherited mode", get[fileStat](t, s, "stat=/open").Mode, "041757")
			get[string](t, s, "write=/open/new:1")
			equal(t, "options", []bool{seen["/shut"].has("ro"), seen["/shut"].has("nosuid"), seen["/open"].has("ro")}, []bool{true, true, false})
			equal(t, "a read-only one is written to", s.failure("write=/shut/new:1") == "", false)
			equal(t, "a mount below", seen["/shut/made/below"].target, "/shut/made/below")
			equal(t, "what the image has", get[string](t, s, "read=/copy/file"), "of the image")
			get[string](t, s, "write=/copy/new:1")
		})
	}
}
