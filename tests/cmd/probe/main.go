// Command probe is the program of the containers that the black-box tests run:
// it does what its arguments say, one after another, and prints what it sees as
// one JSON object, so that tests assert effects and not configuration.
//
// It is static and needs nothing of the root filesystem.
package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	do, args := run, os.Args[1:]
	if len(args) > 1 && args[0] == "weigh" {
		do, args = weigh, args[1:]
	}
	if err := do(args); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(125)
	}
}

// run executes commands of the form "verb" or "verb=argument".
func run(commands []string) error {
	seen := make(map[string]any)
	for _, c := range commands {
		verb, argument, _ := strings.Cut(c, "=")
		switch verb {
		case "exit":
			tell(seen)
			status, err := strconv.Atoi(argument)
			if err != nil {
				return err
			}
			os.Exit(status)
		case "kill": // itself
			tell(seen)
			signal, err := strconv.Atoi(argument)
			if err != nil {
				return err
			}
			if err := unix.Kill(os.Getpid(), unix.Signal(signal)); err != nil {
				return err
			}
			forever("") // or the end of this thread may come before the signal
		case "sleep":
			tell(seen)
			seen = make(map[string]any)
			forever(argument)
		case "record": // file to append what was seen to; for hooks
			if err := record(argument, seen); err != nil {
				return err
			}
			seen = make(map[string]any)
		case "spawn": // a child that outlives this process: seconds or "forever"
			if err := spawn(argument); err != nil {
				return err
			}
		case "await": // signals, until the first that ends this program
			tell(seen)
			return await(argument)
		default:
			value, err := look(verb, argument)
			if err != nil {
				value = map[string]string{"error": err.Error()}
			}
			seen[c] = value
		}
	}
	tell(seen)
	return nil
}

func tell(seen map[string]any) {
	if len(seen) > 0 {
		_ = json.NewEncoder(os.Stdout).Encode(seen)
	}
}

// forever sleeps for the given seconds, or until a signal.
func forever(seconds string) {
	if s, err := strconv.Atoi(seconds); err == nil {
		time.Sleep(time.Duration(s) * time.Second)
		return
	}
	// Nothing else runs here, and the Go runtime ends a program that waits
	// for nothing.
	time.Sleep(math.MaxInt64)
}

func look(verb, argument string) (any, error) {
	switch verb {
	case "ids":
		uid, euid, suid := unix.Getresuid()
		gid, egid, sgid := unix.Getresgid()
		groups, err := unix.Getgroups()
		return map[string]any{"uid": unsigned(uid, euid, suid), "gid": unsigned(gid, egid, sgid), "groups": groups}, err
	case "euid":
		return os.Geteuid(), nil
	case "pid":
		return map[string]int{"pid": os.Getpid(), "ppid": os.Getppid(), "sid": sid()}, nil
	case "args":
		return os.Args, nil
	case "env":
		return os.Environ(), nil
	case "cwd":
		return unix.Getwd()
	case "uname":
		return uname()
	case "umask":
		old := unix.Umask(0)
		unix.Umask(old)
		return fmt.Sprintf("%04o", old), nil
	}
	return lookAtFiles(verb, argument)
}

func lookAtFiles(verb, argument string) (any, error) {
	switch verb {
	case "read":
		b, err := os.ReadFile(argument)
		return string(b), err
	case "write": // path:text
		path, text, _ := strings.Cut(argument, ":")
		return "written", os.WriteFile(path, []byte(text), 0o644)
	case "list":
		return list(argument)
	case "stat":
		return stat(argument)
	case "readlink":
		return os.Readlink(argument)
	case "fds":
		return fds()
	case "open": // path, for reading and writing: are device rules in force?
		fd, err := unix.Open(argument, unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		if err == nil {
			unix.Close(fd)
		}
		return "opened", err
	case "xattr": // path:name
		return xattr(argument)
	case "mtime":
		return mtime(argument)
	}
	return lookDeeper(verb, argument)
}

// unsigned are ids as the kernel has them.
func unsigned(ids ...int) []uint32 {
	out := make([]uint32, len(ids))
	for i, id := range ids {
		out[i] = uint32(id)
	}
	return out
}

func sid() int {
	id, _ := unix.Getsid(0)
	return id
}

func uname() (any, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil, err
	}
	return map[string]string{
		"nodename":   unix.ByteSliceToString(u.Nodename[:]),
		"domainname": unix.ByteSliceToString(u.Domainname[:]),
		"machine":    unix.ByteSliceToString(u.Machine[:]),
	}, nil
}

func list(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

func stat(path string) (any, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return nil, err
	}
	return map[string]any{
		"mode": fmt.Sprintf("%06o", st.Mode), "uid": st.Uid, "gid": st.Gid, "size": st.Size,
		"rdev": fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev)),
	}, nil
}

// mtime is in seconds.
func mtime(path string) (int64, error) {
	var st unix.Stat_t
	err := unix.Lstat(path, &st)
	return st.Mtim.Sec, err
}

// fds tells what each open descriptor is, but for the one that reads the list.
func fds() (map[string]string, error) {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	out := make(map[string]string)
	for _, n := range names {
		target, err := os.Readlink("/proc/self/fd/" + n)
		// The Go runtime's own descriptors are opened after execve(2).
		if err == nil && n != strconv.Itoa(int(dir.Fd())) && !strings.HasPrefix(target, "anon_inode:[event") {
			out[n] = target
		}
	}
	return out, err
}
