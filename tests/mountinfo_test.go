package tests

import (
	"slices"
	"strings"
	"testing"
)

// mountSeen is a line of mountinfo.
type mountSeen struct {
	root, target, kind, source string
	// options are those of the mount and of its superblock.
	options, super []string
	// peers are the optional fields: shared:N, master:N, unbindable.
	peers []string
}

func (m mountSeen) has(option string) bool      { return slices.Contains(m.options, option) }
func (m mountSeen) superHas(option string) bool { return slices.Contains(m.super, option) }

func (m mountSeen) isPeer(kind string) bool {
	return slices.ContainsFunc(m.peers, func(p string) bool { return strings.HasPrefix(p, kind) })
}

// mountsOf returns what the probe's "mounts" saw, by mount point; of several on
// one point, the last.
func mountsOf(t *testing.T, s sight) map[string]mountSeen {
	t.Helper()
	return parseMounts(t, get[[]string](t, s, "mounts"))
}

func parseMounts(t *testing.T, lines []string) map[string]mountSeen {
	t.Helper()
	out := make(map[string]mountSeen)
	for _, line := range lines {
		own, fs, ok := strings.Cut(line, " - ")
		f, g := strings.Fields(own), strings.Fields(fs)
		if !ok || len(f) < 6 || len(g) < 3 {
			t.Fatalf("not a line of mountinfo: %q", line)
		}
		out[f[4]] = mountSeen{
			root: f[3], target: f[4], options: strings.Split(f[5], ","), peers: f[6:],
			kind: g[0], source: g[1], super: strings.Split(g[2], ","),
		}
	}
	return out
}
