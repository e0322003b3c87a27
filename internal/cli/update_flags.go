package cli

import (
	"errors"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"

	"hull/internal/fault"
)

// limitFlag is a flag for one property of linux.resources.
type limitFlag struct {
	name, usage string
	// path is the property, as errors have it.
	path string
	// field returns where the value goes: a pointer that store knows.
	field func(*specs.LinuxResources) any
}

// size is a field in bytes.
type size struct{ to **int64 }

func limitFlags() []limitFlag {
	return []limitFlag{
		{
			"blkio-weight", "weigh block I/O with `WEIGHT`, 10 to 1000", "blockIO.weight",
			func(r *specs.LinuxResources) any { return &r.BlockIO.Weight },
		},
		{
			"cpu-period", "hand out CPU time every `MICROSECONDS`", "cpu.period",
			func(r *specs.LinuxResources) any { return &r.CPU.Period },
		},
		{
			"cpu-quota", "allow `MICROSECONDS` of CPU time in each period; -1 is no limit", "cpu.quota",
			func(r *specs.LinuxResources) any { return &r.CPU.Quota },
		},
		{
			"cpu-burst", "allow `MICROSECONDS` more in a period if they were left over before", "cpu.burst",
			func(r *specs.LinuxResources) any { return &r.CPU.Burst },
		},
		{
			"cpu-share", "weigh CPU time with `SHARES`, 2 to 262144", "cpu.shares",
			func(r *specs.LinuxResources) any { return &r.CPU.Shares },
		},
		{
			"cpu-rt-period", "hand out real-time CPU time every `MICROSECONDS` (cgroup v1)", "cpu.realtimePeriod",
			func(r *specs.LinuxResources) any { return &r.CPU.RealtimePeriod },
		},
		{
			"cpu-rt-runtime", "allow `MICROSECONDS` of real-time CPU time in each period (cgroup v1)", "cpu.realtimeRuntime",
			func(r *specs.LinuxResources) any { return &r.CPU.RealtimeRuntime },
		},
		{
			"cpu-idle", "run only when nobody else wants to if `VALUE` is 1, and as usual if it is 0", "cpu.idle",
			func(r *specs.LinuxResources) any { return &r.CPU.Idle },
		},
		{
			"cpuset-cpus", "run on the CPUs of `LIST`, as 0-3,7", "cpu.cpus",
			func(r *specs.LinuxResources) any { return &r.CPU.Cpus },
		},
		{
			"cpuset-mems", "take memory from the nodes of `LIST`", "cpu.mems",
			func(r *specs.LinuxResources) any { return &r.CPU.Mems },
		},
		{
			"memory", "limit memory to `SIZE`", "memory.limit",
			func(r *specs.LinuxResources) any { return size{&r.Memory.Limit} },
		},
		{
			"memory-reservation", "leave `SIZE` of memory alone when there is little", "memory.reservation",
			func(r *specs.LinuxResources) any { return size{&r.Memory.Reservation} },
		},
		{
			"memory-swap", "limit memory and swap together to `SIZE`", "memory.swap",
			func(r *specs.LinuxResources) any { return size{&r.Memory.Swap} },
		},
		{
			"pids-limit", "allow `NUMBER` processes and threads; -1 is no limit", "pids.limit",
			func(r *specs.LinuxResources) any { return &r.Pids.Limit },
		},
	}
}

// resourceFlags returns the limits that flags name.
func resourceFlags(c *cli.Context) (*specs.LinuxResources, error) {
	r := &specs.LinuxResources{
		Memory: &specs.LinuxMemory{}, CPU: &specs.LinuxCPU{}, Pids: &specs.LinuxPids{}, BlockIO: &specs.LinuxBlockIO{},
	}
	for _, f := range limitFlags() {
		text := c.String(f.name)
		if text == "" {
			continue
		}
		if err := store(f.field(r), text); err != nil {
			return nil, fault.New("use --"+f.name, strconv.Quote(text), err)
		}
	}
	return r, nil
}

// store parses the value of a flag.
func store(field any, text string) (err error) {
	switch to := field.(type) {
	case *string:
		*to = text
	case **uint16:
		var n uint64
		n, err = strconv.ParseUint(text, 10, 16)
		*to = new(uint16(n))
	case **uint64:
		var n uint64
		n, err = strconv.ParseUint(text, 10, 64)
		*to = &n
	case **int64:
		var n int64
		n, err = strconv.ParseInt(text, 10, 64)
		*to = &n
	case size:
		var n int64
		n, err = parseSize(text)
		*to.to = &n
	}
	var number *strconv.NumError
	if errors.As(err, &number) {
		return number.Err
	}
	return err
}

// flaggedError is an error about properties that were given as flags.
type flaggedError struct {
	error
	text string
}

func (e flaggedError) Error() string { return e.text }
func (e flaggedError) Unwrap() error { return e.error }

// byFlag names the flags in err, and not the properties that they are for.
func byFlag(err error) error {
	if err == nil {
		return nil
	}
	pairs := []string{"linux.intelRdt.l3CacheSchema", "--l3-cache-schema", "linux.intelRdt.memBwSchema", "--mem-bw-schema"}
	for _, f := range limitFlags() {
		pairs = append(pairs, "linux.resources."+f.path, "--"+f.name)
	}
	return flaggedError{err, strings.NewReplacer(pairs...).Replace(err.Error())}
}
