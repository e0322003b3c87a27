//go:build engines

package engines

import "strings"

var dockerIsolation = []check{
	{"limits of a process", func(e *engine) {
		e.says("99", runs([]string{"sh", "-c", "ulimit -n"}, "--ulimit=nofile=99:99")...)
	}},
	{"containers reach each other over a bridge, by name", func(e *engine) {
		e.must("network", "create", "net")
		defer e.must("network", "rm", "net")
		defer e.sweep()
		e.must("run", "--detach", "--name=server", "--network=net", image, "sh", "-c", "while :; do echo hello | nc -l -p 80; done")
		eventually("one reaches the other", func() bool {
			return e.try("run", "--rm", "--network=net", image, "nc", "server", "80").stdout == "hello\n"
		})
	}},
	{"a port of the host leads to a container", func(e *engine) {
		e.must("run", "--detach", "--publish=8080:80", image, "sh", "-c", "while :; do echo hello | nc -l -p 80; done")
		eventually("the host reaches it", func() bool {
			return e.house.try("busybox", "nc", "-w", "2", "127.0.0.1", "8080").stdout == "hello\n"
		})
	}},
	{"volumes, memory filesystems and a read-only root", func(e *engine) {
		e.must(runs([]string{"sh", "-c", "echo kept >/data/file"}, "--volume=data:/data")...)
		e.says("kept", runs([]string{"cat", "/data/file"}, "--volume=data:/data:ro")...)
		e.must("volume", "rm", "data")
		e.says("no\nno\nyes", runs([]string{"sh", "-c", "for d in /etc /tmp /mine; do touch $d/file 2>/dev/null && echo yes || echo no; done"}, "--read-only", "--tmpfs=/mine:size=1m")...)
	}},
	{"capabilities, new privileges and system calls", func(e *engine) {
		e.says("0000000000001000", runs(status("CapEff"), "--cap-drop=all", "--cap-add=net_admin")...)
		e.says("1", runs(status("NoNewPrivs"), "--security-opt=no-new-privileges")...)
		e.says("2", runs(status("Seccomp"))...)
		e.write("/opt/seccomp.json", `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}`)
		e.refuses(1, []string{"Operation not permitted"}, runs([]string{"mkdir", "/tmp/x"}, "--security-opt=seccomp=/opt/seccomp.json")...)
		e.says("0", runs(status("Seccomp"), "--security-opt=seccomp=unconfined")...)
	}},
	{"a privileged container may mount", func(e *engine) {
		e.says("yes", runs([]string{"sh", "-c", "mount -t tmpfs tmpfs /tmp && echo yes"}, "--privileged")...)
	}},
	{"devices, parameters of the kernel, and what is hidden", func(e *engine) {
		e.says("1:5", runs([]string{"stat", "-c", "%t:%T", "/dev/mine"}, "--device=/dev/zero:/dev/mine")...)
		e.says("12345", runs([]string{"cat", "/proc/sys/kernel/msgmax"}, "--sysctl=kernel.msgmax=12345")...)
		e.says("0", runs([]string{"sh", "-c", "cat /proc/keys /proc/timer_list 2>/dev/null | wc -c"})...)
		e.refuses(1, []string{"Read-only"}, runs([]string{"sh", "-c", "echo 1 >/proc/sys/kernel/pid_max"})...)
	}},
	{"namespaces of the host and of another container", func(e *engine) {
		e.says("house\ntini", runs([]string{"sh", "-c", "hostname; cat /proc/1/comm"}, "--uts=host", "--pid=host")...)
		e.must("run", "--detach", "--name=first", "--ipc=shareable", image, "sleep", "100")
		e.says("sleep", runs([]string{"cat", "/proc/1/comm"}, "--pid=container:first", "--ipc=container:first", "--network=container:first")...)
	}},
	{"containers live on without the daemon", func(e *engine) {
		e.write("/etc/docker/daemon.json", strings.Replace(e.read("/etc/docker/daemon.json"), "{", `{"live-restore": true, `, 1))
		e.house.must("pkill", "-HUP", "-x", "dockerd")
		eventually("it knows", func() bool { return e.must("info", "--format={{.LiveRestoreEnabled}}") == "true" })
		e.must("run", "--detach", "--name=box", image, "sleep", "100")
		e.house.must("pkill", "-x", "dockerd")
		eventually("the daemon ends", func() bool { return e.house.try("pgrep", "-x", "dockerd").status == 1 })
		e.startDocker()
		e.says("running", "inspect", "--format={{.State.Status}}", "box")
		e.says("here", "exec", "box", "echo", "here")
	}},
}

var dockerRemapped = []check{
	{"root of a container is nobody outside", func(e *engine) {
		e.must("run", "--detach", "--name=box", image, "sleep", "100")
		e.says("0 200000 65536", "exec", "box", "sh", "-c", "echo $(cat /proc/self/uid_map)")
		e.says("0 0", "exec", "box", "sh", "-c", "echo $(id -u) $(stat -c %u /bin/busybox)")
		if seen := e.must("top", "box", "-o", "pid,uid"); !strings.HasSuffix(seen, " 200000") {
			fail("it is not 200000: %s", seen)
		}
	}},
	{"a file of the host is not writable through a volume", func(e *engine) {
		e.house.must("sh", "-c", "mkdir -p /opt/hosts && chmod 755 /opt/hosts")
		e.refuses(1, []string{"Permission denied"}, runs([]string{"touch", "/x/file"}, "--volume=/opt/hosts:/x")...)
	}},
	{"the namespace of the host, when asked for", func(e *engine) {
		e.says("0 0 4294967295", runs([]string{"sh", "-c", "echo $(cat /proc/self/uid_map)"}, "--userns=host")...)
	}},
	{"limits, a terminal and a memory filesystem", func(e *engine) {
		e.says("67108864", runs(limit("memory.max", "memory/memory.limit_in_bytes"), "--memory=64m")...)
		e.says("0 1777", runs([]string{"stat", "-c", "%u %a", "/mine"}, "--tmpfs=/mine")...)
		screen := e.open("run", "--rm", "--interactive", "--tty", image, "sh")
		screen.enter("until stty size 2>/dev/null | grep .; do sleep 0.1; done; tty\n")
		screen.await("33 77")
		screen.await("/dev/pts/0")
		screen.enter("exit 5\n")
		want("the status", screen.end(), 5)
	}},
	{"a build", func(e *engine) {
		e.write("/opt/context/Dockerfile", "FROM "+image+"\nRUN echo one >/file && chown user /file\n")
		e.dockerBuild("0", "--quiet", "--tag=built").ok()
		e.says("one user", "run", "--rm", "built", "sh", "-c", "echo $(cat /file) $(stat -c %U /file)")
	}},
}
