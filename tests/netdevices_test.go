package tests

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"
)

// moving configures network devices: the name inside by the name outside.
func moving(devices map[string]string) edit {
	return func(s *specs.Spec) {
		s.Linux.NetDevices = make(map[string]specs.LinuxNetDevice)
		for name, inside := range devices {
			s.Linux.NetDevices[name] = specs.LinuxNetDevice{Name: inside}
		}
	}
}

// seenLink is what the probe's links prints of a device.
type seenLink struct {
	Index     int
	Up        bool
	MTU       int
	Hardware  string
	Addresses []string
}

// addressed gives a device addresses of all kinds.
func (n *network) addressed(name string) {
	n.t.Helper()
	n.ip(
		// Down: the kernel makes a link-local address of the hardware's.
		"link set "+name+" down",
		"link set "+name+" mtu 1400 address 02:00:00:00:00:07",
		"link set "+name+" up",
		"address add 192.0.2.1/24 dev "+name+" label "+name+":one",
		"address add 192.0.2.2/24 metric 77 dev "+name, // a second of a subnet
		"address add 192.0.2.9 peer 203.0.113.9/32 dev "+name,
		"address add 2001:db8::1/64 nodad dev "+name,
		"address add 198.51.100.1/24 valid_lft 1000 preferred_lft 1000 dev "+name,
		"address add 2001:db8:1::1/64 valid_lft 1000 preferred_lft 1000 nodad dev "+name,
		"address add 169.254.7.7/16 scope link dev "+name,
	)
	n.settled(name)
}

// kept are the addresses of addressed that a container gets.
func kept(name string) []address {
	return []address{
		{Local: "192.0.2.1", Prefix: 24, Scope: "global", Label: name + ":one"},
		{Local: "192.0.2.2", Prefix: 24, Scope: "global", Label: name, Metric: 77},
		{Local: "192.0.2.9", Peer: "203.0.113.9", Prefix: 32, Scope: "global", Label: name},
		{Local: "2001:db8::1", Prefix: 64, Scope: "global", NoDAD: true},
	}
}

// others are the addresses that the kernel has not made by itself.
func others(d device) []address { return slices.DeleteFunc(d.Addresses, isAutomatic) }

//proves:config-linux.md#network-devices:1 config-linux.md#network-devices:5 config-linux.md#network-devices:6
//proves:features.linux.netDevices.enabled config-linux.md#namespace-lifecycle-and-container-termination:2
func TestANetworkDeviceMovesIntoTheContainer(t *testing.T) {
	t.Parallel()
	outside := newNetwork(t)
	h := outside.newHost()
	outside.veth("v0")
	outside.addressed("v0")
	before := outside.devices()["v0"]
	var f features.Features
	if err := json.Unmarshal([]byte(h.must("features")), &f); err != nil {
		t.Fatal(err)
	}
	equal(t, "features say so", f.Linux.NetDevices.Enabled, true)
	c := h.start([]string{"links"}, moving(map[string]string{"v0": ""}))
	inside := &network{t: t, pid: c.pid}

	equal(t, "devices outside", outside.names(), []string{"lo", "peer-v0"})
	equal(t, "devices inside", inside.names(), []string{"lo", "v0"})
	d := inside.devices()["v0"]
	equal(t, "index", d.Index, before.Index)
	equal(t, "MTU", d.MTU, 1400)
	equal(t, "hardware address", d.Hardware, "02:00:00:00:00:07")
	equal(t, "addresses", others(d), kept("v0"))
	for name, s := range map[string]sight{"the program": c.see(), "an exec": c.exec("links")} {
		seen := get[map[string]seenLink](t, s, "links")["v0"]
		if !seen.Up || seen.Index != before.Index || !slices.Contains(seen.Addresses, "192.0.2.1/24") || !slices.Contains(seen.Addresses, "2001:db8::1/64") {
			t.Errorf("%s sees %+v", name, seen)
		}
	}
	h.must("delete", "--force", c.id)
	// The runtime does not move it back: a virtual device ends with its network.
	eventually(t, "the pair is gone", func() bool { return slices.Equal(outside.names(), []string{"lo"}) })
}

//proves:linux.netDevices.*.name config-linux.md#network-devices:1 config-linux.md#network-devices:4
//proves:config-linux.md#network-devices:5 config-linux.md#network-devices:6
func TestNetworkDevicesGetTheirNamesInTheContainer(t *testing.T) {
	t.Parallel()
	outside := newNetwork(t)
	h := outside.newHost()
	for _, name := range []string{"v0", "v1", "v2", "v3", "v4"} {
		outside.veth(name)
	}
	outside.addressed("v0")
	// Names that are free in the container may be taken outside, and the other
	// way round.
	c := h.start(nil, moving(map[string]string{"v0": "peer-v1", "v1": "v0", "v2": "eth%d", "v3": "eth%d", "v4": "eth7"}))
	inside := &network{t: t, pid: c.pid}
	equal(t, "devices inside", inside.names(), []string{"eth0", "eth1", "eth7", "lo", "peer-v1", "v0"})
	equal(t, "addresses", others(inside.devices()["peer-v1"]), kept("peer-v1"))
	equal(t, "devices outside", outside.names(), []string{"lo", "peer-v0", "peer-v1", "peer-v2", "peer-v3", "peer-v4"})
	for name, d := range inside.devices() {
		if name != "lo" && !slices.Contains(d.Flags, "UP") {
			t.Errorf("%s is not up: %v", name, d.Flags)
		}
	}
}

