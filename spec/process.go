package spec

import (
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/libcontainer/plan"
)

// ProcessInputs is what config.json does not say about a process.
type ProcessInputs struct {
	// Kind is plan.Create for the container's own process.
	Kind plan.Kind
	// Held are the capabilities that can be granted: AllCapabilities in a user
	// namespace other than the runtime's, else HeldCapabilities.
	Held uint64
	// Keyring, Groups and PreserveFDs are taken over as they are.
	Keyring     plan.Keyring
	Groups      plan.Groups
	PreserveFDs uint32
	// Warn gets what has no effect although it was asked for. It may be nil.
	Warn func(error)
}

// CompileProcess translates a process of the container s: s.Process or one for
// exec. A nil process gives a plan without Args: the container can be
// created but not started (runtime.md, "Start").
func CompileProcess(s *specs.Spec, p *specs.Process, in ProcessInputs) (plan.Process, error) {
	found := new(problems)
	out := process(found, s, p)
	if p != nil {
		out.Capabilities = capabilities(p.Capabilities, in.Held, nonNil(in.Warn))
		if in.Kind == plan.Exec {
			out.Affinity = finalAffinity(found, p.ExecCPUAffinity)
		}
	}
	out.Keyring, out.Groups, out.PreserveFDs = in.Keyring, in.Groups, in.PreserveFDs
	return out, found.err()
}

// ValidateProcess checks a process for the container s as Validate does with
// s.Process.
func ValidateProcess(s *specs.Spec, p *specs.Process) error {
	found := new(problems)
	noNUL(found, &specs.Spec{Process: p})
	validateProcess(found, s, p)
	return found.err()
}

// validateProcess checks p, which may be nil: only start needs it.
func validateProcess(found *problems, s *specs.Spec, p *specs.Process) {
	process(found, s, p)
	if p == nil {
		return
	}
	processLimits(found, p)
	if p.ExecCPUAffinity != nil {
		affinity(found, "initial", p.ExecCPUAffinity.Initial)
		affinity(found, "final", p.ExecCPUAffinity.Final)
	}
	if adj := p.OOMScoreAdj; adj != nil && (*adj < -1000 || *adj > 1000) {
		found.add("process.oomScoreAdj", "%d is not from -1000 to 1000", *adj)
	}
}

// defaultUmask is the one of a process that asks for none. config.md would rather
// keep the caller's, but that is an engine's, often 0, and images count on this
// one, which other runtimes set as well.
const defaultUmask = 0o022

// process translates all that does not depend on the host.
func process(found *problems, s *specs.Spec, p *specs.Process) plan.Process {
	out := plan.Process{
		Umask:        defaultUmask,
		IOPriority:   -1,
		Personality:  personality(found, linux(s).Personality),
		MemoryPolicy: memoryPolicy(found, linux(s).MemoryPolicy),
	}
	if p == nil {
		return out
	}
	if len(p.Args) == 0 {
		found.add("process.args", "must not be empty")
	} else if p.Args[0] == "" {
		found.add("process.args[0]", "must not be empty")
	}
	if !filepath.IsAbs(p.Cwd) {
		found.add("process.cwd", "%q is not an absolute path", p.Cwd)
	}
	out.Args, out.Cwd = p.Args, p.Cwd
	out.Env = environment(found, p.Env)
	user(found, s, &p.User, &out)
	out.NoNewPrivs = p.NoNewPrivileges
	out.SELinuxLabel, out.KeyringLabel = p.SelinuxLabel, p.SelinuxLabel
	out.AppArmorProfile = p.ApparmorProfile
	out.Scheduler = scheduler(found, p.Scheduler)
	out.IOPriority = ioPriority(found, p.IOPriority)
	out.Limits = initLimits(rlimits(found, p))
	out.Terminal = terminal(found, p)
	return out
}

