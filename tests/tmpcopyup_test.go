package tests

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

//proves:mounts[].options=tmpcopyup
func TestTmpcopyupBringsTheFilesOfTheImage(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"read=/mnt/dir/file", "stat=/mnt/dir/file", "readlink=/mnt/link", "write=/mnt/dir/file:new"},
		allCapabilities, addMounts(specs.Mount{Destination: "/mnt", Type: "tmpfs", Source: "tmpfs", Options: []string{"tmpcopyup"}}))
	if err := os.MkdirAll(b.path("rootfs/mnt/dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	file := b.path("rootfs/mnt/dir/file")
	if err := os.WriteFile(file, []byte("text"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(file, 5, 6); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/nowhere", b.path("rootfs/mnt/link")); err != nil {
		t.Fatal(err)
	}
	s := h.run(b)
	equal(t, "content", get[string](t, s, "read=/mnt/dir/file"), "text")
	equal(t, "file", get[fileStat](t, s, "stat=/mnt/dir/file"), fileStat{Mode: "100640", UID: 5, GID: 6, Size: 4, Rdev: "0:0"})
	equal(t, "link", get[string](t, s, "readlink=/mnt/link"), "/nowhere")
	get[string](t, s, "write=/mnt/dir/file:new")
	if text, _ := os.ReadFile(file); string(text) != "text" {
		t.Errorf("the image's file became %q", text)
	}
}

// A write and a change of owner take the capabilities off a program, the latter
// the set-id bits as well; and what is made in a directory makes it new.
//
//proves:mounts[].options=tmpcopyup
func TestTmpcopyupBringsCapabilitiesAndTimes(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	const (
		capability = ":security.capability"
		list       = ":system.posix_acl_access"
	)
	b := h.newBundle([]string{
		"xattr=/mnt/ping" + capability, "xattr=/mnt/su" + capability, "stat=/mnt/su",
		"xattr=/mnt/dir/file" + list, "mtime=/mnt/ping", "mtime=/mnt/dir",
	}, addMounts(filesystem("tmpfs", "/mnt", "tmpcopyup")))
	image := b.path("rootfs/mnt") + "/"
	if err := os.MkdirAll(image+"dir", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ping", "su", "dir/file"} {
		writeFile(t, image+name, "text")
	}
	for _, err := range []error{
		os.Chown(image+"ping", 5, 6),
		unix.Setxattr(image+"ping", "security.capability", rawNetwork(), 0),
		os.Chown(image+"su", 5, 6),
		unix.Chmod(image+"su", 0o6755),
		unix.Setxattr(image+"dir", "system.posix_acl_default", everythingForUser(7), 0),
		os.Chtimes(image+"ping", time.Unix(1, 0), time.Unix(2, 0)),
		os.Chtimes(image+"dir", time.Unix(3, 0), time.Unix(4, 0)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s := h.run(b)
	equal(t, "capabilities", get[[]byte](t, s, "xattr=/mnt/ping"+capability), rawNetwork())
	equal(t, "a program for its owner", get[fileStat](t, s, "stat=/mnt/su"), fileStat{Mode: "106755", UID: 5, GID: 6, Size: 4, Rdev: "0:0"})
	for _, none := range []string{"xattr=/mnt/su" + capability, "xattr=/mnt/dir/file" + list} {
		if !strings.Contains(s.failure(none), "no data available") {
			t.Errorf("%s: %q, and the image has none", none, s.failure(none))
		}
	}
	equal(t, "time of a file", get[int64](t, s, "mtime=/mnt/ping"), int64(2))
	equal(t, "time of a directory", get[int64](t, s, "mtime=/mnt/dir"), int64(4))
}

// rawNetwork is the attribute of a program with cap_net_raw=ep
// (capabilities(7), "File capability extended attribute versioning").
func rawNetwork() []byte {
	words := [5]uint32{2<<24 | 1, 1 << unix.CAP_NET_RAW}
	b, _ := binary.Append(nil, binary.LittleEndian, words)
	return b
}

// everythingForUser is an access control list that allows a user what the owner
// may do.
func everythingForUser(uid uint32) []byte {
	type entry struct {
		Tag, Permissions uint16
		ID               uint32
	}
	const nobodys = 1<<32 - 1
	b, _ := binary.Append(nil, binary.LittleEndian, uint32(2))
	b, _ = binary.Append(b, binary.LittleEndian, []entry{
		{0x01, 7, nobodys}, {0x02, 7, uid}, {0x04, 5, nobodys}, {0x10, 7, nobodys}, {0x20, 5, nobodys},
	})
	return b
}

// tmpcopyup is for a tmpfs: what is copied into another filesystem stays on its
// disk, and is in the way of the next container.
//
//proves:mounts[].options=tmpcopyup
func TestTmpcopyupCopiesIntoATmpfsOnly(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	disk := overlayLayers(t, 0, "low", "up", "work")
	layers := []string{"lowerdir=" + disk + "/low", "upperdir=" + disk + "/up", "workdir=" + disk + "/work"}
	b := h.newBundle([]string{"list=/disk", "stat=/disk", "list=/memory"}, addMounts(
		filesystem("overlay", "/disk", append(layers, "tmpcopyup")...),
		filesystem("ramfs", "/memory", "tmpcopyup"),
	))
	for _, dir := range []string{b.path("rootfs/disk"), b.path("rootfs/memory")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(dir, 5, 6); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, "of-the-image"), "text")
	}
	onDisk := hostList(t, disk+"/up")
	for range 2 {
		r := h.try("run", "--bundle", b.dir, newID())
		equal(t, "status", r.status, 0)
		for _, at := range []string{"mounts[7]", "mounts[8]"} {
			if want := at + `.options: "tmpcopyup" has no effect here`; !strings.Contains(strings.ReplaceAll(r.stderr, `\"`, `"`), want) {
				t.Errorf("no warning %s:\n%s", want, r.stderr)
			}
		}
		s := parseSight(t, r.stdout)
		equal(t, "files in memory", get[[]string](t, s, "list=/memory"), []string{})
		equal(t, "files of the image on the disk", slices.Contains(get[[]string](t, s, "list=/disk"), "of-the-image"), false)
		equal(t, "owner of the disk", get[fileStat](t, s, "stat=/disk").UID, 0)
		equal(t, "files on the disk", hostList(t, disk+"/up"), onDisk)
	}
}

func hostList(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Who owns a file of the image is nobody in the user namespace, and his program
// must not become one that runs as root there.
//
//proves:mounts[].options=tmpcopyup
func TestTmpcopyupGivesNoOneElsesProgramTheRightsOfRoot(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"stat=/mnt/unmapped", "stat=/mnt/mapped"}, inUserNamespace, func(s *specs.Spec) {
		// Without 65534, which nobody's files seem to be of,.
		s.Linux.UIDMappings, s.Linux.GIDMappings = ids(0, mappedRoot, 10), ids(0, mappedRoot, 10)
	}, addMounts(filesystem("tmpfs", "/mnt", "tmpcopyup")))
	if err := os.Mkdir(b.path("rootfs/mnt"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"mapped", "unmapped"} {
		writeFile(t, b.path("rootfs/mnt/"+name), "text")
	}
	b.handOver(t)
	for _, err := range []error{
		os.Chown(b.path("rootfs/mnt/unmapped"), 0, 0),
		os.Chown(b.path("rootfs/mnt/mapped"), mappedRoot+1, mappedRoot+1),
		unix.Chmod(b.path("rootfs/mnt/unmapped"), 0o6755),
		unix.Chmod(b.path("rootfs/mnt/mapped"), 0o6755),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s := h.run(b)
	equal(t, "of nobody", get[fileStat](t, s, "stat=/mnt/unmapped"), fileStat{Mode: "100755", Size: 4, Rdev: "0:0"})
	equal(t, "of a user", get[fileStat](t, s, "stat=/mnt/mapped"), fileStat{Mode: "106755", UID: 1, GID: 1, Size: 4, Rdev: "0:0"})
}
