package main

import (
	"errors"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// lookDeeper is about the kernel's side of the process.
func lookDeeper(verb, argument string) (any, error) {
	switch verb {
	case "status": // a field of /proc/self/status
		return statusField(argument)
	case "namespaces":
		return namespaces()
	case "mounts":
		b, err := os.ReadFile("/proc/self/mountinfo")
		return strings.Split(strings.TrimSpace(string(b)), "\n"), err
	case "prctl":
		return prctl(argument)
	case "mknod": // path:major:minor, a character device
		return mknod(argument)
	case "mount": // type:target
		kind, target, _ := strings.Cut(argument, ":")
		return "mounted", unix.Mount(kind, target, kind, 0, "")
	case "syscall": // number with zero arguments: what errno does it give?
		number, err := strconv.Atoi(argument)
		if err != nil {
			return nil, err
		}
		if _, _, errno := syscall.RawSyscall6(uintptr(number), 0, 0, 0, 0, 0, 0); errno != 0 {
			return nil, errno
		}
		return "done", nil
	case "tty":
		return terminal()
	case "takeover": // of the terminal's foreground
		return "taken", takeover()
	case "label": // of a path, by SELinux
		return selinuxLabel(argument)
	case "links":
		return links()
	case "notify": // text for sd_notify(3), with ; for the ends of lines
		return notify(argument)
	}
	return lookAtKeys(verb, argument)
}

func lookAtKeys(verb, argument string) (any, error) {
	switch verb {
	case "keyring": // the label of the session keyring
		text, err := unix.KeyctlString(unix.KEYCTL_GET_SECURITY, keySpecSession)
		return strings.TrimRight(text, "\x00"), err
	case "session": // the name of the session keyring
		return session()
	case "key": // a user's key of that name in it
		return unix.KeyctlSearch(keySpecSession, "user", argument, 0)
	}
	return exert(verb, argument)
}

const keySpecSession = -3 // KEY_SPEC_SESSION_KEYRING

// session is the name of the session keyring, and what makes it this one.
func session() (map[string]any, error) {
	text, err := unix.KeyctlString(unix.KEYCTL_DESCRIBE, keySpecSession)
	if err != nil {
		return nil, err
	}
	id, err := unix.KeyctlGetKeyringID(keySpecSession, false)
	text = strings.TrimRight(text, "\x00")
	return map[string]any{"name": text[strings.LastIndexByte(text, ';')+1:], "id": id}, err
}

func statusField(name string) (string, error) {
	b, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && k == name {
			return strings.TrimSpace(v), nil
		}
	}
	return "", errors.New("no field " + name)
}

func namespaces() (map[string]string, error) {
	out := make(map[string]string)
	names, err := list("/proc/self/ns")
	for _, n := range names {
		if target, err := os.Readlink("/proc/self/ns/" + n); err == nil {
			out[n] = target
		}
	}
	return out, err
}

func prctl(name string) (int, error) {
	options := map[string]int{
		"dumpable": unix.PR_GET_DUMPABLE, "no_new_privs": unix.PR_GET_NO_NEW_PRIVS,
		"seccomp": unix.PR_GET_SECCOMP, "keepcaps": unix.PR_GET_KEEPCAPS,
	}
	option, ok := options[name]
	if !ok {
		return 0, errors.New("unknown prctl " + name)
	}
	return unix.PrctlRetInt(option, 0, 0, 0, 0)
}

func mknod(argument string) (any, error) {
	parts := strings.Split(argument, ":")
	if len(parts) != 3 {
		return nil, errors.New("mknod takes path:major:minor")
	}
	major, err1 := strconv.Atoi(parts[1])
	minor, err2 := strconv.Atoi(parts[2])
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	return "made", unix.Mknod(parts[0], unix.S_IFCHR|0o600, int(unix.Mkdev(uint32(major), uint32(minor))))
}

func xattr(argument string) ([]byte, error) {
	path, name, _ := strings.Cut(argument, ":")
	buf := make([]byte, 256)
	n, err := unix.Lgetxattr(path, name, buf)
	return buf[:max(n, 0)], err
}

func selinuxLabel(path string) (string, error) {
	buf := make([]byte, 4096)
	n, err := unix.Lgetxattr(path, "security.selinux", buf)
	return strings.TrimRight(string(buf[:max(n, 0)]), "\x00"), err
}

// takeover does what a shell does with the terminal when it starts a job.
func takeover() error {
	signal.Ignore(unix.SIGTTOU)
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return err
	}
	defer tty.Close()
	if err := unix.Setpgid(0, 0); err != nil {
		return err
	}
	return unix.IoctlSetPointerInt(int(tty.Fd()), unix.TIOCSPGRP, os.Getpid())
}

func terminal() (any, error) {
	size, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ)
	if err != nil {
		return nil, err
	}
	group, err := unix.IoctlGetInt(0, unix.TIOCGPGRP)
	return map[string]int{"rows": int(size.Row), "columns": int(size.Col), "foreground": group}, err
}
