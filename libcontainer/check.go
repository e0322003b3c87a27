package libcontainer

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/internal/fault"
	"hull/libcontainer/cgroup"
	"hull/spec"
)

// Severity says what a Finding means.
type Severity int

const (
	// Failure is why Create, or after it Start, is going to fail.
	Failure Severity = iota
	// Warning is what is going to work, and probably not as it was meant.
	Warning
)

// String returns "error" or "warning".
func (s Severity) String() string {
	if s == Failure {
		return "error"
	}
	return "warning"
}

// Finding is one thing that Check has to say about a bundle.
type Finding struct {
	Severity Severity
	// Path is what it is about in config.json, as "linux.resources.pids.limit";
	// empty if it is nothing there.
	Path string
	// Err is the error that Create or Start returns, or the warning.
	Err error
}

// Check says everything that would keep a container from being made of a bundle
// and started, and what else is suspicious, in the order of the stages of
// Create: the document, the cgroup, the plan, the host. It takes the ways of
// Create as far as they have no effect, and asks the kernel for the rest.
// Nothing is made or changed; Options that are not about the bundle are ignored.
//
// What it cannot know is what only happens later: what hooks do, how much
// memory there will be, and what others on this host do meanwhile.
func (r *Runtime) Check(o CreateOptions) []Finding {
	c := &checker{}
	quiet := *r
	quiet.Warn = func(err error) { c.add(Warning, "", err) }
	c.creation = creation{runtime: &quiet, options: o, id: "check"}
	defer c.finish(nil)
	c.run()
	return c.findings
}

// checker is a creation that is only looked at.
type checker struct {
	creation
	// held are the capabilities of the caller.
	held     uint64
	findings []Finding
	// wrong are the places in config.json with faults of which others only
	// follow: those that need no look at the host.
	wrong []string
}

func (c *checker) run() {
	if !c.document() {
		return
	}
	c.held, _ = spec.HeldCapabilities()
	c.cgroups()
	if err := c.compile(); !slices.ContainsFunc(spec.Foundations(), c.isWrong) {
		c.fault(err)
	}
	for _, host := range [...]struct {
		look func()
		// needs are what has to be right for the look to mean anything.
		needs []string
	}{
		{c.namespaces, append(spec.Foundations(), "linux.timeOffsets")},
		{c.mountSources, nil},
		{c.filesystems, nil},
		{c.targets, []string{"root"}},
		{c.devices, []string{"linux.namespaces"}},
		{c.sysctls, nil},
		{c.limits, nil},
		{c.scheduling, nil},
		{c.labels, nil},
		{c.program, []string{"process.args", "process.cwd", "process.env", "root", "mounts", "hooks"}},
		{c.seccomp, []string{"linux.seccomp"}},
		{c.hooks, []string{"root"}},
		{c.annotations, nil},
	} {
		if !slices.ContainsFunc(host.needs, c.isWrong) {
			host.look()
		}
	}
	c.suspicions()
}

// suspicions warns of what has no effect, unless there is worse to say about it.
func (c *checker) suspicions() {
	found := spec.Suspicious(c.spec)
	if c.runtime.Cgroup != Systemd {
		found = append(found, spec.WithoutSystemd(c.spec)...)
	}
	known := c.findings
	for _, err := range found {
		path := pathIn(err)
		if !slices.ContainsFunc(known, func(f Finding) bool { return f.Path == path }) {
			c.add(Warning, path, err)
		}
	}
}

// document reads the configuration and says what is wrong with it, and whether
// there is enough of it to go on.
func (c *checker) document() bool {
	var err error
	if c.bundle, err = filepath.Abs(c.options.Bundle); err != nil {
		c.fail("", fault.New("find bundle", c.options.Bundle, err))
		return false
	}
	if c.config, err = spec.Read(c.configPath()); err != nil {
		c.fail("", err)
		return false
	}
	if err = c.examine(); c.spec == nil {
		c.fail("", fault.New("load", c.configPath(), err))
		return false
	}
	c.fault(err)
	for _, err := range spec.Unknown(c.config) {
		c.add(Warning, "", err)
	}
	if c.spec.Root == nil {
		c.spec.Root = new(specs.Root)
	}
	if c.spec.Linux == nil {
		c.spec.Linux = new(specs.Linux)
	}
	return true
}

// cgroups looks at where the container's cgroup is going to be, and what the
// host has for its limits.
func (c *checker) cgroups() {
	if err := c.placeCgroup(); err != nil {
		c.fail("", err)
		c.cgroup, _ = cgroup.New(cgroup.Config{Driver: cgroup.Disabled}) // which cannot fail
		return
	}
	for _, err := range c.cgroup.Foresee(c.spec.Linux.Resources) {
		c.fail("linux.cgroupsPath", err)
	}
}

// fault adds faults of the configuration itself, of which later findings may only
// follow.
func (c *checker) fault(err error) {
	known := len(c.findings)
	c.fail("", err)
	for _, f := range c.findings[known:] {
		if f.Severity == Failure && f.Path != "" {
			c.wrong = append(c.wrong, element(f.Path))
		}
	}
}

// element cuts a JSON path off behind the last index: the properties of an object
// in a list are about the same thing.
func element(path string) string {
	if end := strings.LastIndexByte(path, ']'); end >= 0 {
		return path[:end+1]
	}
	return path
}

// isWrong reports whether there is a fault at path, above or below it.
func (c *checker) isWrong(path string) bool {
	return slices.ContainsFunc(c.wrong, func(wrong string) bool { return spec.Overlap(path, wrong) })
}

// fail adds the faults in err, which may be nil or several, as failures. Those
// that do not name their place in config.json are about path.
func (c *checker) fail(path string, err error) {
	several, ok := err.(spec.InvalidError) //nolint:errorlint // a wrapped list is one error
	switch {
	case err == nil:
	case ok:
		for _, err := range several {
			c.add(Failure, path, err)
		}
	default:
		c.add(Failure, path, err)
	}
}

// add adds one finding, unless it has been said or is a failure that only follows
// from a fault.
func (c *checker) add(s Severity, path string, err error) {
	if named := pathIn(err); named != "" {
		path = named
	}
	if s == Failure && c.isWrong(path) {
		return
	}
	said := func(f Finding) bool { return f.Err.Error() == err.Error() }
	if !slices.ContainsFunc(c.findings, said) {
		c.findings = append(c.findings, Finding{Severity: s, Path: path, Err: err})
	}
}

// pathIn returns the place in config.json that an error is about: its object, or
// what its operation, object or hint names, as in "set linux.resources.pids.limit".
// It is "" if there is none.
func pathIn(err error) string {
	var f *fault.Error
	if !errors.As(err, &f) {
		return ""
	}
	for word := range strings.FieldsSeq(f.Op + " " + f.Object + " " + f.Hint) {
		word = strings.Trim(word, "()")
		end := strings.IndexAny(word, ".[")
		if end < 0 {
			continue // a word like any other
		}
		switch word[:end] {
		case "annotations", "hooks", "linux", "mounts", "process", "root":
			return word
		}
	}
	return spec.PathOf(err)
}
