//go:build engines

package engines

import (
	"slices"
	"strings"
	"testing"
)

func TestDocker(t *testing.T) {
	compare(t, []string{"docker", "dockerd"}, openDocker, slices.Concat(dockerRun, dockerLife, dockerIsolation, alike, below))
}

func TestDockerWithAUserNamespace(t *testing.T) {
	compare(t, []string{"docker", "dockerd"}, openRemappedDocker, dockerRemapped)
}

func openDocker(h *house, runtime string) *engine { return startDocker(h, runtime) }

// openRemappedDocker starts Docker so that root of a container is nobody outside.
func openRemappedDocker(h *house, runtime string) *engine {
	h.must("sh", "-c", `
		echo remap:x:99999:99999::/:/bin/false >>/etc/passwd
		echo remap:x:99999: >>/etc/group
		echo remap:200000:65536 >/etc/subuid
		echo remap:200000:65536 >/etc/subgid`)
	return startDocker(h, runtime, "--userns-remap=remap")
}

// startDocker configures Docker as is documented, starts it with options and
// gives it the image. The name "runc" would be that of its own runtime.
func startDocker(h *house, runtime string, options ...string) *engine {
	const file = "/etc/docker/daemon.json"
	h.write(file, documented(file, "private-"+runtime, runtime))
	h.putImage()
	e := &engine{house: h, cli: []string{"docker"}, runtime: runtime}
	e.sweep = func() { h.must("sh", "-c", "all=$(docker ps -aq); [ -z \"$all\" ] || docker rm -f -v $all") }
	h.startDocker(options...)
	e.must("load", "--input", archive)
	return e
}

// small makes a cgroup that has memory for hardly more than the kernel's own tables
// of those below.
func (h *house) small() string {
	h.must("sh", "-c", `
		cd /sys/fs/cgroup
		[ ! -d memory ] || cd memory
		mkdir -p small
		file=memory.max
		[ -e small/$file ] || file=memory.limit_in_bytes
		echo 32k >small/$file`)
	return "/small"
}

// startDocker starts Docker as Debian does, with a containerd that is there: for its
// own it would not wait long enough on an emulated machine.
func (h *house) startDocker(options ...string) {
	if h.try("pgrep", "-x", "containerd").status != 0 {
		h.startContainerd()
	}
	h.serve("dockerd", []string{"docker", "version"}, append([]string{
		"--storage-driver=overlay2", "--containerd=/run/containerd/containerd.sock", "--exec-opt=native.cgroupdriver=" + h.cgroupDriver(),
	}, options...)...)
}

// dockerBuild builds an image from /opt/context, with BuildKit ("1") or as it was before ("0").
func (e *engine) dockerBuild(buildKit string, args ...string) result {
	return e.house.try(slices.Concat([]string{"env", "DOCKER_BUILDKIT=" + buildKit, "docker", "build"}, args, []string{"/opt/context"})...)
}

