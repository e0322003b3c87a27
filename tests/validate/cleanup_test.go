package validate

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const cgroupRoot = "/sys/fs/cgroup"

// deleteContainers removes the containers that a program has left.
func deleteContainers(t *testing.T, runtime, root string) {
	t.Helper()
	if _, err := os.Stat(root); err != nil {
		return
	}
	out, err := exec.Command(runtime, "--root", root, "list", "-q").Output()
	if err != nil {
		t.Errorf("list what the program left: %v", err)
	}
	for id := range strings.FieldsSeq(string(out)) {
		out, err := exec.Command(runtime, "--root", root, "delete", "--force", id).CombinedOutput()
		if err != nil {
			t.Errorf("delete --force %s: %v: %s", id, err, out)
		}
	}
}

// reportLeaks fails the test for what is left when no container is, and removes
// the cgroups that the suite itself made.
func reportLeaks(t *testing.T, tmp, root string, before []string) {
	t.Helper()
	entries, _ := os.ReadDir(root)
	for _, entry := range entries {
		if entry.IsDir() && isContainerID(entry.Name()) {
			t.Errorf("left behind: state directory %s", entry.Name())
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), tmp) {
		t.Errorf("left behind: a mount under %s", tmp)
	}
	left := slices.DeleteFunc(cgroups(t), func(path string) bool { return slices.Contains(before, path) })
	// Deepest first.
	for _, path := range slices.Backward(left) {
		if err := os.Remove(path); err != nil || isContainerID(filepath.Base(path)) {
			t.Errorf("left behind: cgroup %s (remove: %v)", path, err)
		}
	}
}

// cgroups lists, parents first, the cgroups that are a container's: named by an
// ID, or by the paths that the suite asks for and whose upper parts it leaves.
func cgroups(t *testing.T) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(cgroupRoot, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // a cgroup that goes away while we look is none of ours
		}
		if !entry.IsDir() {
			return nil
		}
		name := entry.Name()
		if name == "testdir" || name == "cgrouptest" || filepath.Base(filepath.Dir(path)) == "cgrouptest" || isContainerID(name) {
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// isContainerID tells the UUIDs that the suite names its containers by.
func isContainerID(name string) bool {
	return len(name) == 36 && strings.Count(name, "-") == 4
}
