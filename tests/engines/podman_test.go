//go:build engines

package engines

import (
	"slices"
	"testing"
)

func TestPodman(t *testing.T) {
	compare(t, []string{"podman", "conmon"}, openPodman, slices.Concat(podmanRun, podmanLife, podmanIsolation, podmanTogether, alike, below))
}

// openPodman configures Podman as is documented, and gives it the image.
func openPodman(h *house, runtime string) *engine {
	const file = "/etc/containers/containers.conf"
	h.write(file, documented(file, runtime, runtime))
	h.putEngine()
	h.putStorage()
	h.putImage()
	e := &engine{house: h, cli: []string{"podman"}, runtime: runtime}
	e.sweep = func() {
		h.must("sh", "-c", "podman pod rm --all --force --time=0 && podman rm --all --force --time=0 --volumes")
	}
	e.must("load", "--quiet", "--input", archive)
	return e
}

var podmanRun = []check{
	{"run prints what the program prints, apart", func(e *engine) {
		r := e.try("run", "--rm", image, "sh", "-c", "echo out; echo err >&2")
		want("what it printed", r.stdout+"|"+r.stderr, "out\n|err\n")
	}},
	{"run gives the program its input", func(e *engine) {
		r := e.tryWith("words\n", "podman", "run", "--rm", "--interactive", image, "cat")
		want("what it printed", r.stdout, "words\n")
	}},
	{"run ends with the status of the program", func(e *engine) {
		e.refuses(7, nil, "run", "--rm", image, "sh", "-c", "exit 7")
	}},
	{"run ends with 128 and the signal that killed the program", func(e *engine) {
		e.must("run", "--detach", "--name=killed", image, "sleep", "100")
		e.must("kill", "killed")
		e.says("137", "wait", "killed")
	}},
	{"a program that is missing is status 127, and said whole", func(e *engine) {
		e.refuses(127, e.ours(`exec "nosuch"`+notFound), "run", "--rm", image, "nosuch")
		e.refuses(127, e.ours(`exec "/no/such": no such file or directory`), "run", "--rm", image, "/no/such")
	}},
	{"a program that cannot be executed is status 126, and said whole", func(e *engine) {
		e.refuses(126, e.ours(`exec "/bin/no-program": permission denied (the user`), "run", "--rm", image, "/bin/no-program")
		e.refuses(126, e.ours(`exec "/etc"`), "run", "--rm", image, "/etc")
	}},
	{"a mount that cannot be is said whole", func(e *engine) {
		e.refuses(126, e.ours("bind /usr on /etc/passwd/usr", "not a directory (the image has a file on the way to it)"), "run", "--rm", "--volume=/usr:/etc/passwd/usr", image, "true")
	}},
	{"a user that is asked for is the program's, with its groups", func(e *engine) {
		e.says("uid=1000(user) gid=1000(user) groups=1000(user),2000(more)", "run", "--rm", "--user=user", image, "id")
	}},
	{"a directory, variables and a host name", func(e *engine) {
		e.says("/tmp b there", "run", "--rm", "--workdir=/tmp", "--env=A=b", "--hostname=there", image, "sh", "-c", `echo "$PWD $A $(hostname)"`)
	}},
	{"the mask of new files", func(e *engine) {
		e.says("0077", "run", "--rm", "--umask=0077", image, "sh", "-c", "umask")
	}},
	{"a terminal has its size, and follows it", func(e *engine) {
		screen := e.open("run", "--rm", "--interactive", "--tty", image, "sh")
		screen.enter("stty size; tty\n")
		screen.await("33 77\r\n/dev/pts/0\r\n")
		screen.isFollowed()
		screen.enter("exit 5\n")
		want("the status", screen.end(), 5)
	}},
	{"an init of its own reaps", func(e *engine) {
		e.must("run", "--detach", "--init", "--name=init", image, "sleep", "100")
		e.must("exec", "init", "sh", "-c", "(sleep 0.1 &) ; exit")
		e.says("/run/podman-init\n0", "exec", "init", "sh", "-c", "sleep 0.5; tr '\\0' '\\n' </proc/1/cmdline | head -n 1; grep -l '^State:.Z' /proc/[0-9]*/status | wc -l")
	}},
}

