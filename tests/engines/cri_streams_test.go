//go:build engines

package engines

import "strings"

// both are the streams that a program writes.
var both = message{"stdout": true, "stderr": true}

// stream is the command of the client that executes a program in the container.
func (b box) stream(program []string, options ...message) []string {
	return []string{"Exec", b.named(append(options, message{"cmd": program})...).String()}
}

// tryStream runs a command of the client with something on its input.
func (e *engine) tryStream(input string, args ...string) result {
	return e.tryWith(input, append(e.cli, args...)...)
}

var criStreams = []check{
	{"exec-sync runs a program beside, and returns its status and output", func(e *engine) {
		b := e.home().start(idle)
		status, output := b.sync(script("echo out; echo err >&2; exit 3"))
		want("what it wrote", output, "out\nerr\n")
		want("its status", status, "3")
	}},
	{"exec-sync ends a program that takes too long", func(e *engine) {
		b := e.home().start(idle)
		e.refuses(1, []string{"DeadlineExceeded: "}, "ExecSync", b.named(message{"cmd": []string{"sleep", "777"}, "timeout": 1}).String())
		eventually("it is gone", func() bool { return e.house.try("pgrep", "-f", "^sleep 777").status == 1 })
	}},
	{"an exec of what is missing is said whole", func(e *engine) {
		b := e.home().start(idle)
		e.refuses(1, e.ours(`OCI runtime exec failed: exec "nosuch"`+notFound), "ExecSync", b.named(message{"cmd": []string{"nosuch"}}).String())
		e.refuses(1, e.ours(`OCI runtime exec failed: exec "nosuch"`+notFound), b.stream([]string{"nosuch"}, both)...)
	}},
	{"exec streams input and outputs, apart, and ends with its status", func(e *engine) {
		b := e.home().start(idle)
		r := e.tryStream("words\n", b.stream(script("cat; echo err >&2; exit 3"), both, message{"stdin": true})...)
		want("what it wrote", r.stdout+"|"+r.stderr, "words\n|err\n")
		want("its status", r.status, 3)
	}},
	{"exec streams much", func(e *engine) {
		b := e.home().start(idle)
		r := e.tryStream("", b.stream(script("head -c 3000000 /dev/zero | tr '\\0' x"), both)...)
		want("how much", len(r.stdout), 3000000)
	}},
	{"exec on a terminal, which has its size and follows it", func(e *engine) {
		b := e.home().start(idle)
		screen := e.open(b.stream([]string{"sh"}, message{"stdin": true, "stdout": true, "tty": true})...)
		screen.enter("until stty size 2>/dev/null | grep -v '^0'; do sleep 0.1; done; tty\n")
		screen.await("33 77")
		screen.await("/dev/pts/0")
		screen.isFollowed()
		screen.enter("exit 4\n")
		want("the status", screen.end(), 4)
	}},
	{"attach streams a container's input and outputs", func(e *engine) {
		b := e.home().start(script("read line; echo out $line; echo err $line >&2; read line"), message{"stdin": true})
		// One whose input ends is detached: a fifo that is open to be written does not.
		r := e.house.try("sh", "-c", `rm -f /tmp/in && mkfifo /tmp/in && exec 3<>/tmp/in && printf 'words\nmore\n' >&3 && cri Attach "$0" <&3`,
			b.named(both, message{"stdin": true}).String())
		want("what it wrote", r.stdout+"|"+r.stderr, "out words\n|err words\n")
		want("its exit status", b.ends(), "0")
		want("its log", b.logged(), "stdout: out words\nstderr: err words\n")
	}},
	{"the input of a container ends once, if it is asked for", func(e *engine) {
		b := e.home().start(script("cat; echo end"), message{"stdin": true, "stdinOnce": true})
		r := e.tryStream("words\n", "Attach", b.named(both, message{"stdin": true}).String())
		want("what it wrote", r.stdout, "words\nend\n")
		want("its exit status", b.ends(), "0")
	}},
	{"attach to a container's terminal", func(e *engine) {
		b := e.home().start([]string{"sh"}, message{"stdin": true, "tty": true})
		screen := e.open("Attach", b.named(message{"stdin": true, "stdout": true, "tty": true}).String())
		screen.enter("until stty size 2>/dev/null | grep -v '^0'; do sleep 0.1; done; tty\n")
		screen.await("33 77")
		screen.await("/dev/pts/0")
		screen.enter("exit 5\n")
		screen.end()
		want("its exit status", b.ends(), "5")
		if log := b.logged(); !strings.Contains(log, "stdout: 33 77\n") {
			fail("the log has not what the terminal shows: %q", log)
		}
	}},
	{"a log is opened anew when it is asked for", func(e *engine) {
		b := e.home().start(script("while :; do echo line; sleep 0.05; done"))
		logged := func() bool { return e.house.try("test", "-s", b.log).status == 0 }
		eventually("it writes", logged)
		e.house.must("mv", b.log, b.log+".1")
		b.call("ReopenContainerLog", b.named())
		eventually("it writes again", logged)
	}},
	{"a port of a pod is forwarded", func(e *engine) {
		p := e.home()
		p.start(script("while :; do echo hello | nc -l -p 80; done"))
		eventually("it answers", func() bool {
			r := e.tryStream("", "PortForward", message{"podSandboxId": p.id, "port": []int{80}}.String())
			return r.status == 0 && r.stdout == "hello\n"
		})
	}},
	{"pods reach each other, and a port of the host leads to one", func(e *engine) {
		server := e.pod("server", message{"portMappings": []message{{"containerPort": 80, "hostPort": 8080}}})
		server.start(script("while :; do echo hello | nc -l -p 80; done"))
		address := server.ask("PodSandboxStatus", server.named(), "status.network.ip")
		client := e.home().start(idle)
		eventually("one reaches the other", func() bool {
			_, output := client.sync([]string{"nc", "-w", "2", address, "80"})
			return output == "hello\n"
		})
		address = e.house.must("sh", "-c", "ip -4 -o address show pods | tr -s ' /' '  ' | cut -d ' ' -f 4")
		eventually("the host's port leads there", func() bool {
			return e.house.try("busybox", "nc", "-w", "2", address, "8080").stdout == "hello\n"
		})
	}},
}
