package spec

import (
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func intelRdt(p *problems, r *specs.LinuxIntelRdt) {
	if r == nil {
		return
	}
	if id := r.ClosID; id == "." || id == ".." || id != "/" && strings.Contains(id, "/") {
		p.add("linux.intelRdt.closID", "%q is not the name of a directory", id)
	}
	if strings.Contains(r.L3CacheSchema, "\n") {
		p.add("linux.intelRdt.l3CacheSchema", "must be one line")
	}
	if s := r.MemBwSchema; s != "" && (!strings.HasPrefix(s, "MB:") || strings.Contains(s, "\n")) {
		p.add("linux.intelRdt.memBwSchema", "must be one line that starts with MB:")
	}
	for i, line := range r.Schemata {
		if strings.Contains(line, "\n") {
			p.add(at("linux", "intelRdt", "schemata", i), "must be one line")
		}
	}
}

// ValidateIntelRdt checks linux.intelRdt alone.
func ValidateIntelRdt(r *specs.LinuxIntelRdt) error {
	p := new(problems)
	intelRdt(p, r)
	return p.err()
}