var dockerRun = []check{
	{"run prints what the program prints, apart, and ends with its status", func(e *engine) {
		r := e.try("run", "--rm", image, "sh", "-c", "echo out; echo err >&2; exit 7")
		want("what it printed", r.stdout+"|"+r.stderr, "out\n|err\n")
		want("the status", r.status, 7)
	}},
	{"run gives the program its input", func(e *engine) {
		r := e.tryWith("words\n", "docker", "run", "--rm", "--interactive", image, "cat")
		want("what it printed", r.stdout, "words\n")
	}},
	{"a program that is missing is status 127, and said whole", func(e *engine) {
		e.refuses(127, e.ours(`OCI runtime create failed: exec "nosuch"`+notFound), "run", "--rm", image, "nosuch")
		e.refuses(127, e.ours(`OCI runtime create failed: exec "/no/such": no such file or directory`), "run", "--rm", image, "/no/such")
	}},
	{"a program that cannot be executed is status 126, and said whole", func(e *engine) {
		e.refuses(126, e.ours(`OCI runtime create failed: exec "/bin/no-program": permission denied (the user`), "run", "--rm", image, "/bin/no-program")
		e.refuses(126, e.ours(`OCI runtime create failed: exec "/etc": is a directory`), "run", "--rm", image, "/etc")
	}},
	{"a mount that cannot be is said whole", func(e *engine) {
		e.refuses(125, e.ours("bind /usr on /etc/passwd/usr", "not a directory (the image has a file on the way to it)"),
			"run", "--rm", "--mount=type=bind,src=/usr,dst=/etc/passwd/usr", image, "true")
	}},
	{"a user, a directory, variables and a host name", func(e *engine) {
		e.says("uid=1000(user) gid=1000(user) groups=1000(user),2000(more)", "run", "--rm", "--user=user", image, "id")
		e.says("/tmp b there", "run", "--rm", "--workdir=/tmp", "--env=A=b", "--hostname=there", image, "sh", "-c", `echo "$PWD $A $(hostname)"`)
	}},
	{"a terminal has its size, and follows it", func(e *engine) {
		screen := e.open("run", "--rm", "--interactive", "--tty", image, "sh")
		screen.enter("until stty size 2>/dev/null | grep .; do sleep 0.1; done; tty\n")
		screen.await("33 77")
		screen.await("/dev/pts/0")
		screen.isFollowed()
		screen.enter("exit 5\n")
		want("the status", screen.end(), 5)
	}},
	{"an init of its own reaps", func(e *engine) {
		e.must("run", "--detach", "--init", "--name=box", image, "sleep", "100")
		e.must("exec", "box", "sh", "-c", "(sleep 0.1 &) ; exit")
		e.says("/sbin/docker-init\n0", "exec", "box", "sh", "-c", "sleep 0.5; tr '\\0' '\\n' </proc/1/cmdline | head -n 1; grep -l '^State:.Z' /proc/[0-9]*/status | wc -l")
	}},
	{"memory that is too little to start with is said whole", func(e *engine) {
		e.refuses(125, e.ours("start ", "the out-of-memory killer"), "run", "--rm", "--cgroup-parent="+e.small(), image, "true")
	}},
	{"the runtime can be named", func(e *engine) {
		e.says("here", "run", "--rm", "--runtime=private-"+e.runtime, image, "echo", "here")
	}},
	{"a build runs its steps with it", func(e *engine) {
		e.write("/opt/context/Dockerfile", "FROM "+image+"\nRUN echo one >/file\nENV A=b\nRUN echo $A >>/file\nUSER user\nRUN id -un >/tmp/who\n")
		e.dockerBuild("0", "--quiet", "--tag=built").ok()
		e.says("one\nb\nuser", "run", "--rm", "built", "cat", "/file", "/tmp/who")
		e.write("/opt/context/Dockerfile", "FROM "+image+"\nRUN [\"nosuch\"]\n")
		e.dockerBuild("0").fails(e.ours(`exec "nosuch"` + notFound))
	}},
	{"BuildKit runs its steps with it, as runc", func(e *engine) {
		e.house.must("sh", "-c", "[ -e /usr/local/sbin/runc ] || ln -s "+e.runtime+" /usr/local/sbin/runc")
		defer e.house.must("sh", "-c", "[ ! -L /usr/local/sbin/runc ] || rm /usr/local/sbin/runc")
		e.write("/opt/context/Dockerfile", "FROM "+image+"\nRUN echo one >/file\nUSER user\nRUN --mount=type=tmpfs,target=/mnt id -un >/tmp/who && grep -c ' /mnt tmpfs ' /proc/mounts >>/tmp/who\n")
		e.dockerBuild("1", "--progress=plain", "--tag=built").ok()
		e.says("one\nuser\n1", "run", "--rm", "built", "cat", "/file", "/tmp/who")
		e.write("/opt/context/Dockerfile", "FROM "+image+"\nRUN [\"nosuch\"]\n")
		e.dockerBuild("1", "--progress=plain").fails(e.ours(`exec "nosuch"` + notFound))
	}},
}

