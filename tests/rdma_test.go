package tests

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// newRDMA makes an RDMA device of software on a network device of its own.
func newRDMA(t *testing.T) string {
	t.Helper()
	needController(t, "rdma")
	tool := needTool(t, "rdma")
	const device, network = "hullrxe0", "hullrdma0"
	_ = exec.Command("modprobe", "rdma_rxe").Run()
	for _, line := range [][]string{
		{"ip", "link", "add", network, "type", "dummy"},
		{"ip", "link", "set", network, "up"},
		{tool, "link", "add", device, "type", "rxe", "netdev", network},
	} {
		if out, err := exec.Command(line[0], line[1:]...).CombinedOutput(); err != nil {
			t.Logf("%v: %v %s", line, err, out)
			lacks(t, "an RDMA device of software")
		}
		t.Cleanup(func() { _ = exec.Command("ip", "link", "del", network).Run() })
	}
	return device
}

//proves:linux.resources.rdma.*.hcaHandles linux.resources.rdma.*.hcaObjects
func TestRDMADevicesAreLimited(t *testing.T) {
	device := newRDMA(t)
	h := newHost(t)
	for name, tt := range map[string]struct {
		limit specs.LinuxRdma
		want  string
	}{
		"both":    {specs.LinuxRdma{HcaHandles: pointer(uint32(3)), HcaObjects: pointer(uint32(1000))}, "hca_handle=3 hca_object=1000"},
		"objects": {specs.LinuxRdma{HcaObjects: pointer(uint32(10))}, "hca_handle=max hca_object=10"},
		"handles": {specs.LinuxRdma{HcaHandles: pointer(uint32(2))}, "hca_handle=2 hca_object=max"},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			c := h.start(nil, resources(specs.LinuxResources{Rdma: map[string]specs.LinuxRdma{device: tt.limit}}))
			file := c.cgroup("rdma") + "/rdma.max"
			equal(t, "rdma.max", strings.TrimSpace(readFile(t, file)), device+" "+tt.want)
			// A device that goes after a cgroup with limits for it goes on to
			// use the memory of that cgroup: the kernel ends there (6.12).
			if err := os.WriteFile(file, []byte(device+" hca_handle=max hca_object=max"), 0); err != nil {
				t.Fatal(err)
			}
		})
	}
}
