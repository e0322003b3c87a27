//go:build engines

package engines

import "strings"

// volume is a mount of the host's into a container.
func volume(host, inside string, options ...message) message {
	return message{"mounts": []message{message{"hostPath": host, "containerPath": inside}.with(options...)}}
}

// sharing says which namespaces a pod or a container has.
func sharing(options message) message {
	return security(message{"namespaceOptions": options})
}

var criIsolation = []check{
	{"volumes, to write and to read", func(e *engine) {
		p := e.home()
		e.house.must("mkdir", "-p", "/opt/shared")
		p.shows("", "echo kept >/x/file", volume("/opt/shared", "/x"))
		want("what was written", e.read("/opt/shared/file"), "kept\n")
		p.shows("kept\nstderr: touch: /x/file: Read-only file system", "cat /x/file; touch /x/file; :", volume("/opt/shared", "/x", message{"readonly": true}))
	}},
	{"mounts of the host come into a volume that is a slave, and into no private one", func(e *engine) {
		p := e.home()
		e.house.must("mkdir", "-p", "/opt/slave/sub")
		slave := p.start(idle, volume("/opt/slave", "/x", message{"propagation": "PROPAGATION_HOST_TO_CONTAINER"}))
		private := p.start(idle, volume("/opt/slave", "/x", message{"propagation": "PROPAGATION_PRIVATE"}))
		e.house.must("sh", "-c", "mount -t tmpfs tmpfs /opt/slave/sub && touch /opt/slave/sub/file")
		defer e.house.must("umount", "/opt/slave/sub")
		slave.prints("file", "ls /x/sub")
		private.prints("0", "ls /x/sub | wc -l")
	}},
	{"mounts of a container come out of a volume that is shared", func(e *engine) {
		all := security(message{"privileged": true})
		p := e.pod("pod", all)
		e.house.must("mkdir", "-p", "/opt/both/sub")
		b := p.start(idle, all, volume("/opt/both", "/x", message{"propagation": "PROPAGATION_BIDIRECTIONAL"}))
		b.prints("done", "mount -t tmpfs tmpfs /x/sub && touch /x/sub/file && echo done")
		defer e.house.must("umount", "/opt/both/sub")
		want("what the host has", e.house.must("ls", "/opt/both/sub"), "file")
	}},
	{"a volume is read-only with all that is mounted in it", func(e *engine) {
		e.since2("recursive read-only mounts")
		e.house.must("sh", "-c", "mkdir -p /opt/deep/sub && mount -t tmpfs tmpfs /opt/deep/sub")
		defer e.house.must("umount", "/opt/deep/sub")
		p := e.home()
		p.shows("", "touch /x/sub/file", volume("/opt/deep", "/x", message{"readonly": true}))
		p.shows("stderr: touch: /x/sub/file: Read-only file system", "touch /x/sub/file; :",
			volume("/opt/deep", "/x", message{"readonly": true, "recursiveReadOnly": true, "propagation": "PROPAGATION_PRIVATE"}))
	}},
	{"an image as a volume", func(e *engine) {
		e.since2("images as volumes")
		e.home().shows("yes\nstderr: touch: /x/file: Read-only file system", "test -x /x/bin/busybox && echo yes; touch /x/file; :",
			volume("", "/x", message{"image": message{"image": image}, "readonly": true}))
	}},
	{"devices, as far as they are allowed", func(e *engine) {
		p := e.home()
		// A number that no driver has: who may open it hears of that.
		e.house.must("sh", "-c", "rm -f /opt/mine; mknod /opt/mine c 240 77")
		mine := message{"devices": []message{{"hostPath": "/opt/mine", "containerPath": "/dev/mine", "permissions": "r"}}}
		const why = ` 2>&1 | sed "s/.*: //"` // without the shell's way of saying where
		p.shows("No such device or address", "(: </dev/mine)"+why, mine)
		p.shows("Operation not permitted", "(: >/dev/mine)"+why, mine)
		p.shows("Operation not permitted", "mknod /dev/mine c 240 78; (: </dev/mine)"+why)
	}},
	{"containers of a pod share what a pod shares", func(e *engine) {
		options := sharing(message{"pid": "POD"})
		p := e.pod("pod", options)
		p.start(script("while :; do echo hello | nc -l -p 80; done"), options)
		b := p.start(idle, options)
		b.prints("pod\nyes", "hostname; ps -o args | grep -q 'nc -l' && echo yes")
		eventually("one reaches the other", func() bool {
			_, output := b.sync([]string{"nc", "127.0.0.1", "80"})
			return output == "hello\n"
		})
		b.prints("kept", "echo kept >/dev/shm/file; cat /dev/shm/file")
		p.shows("kept", "cat /dev/shm/file", options)
	}},
	{"processes of a container are its own, or all of the host's", func(e *engine) {
		p := e.home()
		p.shows("cat", "cat /proc/1/comm", sharing(message{"pid": "CONTAINER"}))
		host := sharing(message{"pid": "NODE"})
		e.pod("pod", host).shows(e.init, "cat /proc/1/comm", host)
	}},
	{"what a container leaves in a pid namespace that it shares ends with it", func(e *engine) {
		for _, of := range []string{"POD", "NODE"} {
			options := sharing(message{"pid": of})
			p := e.pod("pod-"+strings.ToLower(of), options)
			b := p.start(script("sleep 888 & exit 3"), options)
			want("its exit status", b.ends(), "3")
			b = p.start(script("sleep 888 & until [ -e /tmp/end ]; do sleep 0.1; done; exit 4"), options)
			e.refuses(137, nil, b.stream(script("touch /tmp/end; exec sleep 888"), both)...)
			want("its exit status", b.ends(), "4")
			eventually("they are gone", func() bool { return e.house.try("pgrep", "-f", "^sleep 888").status == 1 })
		}
	}},
	{"a container looks at the processes of another", func(e *engine) {
		p := e.home()
		target := p.start(idle, sharing(message{"pid": "CONTAINER"}))
		p.shows("sleep", "cat /proc/1/comm", sharing(message{"pid": "TARGET", "targetId": target.id}))
	}},
	{"the network, the name and the messages of the host", func(e *engine) {
		host := sharing(message{"network": "NODE", "ipc": "NODE"})
		p := e.pod("pod", host, message{"hostname": ""})
		ipc := e.house.must("readlink", "/proc/self/ns/ipc")
		p.shows("yes\n"+e.house.must("hostname")+"\n"+ipc, "grep -q pods: /proc/net/dev && echo yes; hostname; readlink /proc/self/ns/ipc", host)
	}},
}

// criBelow is where cgroups have paths, and not slices.
var criBelow = []check{
	{"a pod that is given no cgroup has one, until it is gone", func(e *engine) {
		p := e.pod("pod", message{"linux": message{"cgroupParent": ""}})
		b := p.start(idle)
		b.prints("here", "echo here")
		of := func() string { return e.house.must("find", "/sys/fs/cgroup/", "-name", "*"+b.id+"*") }
		if of() == "" {
			fail("there is none of this name")
		}
		p.remove()
		want("what is left", of(), "")
	}},
}
