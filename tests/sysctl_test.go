package tests

import (
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func sysctl(key, value string) edit {
	return func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{key: value} }
}

//proves:linux.sysctl.*
func TestParametersOfTheKernelAreSetInTheContainerOnly(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for name, tt := range map[string]struct{ key, value, file string }{
		"of the network":              {"net.ipv4.ip_forward", "1", "net/ipv4/ip_forward"},
		"with several values":         {"net.ipv4.ping_group_range", "0 2147483647", "net/ipv4/ping_group_range"},
		"with slashes":                {"net/ipv4/ip_unprivileged_port_start", "77", "net/ipv4/ip_unprivileged_port_start"},
		"of one interface":            {"net.ipv4.conf.lo.forwarding", "1", "net/ipv4/conf/lo/forwarding"},
		"of shared memory":            {"kernel.shmmni", "123", "kernel/shmmni"},
		"of message queues":           {"fs.mqueue.queues_max", "77", "fs/mqueue/queues_max"},
		"of semaphores, four of them": {"kernel.sem", "250 32000 100 128", "kernel/sem"},
		"the domain name of the host": {"kernel.domainname", "example.org", "kernel/domainname"},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			file := "/proc/sys/" + tt.file
			before := readFile(t, file)
			s := h.probe([]string{"read=" + file}, sysctl(tt.key, tt.value))
			equal(t, tt.key, strings.Fields(get[string](t, s, "read="+file)), strings.Fields(tt.value))
			equal(t, "the host's "+tt.key, readFile(t, file), before)
		})
	}
}

//proves:linux.sysctl.* linux.sysctl
func TestParametersOfTheHostAreRefused(t *testing.T) {
	h := newHost(t)
	for name, tt := range some(map[string]struct {
		key   string
		edits []edit
		words []string
	}{
		"one of the whole kernel":      {"kernel.core_pattern", nil, []string{"linux.sysctl", "kernel.core_pattern", "would change the host"}},
		"one that climbs":              {"net/../kernel/core_pattern", nil, []string{"linux.sysctl", "not the name of a kernel parameter"}},
		"one that climbs with dots":    {"net.//.//.kernel.core_pattern", nil, []string{"linux.sysctl", "not the name of a kernel parameter"}},
		"one of the host's network":    {"net.ipv4.ip_forward", []edit{dropNamespace(specs.NetworkNamespace)}, []string{"linux.sysctl", "net.ipv4.ip_forward", "needs a namespace of type network"}},
		"one of the host's ipc":        {"kernel.shmmax", []edit{dropNamespace(specs.IPCNamespace)}, []string{"linux.sysctl", "kernel.shmmax", "needs a namespace of type ipc"}},
		"one of a joined host network": {"net.ipv4.ip_forward", []edit{addNamespace(specs.NetworkNamespace, "/proc/self/ns/net")}, []string{"linux.sysctl", "net.ipv4.ip_forward", "network namespace of the host"}},
		"the name of the host":         {"kernel.hostname", nil, []string{"linux.sysctl", "kernel.hostname", "hostname"}},
		"one that does not exist":      {"net.ipv4.cake", nil, []string{"sysctl", "net.ipv4.cake", "no such file or directory"}},
		"a value that is not accepted": {"net.ipv4.ip_unprivileged_port_start", nil, []string{"sysctl", "net.ipv4.ip_unprivileged_port_start", "invalid argument"}},
		"an empty name":                {"", nil, []string{"linux.sysctl"}},
	}) {
		t.Run(name, func(t *testing.T) {
			(&host{t: t, root: h.root}).fails(tt.words, append(tt.edits, sysctl(tt.key, "x"))...)
		})
	}
}