var dockerLife = []check{
	{"exec runs a program beside, with its status and user", func(e *engine) {
		e.must("run", "--detach", "--name=box", "--env=A=b", image, "sleep", "100")
		e.says("b 1000", "exec", "--user=user", "box", "sh", "-c", `echo "$A $(id -u)"`)
		e.refuses(3, nil, "exec", "box", "sh", "-c", "exit 3")
		r := e.tryWith("words\n", "docker", "exec", "--interactive", "box", "cat")
		want("what it printed", r.stdout, "words\n")
	}},
	{"an exec of what is missing or cannot be executed", func(e *engine) {
		e.must("run", "--detach", "--name=box", image, "sleep", "100")
		missing := e.try("exec", "box", "nosuch") // 127 since Docker 23
		denied := e.try("exec", "box", "/bin/no-program")
		want("the status", denied.status, 126)
		tells(missing.stdout+missing.stderr, e.ours(`exec "nosuch"`+notFound))
	}},
	{"exec on a terminal", func(e *engine) {
		e.must("run", "--detach", "--name=box", image, "sleep", "100")
		screen := e.open("exec", "--interactive", "--tty", "box", "sh")
		screen.enter("until stty size 2>/dev/null | grep .; do sleep 0.1; done\n")
		screen.await("33 77")
		screen.enter("exit 4\n")
		want("the status", screen.end(), 4)
	}},
	{"stop sends the signal that a program can handle, and kill ends it", func(e *engine) {
		e.must("run", "--detach", "--name=box", image, "sh", "-c", "trap 'exit 8' TERM; touch /tmp/ready; while :; do sleep 0.1; done")
		eventually("the trap is set", func() bool { return e.try("exec", "box", "test", "-e", "/tmp/ready").status == 0 })
		e.must("stop", "--time=20", "box")
		e.says("8 exited", "inspect", "--format={{.State.ExitCode}} {{.State.Status}}", "box")
		e.must("start", "box")
		e.must("kill", "box")
		e.says("137", "wait", "box")
	}},
	{"stats and top tell of its processes", func(e *engine) {
		e.must("run", "--detach", "--name=box", image, "sh", "-c", "sleep 100 & sleep 100; :")
		eventually("three processes", func() bool { return e.must("stats", "--no-stream", "--format={{.PIDs}}", "box") == "3" })
		want("lines of sleep", strings.Count(e.must("top", "box", "-o", "pid,args"), " sleep 100\n"), 1)
	}},
	{"update changes limits of a container that runs", func(e *engine) {
		e.must("run", "--detach", "--name=box", "--memory=64m", image, "sleep", "100")
		e.must("update", "--memory=128m", "--memory-swap=256m", "--pids-limit=55", "--cpus=0.5", "box")
		e.says("134217728", append([]string{"exec", "box"}, limit("memory.max", "memory/memory.limit_in_bytes")...)...)
		e.says("55", append([]string{"exec", "box"}, limit("pids.max", "pids/pids.max")...)...)
		quota := e.must(append([]string{"exec", "box"}, limit("cpu.max", "cpu/cpu.cfs_quota_us")...)...)
		want("the quota", strings.Fields(quota)[0], "50000")
		e.says("1:3", "exec", "box", "stat", "-c", "%t:%T", "/dev/null")
		e.must("exec", "box", "sh", "-c", "echo >/dev/null")
	}},
	{"cp, commit and logs", func(e *engine) {
		e.write("/opt/file", "content\n")
		e.must("run", "--detach", "--name=box", image, "sh", "-c", "echo kept; sleep 100")
		e.must("cp", "/opt/file", "box:/tmp/in")
		e.says("content", "exec", "box", "cat", "/tmp/in")
		e.must("commit", "box", "changed")
		e.says("content", "run", "--rm", "changed", "cat", "/tmp/in")
		e.says("kept", "logs", "box")
	}},
	{"a health check sees health and sickness", func(e *engine) {
		e.must("run", "--detach", "--name=box", "--health-cmd=test ! -e /tmp/sick", "--health-retries=1", "--health-interval=200ms", image, "sleep", "100")
		health := func() string { return e.must("inspect", "--format={{.State.Health.Status}}", "box") }
		eventually("it is healthy", func() bool { return health() == "healthy" })
		e.must("exec", "box", "touch", "/tmp/sick")
		eventually("it is not", func() bool { return health() == "unhealthy" })
	}},
}
