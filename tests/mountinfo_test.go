package tests

import (
	"slices"
	"strings"
	"testing"

	"github.com/moby/sys/mountinfo"
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
	mounts, err := mountinfo.GetMountsFromReader(strings.NewReader(strings.Join(lines, "\n")), nil)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]mountSeen)
	for _, m := range mounts {
		out[m.Mountpoint] = mountSeen{
			root: m.Root, target: m.Mountpoint, options: strings.Split(m.Options, ","), peers: strings.Fields(m.Optional),
			kind: m.FSType, source: m.Source, super: strings.Split(m.VFSOptions, ","),
		}
	}
	return out
}
