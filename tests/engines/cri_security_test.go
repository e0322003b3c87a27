//go:build engines

package engines

// security is the security context of a container, or of a pod.
func security(context message) message {
	return message{"linux": message{"securityContext": context}}
}

// id is a number that may be left out.
func id(number int) message { return message{"value": number} }

// statusOf is a script that prints a value of /proc/self/status.
func statusOf(name string) string { return status(name)[2] }

// who is a script that prints the ids of a process.
const who = "id -u; id -g; grep ^Groups: /proc/self/status"

var criSecurity = []check{
	{"capabilities are dropped and added", func(e *engine) {
		p := e.home()
		p.shows("00000000a80425fb", statusOf("CapEff"))
		p.shows("00000000a80435fa", statusOf("CapEff"), security(message{"capabilities": message{"dropCapabilities": []string{"CHOWN"}, "addCapabilities": []string{"NET_ADMIN"}}}))
		only := security(message{"capabilities": message{"dropCapabilities": []string{"ALL"}, "addCapabilities": []string{"NET_BIND_SERVICE"}}})
		p.shows("0000000000000400", statusOf("CapBnd"), only)
		p.start(idle, only).prints("0000000000000400", statusOf("CapEff"))
	}},
	{"a privileged container may do all", func(e *engine) {
		all := security(message{"privileged": true})
		p := e.pod("pod", all)
		p.shows("yes\n1:7", "mount -t tmpfs tmpfs /tmp && echo yes; stat -c %t:%T /dev/full", all)
		b := p.start(idle, all)
		b.prints("0", statusOf("Seccomp"))
		b.prints("yes", "hostname other && echo 1 >/proc/sys/net/ipv4/ip_forward && mkdir /dev/new && echo yes")
	}},
	{"a profile of system calls", func(e *engine) {
		p := e.home()
		p.shows("2", statusOf("Seccomp"), security(message{"seccomp": message{"profileType": "RuntimeDefault"}}))
		p.shows("0", statusOf("Seccomp"), security(message{"seccomp": message{"profileType": "Unconfined"}}))
		e.write("/opt/seccomp.json", `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":71}]}`)
		mine := security(message{"seccomp": message{"profileType": "Localhost", "localhostRef": "/opt/seccomp.json"}})
		p.shows("stderr: mkdir: can't create directory '/tmp/x': Protocol error", "mkdir /tmp/x; :", mine)
		p.start(idle, mine).prints("mkdir: can't create directory '/tmp/y': Protocol error", "mkdir /tmp/y; :")
	}},
	{"a profile of AppArmor", func(e *engine) {
		if e.house.try("test", "-d", "/sys/kernel/security/apparmor").status != 0 {
			fail("the house has no AppArmor")
		}
		e.home().shows("cri-containerd.apparmor.d (enforce)", "cat /proc/self/attr/current", security(message{"apparmor": message{"profileType": "RuntimeDefault"}}))
	}},
	{"a read-only root", func(e *engine) {
		e.home().shows("stderr: touch: /etc/file: Read-only file system", "touch /etc/file; :", security(message{"readonlyRootfs": true}))
	}},
	{"a user by number, with groups", func(e *engine) {
		p := e.home()
		p.shows("1000\n1000\nGroups:\t1000 2000 ", who, security(message{"runAsUser": id(1000)}))
		p.shows("1000\n7\nGroups:\t7 2000 ", who, security(message{"runAsUser": id(1000), "runAsGroup": id(7)}))
		b := p.start(idle, security(message{"runAsUser": id(1000), "runAsGroup": id(7), "supplementalGroups": []int{8, 9}}))
		b.prints("1000\n7\nGroups:\t7 8 9 2000 ", who)
	}},
	{"a user by name has the groups of the image", func(e *engine) {
		p := e.home()
		p.shows("uid=1000(user) gid=1000(user) groups=1000(user),2000(more)", "id", security(message{"runAsUsername": "user"}))
		b := p.create([]string{"true"}, security(message{"runAsUsername": "user"}))
		b.call("StartContainer", b.named())
		want("its exit status", b.ends(), "0")
	}},
	{"the groups of the image can be left out", func(e *engine) {
		e.since2("policy of supplemental groups")
		e.home().shows("1000\n1000\nGroups:\t8 1000 ", who,
			security(message{"runAsUsername": "user", "supplementalGroups": []int{8}, "supplementalGroupsPolicy": "Strict"}))
	}},
	{"no new privileges", func(e *engine) {
		p := e.home()
		p.shows("0", statusOf("NoNewPrivs"))
		b := p.start(idle, security(message{"noNewPrivs": true}))
		b.prints("1", statusOf("NoNewPrivs"))
	}},
	{"parameters of the kernel", func(e *engine) {
		p := e.pod("pod", message{"linux": message{"sysctls": map[string]string{"kernel.msgmax": "12345", "net.ipv4.ip_unprivileged_port_start": "77"}}})
		p.shows("12345\n77", "cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_unprivileged_port_start")
	}},
	{"a parameter that is the host's is refused, and that is said whole", func(e *engine) {
		config := e.podConfig("pod", message{"linux": message{"sysctls": map[string]string{"kernel.pid_max": "12345"}}})
		e.refuses(1, e.ours("OCI runtime create failed: check /run/", "linux.sysctl.kernel.pid_max: does not belong to a namespace, so it would change the host"),
			"RunPodSandbox", message{"config": config, "runtimeHandler": e.handler()}.String())
	}},
	{"what is hidden, and what is read-only", func(e *engine) {
		p := e.home()
		hidden := security(message{
			"maskedPaths": []string{"/proc/keys", "/proc/acpi", "/etc/passwd", "/root"}, "readonlyPaths": []string{"/proc/sys", "/tmp", "/nosuch"},
		})
		p.shows("0\n0\nno\nno", "cat /proc/keys /etc/passwd | wc -c; ls /root | wc -l; for f in /tmp/file /proc/sys/kernel/msgmax; do (echo 1 >$f) 2>/dev/null && echo yes || echo no; done", hidden)
		p.shows("yes", "grep -q ^root /etc/passwd && touch /tmp/file && echo yes")
	}},
	{"a user namespace", func(e *engine) {
		e.since2("user namespaces")
		own := userns()
		p := e.pod("pod", own)
		e.house.must("sh", "-c", "mkdir -p /opt/owned && touch /opt/owned/file && chown 7:7 /opt/owned/file")
		p.shows("0 200000 65536\n0\n0", "echo $(cat /proc/self/uid_map); id -u; stat -c %u /bin/busybox", own)
		p.shows("1000", "id -u", own, security(message{"runAsUser": id(1000)}))
		mapped := volume("/opt/owned", "/x", message{"uidMappings": mapping, "gidMappings": mapping})
		b := p.start(idle, own, mapped)
		b.prints("7\n0 200000 65536", "stat -c %u /x/file; echo $(cat /proc/self/uid_map)")
		eventually("root of the container is nobody outside", func() bool {
			return e.house.try("pgrep", "-f", "^sleep 1000$", "-u", "200000").status == 0
		})
	}},
	{"a user namespace on the network of the host", func(e *engine) {
		e.since(2, 2, "user namespaces on the network of the host")
		own := userns().with(sharing(message{"network": "NODE"}))
		p := e.pod("pod", own, message{"hostname": ""})
		p.shows("yes\n0 200000 65536", "grep -q pods: /proc/net/dev && echo yes; echo $(cat /proc/self/uid_map)", own)
	}},
}

// userns gives a pod a user namespace of its own.
func userns() message {
	return sharing(message{"usernsOptions": message{"mode": "POD", "uids": mapping, "gids": mapping}})
}

// mapping is that of the ids of a user namespace.
var mapping = []message{{"hostId": 200000, "containerId": 0, "length": 65536}}
