package cgroup

import (
	"encoding/json"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestValuesThatNoKernelHoldsAreRefusedByTheirPath(t *testing.T) {
	for _, c := range []struct{ resources, want string }{
		{`{}`, ``},
		{`{"pids":{"limit":-1},"memory":{"limit":-1,"swap":-1,"swappiness":18446744073709551615},"cpu":{"quota":-1,"shares":1,"cpus":"0-3,7"}}`, ``},
		{`{"pids":{"limit":4194305}}`, `linux.resources.pids.limit: 4194305 is not from 0 to 4194304, the most that the kernel has (-1 is no limit)`},
		{`{"memory":{"limit":-2}}`, `linux.resources.memory.limit: -2 is not a number of bytes, or -1 for no limit`},
		{`{"memory":{"limit":200,"swap":100}}`, `linux.resources.memory.swap: 100 is below memory.limit, 200; it is the limit of memory and swap together`},
		{`{"memory":{"swappiness":201}}`, `linux.resources.memory.swappiness: 201 is not from 0 to 200`},
		{`{"pids":{"limit":-2}}`, `linux.resources.pids.limit: -2 is not from 0 to 4194304, the most that the kernel has (-1 is no limit)`},
		{`{"memory":{"swap":1}}`, `linux.resources.memory.swap: needs memory.limit; it is the limit of memory and swap together`},
		{`{"cpu":{"quota":999}}`, `linux.resources.cpu.quota: 999 is not from 1000 to 17592186044415 microseconds (-1 is no limit)`},
		{`{"cpu":{"period":1000001}}`, `linux.resources.cpu.period: 1000001 is not from 1000 to 1000000 microseconds`},
		{`{"cpu":{"quota":5000,"burst":5001}}`, `linux.resources.cpu.burst: 5001 is above cpu.quota, 5000`},
		{`{"cpu":{"realtimePeriod":1000,"realtimeRuntime":1001}}`, `linux.resources.cpu.realtimeRuntime: 1001 is above cpu.realtimePeriod, 1000`},
		{`{"cpu":{"idle":2}}`, `linux.resources.cpu.idle: 2 is neither 0 nor 1`},
		{`{"cpu":{"cpus":"3-1"}}`, `linux.resources.cpu.cpus: "3-1" is not a list of numbers and ranges such as 0-3,7`},
		{`{"cpu":{"mems":"a"}}`, `linux.resources.cpu.mems: "a" is not a list of numbers and ranges such as 0-3,7`},
		{`{"blockIO":{"weight":9}}`, `linux.resources.blockIO.weight: 9 is not from 10 to 1000`},
		{`{"blockIO":{"weightDevice":[{"major":-1,"minor":0,"weight":10}]}}`, `linux.resources.blockIO.weightDevice[0].major: -1 is not the number of a device`},
		{`{"blockIO":{"weightDevice":[{"major":8,"minor":0}]}}`, `linux.resources.blockIO.weightDevice[0]: must have weight or leafWeight`},
		{`{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":4294967296,"rate":1}]}}`, `linux.resources.blockIO.throttleReadBpsDevice[0].minor: 4294967296 is not the number of a device`},
		{`{"hugepageLimits":[{"pageSize":"2mb","limit":1}]}`, `linux.resources.hugepageLimits[0].pageSize: "2mb" is not a size such as "64KB", "2MB" or "1GB"`},
		{`{"hugepageLimits":[{"pageSize":"02MB","limit":1}]}`, `linux.resources.hugepageLimits[0].pageSize: "02MB" is not a size such as "64KB", "2MB" or "1GB"`},
		{`{"network":{"priorities":[{"name":"","priority":1}]}}`, `linux.resources.network.priorities[0].name: "" is not the name of a network device (1 to 15 bytes without blank and slash)`},
		{`{"rdma":{"mlx5_0":{}}}`, `linux.resources.rdma.mlx5_0: must have hcaHandles or hcaObjects`},
		{`{"unified":{"../x.y":"1"}}`, `linux.resources.unified: "../x.y" is not a file name of the form controller.parameter`},
		{`{"devices":[{"allow":true,"type":"c","access":"rwm"},{"allow":false,"type":"c","major":1,"access":"r"}]}`, `linux.resources.devices[1]: cannot deny c 1:* r: an earlier rule allows c *:* rwm, and a part of it cannot be taken back`},
		{`{"pids":{"limit":4194305},"cpu":{"idle":2}}`, "linux.resources.pids.limit: 4194305 is not from 0 to 4194304, the most that the kernel has (-1 is no limit); linux.resources.cpu.idle: 2 is neither 0 nor 1"},
	} {
		var r specs.LinuxResources
		if err := json.Unmarshal([]byte(c.resources), &r); err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := Validate(&r); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.resources, got, c.want)
		}
	}
}
