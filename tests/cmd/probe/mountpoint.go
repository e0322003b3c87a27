package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// act is about mounts: what a directory lets this process do, and what it can
// change about mounts itself.
func act(verb, argument string) (any, error) {
	switch verb {
	case "allows": // directory of mountFixture[:the same one, writable]
		dir, writable, _ := strings.Cut(argument, ":")
		return allows(dir, writable)
	case "bind": // source:target
		source, target, _ := strings.Cut(argument, ":")
		return "bound", unix.Mount(source, target, "", unix.MS_BIND, "")
	case "unlock": // take all attributes off a mount
		return "unlocked", unix.Mount("", argument, "", unix.MS_REMOUNT|unix.MS_BIND, "")
	case "unmount":
		return "unmounted", unix.Unmount(argument, 0)
	case "statfs":
		return statfs(argument)
	case "msgget": // make a message queue
		_, _, errno := unix.Syscall(unix.SYS_MSGGET, 0, 0o600, 0)
		return "made", orNil(errno)
	}
	return feel(verb, argument)
}

// allows tells what can be done in a directory that holds the files of the
// tests' mount fixture. Access times are put back through the other directory.
func allows(dir, writable string) (map[string]string, error) {
	if err := age(writable); err != nil {
		return nil, err
	}
	can := func(err error) string {
		if err == nil {
			return "yes"
		}
		return err.Error()
	}
	out := map[string]string{
		"exec":     can(exec.Command(dir+"/program", "pid").Run()),
		"suid":     rootBySetuid(dir + "/suid"),
		"dev":      can(try(dir+"/null", unix.O_RDWR)),
		"follow":   can(try(dir+"/link", unix.O_RDONLY)),
		"atime":    accessTimes(dir),
		"diratime": map[bool]string{true: "yes", false: "no"}[touches(dir+"/dir", func() { _, _ = os.ReadDir(dir + "/dir") })],
	}
	// Last: it makes the directory new.
	out["write"] = can(try(dir+"/written", unix.O_WRONLY|unix.O_CREAT))
	return out, nil
}

func try(path string, flags int) error {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0o644)
	if err == nil {
		_ = unix.Close(fd)
	}
	return err
}

func rootBySetuid(program string) string {
	out, err := exec.Command(program, "euid").Output()
	if err != nil {
		return err.Error()
	}
	if !strings.Contains(string(out), `"euid":0`) {
		return "no"
	}
	return "yes"
}

// age makes the last access of "old" and "dir" some days ago; that of "new" is to
// come, and so later than this change of its inode.
func age(dir string) error {
	if dir == "" {
		return nil
	}
	now := time.Now()
	for name, from := range map[string]time.Duration{"old": -72 * time.Hour, "dir": -72 * time.Hour, "new": time.Hour} {
		if err := os.Chtimes(filepath.Join(dir, name), now.Add(from), now.Add(-100*time.Hour)); err != nil {
			return err
		}
	}
	return nil
}

// accessTimes names the mode of access times by what it does (mount(8)).
func accessTimes(dir string) string {
	read := func(name string) bool {
		return touches(dir+"/"+name, func() { _, _ = os.ReadFile(dir + "/" + name) })
	}
	switch atOld, atNew := read("old"), read("new"); {
	case atOld && atNew:
		return "strict"
	case atOld:
		return "relative"
	case atNew:
		return "odd"
	}
	return "no"
}

// touches tells whether do changes the access time of path.
func touches(path string, do func()) bool {
	var before, after unix.Stat_t
	if unix.Stat(path, &before) != nil {
		return false
	}
	do()
	return unix.Stat(path, &after) == nil && before.Atim != after.Atim
}

func statfs(path string) (any, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return nil, err
	}
	return map[string]uint64{"bytes": st.Blocks * uint64(st.Bsize), "files": st.Files}, nil
}
