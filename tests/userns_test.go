package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// inUserNamespace gives the container a user namespace that maps 0 and the 65535
// after it to 100000 and on.
func inUserNamespace(s *specs.Spec) {
	addNamespace(specs.UserNamespace, "")(s)
	mapAll(s)
}

//proves:linux.uidMappings[].containerID linux.uidMappings[].hostID linux.gidMappings[].containerID
//proves:linux.gidMappings[].hostID linux.namespaces[].type=user
func TestTheHostSeesTheMappedUser(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	shared := t.TempDir()
	reachable(t, shared)
	if err := os.Chmod(shared, 0o777); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		user specs.User
		want uint32
	}{
		"root is the first of the range": {specs.User{UID: 0, GID: 0}, 100000},
		"another user":                   {specs.User{UID: 1000, GID: 1000}, 101000},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			file := fmt.Sprintf("file-%d", tt.want)
			c := h.start([]string{"ids", "make=/mnt/" + file}, inUserNamespace,
				func(s *specs.Spec) { s.Process.User = tt.user },
				addMounts(specs.Mount{Destination: "/mnt", Type: "bind", Source: shared, Options: []string{"bind"}}))
			s := c.see()
			equal(t, "uid inside", get[struct{ UID []uint32 }](t, s, "ids").UID, []uint32{tt.user.UID, tt.user.UID, tt.user.UID})
			get[string](t, s, "make=/mnt/"+file)
			for _, path := range []string{fmt.Sprintf("/proc/%d", c.pid), filepath.Join(shared, file)} {
				var st syscall.Stat_t
				if err := syscall.Stat(path, &st); err != nil {
					t.Fatalf("stat %s: %v", path, err)
				}
				equal(t, "owner of "+path, []uint32{st.Uid, st.Gid}, []uint32{tt.want, tt.want})
			}
		})
	}
}

//proves:linux.uidMappings[].containerID linux.uidMappings[].hostID linux.uidMappings[].size
//proves:linux.gidMappings[].containerID linux.gidMappings[].hostID linux.gidMappings[].size linux.uidMappings
//proves:linux.gidMappings config-linux.md#user-namespace-mappings:1 config-linux.md#user-namespace-mappings:2
//proves:config-linux.md#user-namespace-mappings:3
func TestSeveralRangesAreMapped(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	s := h.probe([]string{"read=/proc/self/uid_map", "read=/proc/self/gid_map"}, inUserNamespace, func(s *specs.Spec) {
		s.Linux.UIDMappings = []specs.LinuxIDMapping{
			{ContainerID: 0, HostID: 100000, Size: 10}, {ContainerID: 1000, HostID: 300000, Size: 5},
		}
		s.Linux.GIDMappings = []specs.LinuxIDMapping{
			{ContainerID: 0, HostID: 200000, Size: 10}, {ContainerID: 70000, HostID: 400000, Size: 7},
		}
	})
	equal(t, "uid_map", strings.Fields(get[string](t, s, "read=/proc/self/uid_map")), strings.Fields("0 100000 10 1000 300000 5"))
	equal(t, "gid_map", strings.Fields(get[string](t, s, "read=/proc/self/gid_map")), strings.Fields("0 200000 10 70000 400000 7"))
}

func TestTheFilesystemsOfAUserNamespaceAreMounted(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	seen := mountsOf(t, h.probe([]string{"mounts"}, inUserNamespace, addNamespace(specs.CgroupNamespace, "")))
	for target, want := range map[string]string{
		"/proc": "proc", "/sys": "sysfs", "/dev": "tmpfs", "/dev/pts": "devpts", "/dev/shm": "tmpfs",
		"/dev/mqueue": "mqueue", "/sys/fs/cgroup": cgroupMountType(),
	} {
		equal(t, target, seen[target].kind, want)
	}
}

func TestDevicesOfAUserNamespaceAreBoundFromTheHost(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	s := h.probe([]string{"stat=/dev/null", "stat=/dev/urandom", "open=/dev/null", "mounts"}, inUserNamespace)
	equal(t, "/dev/null", get[fileStat](t, s, "stat=/dev/null").Rdev, "1:3")
	equal(t, "/dev/urandom", get[fileStat](t, s, "stat=/dev/urandom").Rdev, "1:9")
	get[string](t, s, "open=/dev/null")
	equal(t, "/dev/null", mountsOf(t, s)["/dev/null"].root, "/null")
}

