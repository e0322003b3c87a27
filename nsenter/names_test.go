package nsenter

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestNamespacesHaveTheNamesOfTheConfiguration(t *testing.T) {
	for flags, want := range map[uint64]string{
		0:                    "init process, no",
		unix.CLONE_NEWUSER:   "user",
		unix.CLONE_NEWPID:    "pid",
		unix.CLONE_NEWNET:    "network",
		unix.CLONE_NEWNS:     "mount",
		unix.CLONE_NEWIPC:    "ipc",
		unix.CLONE_NEWUTS:    "uts",
		unix.CLONE_NEWCGROUP: "cgroup",
		unix.CLONE_NEWTIME:   "time",
		unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUSER: "user, pid, mount",
	} {
		if got := Names(flags); got != want {
			t.Errorf("Names(%#x) = %q, want %q", flags, got, want)
		}
	}
}

func TestMappingsAreLinesOfTheKernelsFile(t *testing.T) {
	for want, mappings := range map[string][]IDMapping{
		"":                        nil,
		"0 1000 1\n":              {{0, 1000, 1}},
		"0 5 2\n2 4294967294 1\n": {{0, 5, 2}, {2, 4294967294, 1}},
	} {
		if got := mappingText(mappings); got != want {
			t.Errorf("mappingText(%v) = %q, want %q", mappings, got, want)
		}
	}
	offsets := []ClockOffset{{"monotonic", -3, 7}, {"boottime", 1 << 40, 999999999}}
	if got, want := clockOffsetText(offsets), "monotonic -3 7\nboottime 1099511627776 999999999\n"; got != want {
		t.Errorf("clockOffsetText() = %q, want %q", got, want)
	}
}

func TestOnlyTheOwnIDIsMappedWithoutAHelper(t *testing.T) {
	for _, tt := range []struct {
		name     string
		mappings []IDMapping
		want     bool
	}{
		{"one id", []IDMapping{{0, 1000, 1}}, false},
		{"one id, of somebody else", []IDMapping{{0, 100000, 1}}, true},
		{"none", nil, true},
		{"a range", []IDMapping{{0, 1000, 2}}, true},
		{"two single ids", []IDMapping{{0, 1000, 1}, {1, 1001, 1}}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := idMap{mappings: tt.mappings, helper: mapHelper{own: 1000}}
			if got := m.needsHelper(); got != tt.want {
				t.Errorf("needsHelper(%v) = %v", tt.mappings, got)
			}
		})
	}
}

func TestAProcessEntersAnotherUserNamespaceByEitherWay(t *testing.T) {
	for _, tt := range []struct {
		name string
		ns   Namespaces
		want bool
	}{
		{"nothing", Namespaces{}, false},
		{"others", Namespaces{New: unix.CLONE_NEWPID, Join: []Join{{Type: unix.CLONE_NEWNET}}}, false},
		{"a new one", Namespaces{New: unix.CLONE_NEWUSER | unix.CLONE_NEWNS}, true},
		{"one that exists", Namespaces{Join: []Join{{Type: unix.CLONE_NEWNET}, {Type: unix.CLONE_NEWUSER}}}, true},
	} {
		if got := tt.ns.EntersUser(); got != tt.want {
			t.Errorf("%s: EntersUser() = %v", tt.name, got)
		}
	}
}
