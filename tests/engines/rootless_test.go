//go:build engines

package engines

import "testing"

func TestPodmanOfAnOrdinaryUser(t *testing.T) {
	compare(t, []string{"podman", "conmon", "newuidmap", "slirp4netns"}, openRootlessPodman, rootlessChecks)
}

// openRootlessPodman configures Podman as is documented, for a user with
// subordinate ids, and gives it the image.
func openRootlessPodman(h *house, runtime string) *engine {
	const file = "/etc/containers/containers.conf"
	h.write(file, documented(file, runtime, runtime))
	h.putEngine()
	h.putImage()
	h.must("sh", "-c", `
		echo somebody:x:4242:4242::/var/lib/somebody:/bin/sh >>/etc/passwd
		echo somebody:x:4242: >>/etc/group
		echo somebody:300000:65536 >/etc/subuid
		echo somebody:300000:65536 >/etc/subgid
		mkdir -p /var/lib/somebody /run/user/4242
		chown somebody:somebody /var/lib/somebody /run/user/4242
		# Not everywhere is it everybody's, as slirp4netns wants.
		mknod -m 666 /run/tun c 10 200
		mount --bind /run/tun /dev/net/tun`)
	e := &engine{house: h, runtime: runtime, cli: []string{
		"setpriv", "--reuid=somebody", "--regid=somebody", "--init-groups", "env", "-C", "/var/lib/somebody",
		"HOME=/var/lib/somebody", "XDG_RUNTIME_DIR=/run/user/4242", "podman",
	}}
	e.sweep = func() {
		e.must("pod", "rm", "--all", "--force", "--time=0")
		e.must("rm", "--all", "--force", "--time=0", "--volumes")
	}
	e.must("load", "--quiet", "--input", archive)
	return e
}

var rootlessChecks = []check{
	{"root of the container is the user", func(e *engine) {
		e.says("0 4242 1 1 300000 65536", runs([]string{"sh", "-c", "echo $(cat /proc/self/uid_map)"})...)
		e.house.must("sh", "-c", "mkdir -p /opt/mine && chown somebody /opt/mine")
		e.must(runs([]string{"touch", "/mine/roots"}, "--volume=/opt/mine:/mine")...)
		e.must(runs([]string{"sh", "-c", "touch /mine/users && chown user /mine/users"}, "--volume=/opt/mine:/mine")...)
		want("the owners", e.house.must("stat", "-c", "%u", "/opt/mine/roots", "/opt/mine/users"), "4242\n300999")
	}},
	{"the user can keep his id", func(e *engine) {
		e.says("4242", runs([]string{"id", "-u"}, "--userns=keep-id")...)
	}},
	{"run ends with the status of the program", func(e *engine) {
		e.refuses(7, nil, runs([]string{"sh", "-c", "exit 7"})...)
		e.refuses(127, e.ours(`exec "nosuch"`+notFound), runs([]string{"nosuch"})...)
		e.refuses(126, e.ours(`exec "/bin/no-program": permission denied (the user`), runs([]string{"/bin/no-program"})...)
	}},
	{"what the user may not reach is said whole", func(e *engine) {
		e.house.must("sh", "-c", "mkdir -p /opt/closed/in && chmod 700 /opt/closed")
		r := e.try(runs([]string{"true"}, "--mount=type=bind,src=/opt/closed,dst=/x")...)
		want("the status", r.status, 0)
		e.refuses(126, e.ours("bind /opt/closed on /etc/passwd/x", "not a directory (the image has a file on the way to it)"),
			runs([]string{"true"}, "--mount=type=bind,src=/opt/closed,dst=/etc/passwd/x")...)
	}},
	{"exec, kill and a terminal", func(e *engine) {
		e.must("run", "--detach", "--name=box", image, "sleep", "100")
		e.refuses(3, nil, "exec", "box", "sh", "-c", "exit 3")
		screen := e.open("exec", "--interactive", "--tty", "box", "sh")
		screen.enter("stty size; tty\n")
		screen.await("33 77")
		screen.await("/dev/pts/")
		screen.enter("exit 4\n")
		want("the status", screen.end(), 4)
		e.must("kill", "box")
		e.says("137", "wait", "box")
	}},
	{"cp in and out, and a health check", func(e *engine) {
		e.write("/opt/file", "content\n")
		e.must("run", "--detach", "--name=box", "--health-cmd=test ! -e /tmp/sick", "--health-retries=1", "--health-interval=disable", image, "sleep", "100")
		e.must("cp", "/opt/file", "box:/tmp/in")
		e.says("content", "exec", "box", "cat", "/tmp/in")
		e.must("healthcheck", "run", "box")
		e.must("exec", "box", "touch", "/tmp/sick")
		e.refuses(1, nil, "healthcheck", "run", "box")
	}},
	{"a network of the user's", func(e *engine) {
		e.says("10.0.2.100/24", runs([]string{"sh", "-c", "ip -4 -o address show tap0 | tr -s ' ' | cut -d ' ' -f 4"}, "--network=slirp4netns")...)
	}},
	{"a pod", func(e *engine) {
		e.must("pod", "create", "--name=pod", "--hostname=shared")
		e.must("run", "--detach", "--pod=pod", image, "sh", "-c", "while :; do echo hello | nc -l -p 80; done")
		eventually("one reaches the other", func() bool {
			return e.try("run", "--rm", "--pod=pod", image, "nc", "127.0.0.1", "80").stdout == "hello\n"
		})
	}},
	{"volumes, secrets, an init and a read-only root", func(e *engine) {
		e.must(runs([]string{"sh", "-c", "echo kept >/data/file"}, "--volume=data:/data")...)
		e.says("kept", runs([]string{"cat", "/data/file"}, "--volume=data:/data:ro")...)
		e.must("volume", "rm", "--all", "--force")
		e.says("no\nyes", runs([]string{"sh", "-c", "for d in /etc /tmp; do touch $d/file 2>/dev/null && echo yes || echo no; done"}, "--read-only", "--init")...)
	}},
	{"system calls and capabilities", func(e *engine) {
		e.says("2", runs(status("Seccomp"))...)
		e.says("0000000000001000", runs(status("CapEff"), "--cap-drop=all", "--cap-add=net_admin")...)
	}},
}