func TestRootOfAUserNamespaceHasNoPowerOverTheHost(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	reachable(t, filepath.Dir(secret))
	s := h.probe([]string{"read=/secret", "mknod=/dev/sda:8:0", "status=CapEff"}, inUserNamespace, allCapabilities,
		addMounts(specs.Mount{Destination: "/secret", Type: "bind", Source: secret, Options: []string{"bind"}}))
	if s.failure("read=/secret") == "" {
		t.Error("root of the container reads a file of the host's root")
	}
	if s.failure("mknod=/dev/sda:8:0") == "" {
		t.Error("root of the container makes a block device")
	}
	equal(t, "capabilities inside", get[string](t, s, "status=CapEff"), "000001ffffffffff")
}

func TestBindMountsOfAUserNamespaceKeepLockedFlags(t *testing.T) {
	h := newHost(t)
	source := t.TempDir()
	reachable(t, source)
	if err := unix.Mount("guarded", source, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID|unix.MS_NOEXEC, "mode=755"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Unmount(source, unix.MNT_DETACH) }()
	bound := func(options ...string) edit {
		return addMounts(specs.Mount{Destination: "/mnt", Type: "bind", Source: source, Options: append(options, "bind")})
	}
	for _, options := range [][]string{nil, {"ro"}, {"rw"}} {
		t.Run(fmt.Sprint("options ", options), func(t *testing.T) {
			h := &host{t: t, root: h.root}
			m := mountsOf(t, h.probe([]string{"mounts"}, inUserNamespace, bound(options...)))["/mnt"]
			for _, flag := range []string{"nodev", "nosuid", "noexec"} {
				if !m.has(flag) {
					t.Errorf("%s was lost: %v", flag, m.options)
				}
			}
			equal(t, "read-only", m.has("ro"), len(options) == 1 && options[0] == "ro")
		})
	}
}

func TestIDsThatAreNotMappedAreRefused(t *testing.T) {
	h := newHost(t)
	for name, tt := range some(map[string]struct {
		edit  edit
		words []string
	}{
		"the user":                   {func(s *specs.Spec) { s.Process.User.UID = 70000 }, []string{"process.user.uid", "70000", "not mapped"}},
		"the group":                  {func(s *specs.Spec) { s.Process.User.GID = 70000 }, []string{"process.user.gid", "70000", "not mapped"}},
		"an additional one":          {func(s *specs.Spec) { s.Process.User.AdditionalGids = []uint32{1, 70000} }, []string{"process.user.additionalGids[1]", "70000", "not mapped"}},
		"no mappings at all":         {func(s *specs.Spec) { s.Linux.UIDMappings = nil }, []string{"linux.uidMappings", "must not be empty"}},
		"more than the kernel takes": {func(s *specs.Spec) { s.Linux.GIDMappings = lines(341, 1, 1) }, []string{"linux.gidMappings", "341 entries, the kernel takes 340"}},
		"more text than a page":      {func(s *specs.Spec) { s.Linux.GIDMappings = lines(250, 1000000000, 2000000000) }, []string{"linux.gidMappings", "the kernel takes less than 4096"}},
		"ids beyond the last":        {func(s *specs.Spec) { s.Linux.UIDMappings = append(s.Linux.UIDMappings, ids(4294967290, 200000, 10)...) }, []string{"linux.uidMappings[1].containerID", "beyond the last ID"}},
		"none":                       {func(s *specs.Spec) { s.Linux.UIDMappings[0].Size = 0 }, []string{"linux.uidMappings[0].size", "above 0"}},
		"ranges that overlap": {func(s *specs.Spec) {
			s.Linux.UIDMappings = append(s.Linux.UIDMappings, specs.LinuxIDMapping{ContainerID: 5, HostID: 300000, Size: 5})
		}, []string{"linux.uidMappings"}},
	}) {
		t.Run(name, func(t *testing.T) {
			(&host{t: t, root: h.root}).fails(tt.words, inUserNamespace, tt.edit)
		})
	}
	t.Run("mappings without a user namespace", func(t *testing.T) {
		(&host{t: t, root: h.root}).fails([]string{"linux.uidMappings", "needs a user namespace"}, mapAll)
	})
}
