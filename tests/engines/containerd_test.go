//go:build engines

package engines

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// containerd is a version of it.
type containerd struct {
	programs []string // the daemon, its client and, if they are not Debian's, the shim and runc
	word     string   // by which docs/engines.md gives its configuration
	plugin   string   // that is CRI
}

// debians is Debian's, newest is what `make test-engines` builds.
var (
	debians = containerd{[]string{"containerd", "ctr"}, "/etc/containerd/config.toml", "io.containerd.grpc.v1.cri"}
	newest  = containerd{
		[]string{build + "containerd", build + "ctr", build + "containerd-shim-runc-v2", build + "runc"},
		"io.containerd.cri.v1.runtime", "io.containerd.cri.v1.runtime",
	}
)

// build is where `make test-engines` puts what it builds of tests/engines/cri.
const build = "../../.cache/engines/"

func TestContainerd(t *testing.T) {
	compare(t, append(debians.programs, clientOfCRI), debians.open, ctrChecks())
}

func TestTheNewestContainerd(t *testing.T) {
	compare(t, append(newest.programs, clientOfCRI), newest.open, ctrChecks())
}

func ctrChecks() []check { return slices.Concat(ctrRun, ctrLife, ctrIsolation) }

// open starts containerd and gives it the image. ctr says itself which runtime it
// wants.
func (c containerd) open(h *house, runtime string) *engine {
	h.putImage()
	// The newest has a warning about version 1 of cgroups for each run.
	e := &engine{house: h, cli: []string{"env", "CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS=true", "ctr"}, runtime: runtime}
	e.sweep = func() {
		h.must("sh", "-c", `
			for id in $(ctr tasks ls -q); do ctr tasks rm --force $id >/dev/null 2>&1 || exit; done
			for id in $(ctr containers ls -q); do ctr containers rm $id || exit; done`)
	}
	c.configure(h, runtime)
	h.startContainerd()
	e.must("images", "import", archive)
	return e
}

// configure writes the configuration that is documented, which is for CRI.
func (c containerd) configure(h *house, runtime string) {
	text := documented(c.word, "private-"+runtime, runtime)
	if h.cgroupDriver() == "systemd" {
		text = strings.Replace(text, "BinaryName =", "SystemdCgroup = true\nBinaryName =", 1)
	}
	// Where root lacks CAP_SYS_RESOURCE, the first container of a pod cannot have
	// the score of -998 that it has otherwise.
	h.write("/etc/containerd/config.toml", text+`
[plugins."`+c.plugin+`"]
restrict_oom_score_adj = true
`)
}

func (h *house) startContainerd() { h.serve("containerd", []string{"ctr", "version"}) }

// ctr is the command that runs a program in a container called box.
func (e *engine) ctr(program []string, options ...string) []string {
	return slices.Concat([]string{"run", "--runc-binary=/usr/local/sbin/" + e.runtime}, e.options, options, []string{image, "box"}, program)
}

// hostsPIDs is the option by which a container is in the house's pid namespace.
const hostsPIDs = "--with-ns=pid:/proc/1/ns/pid"

// box starts a container called box, which does nothing for a while.
func (e *engine) box(options ...string) {
	e.must(e.ctr([]string{"sleep", "100"}, append(options, "--detach")...)...)
}

// inBox is the command that runs a program in box.
func inBox(program ...string) []string {
	return append([]string{"tasks", "exec", "--exec-id=more", "box"}, program...)
}

