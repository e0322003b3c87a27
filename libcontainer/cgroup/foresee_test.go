package cgroup

import (
	"encoding/json"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// TestWhatIsForeseenIsWhatHappens compares on each layout of this machine what
// Foresee says before the cgroup is there with what Set says after.
func TestWhatIsForeseenIsWhatHappens(t *testing.T) {
	onEach(t, func(sc scene) {
		for _, text := range []string{
			`{"pids":{"limit":10}}`,
			`{"memory":{"limit":67108864}}`,
			`{"memory":{"limit":67108864,"swap":67108864}}`,
			`{"memory":{"swappiness":10}}`,
			`{"memory":{"disableOOMKiller":true}}`,
			`{"cpu":{"shares":512}}`,
			`{"cpu":{"shares":1}}`,
			`{"cpu":{"quota":50000,"period":100000}}`,
			`{"cpu":{"idle":1}}`,
			`{"cpu":{"realtimePeriod":100000}}`,
			`{"cpu":{"cpus":"0"}}`,
			`{"cpu":{"cpus":"9000"}}`,
			`{"cpu":{"mems":"0"}}`,
			`{"cpu":{"mems":"60000"}}`,
			`{"blockIO":{"weight":500}}`,
			`{"blockIO":{"leafWeight":500}}`,
			`{"blockIO":{"throttleReadBpsDevice":[{"major":250,"minor":77,"rate":1000}]}}`,
			`{"hugepageLimits":[{"pageSize":"2MB","limit":0}]}`,
			`{"hugepageLimits":[{"pageSize":"3MB","limit":0}]}`,
			`{"network":{"classID":1048577}}`,
			`{"network":{"priorities":[{"name":"lo","priority":1}]}}`,
			`{"network":{"priorities":[{"name":"no-such0","priority":1}]}}`,
			`{"rdma":{"mlx5_0":{"hcaHandles":1}}}`,
			`{"unified":{"hugetlb.2MB.max":"0"}}`,
			`{"unified":{"memory.high":"max"}}`,
			`{"unified":{"cgroup.max.depth":"3"}}`,
			`{"unified":{"nonsense.max":"3"}}`,
		} {
			var r specs.LinuxResources
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				sc.t.Fatal(err)
			}
			foreseen := sc.c.Foresee(&r)
			if err := sc.c.Create(); err != nil {
				sc.t.Fatal(err)
			}
			happened := sc.c.Set(&r)
			if err := sc.c.Remove(); err != nil {
				sc.t.Fatal(err)
			}
			switch {
			case happened == nil && len(foreseen) == 0:
			case happened == nil:
				sc.t.Errorf("%s: foreseen %v, but it works", text, foreseen)
			case len(foreseen) == 0:
				sc.t.Errorf("%s: not foreseen: %v", text, happened)
			case foreseen[0].Error() != happened.Error():
				sc.t.Errorf("%s:\nforeseen %v\nhappened %v", text, foreseen[0], happened)
			}
		}
	})
}

func TestDeviceRulesThatThisVersionCannotHoldAreForeseen(t *testing.T) {
	onEach(t, func(sc scene) {
		r := specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: true}, deviceNode(false, 300, anyNumber), deviceNode(true, 300, 7)}}
		foreseen := sc.c.Foresee(&r)
		create(sc.t, sc.c)
		happened := sc.c.SetDevices(r.Devices)
		if v1 := !sc.c.controller("devices").v2(); v1 != (happened != nil) || v1 != (len(foreseen) == 1) || v1 && foreseen[0].Error() != happened.Error() {
			sc.t.Errorf("foreseen %v\nhappened %v", foreseen, happened)
		}
	})
}
