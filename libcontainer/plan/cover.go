package plan

// CoversProc returns why the mount must not be made, or "": it would hide a file of
// procfs, and what the container writes there as labels would go to a file of its
// own (CVE-2019-16884). /proc itself takes only a procfs, which a bind mount may
// turn out to be, and below it only files that lxcfs emulates may be covered. The
// target is clean; where symbolic links lead shows later.
func (m *Mount) CoversProc() string {
	if m.Kind != NewFilesystem && m.Kind != Bind {
		return ""
	}
	if m.Target == "/proc" {
		if m.Kind == NewFilesystem && m.Type != "proc" {
			return "a " + m.Type + " may not be mounted on /proc itself"
		}
		return ""
	}
	const dir = "/proc/"
	if len(m.Target) < len(dir) || m.Target[:len(dir)] != dir {
		return ""
	}
	switch m.Target[len(dir):] {
	case "cpuinfo", "diskstats", "loadavg", "meminfo", "slabinfo", "stat", "swaps", "uptime",
		"sys/kernel/ns_last_pid", "sys/crypto/fips_enabled":
		return ""
	}
	return "only the files that lxcfs emulates may be covered"
}