var ctrRun = []check{
	{"CRI knows the handler", func(e *engine) {
		dump := e.house.must("containerd", "config", "dump")
		if !strings.Contains(dump, "containerd.runtimes.private-"+e.runtime+".options]") || !strings.Contains(strings.ReplaceAll(dump, "'", `"`), `BinaryName = "/usr/local/sbin/`+e.runtime+`"`) {
			fail("the handler is missing in %s", dump)
		}
		if plugins := strings.Fields(e.must("plugins", "ls", "id==cri")); len(plugins) == 0 || plugins[len(plugins)-1] != "ok" {
			fail("CRI does not run: %v", plugins)
		}
	}},
	{"run prints what the program prints, apart, and ends with its status", func(e *engine) {
		r := e.try(e.ctr([]string{"sh", "-c", "echo out; echo err >&2; exit 7"}, "--rm")...)
		want("what it printed", r.stdout+"|"+r.stderr, "out\n|err\n")
		want("the status", r.status, 7)
	}},
	{"run gives the program its input", func(e *engine) {
		r := e.tryWith("words\n", append(e.cli, e.ctr([]string{"head", "-n", "1"}, "--rm")...)...)
		want("what it printed", r.stdout, "words\n")
	}},
	{"a program that is missing or cannot be executed is said whole", func(e *engine) {
		e.refuses(1, e.ours(`OCI runtime create failed: exec "nosuch"`+notFound),
			e.ctr([]string{"nosuch"}, "--rm")...)
		e.refuses(1, e.ours(`OCI runtime create failed: exec "/bin/no-program": permission denied (the user`),
			e.ctr([]string{"/bin/no-program"}, "--rm")...)
	}},
	{"a mount that cannot be is said whole", func(e *engine) {
		e.refuses(1, e.ours("OCI runtime create failed: mounts[", "].source: stat /nosuch: no such file or directory"),
			e.ctr([]string{"true"}, "--rm", "--mount=type=bind,src=/nosuch,dst=/x,options=rbind")...)
		e.refuses(1, e.ours("OCI runtime create failed: bind /usr on /etc/passwd/usr", "not a directory (the image has a file on the way to it)"),
			e.ctr([]string{"true"}, "--rm", "--mount=type=bind,src=/usr,dst=/etc/passwd/usr,options=rbind")...)
	}},
	{"memory that is too little to start with is said whole", func(e *engine) {
		e.refuses(1, e.ours("OCI runtime ", "start ", "the out-of-memory killer"), e.ctr([]string{"true"}, "--rm", "--memory-limit=8192")...)
	}},
	{"a program has no descriptors but its own three", func(e *engine) {
		e.says("0\n1\n2\n3", e.ctr([]string{"ls", "/proc/self/fd"}, "--rm")...)
		e.box()
		e.says("0\n1\n2\n3", inBox("ls", "/proc/self/fd")...)
	}},
	{"a directory, variables and a user namespace", func(e *engine) {
		e.says("/tmp b", e.ctr([]string{"sh", "-c", `echo "$PWD $A"`}, "--rm", "--cwd=/tmp", "--env=A=b")...)
		e.says("0 100000 65536", e.ctr([]string{"sh", "-c", "echo $(cat /proc/self/uid_map)"}, "--rm", "--uidmap=0:100000:65536", "--gidmap=0:100000:65536", "--remap-labels")...)
	}},
	{"a terminal has its size, and follows it", func(e *engine) {
		screen := e.open(e.ctr([]string{"sh"}, "--rm", "--tty")...)
		// The client tells the size when the program runs already.
		screen.enter("until stty size 2>/dev/null | grep .; do sleep 0.1; done; tty\n")
		screen.await("33 77")
		screen.await("/dev/pts/0")
		screen.isFollowed()
		screen.enter("exit 5\n")
		want("the status", screen.end(), 5)
	}},
}

