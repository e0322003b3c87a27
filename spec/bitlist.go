package spec

import (
	"strconv"
	"strings"

	"hull/internal/fault"
)

const (
	// maxCPUs is the largest CONFIG_NR_CPUS of the kernel.
	maxCPUs = 1 << 13
	// maxNodes is the largest MAX_NUMNODES of the kernel.
	maxNodes = 1 << 10
)

// CPUMask translates a list such as "0-3,7", the form of process.execCPUAffinity,
// to the mask that sched_setaffinity(2) takes: little-endian words of 64 bits.
// The empty list is an empty mask.
func CPUMask(list string) ([]byte, error) { return bitList(list, maxCPUs) }

// bitList sets the bits of a comma-separated list of numbers and ranges below
// limit. Spaces around elements and empty elements are allowed, as in the files
// of cpuset(7).
func bitList(list string, limit uint64) ([]byte, error) {
	var mask []byte
	for element := range strings.SplitSeq(list, ",") {
		element = strings.TrimSpace(element)
		if element == "" {
			continue
		}
		first, last, err := bitRange(element, limit)
		if err != nil {
			return nil, err
		}
		if words := last/64 + 1; uint64(len(mask)) < words*8 {
			mask = append(mask, make([]byte, words*8-uint64(len(mask)))...)
		}
		for bit := first; bit <= last; bit++ {
			mask[bit/8] |= 1 << (bit % 8)
		}
	}
	if mask == nil && list != "" {
		return nil, fault.Newf("", "", "%q names nothing", list)
	}
	return mask, nil
}

func bitRange(s string, limit uint64) (first, last uint64, err error) {
	from, to, isRange := strings.Cut(s, "-")
	if !isRange {
		to = from
	}
	first, errFirst := strconv.ParseUint(from, 10, 64)
	last, errLast := strconv.ParseUint(to, 10, 64)
	switch {
	case errFirst != nil || errLast != nil:
		return 0, 0, fault.Newf("", "", "%q is neither a number nor a range", s)
	case first > last:
		return 0, 0, fault.Newf("", "", "range %q is backwards", s)
	case last >= limit:
		return 0, 0, fault.Newf("", "", "%d is above %d", last, limit-1)
	}
	return first, last, nil
}
