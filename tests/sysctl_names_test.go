package tests

import (
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Each tree of parameters that belongs to a namespace, all in one container.
//
//proves:linux.sysctl.*
func TestEveryNamespacedTreeOfParametersIsSet(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	parameters := map[string]string{
		"net.core.somaxconn":              "77",
		"net.ipv4.tcp_fin_timeout":        "31",
		"net.ipv6.conf.all.disable_ipv6":  "1",
		"net.ipv4.conf.default.rp_filter": "2",
		"net/ipv4/neigh/lo/gc_stale_time": "61",
		"net.unix.max_dgram_qlen":         "33",
		"kernel.msgmax":                   "4097",
		"kernel.msgmnb":                   "16385",
		"kernel.msgmni":                   "333",
		"kernel.sem":                      "250\t32000\t100\t129",
		"kernel.shmall":                   "12345",
		"kernel.shmmax":                   "1234567",
		"kernel.shmmni":                   "123",
		"kernel.shm_rmid_forced":          "1",
		"kernel.msg_next_id":              "5",
		"kernel.sem_next_id":              "6",
		"kernel.shm_next_id":              "7",
		"kernel.domainname":               "example.org",
		"fs.mqueue.queues_max":            "17",
		"fs.mqueue.msg_max":               "18",
		"fs.mqueue.msgsize_default":       "4096",
		"user.max_net_namespaces":         "19",
	}
	var commands []string
	files := make(map[string]string)
	before := make(map[string]string)
	for key := range parameters {
		files[key] = "/proc/sys/" + strings.ReplaceAll(key, ".", "/")
		commands = append(commands, "read="+files[key])
		before[key] = readFile(t, files[key])
	}
	for name, edits := range map[string][]edit{"in a user namespace": {inUserNamespace}, "without": {func(s *specs.Spec) {
		delete(s.Linux.Sysctl, "user.max_net_namespaces")
	}}} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			var asked map[string]string
			s := h.probe(commands, append([]edit{func(s *specs.Spec) {
				s.Linux.Sysctl = make(map[string]string)
				for key, value := range parameters {
					s.Linux.Sysctl[key] = value
				}
			}}, append(edits, func(s *specs.Spec) { asked = s.Linux.Sysctl })...)...)
			for key, value := range asked {
				equal(t, key, strings.Fields(get[string](t, s, "read="+files[key])), strings.Fields(value))
				equal(t, "the host's "+key, readFile(t, files[key]), before[key])
			}
		})
	}
}

// Dots and slashes change places in a name that begins with a slash as separator
// (sysctl.d(5)): an interface may have a dot in its name.
//
//proves:linux.sysctl.*
func TestANameMayHaveADotOrASlashInAComponent(t *testing.T) {
	h := newHost(t)
	for _, key := range []string{"net.ipv4.conf.eth0/100.forwarding", "net/ipv4/conf/eth0.100/forwarding"} {
		h.fails([]string{"write sysctl", "net.ipv4.conf.eth0/100.forwarding", "no such file or directory"}, sysctl(key, "1"))
	}
}

//proves:linux.sysctl.*
func TestParametersOfAJoinedNamespaceOfTheHostAreRefused(t *testing.T) {
	h := newHost(t)
	for _, tt := range []struct {
		kind specs.LinuxNamespaceType
		key  string
	}{
		{specs.NetworkNamespace, "net.core.somaxconn"},
		{specs.IPCNamespace, "kernel.shmmax"},
		{specs.IPCNamespace, "fs.mqueue.msg_max"},
		{specs.UTSNamespace, "kernel.domainname"},
	} {
		t.Run(tt.key, func(t *testing.T) {
			path := "/proc/self/ns/" + procNames[tt.kind]
			(&host{t: t, root: h.root}).fails([]string{"linux.sysctl." + tt.key, fmt.Sprintf("%s is the %s namespace of the host", path, tt.kind)},
				func(s *specs.Spec) { s.Hostname = "" }, addNamespace(tt.kind, path), sysctl(tt.key, "1"))
		})
	}
	for field, set := range map[string]edit{
		"hostname":   func(s *specs.Spec) { s.Hostname = "x" },
		"domainname": func(s *specs.Spec) { s.Hostname, s.Domainname = "", "x" },
	} {
		h.fails([]string{field, "/proc/self/ns/uts is the uts namespace of the host"}, addNamespace(specs.UTSNamespace, "/proc/self/ns/uts"), set)
	}
}

//proves:linux.sysctl.* domainname
func TestTheDomainNameIsOneWhoeverAsksForIt(t *testing.T) {
	h := newHost(t)
	domain := func(name string) edit { return func(s *specs.Spec) { s.Domainname = name } }
	h.fails([]string{"linux.sysctl.kernel.domainname", "contradicts domainname"}, domain("a"), sysctl("kernel.domainname", "b"))
	h.fails([]string{"linux.sysctl.kernel/domainname", "longer than 64 bytes"}, sysctl("kernel/domainname", strings.Repeat("x", 65)))
	s := h.probe([]string{"uname"}, domain("a"), sysctl("kernel.domainname", "a"))
	equal(t, "domain name", get[map[string]string](t, s, "uname")["domainname"], "a")
}

//proves:linux.sysctl.*
func TestParametersWithoutANamespaceAreRefused(t *testing.T) {
	h := newHost(t)
	for _, key := range few([]string{
		"kernel.sysrq", "kernel.modprobe", "kernel.randomize_va_space", "vm.overcommit_memory", "fs.file-max", "fs.mqueue", "dev.cdrom.info",
		"kernel.shmmax.x", "kernel/shmmax/../core_pattern", "KERNEL.shmmax", "net", "/net/ipv4/ip_forward", "debug.exception-trace",
	}) {
		t.Run(key, func(t *testing.T) {
			(&host{t: t, root: h.root}).fails([]string{"linux.sysctl." + key}, sysctl(key, "1"))
		})
	}
	h.fails([]string{"linux.sysctl.user.max_net_namespaces", "needs a namespace of type user"}, sysctl("user.max_net_namespaces", "1"))
	h.fails([]string{"linux.sysctl.kernel.domainname", "needs a namespace of type uts"}, func(s *specs.Spec) { s.Hostname = "" },
		dropNamespace(specs.UTSNamespace), sysctl("kernel.domainname", "x"))
}