var ctrLife = []check{
	{"a detached container runs until it is killed", func(e *engine) {
		e.must(e.ctr([]string{"sh", "-c", "trap 'exit 8' TERM; touch /tmp/ready; while :; do sleep 0.1; done"}, "--detach")...)
		eventually("the trap is set", func() bool { return e.try(inBox("test", "-e", "/tmp/ready")...).status == 0 })
		want("its status", taskStatus(e), "RUNNING")
		e.must("tasks", "kill", "box")
		eventually("it is stopped", func() bool { return taskStatus(e) == "STOPPED" })
		e.refuses(0, []string{"exit code 8"}, "tasks", "rm", "box")
		want("its status", taskStatus(e), "")
	}},
	{"a kill of all reaches those that no pid namespace ends", func(e *engine) {
		e.must(e.ctr([]string{"sh", "-c", "sleep 888 & sleep 888; :"}, "--detach", hostsPIDs)...)
		eventually("three processes", func() bool { return len(strings.Fields(e.must("tasks", "ps", "box"))) == 2+3*2 })
		e.must("tasks", "kill", "--all", "--signal=9", "box")
		eventually("it is stopped", func() bool { return taskStatus(e) == "STOPPED" })
		eventually("all are gone", func() bool { return e.house.try("pgrep", "-f", "^sleep 888").status == 1 })
	}},
	{"what a container in the host's pid namespace leaves ends with it", func(e *engine) {
		e.refuses(3, nil, e.ctr([]string{"sh", "-c", "sleep 888 & exit 3"}, "--rm", hostsPIDs)...)
		eventually("it is gone", func() bool { return e.house.try("pgrep", "-f", "^sleep 888").status == 1 })
	}},
	{"exec runs a program beside, with its status and input", func(e *engine) {
		e.box()
		e.refuses(3, nil, inBox("sh", "-c", "exit 3")...)
		r := e.tryWith("words\n", append(e.cli, inBox("head", "-n", "1")...)...)
		want("what it printed", r.stdout, "words\n")
		e.refuses(1, e.ours(`OCI runtime exec failed: exec "nosuch"`+notFound), inBox("nosuch")...)
	}},
	{"exec on a terminal", func(e *engine) {
		e.box()
		screen := e.open("tasks", "exec", "--tty", "--exec-id=more", "box", "sh")
		screen.enter("until stty size | grep \"33 7[7]\"; do sleep 0.1; done\n")
		screen.await("33 77")
		screen.enter("exit 4\n")
		want("the status", screen.end(), 4)
	}},
	{"a program of an exec can be killed", func(e *engine) {
		e.box()
		e.must("tasks", "exec", "--detach", "--exec-id=victim", "box", "sleep", "200")
		eventually("it is there", func() bool { return strings.Contains(e.must("tasks", "ps", "box"), "victim") })
		e.must("tasks", "kill", "--exec-id=victim", "--signal=9", "box")
		eventually("it is gone", func() bool { return e.house.try("pgrep", "-f", "^sleep 200").status == 1 })
	}},
	{"pause stops all work, and resume lets it go on", func(e *engine) {
		e.house.must("mkdir", "-p", "/opt/ticks")
		e.must(e.ctr([]string{"sh", "-c", "while :; do echo >>/ticks/n; sleep 0.05; done"}, "--detach", "--mount=type=bind,src=/opt/ticks,dst=/ticks,options=rbind:rw")...)
		ticks := func() int { return len(e.read("/opt/ticks/n")) }
		eventually("it works", func() bool { return e.house.try("test", "-s", "/opt/ticks/n").status == 0 })
		e.must("tasks", "pause", "box")
		want("its status", taskStatus(e), "PAUSED")
		e.refuses(1, []string{"cannot exec in a paused"}, inBox("true")...)
		before := ticks()
		e.house.must("sleep", "0.5")
		want("ticks during the pause", ticks(), before)
		e.must("tasks", "resume", "box")
		eventually("it goes on", func() bool { return ticks() > before })
	}},
	{"metrics are those of the cgroup", func(e *engine) {
		e.box("--memory-limit=67108864")
		e.measures(`memory\S*limit\S*\s+67108864\s`, `memory\.usage\S*\s+[1-9]`, `pids\.current\s+1\s`)
	}},
	{"update changes the limits of a container that runs", func(e *engine) {
		e.box("--memory-limit=67108864")
		e.house.must("cri", "UpdateTask", "box", `{"memory":{"limit":134217728},"pids":{"limit":55}}`)
		e.measures(`memory\S*limit\S*\s+134217728\s`, `pids\.limit\s+55\s`)
		e.says("here", inBox("echo", "here")...)
	}},
	{"events tell of start, memory and end", func(e *engine) {
		e.start("/var/log/events", "ctr", "events")
		defer e.house.try("pkill", "-f", "ctr events")
		told := func(topic string) bool { return strings.Contains(e.read("/var/log/events"), topic) }
		// Who asks for events gets them a moment later, and the newest shim may end
		// before it has told its last, but not each.
		eventually("there are events of a life", func() bool {
			e.must(e.ctr([]string{"true"}, "--rm")...)
			return told("/tasks/create") && told("/tasks/start") && told("/tasks/exit") && told("/tasks/delete")
		})
		e.refuses(137, nil, e.ctr([]string{"tail", "/dev/zero"}, "--rm", "--memory-limit=16777216")...)
		eventually("there is an event of memory", func() bool { return told("/tasks/oom") })
	}},
	{"what a dead shim leaves is cleaned up", func(e *engine) {
		e.box()
		e.house.must("pkill", "-9", "-f", "containerd-shim-runc-v2.*box")
		eventually("the process of the container is gone", func() bool { return e.house.try("pgrep", "-f", "^sleep 100").status == 1 })
		eventually("the task is gone", func() bool { return taskStatus(e) == "" })
		e.must("containers", "rm", "box")
		// The newest forgets a task that it does not list any more a little later.
		eventually("its name is free", func() bool {
			if e.try(e.ctr(idle, "--detach")...).status == 0 {
				return true
			}
			e.try("containers", "rm", "box")
			return false
		})
	}},
	{"containers live on without containerd", func(e *engine) {
		e.box()
		e.house.must("pkill", "-x", "containerd")
		eventually("containerd ends", func() bool { return e.house.try("pgrep", "-x", "containerd").status == 1 })
		e.startContainerd()
		want("its status", taskStatus(e), "RUNNING")
		e.says("here", inBox("echo", "here")...)
	}},
}

