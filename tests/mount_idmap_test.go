package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// idMappedSource is a mount with a directory for all and a file of 1000:1001 in
// it, and the same in a mount below it.
func idMappedSource(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	reachable(t, dir)
	needKernel(t, 6, 3, "id-mapped mounts of tmpfs")
	mountTmpfs(t, dir)
	sub := filepath.Join(dir, "sub")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	mountTmpfs(t, sub)
	for _, d := range []string{dir, sub} {
		file := filepath.Join(d, "file")
		writeFile(t, file, "x")
		if err := os.Chown(file, 1000, 1001); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func ids(container, host, size uint32) []specs.LinuxIDMapping {
	return []specs.LinuxIDMapping{{ContainerID: container, HostID: host, Size: size}}
}

const nobody = 65534

//proves:mounts[].options=idmap mounts[].options=ridmap mounts[].uidMappings[].containerID
//proves:mounts[].uidMappings[].hostID mounts[].uidMappings[].size mounts[].gidMappings[].containerID
//proves:mounts[].gidMappings[].hostID mounts[].gidMappings[].size config.md#linux-mount-options:2
//proves:config.md#linux-mount-options:3 config.md#linux-mount-options:4 config.md#linux-mount-options:5
//proves:config.md#linux-mount-options:7 config.md#linux-mount-options:8 config.md#linux-mount-options:9
//proves:config.md#linux-mount-options:10 config.md#linux-mount-options:11 config.md#linux-mount-options:13
//proves:config.md#posix-platform-mounts:1 config.md#posix-platform-mounts:4
func TestOwnersOfAnIDMappedMountAreThoseOfItsMapping(t *testing.T) {
	h := newHost(t)
	userns := inUserNamespace // 0 is 100000
	noUserns := func(*specs.Spec) {}
	for name, tt := range map[string]struct {
		in         edit
		options    []string
		uids, gids []specs.LinuxIDMapping
		// owners of the file on the mount and of that on the mount below it.
		top, sub [2]int
	}{
		"by lists alone":                 {noUserns, []string{"rbind"}, ids(1000, 5000, 1), ids(1001, 6000, 1), [2]int{5000, 6000}, [2]int{1000, 1001}},
		"by lists and idmap":             {noUserns, []string{"rbind", "idmap"}, ids(1000, 5000, 1), ids(1001, 6000, 1), [2]int{5000, 6000}, [2]int{1000, 1001}},
		"by lists and ridmap":            {noUserns, []string{"rbind", "ridmap"}, ids(1000, 5000, 1), ids(1001, 6000, 1), [2]int{5000, 6000}, [2]int{5000, 6000}},
		"owners that are not mapped":     {noUserns, []string{"rbind", "idmap"}, ids(0, 5000, 10), ids(0, 6000, 10), [2]int{nobody, nobody}, [2]int{1000, 1001}},
		"inline":                         {noUserns, []string{"rbind", "idmap=uids=0-7-1#1000-5000-2;gids=1001-6000-1"}, nil, nil, [2]int{5000, 6000}, [2]int{1000, 1001}},
		"inline for the tree":            {noUserns, []string{"rbind", "ridmap=uids=1000-5000-1;gids=1001-6000-1"}, nil, nil, [2]int{5000, 6000}, [2]int{5000, 6000}},
		"as the container":               {userns, []string{"rbind", "idmap"}, nil, nil, [2]int{1000, 1001}, [2]int{nobody, nobody}},
		"as the container, the tree":     {userns, []string{"rbind", "ridmap"}, nil, nil, [2]int{1000, 1001}, [2]int{1000, 1001}},
		"lists in a user namespace":      {userns, []string{"rbind", "idmap"}, ids(1000, 100005, 2), ids(1000, 100006, 2), [2]int{5, 7}, [2]int{nobody, nobody}},
		"lists to ids of the host only":  {userns, []string{"rbind", "idmap"}, ids(1000, 5, 2), ids(1000, 6, 2), [2]int{nobody, nobody}, [2]int{nobody, nobody}},
		"inline, relative to the userns": {userns, []string{"rbind", "ridmap=uids=@1000-5-1;gids=@1001-6-1"}, nil, nil, [2]int{5, 6}, [2]int{5, 6}},
		"in a user namespace, no idmap":  {userns, []string{"rbind"}, nil, nil, [2]int{nobody, nobody}, [2]int{nobody, nobody}},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			m := specs.Mount{Destination: "/mnt", Source: idMappedSource(t), Options: tt.options, UIDMappings: tt.uids, GIDMappings: tt.gids}
			s := h.probe([]string{"stat=/mnt/file", "stat=/mnt/sub/file", "mounts"}, tt.in, writableRoot, addMounts(m))
			for path, want := range map[string][2]int{"stat=/mnt/file": tt.top, "stat=/mnt/sub/file": tt.sub} {
				st := get[fileStat](t, s, path)
				equal(t, path, [2]int{st.UID, st.GID}, want)
			}
			seen := mountsOf(t, s)
			mapped := tt.uids != nil || strings.Contains(strings.Join(tt.options, ","), "idmap")
			equal(t, "the mount is ID-mapped", seen["/mnt"].has("idmapped"), mapped)
			equal(t, "the mount below is ID-mapped", seen["/mnt/sub"].has("idmapped"), mapped && strings.Contains(strings.Join(tt.options, ","), "ridmap"))
		})
	}
}

