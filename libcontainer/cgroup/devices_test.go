package cgroup

import (
	"slices"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func deviceNode(allow bool, major, minor int64) specs.LinuxDeviceCgroup {
	return specs.LinuxDeviceCgroup{Allow: allow, Type: "c", Major: &major, Minor: &minor, Access: "rw"}
}

// With a list that was searched for each rule this takes a minute and more.
func TestTensOfThousandsOfDeviceRulesTakeNoTime(t *testing.T) {
	const count = 100_000
	var rules []specs.LinuxDeviceCgroup
	for i := range int64(count) {
		rules = append(rules, deviceNode(true, i, i))
	}
	for i := range int64(count) {
		rules = append(rules, deviceNode(false, i, i))
	}
	began := time.Now()
	l, err := compileDevices(rules)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("%d rules took %v", len(rules), took)
	}
	none, err := compileDevices(nil)
	if err != nil {
		t.Fatal(err)
	}
	left, want := slices.Collect(l.all()), slices.Collect(none.all())
	if !slices.Equal(left, want) {
		t.Errorf("%d exceptions are left, want %d", len(left), len(want))
	}
}

func TestAPartOfAWiderRuleCannotBeTakenBack(t *testing.T) {
	for name, wide := range map[string]specs.LinuxDeviceCgroup{
		"of a major number": deviceNode(true, 300, anyNumber),
		"of a minor number": deviceNode(true, anyNumber, 7),
		"of everything":     deviceNode(true, anyNumber, anyNumber),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := compileDevices([]specs.LinuxDeviceCgroup{wide, deviceNode(false, 300, 7)}); err == nil {
				t.Error("it was")
			}
			if _, err := compileDevices([]specs.LinuxDeviceCgroup{wide, wide, deviceNode(false, *wide.Major, *wide.Minor)}); err != nil {
				t.Error(err)
			}
		})
	}
	if _, err := compileDevices([]specs.LinuxDeviceCgroup{deviceNode(true, 300, 7), deviceNode(false, 300, anyNumber)}); err == nil {
		t.Error("a wider rule took back a part")
	}
}

// v1 has no way to say it: what it would do is deny.
func TestRulesThatOnlyCgroupV2CanHoldAreRefusedOnV1(t *testing.T) {
	everything, wide, node := specs.LinuxDeviceCgroup{Allow: true}, deviceNode(false, 300, anyNumber), deviceNode(true, 300, 7)
	for name, tt := range map[string]struct {
		rules []specs.LinuxDeviceCgroup
		want  string
	}{
		"a part of a wider rule": {
			[]specs.LinuxDeviceCgroup{everything, wide, node},
			"set linux.resources.devices[2]: cannot allow c 300:7 rw: an earlier rule denies c 300:* rw, and cgroup v1 cannot take back a part of it",
		},
		"a device of every container": {
			[]specs.LinuxDeviceCgroup{everything, deviceNode(false, 1, anyNumber)},
			"set linux.resources.devices[1]: cannot deny c 1:* rw: every container has c 1:3 rw, and cgroup v1 cannot leave a part out",
		},
		"all of a wider rule":           {[]specs.LinuxDeviceCgroup{everything, wide, deviceNode(true, 300, anyNumber)}, ""},
		"all and more":                  {[]specs.LinuxDeviceCgroup{everything, node, deviceNode(false, 300, 7), deviceNode(true, 300, anyNumber)}, ""},
		"what has nothing in common":    {[]specs.LinuxDeviceCgroup{everything, wide, deviceNode(true, 301, 7)}, ""},
		"a wide rule void again":        {[]specs.LinuxDeviceCgroup{everything, wide, node, everything}, ""},
		"exactly a device of all":       {[]specs.LinuxDeviceCgroup{everything, deviceNode(false, 1, 3)}, ""},
		"one terminal of the container": {[]specs.LinuxDeviceCgroup{everything, deviceNode(false, 136, 5)}, ""},
		"tun, which not all need":       {[]specs.LinuxDeviceCgroup{everything, deviceNode(false, 10, anyNumber)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := compileDevices(tt.rules)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if l.hole != nil {
				got = l.hole.Error()
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if err := l.write("/nonexistent"); l.hole != nil && (err == nil || err.Error() != tt.want) {
				t.Errorf("written: %v", err)
			}
		})
	}
}

func TestOnlyTheLossOfRulesThatDenyANodeIsWorthAWarning(t *testing.T) {
	everything := specs.LinuxDeviceCgroup{Access: "rwm"}
	for name, tt := range map[string]struct {
		rules []specs.LinuxDeviceCgroup
		want  bool
	}{
		"no rules":              {nil, false},
		"what engines say":      {[]specs.LinuxDeviceCgroup{everything, deviceNode(true, 10, 229)}, false},
		"a node that is denied": {[]specs.LinuxDeviceCgroup{{Allow: true}, deviceNode(false, 10, 229)}, true},
	} {
		if got := denySome(tt.rules); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
