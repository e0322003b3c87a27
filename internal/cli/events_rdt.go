package cli

import (
	"strings"

	"hull/libcontainer"
)

// rdtStats is intel_rdt in the shape of runc's types/events.go.
type rdtStats struct {
	L3Info         *l3Info          `json:"l3_cache_info,omitempty"`
	L3SchemaRoot   string           `json:"l3_cache_schema_root,omitempty"`
	L3Schema       string           `json:"l3_cache_schema,omitempty"`
	MemInfo        *memBwInfo       `json:"mem_bw_info,omitempty"`
	MemSchemaRoot  string           `json:"mem_bw_schema_root,omitempty"`
	MemSchema      string           `json:"mem_bw_schema,omitempty"`
	Schemata       []string         `json:"schemata,omitempty"`
	BandwidthStats []bandwidthStats `json:"mbm_stats,omitempty"`
	CacheStats     []cacheStats     `json:"cmt_stats,omitempty"`
}

type l3Info struct {
	Mask       string `json:"cbm_mask,omitempty"`
	MinBits    uint64 `json:"min_cbm_bits,omitempty"`
	NumClosids uint64 `json:"num_closids,omitempty"`
}

type memBwInfo struct {
	Granularity uint64 `json:"bandwidth_gran,omitempty"`
	DelayLinear uint64 `json:"delay_linear,omitempty"`
	Min         uint64 `json:"min_bandwidth,omitempty"`
	NumClosids  uint64 `json:"num_closids,omitempty"`
}

type bandwidthStats struct {
	Total uint64 `json:"mbm_total_bytes"`
	Local uint64 `json:"mbm_local_bytes"`
}

type cacheStats struct {
	Occupancy uint64 `json:"llc_occupancy"`
}

func newRdt(s *libcontainer.RDTStats) (r rdtStats) {
	if s == nil {
		return r
	}
	r.Schemata = s.Schemata
	if s.L3 != nil {
		info := l3Info(*s.L3)
		r.L3Info, r.L3SchemaRoot, r.L3Schema = &info, lineOf(s.Default, "L3"), lineOf(s.Schemata, "L3")
	}
	if s.Memory != nil {
		info := memBwInfo(*s.Memory)
		r.MemInfo, r.MemSchemaRoot, r.MemSchema = &info, lineOf(s.Default, "MB"), lineOf(s.Schemata, "MB")
	}
	for _, d := range s.Domains {
		if d.Total != nil || d.Local != nil {
			r.BandwidthStats = append(r.BandwidthStats, bandwidthStats{orZero(d.Total), orZero(d.Local)})
		}
		if d.Occupancy != nil {
			r.CacheStats = append(r.CacheStats, cacheStats{*d.Occupancy})
		}
	}
	return r
}

// lineOf returns the line of schemata that is about a resource.
func lineOf(schemata []string, resource string) string {
	for _, line := range schemata {
		if strings.HasPrefix(line, resource+":") {
			return line
		}
	}
	return ""
}

func orZero(n *uint64) uint64 {
	if n == nil {
		return 0
	}
	return *n
}
