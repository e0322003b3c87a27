//go:build engines

package engines

import (
	"cmp"
	"fmt"
	"strings"
)

var criLife = []check{
	{"containerd is ready, and knows what the runtime can", func(e *engine) {
		want("its name", e.ask("Version", message{}, "runtimeName"), "containerd")
		status := e.call("Status", message{})
		for _, condition := range []string{"status.conditions.0", "status.conditions.1"} {
			want(status.at(condition+".type"), status.at(condition+".status"), "true")
		}
	}},
	{"it knows from the runtime what that can", func(e *engine) {
		e.since2("features of handlers")
		status := e.call("Status", message{})
		for i := range 3 { // Debian's, the one that is documented beside, the one without a name
			handler := fmt.Sprintf("runtimeHandlers.%d.", i)
			if status.at(handler+"name") == e.handler() {
				want("recursive read-only mounts", status.at(handler+"features.recursiveReadOnlyMounts"), "true")
				if !e.reference { // Debian's does not tell
					want("user namespaces", status.at(handler+"features.userNamespaces"), "true")
				}
				return
			}
		}
		fail("%s is missing in %s", e.handler(), status)
	}},
	{"who makes cgroups is asked for", func(e *engine) {
		e.since2("RuntimeConfig")
		want("the driver", e.ask("RuntimeConfig", message{}, "linux.cgroupDriver"), "CGROUPFS")
	}},
	{"the life of a pod", func(e *engine) {
		p := e.pod("pod", message{"labels": message{"app": "one"}, "annotations": message{"a": "b"}})
		status := p.call("PodSandboxStatus", p.named())
		want("its state", status.at("status.state"), "") // ready is the first of two
		want("its name", status.at("status.metadata.name"), "pod")
		want("a label", status.at("status.labels.app"), "one")
		want("its handler", status.at("status.runtimeHandler"), e.handler())
		b := p.start(idle)
		p.call("StopPodSandbox", p.named())
		want("its state", p.ask("PodSandboxStatus", p.named(), "status.state"), "SANDBOX_NOTREADY")
		want("the container's", b.status("state"), "CONTAINER_EXITED")
		p.call("RemovePodSandbox", p.named())
		r := e.try("PodSandboxStatus", p.named().String())
		if r.status == 0 || !strings.HasPrefix(r.stderr, "NotFound: ") {
			fail("it is there: %s", r)
		}
		want("its cgroups", e.house.must("find", "/sys/fs/cgroup", "-path", "*/kubepods/pod/*", "-type", "d"), "")
	}},
	{"the life of a container", func(e *engine) {
		p := e.home()
		b := p.create(script("echo out; echo err >&2; exit 7"), message{"labels": message{"app": "one"}})
		want("its state", b.status("state"), "") // created is the first
		b.call("StartContainer", b.named())
		want("its exit status", b.ends(), "7")
		want("the reason", b.status("reason"), "Error")
		want("its log", b.logged(), "stdout: out\nstderr: err\n")
		listed := e.list("ListContainers", message{"filter": message{"labelSelector": message{"app": "one"}}}, "containers")
		want("how many are listed", len(listed), 1)
		want("the one that is listed", listed[0].at("id"), b.id)
		b.call("RemoveContainer", b.named())
		r := e.try("ContainerStatus", b.named().String())
		if r.status == 0 || !strings.HasPrefix(r.stderr, "NotFound: ") {
			fail("it is there: %s", r)
		}
	}},
	{"a container that succeeds is completed", func(e *engine) {
		b := e.home().start([]string{"true"})
		want("its exit status", b.ends(), "0")
		want("the reason", b.status("reason"), "Completed")
	}},
	{"arguments, variables and a directory", func(e *engine) {
		b := e.home().start([]string{"sh", "-c"}, message{
			"args":       []string{`echo "$PWD $A $HOSTNAME"`},
			"envs":       []message{{"key": "A", "value": []byte("b")}},
			"workingDir": "/tmp",
		})
		want("its exit status", b.ends(), "0")
		want("its log", b.logged(), "stdout: /tmp b home\n")
	}},
	{"stop sends the signal that a program can handle", func(e *engine) {
		b := e.home().start(script("trap 'exit 8' TERM; touch /tmp/ready; while :; do sleep 0.1; done"))
		eventually("the trap is set", func() bool { status, _ := b.sync([]string{"test", "-e", "/tmp/ready"}); return status == "0" })
		b.call("StopContainer", b.named(message{"timeout": 20}))
		want("its exit status", b.status("exitCode"), "8")
	}},
	{"stop sends the signal that a container wants", func(e *engine) {
		e.since(2, 2, "signals to stop with")
		b := e.home().start(script("trap 'exit 9' USR1; touch /tmp/ready; while :; do sleep 0.1; done"), message{"stopSignal": "SIGNAL_SIGUSR1"})
		eventually("the trap is set", func() bool { status, _ := b.sync([]string{"test", "-e", "/tmp/ready"}); return status == "0" })
		b.call("StopContainer", b.named(message{"timeout": 20}))
		want("its exit status", b.status("exitCode"), "9")
	}},
	{"stop kills a program that does not listen, after the time of grace", func(e *engine) {
		b := e.home().start(script("trap '' TERM; touch /tmp/ready; while :; do sleep 0.1; done"))
		eventually("the trap is set", func() bool { status, _ := b.sync([]string{"test", "-e", "/tmp/ready"}); return status == "0" })
		b.call("StopContainer", b.named(message{"timeout": 1}))
		want("its exit status", b.status("exitCode"), "137")
	}},
	{"who takes too much memory is killed, and that is told", func(e *engine) {
		b := e.home().start([]string{"tail", "/dev/zero"}, message{"linux": message{"resources": message{"memoryLimitInBytes": 16 << 20}}})
		want("its exit status", b.ends(), "137")
		eventually("that is told", func() bool { return b.status("reason") == "OOMKilled" })
	}},
	{"limits, and what the kernel kills first", func(e *engine) {
		b := e.home().start(idle, message{"linux": message{"resources": message{
			"memoryLimitInBytes": 64 << 20, "cpuPeriod": 100000, "cpuQuota": 50000, "cpuShares": 512, "cpusetCpus": "0", "oomScoreAdj": 500,
		}}})
		want("the limit", b.limit("memory.max", "memory/memory.limit_in_bytes"), "67108864")
		want("the quota", strings.Fields(b.limit("cpu.max", "cpu/cpu.cfs_quota_us"))[0], "50000")
		b.prints("500\n0", "cat /proc/1/oom_score_adj; grep Cpus_allowed_list /proc/self/status | cut -f 2")
	}},
	{"update changes limits of a container that runs", func(e *engine) {
		b := e.home().start(idle, message{"linux": message{"resources": message{"memoryLimitInBytes": 64 << 20}}})
		b.call("UpdateContainerResources", b.named(message{"linux": message{"memoryLimitInBytes": 128 << 20, "cpuPeriod": 100000, "cpuQuota": 20000}}))
		want("the limit", b.limit("memory.max", "memory/memory.limit_in_bytes"), "134217728")
		want("the quota", strings.Fields(b.limit("cpu.max", "cpu/cpu.cfs_quota_us"))[0], "20000")
		b.prints("here", "echo >/dev/null && echo here")
	}},
	{"stats of a container and of a pod", func(e *engine) {
		p := e.home()
		b := p.start(script("head -c 8000000 /dev/zero >/tmp/file; sleep 1000"))
		eventually("what it has written is counted", func() bool {
			return len(b.ask("ContainerStats", b.named(), "stats.writableLayer.usedBytes.value")) >= 7
		})
		stats := b.call("ContainerStats", b.named())
		for _, field := range []string{"cpu.usageCoreNanoSeconds", "memory.workingSetBytes"} {
			if stats.at("stats."+field+".value") == "" {
				fail("%s is missing in %s", field, stats)
			}
		}
		stats = p.call("PodSandboxStats", p.named())
		for _, field := range []string{"cpu.usageCoreNanoSeconds.value", "memory.workingSetBytes.value", "network.defaultInterface.rxBytes.value", "process.processCount.value"} {
			if stats.at("stats.linux."+field) == "" {
				fail("%s is missing in %s", field, stats)
			}
		}
	}},
	{"events tell of the life of a container", func(e *engine) {
		e.start("/var/log/events", "cri", "GetContainerEvents")
		defer e.house.try("pkill", "-f", "cri GetContainerEvents")
		p := e.home()
		eventually("all of it is told", func() bool {
			b := p.start([]string{"true"})
			b.ends()
			b.call("RemoveContainer", b.named())
			told := map[string]bool{}
			for line := range strings.Lines(e.read("/var/log/events")) {
				var event message
				decode(line, &event)
				// Zero, which is not written, is the first of them.
				told[cmp.Or(event.at("containerEventType"), "CONTAINER_CREATED_EVENT")] = true
			}
			return len(told) == 4
		})
	}},
	{"pods live on without containerd", func(e *engine) {
		p := e.home()
		b := p.start(idle)
		e.house.must("pkill", "-x", "containerd")
		eventually("containerd ends", func() bool { return e.house.try("pgrep", "-x", "containerd").status == 1 })
		e.startContainerd()
		want("its state", b.status("state"), "CONTAINER_RUNNING")
		b.prints("here", "echo here")
		p.shows("home", "hostname")
	}},
	{"a program that is missing or cannot be executed is said whole", func(e *engine) {
		p := e.home()
		b := p.create([]string{"nosuch"})
		e.refuses(1, e.ours(`OCI runtime create failed: exec "nosuch"`+notFound),
			"StartContainer", b.named().String())
		want("the reason", b.status("reason"), "StartError")
		tells(b.status("message"), e.ours(`exec "nosuch"`+notFound))
		b = p.create([]string{"/bin/no-program"})
		e.refuses(1, e.ours(`OCI runtime create failed: exec "/bin/no-program": permission denied (the user`), "StartContainer", b.named().String())
	}},
	{"a mount that cannot be is said whole", func(e *engine) {
		b := e.home().create([]string{"true"}, volume("/usr", "/etc/passwd/usr"))
		e.refuses(1, e.ours("OCI runtime create failed: bind /usr on /etc/passwd/usr", "not a directory (the image has a file on the way to it)"),
			"StartContainer", b.named().String())
	}},
	{"memory that is too little to start with is said whole", func(e *engine) {
		b := e.home().create([]string{"true"}, message{"linux": message{"resources": message{"memoryLimitInBytes": 8192}}})
		during := " failed: start "
		if e.cgroupDriver() == "systemd" { // which takes the scope of who was killed away at once
			during = " failed: "
		}
		e.refuses(1, e.ours("OCI runtime ", during, "the out-of-memory killer"), "StartContainer", b.named().String())
	}},
}

// limit is a file of the container's cgroup, of version 2 or of version 1.
func (b box) limit(v2, v1 string) string {
	_, text := b.sync(limit(v2, v1))
	return strings.TrimSuffix(text, "\n")
}
