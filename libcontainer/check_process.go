package libcontainer

import (
	"os"
	"runtime"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/libcontainer/schedule"
	"hull/spec"
)

// limits compares process.rlimits with the caller's, which the process inherits,
// and asks for process.oomScoreAdj.
func (c *checker) limits() {
	if c.spec.Process == nil {
		return
	}
	for i := range c.rlimits {
		l := &c.rlimits[i]
		var own unix.Rlimit
		err := unix.Prlimit(0, int(l.Resource), nil, &own)
		raised := err == nil && l.Hard > own.Max && c.held&(1<<unix.CAP_SYS_RESOURCE) == 0
		if raised || l.Resource == unix.RLIMIT_NOFILE && l.Hard > maxFiles() {
			c.fail("", limitFailure(l, unix.EPERM))
		}
	}
	c.oomScore(c.spec.Process.OOMScoreAdj)
}

// maxFiles is what RLIMIT_NOFILE is bounded by.
func maxFiles() uint64 {
	b, err := os.ReadFile("/proc/sys/fs/nr_open")
	if err != nil {
		return ^uint64(0)
	}
	n, err := strconv.ParseUint(string(b[:len(b)-1]), 10, 64)
	if err != nil {
		return ^uint64(0)
	}
	return n
}

// oomScore tries the score on the caller itself, and takes it back: only the
// kernel knows how far down it may go. With CAP_SYS_RESOURCE there is no limit.
func (c *checker) oomScore(adjustment *int) {
	if adjustment == nil || *adjustment < -1000 || *adjustment > 1000 || c.held&(1<<unix.CAP_SYS_RESOURCE) != 0 {
		return
	}
	before, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return
	}
	c.fail("", c.runtime.adjustOOMScore(os.Getpid(), adjustment))
	_ = os.WriteFile("/proc/self/oom_score_adj", before, 0)
}

// scheduling tries what init does to itself on a thread that ends with it.
func (c *checker) scheduling() {
	if c.plan == nil || c.spec.Process == nil {
		return
	}
	found := make(chan []error)
	go func() {
		runtime.LockOSThread() // and never unlock it: the thread ends
		if spec.Namespace(c.spec, specs.UserNamespace) != nil {
			dropCapabilities()
		}
		found <- schedule.Apply(&c.plan.Process)
	}()
	for _, err := range <-found {
		c.fail("", err)
	}
	if s := c.spec.Process.Scheduler; s != nil && (s.Policy == specs.SchedFIFO || s.Policy == specs.SchedRR) &&
		!c.cgroup.GrantsRealtime(c.spec.Linux.Resources) {
		c.fail("", schedule.Failure(c.plan.Process.Scheduler.Attr, unix.EPERM))
	}
}

// dropCapabilities leaves the calling thread with what a process in a user
// namespace has outside of it.
func dropCapabilities() {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	_ = unix.Capset(&header, &none[0])
}