// taskStatus is what containerd says of box, or "".
func taskStatus(e *engine) string {
	fields := strings.Fields(e.must("tasks", "ls"))
	if i := slices.Index(fields, "box"); i >= 0 {
		return fields[i+2]
	}
	return ""
}

// measures fails unless the metrics of box have rows, which are regular expressions.
func (e *engine) measures(rows ...string) {
	metrics := e.must("tasks", "metrics", "box") + "\n"
	for _, row := range rows {
		if !regexp.MustCompile(row).MatchString(metrics) {
			fail("%s is missing in %s", row, metrics)
		}
	}
}

var ctrIsolation = []check{
	{"limits of memory and cpus, in a cgroup by name", func(e *engine) {
		e.box("--memory-limit=67108864", "--cpus=0.5", "--cgroup=/mine/box")
		e.says("yes", inBox("sh", "-c", "grep -q /mine/box /proc/self/cgroup && echo yes")...)
		want("the limit", cgroupFile(e, "/mine/box", "memory.max", "memory.limit_in_bytes"), "67108864")
		want("the quota", strings.Fields(cgroupFile(e, "/mine/box", "cpu.max", "cpu.cfs_quota_us"))[0], "50000")
	}},
	{"a read-only root", func(e *engine) {
		e.refuses(1, []string{"Read-only file system"}, e.ctr([]string{"touch", "/etc/file"}, "--rm", "--read-only")...)
	}},
	{"capabilities and new privileges", func(e *engine) {
		e.says("00000000a80435fa", e.ctr(status("CapEff"), "--rm", "--cap-drop=CAP_CHOWN", "--cap-add=CAP_NET_ADMIN")...)
		e.says("1", e.ctr(status("NoNewPrivs"), "--rm")...)
		e.says("0", e.ctr(status("NoNewPrivs"), "--rm", "--allow-new-privs")...)
	}},
	{"a profile of system calls", func(e *engine) {
		e.says("2", e.ctr(status("Seccomp"), "--rm", "--seccomp")...)
		e.write("/opt/seccomp.json", `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":71}]}`)
		e.refuses(1, []string{"Protocol error"}, e.ctr([]string{"mkdir", "/tmp/x"}, "--rm", "--seccomp", "--seccomp-profile=/opt/seccomp.json")...)
	}},
	{"a privileged container may mount", func(e *engine) {
		e.says("yes", e.ctr([]string{"sh", "-c", "mount -t tmpfs tmpfs /tmp && echo yes"}, "--rm", "--privileged")...)
	}},
	{"the network of the host, and a device", func(e *engine) {
		e.house.must("ip", "link", "add", "seen", "type", "bridge")
		defer e.house.must("ip", "link", "del", "seen")
		e.says("yes", e.ctr([]string{"sh", "-c", "grep -q seen: /proc/net/dev && echo yes"}, "--rm", "--net-host")...)
		e.says("1:3", e.ctr([]string{"stat", "-c", "%t:%T", "/dev/null"}, "--rm", "--device=/dev/null")...)
	}},
	{"a namespace that is joined", func(e *engine) {
		e.house.must("sh", "-c", "touch /run/uts && unshare --uts=/run/uts hostname joined")
		defer e.house.must("umount", "/run/uts")
		e.says("joined", e.ctr([]string{"hostname"}, "--rm", "--with-ns=uts:/run/uts")...)
	}},
	{"without pivot_root", func(e *engine) {
		e.says("here", e.ctr([]string{"echo", "here"}, "--rm", "--no-pivot")...)
	}},
}

// cgroupFile reads a file of a cgroup of the house: of version 2 or, if there is
// no such, of version 1.
func cgroupFile(e *engine, group, v2, v1 string) string {
	return e.house.must("sh", "-c", "cat /sys/fs/cgroup"+group+"/"+v2+" 2>/dev/null || cat /sys/fs/cgroup/${1%%.*}"+group+"/"+v1, "sh", v1)
}