//proves:linux.netDevices.*.name config-linux.md#network-devices:1 config-linux.md#network-devices:4
//proves:config-linux.md#namespace-lifecycle-and-container-termination:1
//proves:config-linux.md#namespace-lifecycle-and-container-termination:2
func TestNetworkDevicesMoveIntoANamespaceThatIsJoined(t *testing.T) {
	t.Parallel()
	outside, pod := newNetwork(t), newNetwork(t)
	h := outside.newHost()
	outside.veth("v0")
	outside.veth("v1")
	pod.veth("eth0") // whose indices are those of v0
	c := h.start(nil, addNamespace(specs.NetworkNamespace, pod.path()), moving(map[string]string{"v0": "eth%d", "v1": ""}))
	want := []string{"eth0", "eth1", "lo", "peer-eth0", "v1"}
	equal(t, "devices of the pod", pod.names(), want)
	equal(t, "devices outside", outside.names(), []string{"lo", "peer-v0", "peer-v1"})
	pod.settled("eth1")
	// From here on they are the pod's to look after.
	pod.ip("link set v1 down", "address add 192.0.2.7/24 dev eth1")
	theirs := pod.devices()
	c.exec("pid")
	h.must("delete", "--force", c.id)
	equal(t, "devices of the pod after delete", pod.devices(), theirs)
}

func TestNetworkDevicesMoveIntoAUserNamespace(t *testing.T) {
	t.Parallel()
	outside := newNetwork(t)
	h := outside.newHost()
	outside.veth("v0")
	outside.addressed("v0")
	c := h.start([]string{"links"}, inUserNamespace, moving(map[string]string{"v0": "eth0"}))
	if seen := get[map[string]seenLink](t, c.see(), "links")["eth0"]; !seen.Up {
		t.Errorf("%+v", seen)
	}
	equal(t, "addresses", others((&network{t: t, pid: c.pid}).devices()["eth0"]), kept("eth0"))
}

func TestSysctlsOfANetworkDeviceThatMovesAreSet(t *testing.T) {
	t.Parallel()
	outside := newNetwork(t)
	h := outside.newHost()
	outside.veth("v0")
	const file = "read=/proc/sys/net/ipv4/conf/eth0/forwarding"
	s := h.probe([]string{file}, moving(map[string]string{"v0": "eth0"}), func(s *specs.Spec) {
		s.Linux.Sysctl = map[string]string{"net.ipv4.conf.eth0.forwarding": "1"}
	})
	equal(t, "forwarding", get[string](t, s, file), "1\n")
}

//proves:linux.netDevices.*.name config-linux.md#network-devices:2 config-linux.md#network-devices:3
func TestANetworkDeviceThatCannotMoveStaysAsItIs(t *testing.T) {
	outside, pod := newNetwork(t), newNetwork(t)
	h := outside.newHost()
	outside.veth("v0")
	outside.addressed("v0")
	outside.veth("v1")
	outside.ip("link property add dev v1 altname other", "link set v1 down")
	pod.ip("link add eth0 type veth peer name eth1", "link property add dev eth1 altname taken")
	before := outside.devices()
	join := addNamespace(specs.NetworkNamespace, pod.path())
	for name, tt := range some(map[string]struct {
		devices map[string]string
		extra   edit
		words   []string
	}{
		"no such device": {map[string]string{"v0": "", "v9": ""}, nil, []string{"linux.netDevices.v9: no such device", "network namespace that hull runs in"}},
		"an alternative name": {
			map[string]string{"v0": "", "other": ""},
			nil,
			[]string{"linux.netDevices.other: an alternative name of v1", "use the name of the device"},
		},
		"a name that is taken": {
			map[string]string{"v0": "", "v1": "eth0"},
			join,
			[]string{"linux.netDevices.v1: the container has a network device named eth0", "append %d"},
		},
		"an alternative name that is taken": {
			map[string]string{"v0": "", "v1": "taken"},
			join,
			[]string{"linux.netDevices.v1: the container has a network device named taken"},
		},
		"the name of lo": {map[string]string{"v0": "lo"}, nil, []string{"linux.netDevices.v0: the container has a network device named lo"}},
		// lo comes before v0, which is not touched, and after eve, which is.
		"a device that never moves":             {map[string]string{"lo": "x", "v0": ""}, nil, []string{"linux.netDevices.lo: cannot leave its network namespace"}},
		"a device that never moves, as another": {map[string]string{"lo": "x", "eve": ""}, nil, []string{"linux.netDevices.lo: cannot leave its network namespace"}},
		"its own namespace": {
			map[string]string{"v0": "x"},
			addNamespace(specs.NetworkNamespace, outside.path()),
			[]string{"linux.netDevices", "is the one that the devices are in"},
		},
		"no namespace": {map[string]string{"v0": ""}, dropNamespace(specs.NetworkNamespace), []string{"linux.netDevices.v0: needs a network namespace"}},
		"a bad name":   {map[string]string{"v0": "a/b"}, nil, []string{"linux.netDevices.v0.name", `"a/b"`}},
		"one name for two": {
			map[string]string{"v0": "x", "v1": "x"},
			nil,
			[]string{"linux.netDevices.v1: linux.netDevices.v0 gets the name x as well"},
		},
	}) {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root, through: h.through}
			want := before
			if _, ok := tt.devices["eve"]; ok {
				outside.veth("eve")
				outside.addressed("eve")
				want = outside.devices()
				defer outside.ip("link delete eve")
			}
			edits := []edit{moving(tt.devices)}
			if tt.extra != nil {
				edits = append(edits, tt.extra)
			}
			h.fails(tt.words, edits...)
			equal(t, "devices outside", outside.devices(), want)
			equal(t, "devices of the pod", pod.names(), []string{"eth0", "eth1", "lo"})
		})
	}
}

