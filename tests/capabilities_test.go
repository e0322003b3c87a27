package tests

import (
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

var capabilityFields = []string{"status=CapBnd", "status=CapPrm", "status=CapEff", "status=CapInh", "status=CapAmb"}

// capabilitySets returns the five sets that the probe saw, as numbers.
func capabilitySets(t *testing.T, s sight) map[string]uint64 {
	t.Helper()
	out := make(map[string]uint64)
	for _, field := range capabilityFields {
		mask, err := strconv.ParseUint(get[string](t, s, field), 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimPrefix(field, "status=Cap")] = mask
	}
	return out
}

const (
	chown      = 1 << 0
	fowner     = 1 << 3
	kill       = 1 << 5
	bindLow    = 1 << 10
	auditWrite = 1 << 29
)

//proves:process.capabilities.bounding process.capabilities.effective process.capabilities.inheritable
//proves:process.capabilities.permitted process.capabilities.ambient process.capabilities
func TestTheFiveCapabilitySets(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	const c, f, k = "CAP_CHOWN", "CAP_FOWNER", "CAP_KILL"
	own := uint64(0)
	for line := range strings.Lines(readFile(t, "/proc/self/status")) {
		if text, ok := strings.CutPrefix(line, "CapPrm:\t"); ok {
			own, _ = strconv.ParseUint(strings.TrimSpace(text), 16, 64)
		}
	}
	for name, tt := range map[string]struct {
		capabilities *specs.LinuxCapabilities
		uid          uint32
		want         map[string]uint64
	}{
		"of root are those of the configuration": {
			&specs.LinuxCapabilities{Bounding: []string{c, f, k}, Permitted: []string{c, f}, Effective: []string{c}}, 0,
			// execve(2) by root: permitted and effective are the bounding set.
			map[string]uint64{"Bnd": chown | fowner | kill, "Prm": chown | fowner | kill, "Eff": chown | fowner | kill, "Inh": 0, "Amb": 0},
		},
		"of another user are gone at execve": {
			&specs.LinuxCapabilities{Bounding: []string{c, f}, Permitted: []string{c, f}, Effective: []string{c, f}}, 1000,
			map[string]uint64{"Bnd": chown | fowner, "Prm": 0, "Eff": 0, "Inh": 0, "Amb": 0},
		},
		"of another user with ambient ones": {
			&specs.LinuxCapabilities{
				Bounding: []string{c, f, k}, Permitted: []string{c, f}, Effective: []string{c, f},
				Inheritable: []string{c, f}, Ambient: []string{c},
			}, 1000,
			map[string]uint64{"Bnd": chown | fowner | kill, "Prm": chown, "Eff": chown, "Inh": chown | fowner, "Amb": chown},
		},
		"with empty lists are empty": {
			&specs.LinuxCapabilities{}, 0,
			map[string]uint64{"Bnd": 0, "Prm": 0, "Eff": 0, "Inh": 0, "Amb": 0},
		},
		"without the object are the caller's": {
			nil, 0,
			map[string]uint64{"Bnd": own, "Prm": own, "Eff": own, "Inh": 0, "Amb": 0},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			// With no_new_privs, root would gain nothing at execve(2).
			s := h.probe(capabilityFields, noNewPrivileges(false), func(s *specs.Spec) {
				s.Process.Capabilities = tt.capabilities
				s.Process.User.UID = tt.uid
			})
			equal(t, "sets", capabilitySets(t, s), tt.want)
		})
	}
}

func TestTheDefaultCapabilities(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	const three = auditWrite | kill | bindLow
	equal(t, "sets", capabilitySets(t, h.probe(capabilityFields)),
		map[string]uint64{"Bnd": three, "Prm": three, "Eff": three, "Inh": 0, "Amb": 0})
}

//proves:config.md#linux-process:1 config.md#linux-process:2
func TestCapabilitiesThatCannotBeGrantedAreAWarning(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for name, tt := range map[string]struct {
		capability, words string
	}{
		"one that does not exist":    {"CAP_CAKE", "CAP_CAKE"},
		"one without its prefix":     {"CHOWN", "CHOWN"},
		"one that hull itself lacks": {"CAP_SYS_RESOURCE", "CAP_SYS_RESOURCE"},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			if tt.capability == "CAP_SYS_RESOURCE" && hasCapability(t, 24) {
				lacks(t, "the lack of CAP_SYS_RESOURCE")
			}
			names := []string{"CAP_KILL", tt.capability}
			b := h.newBundle(capabilityFields, withCapabilities(names...))
			r := h.try("run", "--bundle", b.dir, newID())
			if r.status != 0 {
				t.Fatal(r.stderr)
			}
			sets := capabilitySets(t, parseSight(t, r.stdout))
			equal(t, "effective", sets["Eff"], kill)
			if !strings.Contains(r.stderr, "level=warning") || !strings.Contains(r.stderr, tt.words) {
				t.Errorf("no warning: %q", r.stderr)
			}
		})
	}
}

// Row CVE-2022-29162, CVE-2022-27650 and CVE-2025-27612.
//
//proves:process.capabilities.inheritable process.capabilities.ambient
func TestCapabilitiesAreNeverInheritableUnasked(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.start(capabilityFields, withCapabilities("CAP_CHOWN", "CAP_KILL"))
	equal(t, "of the process", capabilitySets(t, c.see())["Inh"], 0)
	equal(t, "of an exec", capabilitySets(t, c.exec(capabilityFields...))["Inh"], 0)
	out := h.must(append([]string{"exec", "--cap", "CAP_FOWNER", c.id, "/probe"}, capabilityFields...)...)
	sets := capabilitySets(t, parseSight(t, out))
	equal(t, "inheritable of an exec with --cap", sets["Inh"], 0)
	equal(t, "ambient of an exec with --cap", sets["Amb"], 0)
	equal(t, "effective of an exec with --cap", sets["Eff"], chown|kill|fowner)
}

func TestCapabilitiesHaveTheirEffect(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	const node = "mknod=/dev/shm/null:1:3"
	if s := h.probe([]string{node}); s.failure(node) != "operation not permitted" {
		t.Errorf("without CAP_MKNOD: %q", s.failure(node))
	}
	get[string](t, h.probe([]string{node}, withCapabilities("CAP_MKNOD")), node)
}