//proves:mounts[].options=idmap
func TestWhatIsMadeOnAnIDMappedMountHasTheOtherOwnerOutside(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for name, tt := range map[string]struct {
		in         edit
		uids, gids []specs.LinuxIDMapping
		want       [2]uint32
	}{
		"without a user namespace": {func(*specs.Spec) {}, ids(3000, 0, 10), ids(4000, 0, 10), [2]uint32{3000, 4000}},
		"in a user namespace":      {inUserNamespace, ids(3000, mappedRoot, 10), ids(4000, mappedRoot, 10), [2]uint32{3000, 4000}},
		"as the container":         {inUserNamespace, nil, nil, [2]uint32{0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			source := idMappedSource(t)
			// A directory whose owner is not mapped cannot be written to.
			if err := os.Chown(source, int(tt.want[0]), int(tt.want[1])); err != nil {
				t.Fatal(err)
			}
			// A user namespace may not uncover what is below a mount.
			m := specs.Mount{Destination: "/mnt", Source: source, Options: []string{"rbind", "idmap"}}
			m.UIDMappings, m.GIDMappings = tt.uids, tt.gids
			get[string](t, h.probe([]string{"make=/mnt/new"}, tt.in, writableRoot, addMounts(m)), "make=/mnt/new")
			var st syscall.Stat_t
			if err := syscall.Stat(filepath.Join(source, "new"), &st); err != nil {
				t.Fatal(err)
			}
			equal(t, "owner on the host", [2]uint32{st.Uid, st.Gid}, tt.want)
		})
	}
}

// Engines give each volume the mapping of the container.
func TestManyMountsHaveOneMappingOrEachTheirOwn(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	source := idMappedSource(t)
	var mounts []specs.Mount
	var commands []string
	for i := range 12 {
		host := uint32(5000 + 1000*(i/4)) // four of a kind
		m := specs.Mount{Destination: fmt.Sprintf("/m/%d", i), Source: source, Options: []string{"bind", "idmap"}, UIDMappings: ids(1000, host, 1), GIDMappings: ids(1001, host, 1)}
		mounts, commands = append(mounts, m), append(commands, fmt.Sprintf("stat=/m/%d/file", i))
	}
	s := h.probe(commands, addMounts(mounts...), writableRoot)
	for i, c := range commands {
		equal(t, c, get[fileStat](t, s, c).UID, 5000+1000*(i/4))
	}
}

//proves:config.md#linux-mount-options:5 config.md#linux-mount-options:6 config.md#linux-mount-options:11
//proves:config.md#linux-mount-options:12 config.md#posix-platform-mounts:3 config.md#posix-platform-mounts:6
func TestIDMapsThatCannotBeAreRefused(t *testing.T) {
	h := newHost(t)
	for name, tt := range some(map[string]struct {
		mount specs.Mount
		words []string
	}{
		//proves:mounts[].options=idmap mounts[].options=ridmap config.md#linux-mount-options:6 config.md#linux-mount-options:12
		"no mapping and no user namespace":           {bind("/tmp", "idmap"), []string{"mounts[7].options", "idmap needs uidMappings and gidMappings, or a user namespace"}},
		"no mapping for the tree, no user namespace": {bind("/tmp", "ridmap"), []string{"mounts[7].options", "needs uidMappings and gidMappings, or a user namespace"}},
		//proves:config.md#posix-platform-mounts:3 config.md#posix-platform-mounts:6
		"users without groups":       {specs.Mount{Destination: "/mnt", Source: "/tmp", Options: []string{"bind", "idmap"}, UIDMappings: ids(0, 1, 1)}, []string{"mounts[7].gidMappings", "must not be empty"}},
		"groups without users":       {specs.Mount{Destination: "/mnt", Source: "/tmp", Options: []string{"bind", "idmap"}, GIDMappings: ids(0, 1, 1)}, []string{"mounts[7].uidMappings", "must not be empty"}},
		"a size of nothing":          {specs.Mount{Destination: "/mnt", Source: "/tmp", Options: []string{"bind"}, UIDMappings: ids(0, 1, 0), GIDMappings: ids(0, 1, 1)}, []string{"mounts[7].uidMappings[0].size", "above 0"}},
		"a new filesystem":           {specs.Mount{Destination: "/mnt", Type: "tmpfs", UIDMappings: ids(0, 1, 1), GIDMappings: ids(0, 1, 1)}, []string{"mounts[7]", "only a bind mount can be ID-mapped"}},
		"a filesystem that cannot":   {specs.Mount{Destination: "/mnt", Source: "/proc", Options: []string{"bind"}, UIDMappings: ids(0, 1, 1), GIDMappings: ids(0, 1, 1)}, []string{"mounts[7]", "/proc", "the filesystem must support id-mapped mounts"}},
		"an inline mapping of words": {bind("/tmp", "idmap=uids=a-b-c;gids=0-0-1"), []string{"mounts[7].options", "a-b-c"}},
	}) {
		t.Run(name, func(t *testing.T) {
			(&host{t: t, root: h.root}).fails(tt.words, writableRoot, addMounts(tt.mount))
		})
	}
}
