package cli

import (
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"

	"hull/internal/fault"
	"hull/libcontainer"
	"hull/spec"
)

func updateCommand(p *program) *cli.Command {
	flags := []cli.Flag{
		stringFlag("resources", "read the limits from `FILE`, or from the standard input if it is -; flags for single ones are ignored then", "r"),
	}
	for _, l := range limitFlags() {
		flags = append(flags, stringFlag(l.name, l.usage))
	}
	for _, name := range obsoleteLimits() {
		f := stringFlag(name, "does nothing, as with runc")
		f.Hidden = true
		flags = append(flags, f)
	}
	return &cli.Command{
		Usage:     "change limits of a container",
		UsageText: p.name + " update [options] CONTAINER-ID",
		Description: `Changes what is named and leaves the rest as it is. If one value is refused,
nothing is changed. FILE has the object linux.resources of a config.json, whole
or in part. SIZE is in bytes, or with a unit: 512k, 64M, 1.5GiB; -1 is no limit.

Examples:

   hull update --memory 128M --pids-limit 50 web
   echo '{"cpu": {"quota": 50000, "period": 100000}}' | hull update -r - web`,
		Flags: append(flags,
			stringFlag("l3-cache-schema", "take the part `SCHEMA` of the L3 cache, as L3:0=ff (Intel RDT)"),
			stringFlag("mem-bw-schema", "take the part `SCHEMA` of the memory bandwidth, as MB:0=50 (Intel RDT)"),
		),
		Action: p.update,
	}
}

// obsoleteLimits are flags for what Linux has no more, or runc takes no more.
func obsoleteLimits() []string { return []string{"kernel-memory", "kernel-memory-tcp"} }

func (p *program) update(c *cli.Context) error {
	if err := p.wantArgs(c, 1, 1); err != nil {
		return err
	}
	ctr, err := p.load(c)
	if err != nil {
		return err
	}
	o := libcontainer.UpdateOptions{L3CacheSchema: c.String("l3-cache-schema"), MemBwSchema: c.String("mem-bw-schema")}
	p.warnOfIgnored(c)
	name := c.String("resources")
	if name == "" {
		if o.Resources, err = resourceFlags(c); err != nil {
			return err
		}
		return byFlag(ctr.Update(o))
	}
	if o.Resources, err = readResources(name); err != nil {
		return err
	}
	return ctr.Update(o)
}

// warnOfIgnored says which flags have no effect.
func (p *program) warnOfIgnored(c *cli.Context) {
	for _, name := range obsoleteLimits() {
		if value := c.String(name); value != "" {
			p.log.warn(fault.Newf("set --"+name, value, "ignored: kernel memory counts for --memory, and has no limit of its own"))
		}
	}
	if c.String("resources") == "" {
		return
	}
	for _, l := range limitFlags() {
		if value := c.String(l.name); value != "" {
			p.log.warn(fault.Newf("set --"+l.name, value, "ignored: --resources says what to set"))
		}
	}
}

// readResources reads linux.resources from a file, or from the standard input
// for a dash.
func readResources(name string) (*specs.LinuxResources, error) {
	read := func() ([]byte, error) { return spec.Read(name) }
	if name == "-" {
		read = func() ([]byte, error) { return spec.ReadFrom(os.Stdin) }
	}
	b, err := read()
	if err != nil {
		return nil, err
	}
	r, err := spec.DecodeResources(b)
	if err != nil {
		return nil, fault.New("load", name, err)
	}
	return r, nil
}