func TestANetworkDeviceGoesBackIfAHookFails(t *testing.T) {
	outside := newNetwork(t)
	h, d := outside.newHost(), newDiary(t)
	outside.veth("v0")
	outside.addressed("v0")
	outside.veth("v1")
	outside.ip("link set v1 down", "link add br0 type bridge", "link set v1 master br0")
	before := outside.devices()
	hook := specs.Hook{Path: suite.probe, Args: []string{"createContainer", "links", "record=" + d.path, "exit=3"}}
	h.fails([]string{"createContainer", "3"}, moving(map[string]string{"v0": "eth0", "v1": ""}), func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{CreateContainer: []specs.Hook{hook}}
	})
	var seen map[string]seenLink
	decodeStrictly(t, string(d.read()[0].raw["links"]), &seen)
	if !seen["eth0"].Up || !seen["v1"].Up {
		t.Errorf("the hook sees %+v", seen)
	}
	equal(t, "devices outside", outside.devices(), before)
}

func TestMovingANetworkDeviceTakesCapNetAdmin(t *testing.T) {
	needTool(t, "setpriv")
	outside := newNetwork(t)
	h := outside.newHost()
	outside.veth("v0")
	before := outside.devices()
	h.through = append(h.through, "setpriv", "--bounding-set=-net_admin")
	h.fails([]string{"linux.netDevices.v0: operation not permitted", "CAP_NET_ADMIN"}, moving(map[string]string{"v0": ""}))
	equal(t, "devices outside", outside.devices(), before)
}

func TestRootOfAUserNamespaceMovesItsNetworkDevices(t *testing.T) {
	t.Parallel()
	needTool(t, "ip")
	needTool(t, "nsenter")
	outside := &network{t: t, pid: holder(t, "--user", "--net")}
	for _, kind := range []string{"uid_map", "gid_map"} {
		if err := os.WriteFile(procPath(outside.pid, kind), []byte("0 0 65536"), 0); err != nil {
			t.Fatal(err)
		}
	}
	h := outside.newHost()
	outside.veth("v0")
	outside.addressed("v0")
	h.through = append(h.through, "--user="+procPath(outside.pid, "ns/user"), "--preserve-credentials")
	b := h.newBundle([]string{"links"}, moving(map[string]string{"v0": "eth0"}), func(s *specs.Spec) {
		s.Linux.Resources = nil
		s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return m.Type != "proc" })
	})
	s := parseSight(t, h.must("--cgroup-manager", "disabled", "run", "--bundle", b.dir, newID()))
	if seen := get[map[string]seenLink](t, s, "links")["eth0"]; !seen.Up || !slices.Contains(seen.Addresses, "192.0.2.1/24") {
		t.Errorf("%+v", seen)
	}
}

func TestNothingRemainsOfACreateThatIsKilledWhileDevicesMove(t *testing.T) {
	t.Parallel()
	outside := newNetwork(t)
	h := outside.newHost()
	b := h.newBundle([]string{"sleep"}, moving(map[string]string{"v0": "eth0"}))
	atMoments(20, 33*time.Millisecond, func(delay time.Duration) {
		outside.veth("v0")
		outside.ip("address add 192.0.2.1/24 dev v0")
		id := newID()
		h.crash(delay, itself, "create", "--bundle", b.dir, id)
		h.sweepAndCheck(delay, id, b)
		// Either it had not moved yet, or it ends with the container's network.
		untouched := func() bool {
			d := outside.devices()["v0"]
			return slices.Contains(d.Flags, "UP") && slices.Contains(d.locals(), "192.0.2.1/24")
		}
		eventually(t, "v0 is as it was or gone", func() bool {
			return untouched() || slices.Equal(outside.names(), []string{"lo"})
		})
		_ = outside.command("ip", "link", "delete", "v0").Run()
	})
}
