package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// What the parent clones for init, in the host's mount namespace, is no peer of
// the host's mounts in the container.
//
//proves:linux.rootfsPropagation mounts[].options=idmap
func TestMountsOnASourceThatTheParentOpenedStayInside(t *testing.T) {
	h := newHost(t)
	mapped := func(m *specs.Mount) { m.UIDMappings, m.GIDMappings = ids(0, 0, 10), ids(0, 0, 10) }
	for name, tt := range map[string]struct {
		in       edit
		change   func(*specs.Mount)
		fromHost bool
	}{
		"in a user namespace":                {inUserNamespace, func(*specs.Mount) {}, true},
		"ID-mapped":                          {func(*specs.Spec) {}, mapped, true},
		"ID-mapped and private":              {func(*specs.Spec) {}, func(m *specs.Mount) { mapped(m); m.Options = append(m.Options, "rprivate") }, false},
		"in a user namespace with a private": {func(s *specs.Spec) { inUserNamespace(s); s.Linux.RootfsPropagation = "private" }, func(*specs.Mount) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			dir := sharedTree(t)
			reachable(t, dir)
			if err := os.Mkdir(filepath.Join(dir, "own"), 0o777); err != nil {
				t.Fatal(err)
			}
			m := bind(dir)
			m.Options[0] = "rbind"
			tt.change(&m)
			c := h.start(nil, tt.in, writableRoot, allCapabilities, addMounts(m))
			laterOnHost(t, dir)
			s := c.exec("mounts", "list=/mnt/later", "mount=tmpfs:/mnt/own")
			get[string](t, s, "mount=tmpfs:/mnt/own")
			if m := mountsOf(t, s)["/mnt"]; m.isPeer("shared:") || m.isPeer("master:") != tt.fromHost {
				t.Errorf("/mnt is %v", m.peers)
			}
			equal(t, "a mount of the host appears", len(get[[]string](t, s, "list=/mnt/later")) == 1, tt.fromHost)
			equal(t, "a mount of the container appears", strings.Contains(readFile(t, "/proc/self/mountinfo"), dir+"/own "), false)
		})
	}
}

func TestPropagationOptionsReachAsFarAsTheySay(t *testing.T) {
	h := newHost(t)
	dir := sharedTree(t)
	sub := filepath.Join(dir, "sub")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	mountTmpfs(t, sub)
	if err := unix.Mount("", sub, "", unix.MS_SHARED, ""); err != nil {
		t.Fatal(err)
	}
	for option, want := range map[string]struct{ top, sub string }{
		//proves:mounts[].options=shared mounts[].options=rshared mounts[].options=slave mounts[].options=rslave
		"":        {"master:", "master:"},
		"rshared": {"shared:", "shared:"},
		"slave":   {"master:", "master:"},
		"rslave":  {"master:", "master:"},
		//proves:mounts[].options=private mounts[].options=rprivate mounts[].options=unbindable mounts[].options=runbindable
		"private":        {"", "master:"},
		"rprivate":       {"", ""},
		"unbindable":     {"unbindable", "master:"},
		"runbindable":    {"unbindable", "unbindable"},
		"rslave private": {"", "master:"},
		"rprivate slave": {"", ""}, // a slave of nobody is private
	} {
		t.Run("option "+option, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			m := specs.Mount{Destination: "/mnt", Source: dir, Options: append(strings.Fields(option), "rbind")}
			s := h.probe([]string{"mounts", "bind=/mnt:/tmp", "bind=/mnt/sub:/etc"}, writableRoot, allCapabilities, addMounts(m))
			seen := mountsOf(t, s)
			for at, kind := range map[string]string{"/mnt": want.top, "/mnt/sub": want.sub} {
				command := "bind=" + at + map[string]string{"/mnt": ":/tmp", "/mnt/sub": ":/etc"}[at]
				if peers := seen[at].peers; kind == "" && len(peers) > 0 || kind != "" && !seen[at].isPeer(kind) {
					t.Errorf("%s is %v, want %q", at, peers, kind)
				}
				refused := strings.Contains(s.failure(command), "invalid argument")
				equal(t, at+" cannot be bound", refused, kind == "unbindable")
			}
		})
	}
}

