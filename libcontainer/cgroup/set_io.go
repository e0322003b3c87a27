package cgroup

import (
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func (c *Cgroup) setBlockIO(r *specs.LinuxResources) error {
	b := r.BlockIO
	if b == nil {
		return nil
	}
	if k := c.knobs("blkio"); k.h != nil && !k.v2() {
		return setBlockIOV1(k, b)
	}
	return setBlockIOV2(c.knobs("io"), b)
}

func setBlockIOV1(k knobs, b *specs.LinuxBlockIO) error {
	prefix := "blkio."
	// CFQ is gone since kernel 5.0, and weights are with BFQ.
	if !k.has("blkio.weight") {
		prefix = "blkio.bfq."
	}
	l := make(list, 0, 2+2*len(b.WeightDevice))
	addWeight(&l, "blockIO.weight", prefix+"weight", "", b.Weight)
	addWeight(&l, "blockIO.leafWeight", "blkio.leaf_weight", "", b.LeafWeight)
	for i, d := range b.WeightDevice {
		field := "blockIO.weightDevice[" + strconv.Itoa(i) + "]"
		addWeight(&l, field+".weight", prefix+"weight_device", devNumber(d.LinuxBlockIODevice)+" ", d.Weight)
		addWeight(&l, field+".leafWeight", "blkio.leaf_weight_device", devNumber(d.LinuxBlockIODevice)+" ", d.LeafWeight)
	}
	for _, t := range throttles(b) {
		for i, d := range t.devices {
			l.add(t.field+"["+strconv.Itoa(i)+"]", t.fileV1, devNumber(d.LinuxBlockIODevice)+" "+strconv.FormatUint(d.Rate, 10))
		}
	}
	return k.writeEach(l)
}

func setBlockIOV2(k knobs, b *specs.LinuxBlockIO) error {
	l := k.weightsV2(b)
	addWeight(&l, "blockIO.leafWeight", "", "", b.LeafWeight)
	for i, d := range b.WeightDevice {
		addWeight(&l, "blockIO.weightDevice["+strconv.Itoa(i)+"].leafWeight", "", devNumber(d.LinuxBlockIODevice)+" ", d.LeafWeight)
	}
	for _, t := range throttles(b) {
		for i, d := range t.devices {
			rate := strconv.FormatUint(d.Rate, 10)
			if d.Rate == 0 { // as on v1, no limit
				rate = "max"
			}
			l.add(t.field+"["+strconv.Itoa(i)+"]", "io.max", devNumber(d.LinuxBlockIODevice)+" "+t.keyV2+"="+rate)
		}
	}
	return k.writeEach(l)
}

// weightsV2 writes for BFQ, whose range is that of the spec (10 to 1000), or
// else for the cost model, whose range is 1 to 10000.
func (k knobs) weightsV2(b *specs.LinuxBlockIO) list {
	if b.Weight == nil && len(b.WeightDevice) == 0 {
		return nil
	}
	file, scale := "io.bfq.weight", func(w uint16) uint16 { return w }
	if !k.has(file) {
		file, scale = "io.weight", ioWeight
	}
	var l list
	if w := deref(b.Weight); w != 0 {
		w = scale(w)
		addWeight(&l, "blockIO.weight", file, "", &w)
	}
	for i, d := range b.WeightDevice {
		if w := deref(d.Weight); w != 0 {
			w = scale(w)
			addWeight(&l, "blockIO.weightDevice["+strconv.Itoa(i)+"].weight", file, devNumber(d.LinuxBlockIODevice)+" ", &w)
		}
	}
	return l
}

// ioWeight maps 10..1000 onto 1..10000.
func ioWeight(w uint16) uint16 {
	if w < 10 {
		return 1
	}
	return uint16(min(1+(uint64(w)-10)*9999/990, 10000))
}

type throttle struct {
	field, fileV1, keyV2 string
	devices              []specs.LinuxThrottleDevice
}

func throttles(b *specs.LinuxBlockIO) [4]throttle {
	return [4]throttle{
		{"blockIO.throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps", b.ThrottleReadBpsDevice},
		{"blockIO.throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps", b.ThrottleWriteBpsDevice},
		{"blockIO.throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops", b.ThrottleReadIOPSDevice},
		{"blockIO.throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops", b.ThrottleWriteIOPSDevice},
	}
}

func addWeight(l *list, field, file, prefix string, w *uint16) {
	if w != nil && *w != 0 {
		l.add(field, file, prefix+strconv.FormatUint(uint64(*w), 10))
	}
}

func devNumber(d specs.LinuxBlockIODevice) string {
	return strconv.FormatInt(d.Major, 10) + ":" + strconv.FormatInt(d.Minor, 10)
}

// writeEach applies settings that do not depend on each other.
func (k knobs) writeEach(l list) error {
	for _, s := range l {
		if err := k.write(s); err != nil {
			return err
		}
	}
	return nil
}