// environment keeps the last value of each variable, at its place. An empty HOME
// is dropped, so that init sets it as if it were not there.
func environment(found *problems, env []string) []string {
	seen := make(map[string]struct{}, len(env))
	out := make([]string, 0, len(env))
	for i, entry := range slices.Backward(env) {
		name, value, ok := strings.Cut(entry, "=")
		if found.full() {
			break
		}
		if !ok || name == "" {
			found.add(at("process", "env", i), "%q is not of the form NAME=VALUE", entry)
			continue
		}
		if _, ok := seen[name]; ok {
			continue
		}
		seen[name] = struct{}{}
		if name != "HOME" || value != "" {
			out = append(out, entry)
		}
	}
	slices.Reverse(out)
	return out
}

// user translates process.user. In a new user namespace an ID must be mapped, or
// the process cannot take it on.
func user(found *problems, s *specs.Spec, u *specs.User, out *plan.Process) {
	out.UID = containerID(found, "process.user.uid", u.UID, s, linux(s).UIDMappings)
	out.GID = containerID(found, "process.user.gid", u.GID, s, linux(s).GIDMappings)
	for i, gid := range u.AdditionalGids {
		containerID(found, at("process", "user", "additionalGids", i), gid, s, linux(s).GIDMappings)
	}
	out.AdditionalGIDs = u.AdditionalGids
	if u.Umask == nil {
		return
	}
	if *u.Umask > 0o777 {
		found.add("process.user.umask", "%d is above 511 (0777)", *u.Umask)
	}
	out.Umask = int32(*u.Umask & 0o777)
}

func containerID(found *problems, path string, id uint32, s *specs.Spec, mappings []specs.LinuxIDMapping) uint32 {
	if _, ok := HostID(mappings, id); !ok && len(mappings) > 0 && IsNew(s, specs.UserNamespace) {
		found.add(path, "%d is not mapped in the user namespace", id)
		return id
	}
	return realID(found, path, id)
}

func terminal(found *problems, p *specs.Process) plan.Terminal {
	t := plan.Terminal{Wanted: p.Terminal}
	if !p.Terminal || p.ConsoleSize == nil {
		return t
	}
	if p.ConsoleSize.Height > math.MaxUint16 {
		found.add("process.consoleSize.height", "%d is above %d", p.ConsoleSize.Height, math.MaxUint16)
	}
	if p.ConsoleSize.Width > math.MaxUint16 {
		found.add("process.consoleSize.width", "%d is above %d", p.ConsoleSize.Width, math.MaxUint16)
	}
	t.Rows, t.Columns = uint16(p.ConsoleSize.Height), uint16(p.ConsoleSize.Width)
	return t
}

// InitialAffinity returns the mask of process.execCPUAffinity.initial, which is
// for the process before it enters the container's cgroup, or nil.
func InitialAffinity(p *specs.Process) ([]byte, error) {
	if p.ExecCPUAffinity == nil {
		return nil, nil
	}
	found := new(problems)
	mask := affinity(found, "initial", p.ExecCPUAffinity.Initial)
	return mask, found.err()
}

// finalAffinity says where the process may run once it is in its cgroup.
// Without "final" that is the kernel's matter, as config.md wants it.
func finalAffinity(found *problems, a *specs.CPUAffinity) plan.Affinity {
	switch {
	case a == nil || a.Initial == "" && a.Final == "":
		return plan.Affinity{Policy: plan.WholeCpuset}
	case a.Final == "":
		return plan.Affinity{Policy: plan.InheritedCPUs}
	}
	return plan.Affinity{Policy: plan.ChosenCPUs, CPUs: affinity(found, "final", a.Final)}
}

func affinity(found *problems, name, list string) []byte {
	mask, err := CPUMask(list)
	if err != nil {
		found.add(at("process", "execCPUAffinity", name), "%w", err)
	}
	return mask
}

// nonNil returns warn, or a function that drops the warning.
func nonNil(warn func(error)) func(error) {
	if warn == nil {
		return func(error) {}
	}
	return warn
}
