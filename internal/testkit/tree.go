package testkit

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Tree makes entries below dir, one a line:
//
//	dir NAME [MODE]
//	file NAME [CONTENT]
//	symlink NAME CONTENT
//	char NAME MAJOR MINOR
//	fifo NAME
//
// Directories on the way are made too.
func Tree(t *testing.T, dir string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if err := entry(dir, strings.Fields(line)); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
}

func entry(dir string, f []string) error {
	f = append(f, "", "", "")
	path := filepath.Join(dir, f[1])
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	switch f[0] {
	case "dir":
		return makeDir(path, f[2])
	case "file":
		return os.WriteFile(path, []byte(f[2]), 0o644)
	case "symlink":
		return os.Symlink(f[2], path)
	case "char":
		major, _ := strconv.ParseUint(f[2], 10, 32)
		minor, _ := strconv.ParseUint(f[3], 10, 32)
		return unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(uint32(major), uint32(minor))))
	case "fifo":
		return unix.Mkfifo(path, 0o644)
	}
	return unix.EINVAL
}

func makeDir(path, mode string) error {
	if err := os.MkdirAll(path, 0o755); err != nil || mode == "" {
		return err
	}
	m, err := strconv.ParseUint(mode, 8, 32)
	if err != nil {
		return err
	}
	return unix.Chmod(path, uint32(m))
}

// List is what is below dir, as lines "NAME TYPE" in order.
func List(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if name != "." {
			list = append(list, name+" "+d.Type().String())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
