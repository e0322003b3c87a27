package rdt

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Stats is what a container has of caches and memory bandwidth, and uses. What
// the CPU does not have is nil or empty.
type Stats struct {
	L3     *L3Info
	Memory *BandwidthInfo
	// Schemata are those of the container's class, Default those of the class of
	// all that has none.
	Schemata, Default []string
	// Domains is what the monitoring counted, one element for each L3 cache.
	Domains []Domain
}

// L3Info is what can be done with L3 caches.
type L3Info struct {
	Mask                string // of all that there is, hexadecimal
	MinBits, NumClosids uint64
}

// BandwidthInfo is what can be done with memory bandwidth.
type BandwidthInfo struct{ Granularity, DelayLinear, Min, NumClosids uint64 }

// Domain is what one L3 cache counted. A counter that is not there is nil.
type Domain struct {
	Occupancy    *uint64 // bytes in the cache
	Total, Local *uint64 // bytes to and from any memory, and that of this domain
}

// Stats reads what there is to know of a place; nil is nowhere.
func (p Place) Stats() *Stats {
	if p.Class == "" {
		return nil
	}
	mount := p.Class
	if !exists(mount, "info") { // all but the default class are below it
		mount = filepath.Dir(mount)
	}
	s := &Stats{Schemata: lines(p.Class, "schemata"), Default: lines(mount, "schemata")}
	if info := filepath.Join(mount, "info", "L3"); exists(info, "cbm_mask") {
		s.L3 = &L3Info{text(info, "cbm_mask"), count(info, "min_cbm_bits"), count(info, "num_closids")}
	}
	if info := filepath.Join(mount, "info", "MB"); exists(info, "bandwidth_gran") {
		s.Memory = &BandwidthInfo{
			count(info, "bandwidth_gran"), count(info, "delay_linear"), count(info, "min_bandwidth"), count(info, "num_closids"),
		}
	}
	monitored := p.Class
	if p.Monitor != "" {
		monitored = p.Monitor
	}
	s.Domains = domains(filepath.Join(monitored, "mon_data"))
	return s
}

// domains reads the counters of a group, by number of the domain.
func domains(dir string) []Domain {
	entries, _ := os.ReadDir(dir) // sorted; none without monitoring
	var all []Domain
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "mon_L3_") {
			d := filepath.Join(dir, e.Name())
			all = append(all, Domain{counter(d, "llc_occupancy"), counter(d, "mbm_total_bytes"), counter(d, "mbm_local_bytes")})
		}
	}
	return all
}

// counter reads a counter; one that is not there, or cannot be read now, is nil.
func counter(path ...string) *uint64 {
	n, err := strconv.ParseUint(text(path...), 10, 64)
	if err != nil {
		return nil
	}
	return &n
}

func count(path ...string) uint64 {
	n, _ := strconv.ParseUint(text(path...), 10, 64)
	return n
}

// text returns the content of a file without blanks at its ends, or nothing.
func text(path ...string) string {
	b, _ := os.ReadFile(filepath.Join(path...))
	return strings.TrimSpace(string(b))
}

func lines(path ...string) []string {
	var all []string
	for line := range strings.Lines(text(path...)) {
		all = append(all, strings.TrimSpace(line))
	}
	return all
}
