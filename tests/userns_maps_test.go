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

// lines are mappings of single ids, with a gap behind each, so that none can be
// put together.
func lines(count int, container, host uint32) []specs.LinuxIDMapping {
	list := make([]specs.LinuxIDMapping, count)
	for i := range list {
		list[i] = specs.LinuxIDMapping{ContainerID: container + 2*uint32(i), HostID: host + 2*uint32(i), Size: 1}
	}
	return list
}

// user_namespaces(7): 340 lines since Linux 4.15, and less than a page of text.
//
//proves:linux.uidMappings[].size linux.gidMappings[].size
func TestAsManyMappingsAsTheKernelTakesAreInForce(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	// Short numbers: the mapping begins with root, who owns the root filesystem.
	uids := append(ids(0, mappedRoot, 1), lines(339, 1, 1)...)
	s := h.probe([]string{"read=/proc/self/uid_map", "read=/proc/self/gid_map", "ids"}, inUserNamespace, func(s *specs.Spec) {
		s.Linux.UIDMappings = uids
		s.Linux.GIDMappings = append(ids(0, mappedRoot, 10), lines(200, 1000, 1000)...)
		s.Process.User.UID = uids[339].ContainerID
		s.Process.User.GID = 1398
	})
	for file, want := range map[string][]specs.LinuxIDMapping{"uid_map": uids, "gid_map": append(ids(0, mappedRoot, 10), lines(200, 1000, 1000)...)} {
		var text []string
		for _, m := range want {
			text = append(text, fmt.Sprint(m.ContainerID), fmt.Sprint(m.HostID), fmt.Sprint(m.Size))
		}
		equal(t, file, strings.Fields(get[string](t, s, "read=/proc/self/"+file)), text)
	}
}

// Nothing in config-linux.md wants 0 to be mapped.
//
//proves:linux.uidMappings[].containerID linux.gidMappings[].containerID
func TestAUserNamespaceNeedNotHaveRoot(t *testing.T) {
	h := newHost(t)
	h.leavesNothing()
	volume := t.TempDir()
	reachable(t, volume)
	if err := os.Chown(volume, mappedRoot, mappedRoot); err != nil {
		t.Fatal(err)
	}
	rootless := func(s *specs.Spec) {
		addNamespace(specs.UserNamespace, "")(s)
		s.Linux.UIDMappings, s.Linux.GIDMappings = ids(1000, mappedRoot, 5), ids(2000, mappedRoot, 5)
		s.Process.User = specs.User{UID: 1000, GID: 2000, AdditionalGids: []uint32{2001}}
		s.Mounts[2].Options = []string{"nosuid", "noexec", "newinstance"} // without the group 5 of terminals
	}
	c := h.start([]string{"ids", "make=/mnt/new", "make=/new", "make=/dev/shm/new", "stat=/dev", "open=/dev/null", "status=CapEff", "cwd"},
		rootless, writableRoot, cwdAt("/made/for/it"), addMounts(specs.Mount{Destination: "/mnt", Source: volume, Options: []string{"bind"}},
			filesystem("tmpfs", "/made/tmpfs")))
	s := c.see()
	who := get[struct {
		UID, GID []int
		Groups   []int
	}](t, s, "ids")
	equal(t, "ids", []any{who.UID[0], who.GID[0], who.Groups}, []any{1000, 2000, []int{2001}})
	for _, path := range []string{"/mnt/new", "/new", "/dev/shm/new"} {
		get[string](t, s, "make="+path)
	}
	equal(t, "owner of /dev", get[fileStat](t, s, "stat=/dev").UID, 1000)
	get[string](t, s, "open=/dev/null")
	equal(t, "capabilities", get[string](t, s, "status=CapEff"), "0000000000000000")
	equal(t, "working directory", get[string](t, s, "cwd"), "/made/for/it")
	var st syscall.Stat_t
	if err := syscall.Stat(filepath.Join(volume, "new"), &st); err != nil {
		t.Fatal(err)
	}
	equal(t, "owner on the host", []uint32{st.Uid, st.Gid}, []uint32{mappedRoot, mappedRoot})

	exec := parseSight(t, h.must("exec", "--user", "1003:2003", c.id, "/probe", "ids"))
	equal(t, "user of exec", get[struct{ UID []int }](t, exec, "ids").UID, []int{1003, 1003, 1003})
	h.refuses([]string{"process.user.uid", "0 is not mapped"}, "exec", "--user", "0", c.id, "/probe", "ids")
	c.delete()
}

// mount_namespaces(7), "Restrictions on mount namespaces": what a mount is not
// allowed on the host stays forbidden in a user namespace, to its root as well.
//
//proves:mounts[].options linux.namespaces[].type=user
func TestRootOfAUserNamespaceCannotUnlockAMountOfTheHost(t *testing.T) {
	h := newHost(t)
	dir := mountSources(t)
	for option, words := range map[string]string{"rbind": "ro nosuid nodev noexec", "rbind,nosymfollow": "ro nosuid nodev noexec nosymfollow", "rbind,ridmap": "ro nosuid nodev noexec"} {
		t.Run(option, func(t *testing.T) {
			if strings.Contains(option, "idmap") {
				needKernel(t, 6, 3, "id-mapped mounts of tmpfs")
			}
			h := &host{t: t, root: h.root}
			s := h.probe([]string{"mounts", "unlock=/mnt", "unlock=/mnt/sub", "unmount=/mnt/sub"}, inUserNamespace, writableRoot, allCapabilities, addMounts(
				specs.Mount{Destination: "/mnt", Source: filepath.Join(dir, guardedSource), Options: strings.Split(option, ",")}))
			for _, at := range []string{"/mnt", "/mnt/sub"} {
				m := mountsOf(t, s)[at]
				for o := range strings.FieldsSeq(words) {
					if !m.has(o) && (at == "/mnt" || o != "nosymfollow" || option == "rbind") {
						t.Errorf("%s lost %s: %v", at, o, m.options)
					}
				}
				if s.failure("unlock="+at) == "" {
					t.Errorf("%s was unlocked", at)
				}
			}
			if s.failure("unmount=/mnt/sub") == "" {
				t.Error("what is below a mount was uncovered")
			}
		})
	}
	h.fails([]string{"mounts[7]", "operation not permitted", "ro is locked"}, inUserNamespace, addMounts(
		specs.Mount{Destination: "/mnt", Source: filepath.Join(dir, guardedSource), Options: []string{"rbind", "rw"}}))
}
