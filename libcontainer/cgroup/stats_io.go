package cgroup

import (
	"strconv"
	"strings"
)

func (c *Cgroup) statIO(s *IOStats) {
	s.Pressure = c.pressure("io.pressure")
	if k := c.knobs("blkio"); k.h != nil && !k.v2() {
		statBlkio(k, s)
		return
	}
	statIOV2(c.knobs("io").text("io.stat"), s)
}

// statBlkio reads from whoever counts: BFQ with its statistics built in, BFQ
// without, or the throttling layer, which is always there.
func statBlkio(k knobs, s *IOStats) {
	files := [...]struct {
		to   *[]IOEntry
		name string
	}{
		{&s.ServiceBytes, "io_service_bytes"},
		{&s.Serviced, "io_serviced"},
		{&s.Queued, "io_queued"},
		{&s.ServiceTime, "io_service_time"},
		{&s.WaitTime, "io_wait_time"},
		{&s.Merged, "io_merged"},
		{&s.Time, "time"},
		{&s.Sectors, "sectors"},
	}
	for _, f := range files {
		*f.to = ioEntries(k.text("blkio.bfq." + f.name + "_recursive"))
	}
	for _, f := range files[:2] {
		if len(*f.to) == 0 {
			*f.to = ioEntries(k.text("blkio.throttle." + f.name + "_recursive"))
		}
	}
}

// ioEntries parses lines of the form "8:0 Read 4096" or "8:0 4096"; the total
// of all devices is left out.
func ioEntries(content string) []IOEntry {
	var es []IOEntry
	for line := range strings.Lines(content) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		major, minor, ok := strings.Cut(f[0], ":")
		if !ok {
			continue
		}
		e := IOEntry{Major: number(major), Minor: number(minor), Value: number(f[len(f)-1])}
		if len(f) == 3 {
			e.Op = f[1]
		}
		es = append(es, e)
	}
	return es
}

// statIOV2 parses lines of the form "8:0 rbytes=1 wbytes=2 rios=3 wios=4 ...".
func statIOV2(content string, s *IOStats) {
	for line := range strings.Lines(content) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		major, minor, ok := strings.Cut(f[0], ":")
		if !ok {
			continue
		}
		for _, kv := range f[1:] {
			k, v, _ := strings.Cut(kv, "=")
			e := IOEntry{Major: number(major), Minor: number(minor), Value: number(v)}
			switch k {
			case "rbytes", "wbytes", "dbytes":
				e.Op = operation(k)
				s.ServiceBytes = append(s.ServiceBytes, e)
			case "rios", "wios", "dios":
				e.Op = operation(k)
				s.Serviced = append(s.Serviced, e)
			}
		}
	}
}

// operation names a counter of io.stat as v1 does.
func operation(counter string) string {
	switch counter[0] {
	case 'r':
		return "Read"
	case 'w':
		return "Write"
	}
	return "Discard"
}

func utoa(n uint64) string { return strconv.FormatUint(n, 10) }
