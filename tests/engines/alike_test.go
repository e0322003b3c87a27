//go:build engines

package engines

import "strings"

// limit is a script that prints a file of the container's cgroup in version 2
// or, if that is not there, in version 1.
func limit(v2, v1 string) []string {
	return []string{"sh", "-c", "cat /sys/fs/cgroup/" + v2 + " 2>/dev/null || cat /sys/fs/cgroup/" + v1}
}

// runs is the command that runs a program in the image, with options.
func runs(program []string, options ...string) []string {
	return append(append(append([]string{"run", "--rm"}, options...), image), program...)
}

// cgroupsOf is the file of the cgroups of a container's init.
func (e *engine) cgroupsOf(name string) string {
	return e.house.must("cat", "/proc/"+e.must("inspect", "--format={{.State.Pid}}", name)+"/cgroup")
}

// below are checks of both where cgroups have paths, and not slices.
var below = []check{
	{"a container is in a cgroup below one that is named", func(e *engine) {
		e.must("run", "--detach", "--name=box", "--cgroup-parent=/mine", image, "sleep", "100")
		if in := e.cgroupsOf("box"); !strings.Contains(in, ":/mine/") {
			fail("it is in %s", in)
		}
	}},
}

// alike are the checks that Docker and Podman, which copies its command line, pass
// with the same words.
var alike = []check{
	{"restart, and a policy of restarts", func(e *engine) {
		e.must("run", "--detach", "--name=box", image, "sh", "-c", "echo line >>/tmp/lines; sleep 100")
		e.must("restart", "--time=0", "box")
		eventually("it has run twice", func() bool { return e.try("exec", "box", "cat", "/tmp/lines").stdout == "line\nline\n" })
		e.must("run", "--detach", "--name=again", "--restart=on-failure:2", image, "false")
		eventually("it has been restarted twice", func() bool {
			return e.must("inspect", "--format={{.RestartCount}} {{.State.Status}}", "again") == "2 exited"
		})
	}},
	{"pause stops all work, and unpause lets it go on", func(e *engine) {
		e.house.must("mkdir", "-p", "/opt/ticks")
		e.must("run", "--detach", "--name=box", "--volume=/opt/ticks:/ticks", image, "sh", "-c", "while :; do echo >>/ticks/n; sleep 0.05; done")
		ticks := func() int { return len(e.read("/opt/ticks/n")) }
		eventually("it works", func() bool { return e.house.try("test", "-s", "/opt/ticks/n").status == 0 })
		e.must("pause", "box")
		e.says("paused", "inspect", "--format={{.State.Status}}", "box")
		before := ticks()
		e.house.must("sleep", "0.5")
		want("ticks during the pause", ticks(), before)
		e.must("unpause", "box")
		eventually("it goes on", func() bool { return ticks() > before })
	}},
	{"limits of memory, processes and cpus", func(e *engine) {
		e.says("67108864", runs(limit("memory.max", "memory/memory.limit_in_bytes"), "--memory=64m")...)
		e.says("55", runs(limit("pids.max", "pids/pids.max"), "--pids-limit=55")...)
		quota := e.must(runs(limit("cpu.max", "cpu/cpu.cfs_quota_us"), "--cpus=0.5")...)
		want("the quota", strings.Fields(quota)[0], "50000")
		e.says("0", runs([]string{"sh", "-c", "grep Cpus_allowed_list /proc/self/status | cut -f 2"}, "--cpuset-cpus=0")...)
	}},
	{"who takes too much memory is killed, and that is told", func(e *engine) {
		e.refuses(137, nil, "run", "--name=hog", "--memory=16m", image, "tail", "/dev/zero")
		eventually("that is told", func() bool { return e.must("inspect", "--format={{.State.OOMKilled}}", "hog") == "true" })
	}},
	{"a program has no descriptors but its own three", func(e *engine) {
		e.says("0\n1\n2\n3", runs([]string{"ls", "/proc/self/fd"})...)
		e.must("run", "--detach", "--name=box", image, "sleep", "100")
		e.says("0\n1\n2\n3", "exec", "box", "ls", "/proc/self/fd")
	}},
	{"mounts of the host come into a slave", func(e *engine) {
		e.house.must("mkdir", "-p", "/opt/slave/sub")
		e.must("run", "--detach", "--name=box", "--volume=/opt/slave:/x:rslave", image, "sleep", "100")
		e.house.must("sh", "-c", "mount -t tmpfs tmpfs /opt/slave/sub && touch /opt/slave/sub/file")
		r := e.try("exec", "box", "ls", "/x/sub")
		e.house.must("umount", "/opt/slave/sub")
		want("what is there", r.stdout, "file\n")
	}},
}
