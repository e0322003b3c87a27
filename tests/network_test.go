package tests

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// network is a network namespace: that of a container, or one that stands for
// the host's, so that tests need not share the real one.
type network struct {
	t   *testing.T
	pid int
}

// newNetwork makes a network namespace that lasts as long as the test. What runs
// in it has to be made later, so as to be swept away earlier.
func newNetwork(t *testing.T) *network {
	t.Helper()
	needTool(t, "ip")
	needTool(t, "nsenter")
	return &network{t: t, pid: holder(t, "--net")}
}

// enter is the command that runs another one in there.
func (n *network) enter() []string { return []string{"nsenter", "--net=" + n.path()} }

func (n *network) command(line ...string) *exec.Cmd {
	line = append(n.enter(), line...)
	return exec.Command(line[0], line[1:]...)
}

func (n *network) path() string { return procPath(n.pid, "ns/net") }

// newHost is newHost for a runtime whose host network this is.
func (n *network) newHost() *host {
	n.t.Helper()
	h := newHost(n.t)
	h.through = n.enter()
	return h
}

// ip runs ip(8) in there, once a line.
func (n *network) ip(lines ...string) {
	n.t.Helper()
	for _, line := range lines {
		if out, err := n.command(append([]string{"ip"}, strings.Fields(line)...)...).CombinedOutput(); err != nil {
			n.t.Fatalf("ip %s: %v: %s", line, err, out)
		}
	}
}

// device is what ip(8) shows of a network device.
type device struct {
	Name      string    `json:"ifname"`
	Index     int       `json:"ifindex"`
	Flags     []string  `json:"flags"`
	MTU       int       `json:"mtu"`
	Hardware  string    `json:"address"`
	AltNames  []string  `json:"altnames"`
	Master    string    `json:"master"`
	Addresses []address `json:"addr_info"`
}

type address struct {
	Local   string `json:"local"`
	Peer    string `json:"address"`
	Prefix  int    `json:"prefixlen"`
	Scope   string `json:"scope"`
	Label   string `json:"label"`
	Metric  int    `json:"metric"`
	Dynamic bool   `json:"dynamic"`
	NoDAD   bool   `json:"nodad"`
}

// devices are those in there, by name. Addresses are sorted, and flags too: those
// that follow from the carrier, some time later, are left out.
func (n *network) devices() map[string]device {
	n.t.Helper()
	out, err := n.command("ip", "-json", "address").Output()
	if err != nil {
		n.t.Fatal(err)
	}
	var list []device
	if err := json.Unmarshal(out, &list); err != nil {
		n.t.Fatalf("%v: %s", err, out)
	}
	found := make(map[string]device)
	for i := range list {
		d := &list[i]
		d.Flags = slices.DeleteFunc(d.Flags, func(flag string) bool {
			return flag == "LOWER_UP" || flag == "NO-CARRIER" || flag == "M-DOWN"
		})
		slices.Sort(d.Flags)
		slices.SortFunc(d.Addresses, func(a, b address) int { return strings.Compare(a.Local, b.Local) })
		found[d.Name] = *d
	}
	return found
}

func (n *network) names() []string {
	n.t.Helper()
	names := []string{}
	for name := range n.devices() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// veth makes a pair of devices, which are up: name, and peer-name.
func (n *network) veth(name string) {
	n.t.Helper()
	n.ip("link add "+name+" type veth peer name peer-"+name, "link set "+name+" up", "link set peer-"+name+" up")
	n.settled(name, "peer-"+name)
}

// settled waits until devices that are up have the link-local addresses that the
// kernel gives them when they have a carrier.
func (n *network) settled(names ...string) {
	n.t.Helper()
	eventually(n.t, "the devices have addresses", func() bool {
		devices := n.devices()
		return !slices.ContainsFunc(names, func(name string) bool {
			return !slices.ContainsFunc(devices[name].Addresses, isAutomatic)
		})
	})
}

// isAutomatic tells the link-local addresses of IPv6.
func isAutomatic(a address) bool { return strings.HasPrefix(a.Local, "fe80:") }

// locals are the addresses of a device with their prefixes.
func (d *device) locals() []string {
	out := []string{}
	for _, a := range d.Addresses {
		out = append(out, fmt.Sprintf("%s/%d", a.Local, a.Prefix))
	}
	return out
}