// A mount that is a slave receives what is mounted on the host, whatever the root
// of the container is.
//
//proves:mounts[].options=slave mounts[].options=rslave linux.rootfsPropagation=private linux.rootfsPropagation=unbindable
func TestASlaveReceivesMountsBelowAPrivateRoot(t *testing.T) {
	h := newHost(t)
	mapped := func(m *specs.Mount) { m.UIDMappings, m.GIDMappings = ids(0, 0, 10), ids(0, 0, 10) }
	asIs := func(*specs.Mount) {}
	for name, tt := range map[string]struct {
		root, option string
		in           edit
		change       func(*specs.Mount)
		want         bool
	}{
		"rslave, a private root":    {"private", "rslave", func(*specs.Spec) {}, asIs, true},
		"slave, a private root":     {"private", "slave", func(*specs.Spec) {}, asIs, true},
		"rslave, an unbindable one": {"unbindable", "rslave", func(*specs.Spec) {}, asIs, true},
		"in a user namespace":       {"private", "rslave", inUserNamespace, asIs, true},
		"ID-mapped":                 {"private", "rslave", func(*specs.Spec) {}, mapped, true},
		"without an option":         {"private", "rw", func(*specs.Spec) {}, asIs, false},
		"rprivate after rslave":     {"private", "rslave rprivate", func(*specs.Spec) {}, asIs, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			dir := sharedTree(t)
			reachable(t, dir)
			if err := os.Mkdir(filepath.Join(dir, "own"), 0o777); err != nil {
				t.Fatal(err)
			}
			m := bind(dir, strings.Fields(tt.option)...)
			m.Options[0] = "rbind"
			tt.change(&m)
			other := specs.Mount{Destination: "/etc", Source: dir, Options: []string{"rbind"}}
			c := h.start(nil, tt.in, writableRoot, allCapabilities, addMounts(m, other), func(s *specs.Spec) {
				s.Linux.RootfsPropagation = tt.root
			})
			laterOnHost(t, dir)
			s := c.exec("mounts", "list=/mnt/later", "list=/etc/later", "mount=tmpfs:/mnt/own")
			equal(t, "a mount of the host appears", len(get[[]string](t, s, "list=/mnt/later")) == 1, tt.want)
			equal(t, "a mount of the host appears elsewhere", len(get[[]string](t, s, "list=/etc/later")) == 1, false)
			if m := mountsOf(t, s)["/mnt"]; m.isPeer("shared:") || m.isPeer("master:") != tt.want {
				t.Errorf("/mnt is %v", m.peers)
			}
			get[string](t, s, "mount=tmpfs:/mnt/own")
			equal(t, "a mount of the container appears", strings.Contains(readFile(t, "/proc/self/mountinfo"), dir+"/own "), false)
		})
	}
}

// An ordinary user's bind mounts are made in his own user namespace.
//
//proves:mounts[].options=rslave
func TestASlaveOfAnOrdinaryUserReceivesMountsBelowAPrivateRoot(t *testing.T) {
	h := newUserHost(t)
	needRoot(t)
	dir := sharedTree(t)
	reachable(t, dir)
	b := h.rootlessBundle([]string{"sleep"}, addMounts(bind(dir, "rslave")), func(s *specs.Spec) {
		s.Linux.RootfsPropagation = "private"
	})
	c := h.begin(b)
	laterOnHost(t, dir)
	equal(t, "files of the host's mount", get[[]string](t, c.exec("list=/mnt/later"), "list=/mnt/later"), []string{"file"})
}

// A mount on the root is a mount on each of its peers, and on nobody else's.
//
//proves:linux.rootfsPropagation=shared linux.rootfsPropagation=slave linux.rootfsPropagation=private linux.rootfsPropagation=unbindable
func TestRootfsPropagationDecidesWhoSeesAMountOfTheContainer(t *testing.T) {
	h := newHost(t)
	for propagation, want := range map[string]struct{ binds, peer bool }{
		"shared": {true, true}, "rshared": {true, true}, "slave": {true, false}, "private": {true, false},
		"unbindable": {false, false}, "runbindable": {false, false},
	} {
		t.Run(propagation, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			dir := sharedTree(t)
			b := h.newBundle([]string{"bind=/:/tmp", "mount=tmpfs:/etc", "make=/etc/new", "list=/tmp/etc", "sleep"}, writableRoot, allCapabilities,
				func(s *specs.Spec) {
					s.Linux.RootfsPropagation = propagation
					s.Root.Path = filepath.Join(dir, "root")
				})
			if err := os.CopyFS(filepath.Join(dir, "root"), os.DirFS(b.path("rootfs"))); err != nil {
				t.Fatal(err)
			}
			c := h.create(b)
			h.must("start", c.id)
			s := c.see()
			equal(t, "the root can be bound", s.failure("bind=/:/tmp") == "", want.binds)
			get[string](t, s, "make=/etc/new")
			if want.binds {
				equal(t, "a mount on the root is seen by its peer", len(get[[]string](t, s, "list=/tmp/etc")) == 1, want.peer)
			}
			equal(t, "the host sees a mount", strings.Contains(readFile(t, "/proc/self/mountinfo"), dir+"/root/"), false)
		})
	}
}
