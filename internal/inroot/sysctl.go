package inroot

import (
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
	const op = "write sysctl"
	name, ok := sysctlPath(key)
	if !ok {
		return fault.Newf(op, key, "not the name of a kernel parameter")
	}
	h, err := p.OpenWhole(name, unix.O_WRONLY|unix.O_NOFOLLOW)
	if err == nil {
		defer h.Close()
		err = writeOnce(h, value)
	}
	if err == nil {
		return nil
	}
	errno := errnoOf(err)
	if errno == 0 {
		return fault.New(op, key, err)
	}
	return &fault.Error{Op: op, Object: key, Cause: errno, Hint: sysctlHint(errno, value)}
}

func sysctlHint(errno unix.Errno, value string) string {
	switch errno {
	case unix.ENOENT:
		return "this kernel has no such parameter, or it is not in the container's namespaces"
	case unix.EINVAL, unix.ERANGE:
		return "the kernel does not accept the value " + value
	case unix.EACCES, unix.EPERM, unix.EROFS:
		return "the container's namespaces do not own this parameter"
	case unix.EXDEV:
		return "something is mounted over it in /proc"
	}
	return ""
}

// errnoOf is the errno in err, or 0.
func errnoOf(err error) unix.Errno {
	if f, ok := err.(*fault.Error); ok { //nolint:errorlint // made by openBelow
		err = f.Cause
	}
	errno, _ := err.(unix.Errno) //nolint:errorlint // as above
	return errno
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
