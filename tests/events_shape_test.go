package tests

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// occasion is a line of `events`, as engines decode it.
type occasion struct {
	Type string
	ID   string
	Data *usage
}

// usage has the names that go-runc and runc's types/events.go have.
type usage struct {
	CPU struct {
		Usage struct {
			Total  uint64   `json:"total"`
			Kernel uint64   `json:"kernel"`
			User   uint64   `json:"user"`
			PerCPU []uint64 `json:"percpu"`
		} `json:"usage"`
		Throttling struct {
			Periods          uint64 `json:"periods"`
			ThrottledPeriods uint64 `json:"throttledPeriods"`
			ThrottledTime    uint64 `json:"throttledTime"`
		} `json:"throttling"`
		PSI *stalls `json:"psi"`
	} `json:"cpu"`
	Cpuset struct {
		CPUs []int `json:"cpus"`
		Mems []int `json:"mems"`
	} `json:"cpuset"`
	Memory struct {
		Cache  uint64            `json:"cache"`
		Usage  memoryUsage       `json:"usage"`
		Swap   memoryUsage       `json:"swap"`
		Kernel memoryUsage       `json:"kernel"`
		Raw    map[string]uint64 `json:"raw"`
		PSI    *stalls           `json:"psi"`
	} `json:"memory"`
	Pids struct {
		Current uint64 `json:"current"`
		Limit   uint64 `json:"limit"`
	} `json:"pids"`
	Blkio struct {
		Bytes []blkioUsage `json:"ioServiceBytesRecursive"`
		Count []blkioUsage `json:"ioServicedRecursive"`
		PSI   *stalls      `json:"psi"`
	} `json:"blkio"`
	Hugetlb    map[string]map[string]uint64 `json:"hugetlb"`
	IntelRdt   *map[string]any              `json:"intel_rdt"`
	Interfaces []struct {
		Name                                    string
		RxBytes, RxPackets, RxErrors, RxDropped uint64
		TxBytes, TxPackets, TxErrors, TxDropped uint64
	} `json:"network_interfaces"`
}

type memoryUsage struct {
	Limit   uint64 `json:"limit"`
	Usage   uint64 `json:"usage"`
	Max     uint64 `json:"max"`
	Failcnt uint64 `json:"failcnt"`
}

type stalls struct {
	Some struct {
		Avg10 float64 `json:"avg10"`
		Total uint64  `json:"total"`
	} `json:"some"`
	Full struct {
		Total uint64 `json:"total"`
	} `json:"full"`
}

type blkioUsage struct {
	Major, Minor uint64
	Op           string
	Value        uint64
}

// parseOccasions parses the whole lines of a stream.
func parseOccasions(t *testing.T, text string) (all []occasion) {
	t.Helper()
	for line := range strings.Lines(text) {
		if !strings.HasSuffix(line, "\n") {
			break
		}
		var o occasion
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, o)
	}
	return all
}

// stats is what `events --stats` says.
func (c *container) stats() *usage {
	c.h.t.Helper()
	all := parseOccasions(c.h.t, c.h.must("events", "--stats", c.id))
	if len(all) != 1 || all[0].Type != "stats" || all[0].ID != c.id || all[0].Data == nil {
		c.h.t.Fatalf("events --stats: %+v", all)
	}
	return all[0].Data
}

// stream runs `events` in the background.
type stream struct {
	t     *testing.T
	file  string
	ended chan error
}

func (c *container) events(args ...string) *stream {
	c.h.t.Helper()
	s := &stream{t: c.h.t, file: filepath.Join(c.h.t.TempDir(), "events"), ended: make(chan error, 1)}
	f, err := os.Create(s.file)
	if err != nil {
		c.h.t.Fatal(err)
	}
	defer f.Close()
	cmd := c.h.command(slices.Concat([]string{"events"}, args, []string{c.id})...)
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Start(); err != nil {
		c.h.t.Fatal(err)
	}
	go func() { s.ended <- cmd.Wait() }()
	c.h.t.Cleanup(func() { _ = cmd.Process.Kill() })
	return s
}

// count is how many of a type there are by now.
func (s *stream) count(kind string) (n int) {
	s.t.Helper()
	for _, o := range parseOccasions(s.t, readFile(s.t, s.file)) {
		if o.Type == kind {
			n++
		}
	}
	return n
}

// watching waits until the stream has begun.
func (s *stream) watching() *stream {
	s.t.Helper()
	eventually(s.t, "the stream has begun", func() bool { return s.count("stats") > 0 })
	return s
}

// end waits for the end of the stream, which has to be a success.
func (s *stream) end() {
	s.t.Helper()
	if err := soon(s.t, "events", s.ended); err != nil {
		s.t.Errorf("events: %v\n%s", err, readFile(s.t, s.file))
	}
}