var podmanLife = []check{
	{"exec runs a program beside, with its status and user", func(e *engine) {
		e.must("run", "--detach", "--name=box", "--env=A=b", image, "sleep", "100")
		e.says("b 1000", "exec", "--user=user", "box", "sh", "-c", `echo "$A $(id -u)"`)
		e.refuses(3, nil, "exec", "box", "sh", "-c", "exit 3")
		e.refuses(127, e.ours(`exec "nosuch"`+notFound), "exec", "box", "nosuch")
		e.refuses(126, e.ours(`exec "/bin/no-program": permission denied`), "exec", "box", "/bin/no-program")
		e.refuses(137, nil, "exec", "box", "sh", "-c", "kill -9 $$")
		r := e.tryWith("words\n", "podman", "exec", "--interactive", "box", "cat")
		want("what it printed", r.stdout, "words\n")
	}},
	{"exec on a terminal", func(e *engine) {
		e.must("run", "--detach", "--name=box", image, "sleep", "100")
		screen := e.open("exec", "--interactive", "--tty", "box", "sh")
		screen.enter("stty size\n")
		screen.await("33 77")
		screen.enter("exit 4\n")
		want("the status", screen.end(), 4)
	}},
	{"a detached exec", func(e *engine) {
		e.must("run", "--detach", "--name=box", image, "sleep", "100")
		e.must("exec", "--detach", "box", "sh", "-c", "echo done >/tmp/mark")
		eventually("the program has run", func() bool { return e.try("exec", "box", "cat", "/tmp/mark").stdout == "done\n" })
	}},
	{"attach reaches the terminal of a container", func(e *engine) {
		e.must("run", "--detach", "--interactive", "--tty", "--name=box", image, "sh")
		screen := e.open("attach", "box")
		screen.enter("echo $((6*7))\n")
		screen.await("42\r\n")
		screen.enter("exit 9\n")
		screen.end()
		e.says("9", "wait", "box")
	}},
	{"stop sends the signal that a program can handle", func(e *engine) {
		e.must("run", "--detach", "--name=box", image, "sh", "-c", "trap 'exit 8' TERM; touch /tmp/ready; while :; do sleep 0.1; done")
		eventually("the trap is set", func() bool { return e.try("exec", "box", "test", "-e", "/tmp/ready").status == 0 })
		e.must("stop", "--time=20", "box")
		e.says("8 exited", "inspect", "--format={{.State.ExitCode}} {{.State.Status}}", "box")
	}},
	{"start starts a container again", func(e *engine) {
		e.must("create", "--name=box", image, "sh", "-c", "echo line >>/tmp/lines; cat /tmp/lines")
		e.says("line", "start", "--attach", "box")
		e.says("line\nline", "start", "--attach", "box")
	}},
	{"stats and top tell of its processes", func(e *engine) {
		e.must("run", "--detach", "--name=box", image, "sh", "-c", "sleep 100 & sleep 100; :")
		eventually("three processes", func() bool { return e.must("stats", "--no-stream", "--format={{.PIDS}}", "box") == "3" })
		e.says("COMMAND\nsh -c sleep 100 & sleep 100; : \nsleep 100 \nsleep 100 ", "top", "box", "args")
	}},
	{"cp in and out, and commit", func(e *engine) {
		e.write("/opt/file", "content\n")
		e.must("run", "--detach", "--name=box", image, "sleep", "100")
		e.must("cp", "/opt/file", "box:/tmp/in")
		e.says("content", "exec", "box", "cat", "/tmp/in")
		e.must("cp", "box:/tmp/in", "/opt/out")
		want("the copy", e.read("/opt/out"), "content\n")
		e.must("commit", "--quiet", "box", "localhost/changed")
		e.says("content", "run", "--rm", "localhost/changed", "cat", "/tmp/in")
	}},
	{"logs keep what was printed", func(e *engine) {
		e.must("run", "--name=box", image, "echo", "kept")
		e.says("kept", "logs", "box")
	}},
	{"a health check sees health and sickness", func(e *engine) {
		e.must("run", "--detach", "--name=box", "--health-cmd=test ! -e /tmp/sick", "--health-retries=1", "--health-interval=disable", image, "sleep", "100")
		e.must("healthcheck", "run", "box")
		e.must("exec", "box", "touch", "/tmp/sick")
		e.refuses(1, nil, "healthcheck", "run", "box")
		e.says("unhealthy", "inspect", "--format={{.State.Health.Status}}", "box")
	}},
	{"hooks of a directory run, and know the container", func(e *engine) {
		for _, stage := range []string{"prestart", "poststop"} {
			e.write("/opt/hooks/"+stage+".json", `{"version":"1.0.0","hook":{"path":"/bin/sh","args":["sh","-c","cat >/opt/hooks/state-`+stage+`"]},"when":{"always":true},"stages":["`+stage+`"]}`)
		}
		e.must("--hooks-dir=/opt/hooks", "run", "--cidfile=/opt/hooks/id", "--annotation=mine=yes", image, "true")
		id := e.read("/opt/hooks/id") // Podman 5 removes the file with the container
		e.must("rm", id)
		for stage, status := range map[string]string{"prestart": "creating", "poststop": "stopped"} {
			var told message
			decode(e.read("/opt/hooks/state-"+stage), &told)
			want("the id", told.at("id"), id)
			want("the status", told.at("status"), status)
			want("the annotation", told.at("annotations.mine"), "yes")
			if (told.at("pid") == "") != (stage == "poststop") || told.at("bundle") == "" {
				fail("%s", told)
			}
		}
	}},
	{"run hands on a descriptor", func(e *engine) {
		e.write("/opt/file", "content\n")
		want("what is read", e.house.must("sh", "-c", "podman run --rm --preserve-fds=1 "+image+" sh -c 'cat <&3' 3</opt/file"), "content")
		e.must("run", "--detach", "--name=box", image, "sleep", "100")
		want("what is read", e.house.must("sh", "-c", "podman exec --preserve-fds=1 box sh -c 'cat <&3' 3</opt/file"), "content")
	}},
	{"the runtime can be named, by its path as well, and have options", func(e *engine) {
		for _, runtime := range []string{e.runtime, "/usr/local/sbin/" + e.runtime} {
			want("what it printed", e.house.must("podman", "--runtime="+runtime, "--runtime-flag=debug", "run", "--rm", image, "echo", "here"), "here")
		}
	}},
}
