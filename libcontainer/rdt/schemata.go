package rdt

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// pathSchemata is the JSON path of the lines that are written last.
const pathSchemata = "linux.intelRdt.schemata"

// value is what one property of the configuration writes to schemata.
type value struct{ path, text string }

// values returns what is configured, in the order in which it is written. Each
// is written on its own: the kernel refuses a resource that is there twice in
// one write, and here the last one wins.
func (g *Group) values() []value {
	var out []value
	for _, v := range [...]value{
		{"linux.intelRdt.l3CacheSchema", g.config.L3CacheSchema},
		{"linux.intelRdt.memBwSchema", g.config.MemBwSchema},
		{pathSchemata, strings.Join(g.config.Schemata, "\n")},
	} {
		if v.text != "" {
			out = append(out, v)
		}
	}
	return out
}

// agrees reports whether all that a line asks for is so in schemata. A class has
// values for all domains, and a line may be about some of them: the others were
// left at what they are.
func (g *Group) agrees(line, schemata string) bool {
	resource, wanted := parseLine(line)
	for other := range strings.Lines(schemata) {
		name, current := parseLine(other)
		if name != resource {
			continue
		}
		for domain, want := range wanted {
			have, ok := current[domain]
			if !ok || !g.sameValue(resource, want, have) {
				return false
			}
		}
		return true
	}
	return false
}

// parseLine takes "L3:0=ff;1=f0" apart.
func parseLine(line string) (resource string, domains map[string]string) {
	resource, rest, _ := strings.Cut(line, ":")
	domains = make(map[string]string)
	for part := range strings.SplitSeq(rest, ";") {
		if domain, v, ok := strings.Cut(part, "="); ok {
			domains[strings.TrimSpace(domain)] = strings.TrimSpace(v)
		}
	}
	return strings.TrimSpace(resource), domains
}

// sameValue compares bit masks of a cache, which are hexadecimal, or bandwidths,
// which are decimal and were rounded up when they were written.
func (g *Group) sameValue(resource, want, have string) bool {
	base := 16
	if isBandwidth(resource) {
		base = 10
	}
	w, err1 := strconv.ParseUint(strings.TrimPrefix(want, "0x"), base, 64)
	h, err2 := strconv.ParseUint(have, base, 64)
	if err1 != nil || err2 != nil {
		return want == have
	}
	if w == h || !isBandwidth(resource) {
		return w == h
	}
	step := g.bandwidthStep(resource)
	return (w+step-1)/step*step == h
}

func isBandwidth(resource string) bool {
	return strings.HasSuffix(resource, "MB") || resource == "SMBA"
}

// bandwidthStep is what bandwidths are multiples of.
func (g *Group) bandwidthStep(resource string) uint64 {
	b, err := os.ReadFile(filepath.Join(g.mount, "info", resource, "bandwidth_gran"))
	if err != nil {
		return 1
	}
	step, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	if err != nil || step == 0 {
		return 1
	}
	return step
}
