package tests

import (
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestUpdatedDeviceRulesAreInForceAtOnce(t *testing.T) {
	h := newHost(t)
	needBusybox(t)
	const kmsg, zero = "open=/dev/kmsg", "open=/dev/zero"
	device := func(s *specs.Spec) {
		s.Linux.Resources.Devices = []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}
		s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/kmsg", Type: "c", Major: 1, Minor: 11}}
	}
	c := h.create(h.newBundle(nil, allCapabilities, writableRoot, device,
		shell("while :; do : 2>/dev/null </dev/zero || echo denied; done")))
	h.must("start", c.id)
	opens := func() bool {
		t.Helper()
		s := c.exec(kmsg, zero, "open=/dev/null")
		get[string](t, s, zero)
		get[string](t, s, "open=/dev/null")
		return s.failure(kmsg) == ""
	}
	equal(t, "the device is open at first", opens(), false)
	allowed, other := `{"allow": true, "type": "c", "major": 1, "minor": 11, "access": "rw"}`, `{"allow": true, "type": "c", "major": 1, "minor": 12, "access": "rw"}`
	for _, step := range []struct {
		rules string
		opens bool
	}{
		{`{"allow": false, "access": "rwm"}, ` + allowed, true},
		{allowed + "," + other, true},
		{other, false},
		{`{"allow": true, "type": "c", "major": 1, "access": "rw"}`, true},
		{`{"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"}`, false},
	} {
		c.mustUpdate(`{"devices": [`+step.rules+`]}`, "-r", "-")
		equal(t, "the device is open with "+step.rules, opens(), step.opens)
	}
	// What both lists allow was never denied meanwhile.
	equal(t, "denied", strings.Count(readFile(t, c.out), "denied"), 0)
	// A value that is refused takes the rules back with it.
	c.mustUpdate(`{"devices": [`+allowed+`]}`, "-r", "-")
	before := c.limits()
	// Memory comes after the devices.
	bad := `{"devices": [` + other + `], "memory": {"limit": 4096, "checkBeforeUpdate": true}}`
	if r := c.update(bad, "-r", "-"); r.status == 0 {
		t.Errorf("%s is taken", bad)
	}
	c.changes(before, nil)
	equal(t, "the device is open", opens(), true)
}
