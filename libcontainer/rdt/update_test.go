package rdt

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestAnUpdateWritesWhatItNamesAndCanBeUndone(t *testing.T) {
	root := standIn(t)
	p := create(t, root, specs.LinuxIntelRdt{ClosID: "gold", L3CacheSchema: "L3:0=f;1=f"})
	put(t, p.Class, "schemata", "    L3:0=f;1=f\n    MB:0=100;1=100\n")
	undo, err := p.Update(&specs.LinuxIntelRdt{MemBwSchema: "MB:0=20"})
	if err != nil {
		t.Fatal(err)
	}
	// A plain file keeps the last that is written.
	if got := content(p.Class, "schemata"); got != "MB:0=20\n" {
		t.Errorf("schemata: %q", got)
	}
	if err := undo(); err != nil {
		t.Fatal(err)
	}
	if got := content(p.Class, "schemata"); got != "MB:0=100;1=100\n" {
		t.Errorf("after undo: %q", got)
	}
	if _, err := p.Update(&specs.LinuxIntelRdt{}); err != nil {
		t.Errorf("an update of nothing: %v", err)
	}
	if _, err := (Place{}).Update(&specs.LinuxIntelRdt{}); err != nil {
		t.Errorf("an update of nothing, nowhere: %v", err)
	}
}

func TestAnUpdateThatIsRefusedSaysWhy(t *testing.T) {
	root := standIn(t)
	if _, err := (Place{}).Update(&specs.LinuxIntelRdt{L3CacheSchema: "L3:0=f"}); err == nil ||
		err.Error() != "use linux.intelRdt.l3CacheSchema: the container was created without linux.intelRdt" {
		t.Errorf("nowhere: %v", err)
	}
	p := create(t, root, specs.LinuxIntelRdt{ClosID: "gold", L3CacheSchema: "L3:0=f"})
	put(t, root, "info/last_cmd_status", "mask 0x5 is not contiguous\n")
	// A file that can be read and not written, also by root.
	file := filepath.Join(p.Class, "schemata")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/proc/self/stat", file); err != nil {
		t.Fatal(err)
	}
	_, err := p.Update(&specs.LinuxIntelRdt{L3CacheSchema: "L3:0=5"})
	if err == nil || !strings.HasPrefix(err.Error(), "write linux.intelRdt.l3CacheSchema to "+p.Class) || !strings.HasSuffix(err.Error(), "(mask 0x5 is not contiguous)") {
		t.Errorf("refused: %v", err)
	}
}

func TestStatsAreThoseOfTheGroupOfTheContainer(t *testing.T) {
	if s := (Place{}).Stats(); s != nil {
		t.Errorf("nowhere: %+v", s)
	}
	root := standIn(t)
	mkdirs(t, root, "info/L3")
	for name, text := range map[string]string{"cbm_mask": "7ff", "min_cbm_bits": "1", "num_closids": "16"} {
		put(t, root, "info/L3/"+name, text+"\n")
	}
	for name, text := range map[string]string{"delay_linear": "1", "min_bandwidth": "10", "num_closids": "8"} {
		put(t, root, "info/MB/"+name, text+"\n")
	}
	p := create(t, root, specs.LinuxIntelRdt{ClosID: "gold", Schemata: []string{"L3:0=f"}, EnableMonitoring: true})
	for domain, counters := range map[string]map[string]string{
		"mon_L3_00": {"llc_occupancy": "4096", "mbm_total_bytes": "10", "mbm_local_bytes": "5"},
		"mon_L3_01": {"llc_occupancy": "8192", "mbm_total_bytes": "Unavailable"},
	} {
		mkdirs(t, p.Monitor, "mon_data", domain)
		for name, text := range counters {
			put(t, p.Monitor, "mon_data/"+domain+"/"+name, text+"\n")
		}
	}
	n := func(v uint64) *uint64 { return &v }
	want := &Stats{
		L3:       &L3Info{"7ff", 1, 16},
		Memory:   &BandwidthInfo{10, 1, 10, 8},
		Schemata: []string{"L3:0=f"},
		Default:  []string{"L3:0=7ff;1=7ff", "MB:0=100;1=100"},
		Domains:  []Domain{{n(4096), n(10), n(5)}, {n(8192), nil, nil}},
	}
	if got := p.Stats(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}
