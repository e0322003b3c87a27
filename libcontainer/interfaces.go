package libcontainer

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Interface is a network interface of a container, and what went through it.
type Interface struct {
	Name                                    string
	RxBytes, RxPackets, RxErrors, RxDropped uint64
	TxBytes, TxPackets, TxErrors, TxDropped uint64
}

// interfaces returns those of the container's own network namespace. There are
// none in one that has ended.
func (c *Container) interfaces() []Interface {
	if c.record.Namespaces&unix.CLONE_NEWNET == 0 {
		return nil
	}
	fd, err := c.pidfd()
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	b, err := os.ReadFile("/proc/" + strconv.Itoa(c.record.PID) + "/net/dev")
	if err != nil || !lives(fd) {
		return nil // or it may be another's
	}
	var all []Interface
	for line := range strings.Lines(string(b)) {
		if i, ok := parseInterface(line); ok && i.Name != "lo" {
			all = append(all, i)
		}
	}
	return all
}

// lives reports whether the process behind a pidfd has not been waited for.
func lives(pidfd int) bool { return unix.PidfdSendSignal(pidfd, 0, nil, 0) == nil }

// parseInterface parses a line of /proc/PID/net/dev (proc_pid_net(5)): a name,
// a colon, and eight counters for each direction, of which the first four are
// bytes, packets, errors and what was dropped. Titles have no colon.
func parseInterface(line string) (i Interface, ok bool) {
	name, rest, found := strings.Cut(line, ":")
	counters := strings.Fields(rest)
	const each = 8
	if !found || len(counters) < 2*each {
		return i, false
	}
	i.Name = strings.TrimSpace(name)
	for n, to := range [...]*uint64{&i.RxBytes, &i.RxPackets, &i.RxErrors, &i.RxDropped} {
		*to = counter(counters[n])
	}
	for n, to := range [...]*uint64{&i.TxBytes, &i.TxPackets, &i.TxErrors, &i.TxDropped} {
		*to = counter(counters[each+n])
	}
	return i, true
}

func counter(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 64)
	return n
}
