//go:build engines

package engines

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// What docs/without-an-engine.md promises, with no engine but the tests.
func TestWithoutAnEngine(t *testing.T) {
	if _, err := os.Stat("/usr/lib/cni/bridge"); err != nil {
		lacks(t, "no CNI plugins (`.ci/packages engines` installs them)")
	}
	compare(t, []string{"ip", "iptables"}, openAlone, aloneChecks)
}

// openAlone unpacks the image as the base of all containers, and puts the hook
// where the page has it.
func openAlone(h *house, runtime string) *engine {
	h.putImage()
	h.must("sh", "-c", "mkdir -p /var/lib/base && tar -xf "+archive+" -C /opt layer.tar && tar -xf /opt/layer.tar -C /var/lib/base")
	hook, err := os.ReadFile("../../docs/examples/bridge-network")
	if err != nil {
		fail("%v", err)
	}
	h.write("/opt/hull/bridge-network", string(hook))
	h.must("chmod", "755", "/opt/hull/bridge-network")
	e := &engine{house: h, cli: []string{runtime}, runtime: runtime}
	e.sweep = func() {
		h.must("sh", "-c", "for id in $("+runtime+" list -q); do "+runtime+" delete --force $id || exit; done; rm -rf /var/lib/box*")
	}
	return e
}

// bundle makes a bundle of the base, with what the page says under headings.
func (e *engine) bundle(dir string, program []string, headings ...string) {
	e.house.must("sh", "-c", "mkdir -p $1/empty $1/upper $1/work && cd $1 && "+e.runtime+" spec", "sh", dir)
	var config specs.Spec
	decode(e.read(dir+"/config.json"), &config)
	config.Root.Path = "/var/lib/base"
	config.Process.Terminal = false
	config.Process.Args = program
	mounts := config.Mounts
	for _, heading := range headings {
		config.Mounts = nil
		decode(fragment(heading), &config)
		mounts = append(config.Mounts, mounts...)
	}
	config.Mounts = mounts
	text, err := json.Marshal(config)
	if err != nil {
		fail("%v", err)
	}
	e.write(dir+"/config.json", string(text))
}

// fragment is the configuration that the page has under a heading.
func fragment(heading string) string {
	page, err := os.ReadFile("../../docs/without-an-engine.md")
	if err != nil {
		fail("%v", err)
	}
	_, text, _ := strings.Cut(string(page), "\n## "+heading+"\n")
	_, text, _ = strings.Cut(text, "\n```json\n")
	text, _, found := strings.Cut(text, "\n```\n")
	if !found {
		fail("docs/without-an-engine.md has nothing under %q", heading)
	}
	return text
}

func decode(text string, v any) {
	if err := json.Unmarshal([]byte(text), v); err != nil {
		fail("%v: %s", err, text)
	}
}

const (
	overlay = "A writable root on a read-only base"
	bridge  = "A network with a way out"
)

var aloneChecks = []check{
	{"a container writes beside its base", func(e *engine) {
		e.bundle("/var/lib/box", []string{"sh", "-c", "echo new >/etc/new && cat /etc/new"}, overlay)
		e.says("new", "run", "--bundle=/var/lib/box", "box")
		want("what was written", e.read("/var/lib/box/upper/etc/new"), "new\n")
		want("the base has it", e.house.try("test", "-e", "/var/lib/base/etc/new").status, 1)
		want("a mount is left", e.house.try("grep", "-q", "/var/lib/box", "/proc/mounts").status, 1)
	}},
	{"containers reach each other, the host and beyond, and leave nothing", func(e *engine) {
		before := e.network()
		serve := []string{"sh", "-c", "while :; do echo from a container | nc -l -p 80; done"}
		e.bundle("/var/lib/box1", serve, bridge)
		e.bundle("/var/lib/box2", []string{"sleep", "100"}, bridge)
		for _, id := range []string{"box1", "box2"} {
			e.must("run", "--detach", "--bundle=/var/lib/"+id, id)
		}
		address := e.must("exec", "box1", "sh", "-c", "ip -4 -o address show eth0 | tr -s ' /' '  ' | cut -d ' ' -f 4")
		e.reaches("box2", address, "from a container")
		e.start("/var/log/server", "sh", "-c", "while :; do echo from the host | busybox nc -l -p 81; done")
		defer e.house.must("pkill", "-f", "from the host")
		e.reaches("box2", "10.89.0.1:81", "from the host")
		// A world that knows no way to the containers, and so answers the host.
		e.house.must("sh", "-c", `
			ip netns add world
			ip link add out type veth peer name in netns world
			ip address add 192.0.2.1/24 dev out && ip link set out up
			ip -n world address add 192.0.2.2/24 dev in && ip -n world link set in up`)
		e.start("/var/log/world", "ip", "netns", "exec", "world", "sh", "-c", "while :; do echo from the world | busybox nc -l -p 80; done")
		e.reaches("box1", "192.0.2.2", "from the world")
		e.house.must("pkill", "-f", "from the world")
		e.house.must("sh", "-c", "ip link del out && ip netns del world")
		e.must("delete", "--force", "box1")
		e.must("delete", "--force", "box2")
		want("the network of the host", e.network(), before)
	}},
	{"a hook that fails is said whole, and leaves nothing", func(e *engine) {
		before := e.network()
		e.bundle("/var/lib/box", []string{"true"}, bridge)
		e.house.must("sed", "-i", "s/hull0/a-name-that-is-too-long/", "/opt/hull/bridge-network")
		defer e.house.must("sed", "-i", "s/a-name-that-is-too-long/hull0/", "/opt/hull/bridge-network")
		e.refuses(1, e.ours("/opt/hull/bridge-network", "numerical result out of range"), "run", "--bundle=/var/lib/box", "box")
		want("the network of the host", e.network(), before)
	}},
}

// reaches waits until a server answers a container.
func (e *engine) reaches(id, server, answer string) {
	address, port, found := strings.Cut(server, ":")
	if !found {
		port = "80"
	}
	eventually(id+" hears "+answer, func() bool {
		return e.try("exec", id, "nc", "-w", "2", address, port).stdout == answer+"\n"
	})
}

// network is what there is of links, rules and named namespaces in the house.
func (e *engine) network() string {
	return e.house.must("sh", "-c", "ip -o link | cut -d ' ' -f 2; ip netns list; iptables-save | grep -e ^-A -e ' - \\['; ls -d /run/hull-bridge* 2>/dev/null || :")
}
