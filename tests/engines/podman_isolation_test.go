//go:build engines

package engines

import "strings"

var podmanIsolation = []check{
	{"who takes too much memory is killed", func(e *engine) {
		e.refuses(137, nil, "run", "--rm", "--memory=16m", image, "tail", "/dev/zero")
	}},
	{"memory that is too little to start with is said whole", func(e *engine) {
		e.refuses(126, e.ours("start ", "the out-of-memory killer"), "run", "--memory=8k", image, "true")
	}},
	{"update changes a limit", func(e *engine) {
		e.must("run", "--detach", "--name=box", "--memory=64m", image, "sleep", "100")
		e.must("update", "--memory=128m", "box")
		e.says("134217728", append([]string{"exec", "box"}, limit("memory.max", "memory/memory.limit_in_bytes")...)...)
	}},
	{"limits of a process", func(e *engine) {
		e.says("99 88", runs([]string{"sh", "-c", "echo $(ulimit -n) $(ulimit -u)"}, "--ulimit=nofile=99:99", "--ulimit=nproc=88:88")...)
	}},
	{"a user namespace of its own", func(e *engine) {
		e.says("0 100000 65536\n0", runs([]string{"sh", "-c", "echo $(cat /proc/self/uid_map); stat -c %u /bin/busybox"}, "--uidmap=0:100000:65536", "--gidmap=0:100000:65536")...)
		e.must("run", "--detach", "--name=box", "--uidmap=0:100000:65536", image, "sleep", "100")
		e.says("0", "exec", "box", "id", "-u")
		e.says("HUSER\n100000", "top", "box", "huser")
	}},
	{"an idmapped volume has the owners of the container", func(e *engine) {
		e.house.must("sh", "-c", "mkdir -p /opt/owned && touch /opt/owned/file && chown 7:7 /opt/owned/file")
		e.says("7", runs([]string{"stat", "-c", "%u", "/owned/file"}, "--uidmap=0:100000:65536", "--gidmap=0:100000:65536", "--volume=/opt/owned:/owned:idmap")...)
		e.says("65534", runs([]string{"stat", "-c", "%u", "/owned/file"}, "--uidmap=0:100000:65536", "--gidmap=0:100000:65536", "--volume=/opt/owned:/owned")...)
	}},
	{"volumes keep what is written, and begin as the image", func(e *engine) {
		e.must(runs([]string{"sh", "-c", "echo kept >/data/file"}, "--volume=data:/data")...)
		e.says("kept", runs([]string{"cat", "/data/file"}, "--volume=data:/data")...)
		e.says("group\npasswd", runs([]string{"sh", "-c", "ls /etc | grep -E '^(group|passwd)$'"}, "--volume=etc:/etc")...)
		e.must("volume", "rm", "--all", "--force")
	}},
	{"a volume can be read-only", func(e *engine) {
		e.house.must("mkdir", "-p", "/opt/shared")
		r := e.try(runs([]string{"touch", "/x/file"}, "--volume=/opt/shared:/x:ro")...)
		want("the status", r.status, 1)
		want("what is said", r.stderr, "touch: /x/file: Read-only file system\n")
	}},
	{"a read-only root, with places to write", func(e *engine) {
		e.says("no\nyes\nyes", runs([]string{"sh", "-c", "for d in /etc /tmp /mine; do touch $d/file 2>/dev/null && echo yes || echo no; done"}, "--read-only", "--tmpfs=/mine:size=1m")...)
		e.says("group\npasswd", runs([]string{"sh", "-c", "ls /etc | grep -E '^(group|passwd)$'"}, "--tmpfs=/etc")...)
		e.says("1.0M", runs([]string{"sh", "-c", "df -h /mine | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2"}, "--tmpfs=/mine:size=1m")...)
	}},
	{"secrets are files", func(e *engine) {
		e.write("/opt/secret", "whisper")
		e.must("secret", "create", "word", "/opt/secret")
		defer e.must("secret", "rm", "word")
		e.says("whisper 400", runs([]string{"sh", "-c", "echo $(cat /run/secrets/word) $(stat -c %a /run/secrets/word)"}, "--secret=word,mode=0400")...)
	}},
	{"capabilities are dropped and added", func(e *engine) {
		e.says("0000000000000000", runs(status("CapEff"), "--cap-drop=all")...)
		e.says("0000000000001000", runs(status("CapEff"), "--cap-drop=all", "--cap-add=net_admin")...)
		e.says("0000000000000000", runs(status("CapEff"), "--user=user")...)
	}},
	{"no new privileges", func(e *engine) {
		e.says("1", runs(status("NoNewPrivs"), "--security-opt=no-new-privileges")...)
	}},
	{"a privileged container may mount", func(e *engine) {
		e.says("yes", runs([]string{"sh", "-c", "mount -t tmpfs tmpfs /tmp && echo yes"}, "--privileged")...)
		e.says("1", runs([]string{"sh", "-c", "mount -t tmpfs tmpfs /tmp 2>&1 | grep -ciE 'permission denied|operation not permitted'"}, "--cap-add=sys_nice")...)
	}},
	{"a profile of system calls", func(e *engine) {
		e.says("2", runs(status("Seccomp"))...)
		e.write("/opt/seccomp.json", `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":71}]}`)
		e.refuses(1, []string{"Protocol error"}, runs([]string{"mkdir", "/tmp/x"}, "--security-opt=seccomp=/opt/seccomp.json")...)
		e.says("0", runs(status("Seccomp"), "--security-opt=seccomp=unconfined")...)
	}},
	{"devices, and what is hidden", func(e *engine) {
		e.says("1:5", runs([]string{"stat", "-c", "%t:%T", "/dev/mine"}, "--device=/dev/zero:/dev/mine")...)
		e.says("0", runs([]string{"sh", "-c", "cat /proc/keys /proc/timer_list 2>/dev/null | wc -c"})...)
		e.refuses(1, []string{"Read-only"}, runs([]string{"sh", "-c", "echo 1 >/proc/sys/kernel/pid_max"})...)
	}},
	{"parameters of the kernel", func(e *engine) {
		e.says("12345", runs([]string{"cat", "/proc/sys/kernel/msgmax"}, "--sysctl=kernel.msgmax=12345")...)
	}},
	{"the namespaces of the host, when asked for", func(e *engine) {
		e.says("house", runs([]string{"hostname"}, "--uts=host")...)
		e.says("tini", runs([]string{"cat", "/proc/1/comm"}, "--pid=host")...)
		e.says("lo", runs([]string{"ls", "/sys/class/net"}, "--network=none")...)
	}},
	{"a container without a cgroup of its own", func(e *engine) {
		e.must("run", "--detach", "--name=box", "--cgroups=disabled", image, "sleep", "100")
		if in := e.cgroupsOf("box"); strings.Contains(in, e.must("inspect", "--format={{.Id}}", "box")) {
			fail("it has one: %s", in)
		}
		e.says("here", "exec", "box", "echo", "here")
	}},
}

