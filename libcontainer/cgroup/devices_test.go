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
