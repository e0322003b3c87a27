package inroot

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// WriteSysctl sets the kernel parameter key to value, in the namespaces of the
// calling thread.
//
// Components are separated by dots or by slashes, whichever comes first in
// key; the other one then stands for the first inside a component, as in
// sysctl(8): net.ipv4.conf.eth0/100.forwarding and
// net/ipv4/conf/eth0.100/forwarding are one.
func (p *Proc) WriteSysctl(key, value string) error {
	name, ok := sysctlPath(key)
	if !ok {
		return fault.Newf(opSysctl, key, "not the name of a kernel parameter")
	}
	h, err := p.OpenWhole(name, unix.O_WRONLY|unix.O_NOFOLLOW)
	if err == nil {
		defer h.Close()
		err = writeOnce(h, value)
	}
	if err == nil {
		return nil
	}
	// The path in /proc says nothing that the key does not.
	var errno unix.Errno
	if errors.As(err, &errno) {
		err = errno
	}
	return SysctlFailure(key, value, err)
}

const opSysctl = "write sysctl"

// SysctlFailure is the error of WriteSysctl with that cause.
func SysctlFailure(key, value string, cause error) error {
	return &fault.Error{Op: opSysctl, Object: key, Cause: cause, Hint: sysctlHint(cause, value)}
}

// HasSysctl reports whether the kernel has a parameter, as the caller sees it.
func HasSysctl(key string) bool {
	name, ok := sysctlPath(key)
	return ok && unix.Access("/proc/"+name, unix.F_OK) == nil
}

func sysctlHint(err error, value string) string {
	for _, h := range [...]struct {
		errno unix.Errno
		hint  string
	}{
		{unix.ENOENT, "this kernel has no such parameter, or it is not in the container's namespaces"},
		{unix.EINVAL, "the kernel does not accept the value " + value},
		{unix.ERANGE, "the kernel does not accept the value " + value},
		{unix.EACCES, "the container's namespaces do not own this parameter"},
		{unix.EPERM, "the container's namespaces do not own this parameter"},
		{unix.EROFS, "/proc/sys is read-only"},
		{unix.EXDEV, "something is mounted over it in /proc"},
	} {
		if errors.Is(err, h.errno) {
			return h.hint
		}
	}
	return ""
}

// sysctlPath is key as a path below /proc.
func sysctlPath(key string) (string, bool) {
	path := []byte(key)
	if i := strings.IndexAny(key, "./"); i >= 0 && key[i] == '.' {
		for i, c := range path {
			switch c {
			case '.':
				path[i] = '/'
			case '/':
				path[i] = '.'
			}
		}
	}
	for name := range strings.SplitSeq(string(path), "/") {
		if !single(name) {
			return "", false
		}
	}
	return "sys/" + string(path), true
}