// status is a program that prints a value of /proc/self/status.
func status(name string) []string {
	return []string{"sh", "-c", "grep ^" + name + ": /proc/self/status | cut -f 2"}
}

var podmanTogether = []check{
	{"containers of a pod share what a pod shares", func(e *engine) {
		e.must("pod", "create", "--name=pod", "--hostname=shared")
		e.must("run", "--detach", "--pod=pod", "--name=server", image, "sh", "-c", "while :; do echo hello | nc -l -p 80; done")
		eventually("one reaches the other", func() bool {
			return e.try("run", "--rm", "--pod=pod", image, "nc", "127.0.0.1", "80").stdout == "hello\n"
		})
		e.says("shared", "run", "--rm", "--pod=pod", image, "hostname")
		e.must("pod", "pause", "pod")
		e.says("paused", "inspect", "--format={{.State.Status}}", "server")
		e.must("pod", "unpause", "pod")
		e.must("pod", "stop", "--time=0", "pod")
		e.says("exited", "inspect", "--format={{.State.Status}}", "server")
		e.must("pod", "start", "pod")
		e.says("running", "inspect", "--format={{.State.Status}}", "server")
	}},
	{"containers reach each other over a bridge", func(e *engine) {
		e.must("run", "--detach", "--name=server", image, "sh", "-c", "while :; do echo hello | nc -l -p 80; done")
		address := e.must("inspect", "--format={{.NetworkSettings.IPAddress}}", "server")
		eventually("one reaches the other", func() bool {
			return e.try("run", "--rm", image, "nc", address, "80").stdout == "hello\n"
		})
	}},
	{"a container joins the namespaces of another", func(e *engine) {
		e.must("run", "--detach", "--name=first", "--hostname=first", image, "sleep", "100")
		e.says("first\nsleep", runs([]string{"sh", "-c", "hostname; cat /proc/1/comm"}, "--uts=container:first", "--pid=container:first", "--ipc=container:first", "--network=container:first")...)
	}},
}
