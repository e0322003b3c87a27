package spec

import (
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"hull/libcontainer/plan"
)

// optionKind says what a mount option acts on.
type optionKind uint8

const (
	// attribute is a MOUNT_ATTR_* of one mount.
	attribute optionKind = iota
	// accessTime is one of the values of MOUNT_ATTR__ATIME.
	accessTime
	// superblock is a flag of the filesystem: fsconfig(2) takes its name. It
	// means nothing for a bind mount.
	superblock
	// propagation is MS_SHARED and the like.
	propagation
	// extension is a plan.MountFlags.
	extension
	// inert is accepted for the sake of mount(8). The kernel's mount API has no
	// counterpart, because there is nothing left to choose: messages go to the
	// caller, and filesystems keep i_version always.
	inert
	// unheard is like inert, but does not even mean anything to mount(8).
	unheard
	// bind, remount and idMapped change what the mount is.
	bind
	remount
	idMapped
)

// optionScope is what an attribute or an idMapped is applied to.
type optionScope uint8

const (
	oneMount optionScope = iota
	wholeTree
)

// optionSense tells an option from its opposite.
type optionSense uint8

const (
	set optionSense = iota
	unset
)

// option is one row of the table below.
type option struct {
	name  string
	kind  optionKind
	scope optionScope
	sense optionSense
	flag  uint64
}

// options are all mount options that hull knows, by name. Whatever is not here
// goes to the filesystem. To add one, add a row in the order of the names; it
// appears in Features by itself.
var options = [...]option{ //nolint:gochecknoglobals // a table, never written
	{"async", superblock, oneMount, unset, 0},
	{"atime", accessTime, oneMount, unset, unix.MOUNT_ATTR_NOATIME},
	{"bind", bind, oneMount, set, 0},
	{"copy-symlink", extension, oneMount, set, uint64(plan.CopySymlink)},
	{"defaults", inert, oneMount, set, 0},
	{"dest-nofollow", extension, oneMount, set, uint64(plan.TargetNoFollow)},
	{"dev", attribute, oneMount, unset, unix.MOUNT_ATTR_NODEV},
	{"diratime", attribute, oneMount, unset, unix.MOUNT_ATTR_NODIRATIME},
	{"dirsync", superblock, oneMount, set, 0},
	{"exec", attribute, oneMount, unset, unix.MOUNT_ATTR_NOEXEC},
	{"idmap", idMapped, oneMount, set, 0},
	{"iversion", inert, oneMount, set, 0},
	{"lazytime", superblock, oneMount, set, 0},
	{"loud", inert, oneMount, unset, 0},
	{"mand", superblock, oneMount, set, 0},
	{"noatime", accessTime, oneMount, set, unix.MOUNT_ATTR_NOATIME},
	{"nodev", attribute, oneMount, set, unix.MOUNT_ATTR_NODEV},
	{"nodiratime", attribute, oneMount, set, unix.MOUNT_ATTR_NODIRATIME},
	{"noexec", attribute, oneMount, set, unix.MOUNT_ATTR_NOEXEC},
	{"noiversion", inert, oneMount, unset, 0},
	{"nolazytime", superblock, oneMount, unset, 0},
	{"nomand", superblock, oneMount, unset, 0},
	{"norelatime", accessTime, oneMount, unset, unix.MOUNT_ATTR_RELATIME},
	{"nostrictatime", accessTime, oneMount, unset, unix.MOUNT_ATTR_STRICTATIME},
	{"nosuid", attribute, oneMount, set, unix.MOUNT_ATTR_NOSUID},
	{"nosymfollow", attribute, oneMount, set, unix.MOUNT_ATTR_NOSYMFOLLOW},
	{"private", propagation, oneMount, set, unix.MS_PRIVATE},
	{"rasync", unheard, wholeTree, unset, 0},
	{"ratime", accessTime, wholeTree, unset, unix.MOUNT_ATTR_NOATIME},
	{"rbind", bind, wholeTree, set, 0},
	{"rdev", attribute, wholeTree, unset, unix.MOUNT_ATTR_NODEV},
	{"rdiratime", attribute, wholeTree, unset, unix.MOUNT_ATTR_NODIRATIME},
	{"rdirsync", unheard, wholeTree, set, 0},
	{"relatime", accessTime, oneMount, set, unix.MOUNT_ATTR_RELATIME},
	{"remount", remount, oneMount, set, 0},
	{"rexec", attribute, wholeTree, unset, unix.MOUNT_ATTR_NOEXEC},
	{"ridmap", idMapped, wholeTree, set, 0},
	{"rmand", unheard, wholeTree, set, 0},
	{"rnoatime", accessTime, wholeTree, set, unix.MOUNT_ATTR_NOATIME},
	{"rnodev", attribute, wholeTree, set, unix.MOUNT_ATTR_NODEV},
	{"rnodiratime", attribute, wholeTree, set, unix.MOUNT_ATTR_NODIRATIME},
	{"rnoexec", attribute, wholeTree, set, unix.MOUNT_ATTR_NOEXEC},
	{"rnomand", unheard, wholeTree, unset, 0},
	{"rnorelatime", accessTime, wholeTree, unset, unix.MOUNT_ATTR_RELATIME},
	{"rnostrictatime", accessTime, wholeTree, unset, unix.MOUNT_ATTR_STRICTATIME},
	{"rnosuid", attribute, wholeTree, set, unix.MOUNT_ATTR_NOSUID},
	{"rnosymfollow", attribute, wholeTree, set, unix.MOUNT_ATTR_NOSYMFOLLOW},
	{"ro", attribute, oneMount, set, unix.MOUNT_ATTR_RDONLY},
	{"rprivate", propagation, wholeTree, set, unix.MS_PRIVATE | unix.MS_REC},
	{"rrelatime", accessTime, wholeTree, set, unix.MOUNT_ATTR_RELATIME},
	{"rro", attribute, wholeTree, set, unix.MOUNT_ATTR_RDONLY},
	{"rrw", attribute, wholeTree, unset, unix.MOUNT_ATTR_RDONLY},
	{"rshared", propagation, wholeTree, set, unix.MS_SHARED | unix.MS_REC},
	{"rslave", propagation, wholeTree, set, unix.MS_SLAVE | unix.MS_REC},
	{"rstrictatime", accessTime, wholeTree, set, unix.MOUNT_ATTR_STRICTATIME},
	{"rsuid", attribute, wholeTree, unset, unix.MOUNT_ATTR_NOSUID},
	{"rsymfollow", attribute, wholeTree, unset, unix.MOUNT_ATTR_NOSYMFOLLOW},
	{"rsync", unheard, wholeTree, set, 0},
	{"runbindable", propagation, wholeTree, set, unix.MS_UNBINDABLE | unix.MS_REC},
	{"rw", attribute, oneMount, unset, unix.MOUNT_ATTR_RDONLY},
	{"shared", propagation, oneMount, set, unix.MS_SHARED},
	{"silent", inert, oneMount, set, 0},
	{"slave", propagation, oneMount, set, unix.MS_SLAVE},
	{"src-nofollow", extension, oneMount, set, uint64(plan.SourceNoFollow)},
	{"strictatime", accessTime, oneMount, set, unix.MOUNT_ATTR_STRICTATIME},
	{"suid", attribute, oneMount, unset, unix.MOUNT_ATTR_NOSUID},
	{"symfollow", attribute, oneMount, unset, unix.MOUNT_ATTR_NOSYMFOLLOW},
	{"sync", superblock, oneMount, set, 0},
	{"tmpcopyup", extension, oneMount, set, uint64(plan.CopyUp)},
	{"unbindable", propagation, oneMount, set, unix.MS_UNBINDABLE},
}

// findOption returns the row of an option, or nil.
func findOption(name string) *option {
	i := sort.Search(len(options), func(i int) bool { return options[i].name >= name })
	if i < len(options) && options[i].name == name {
		return &options[i]
	}
	return nil
}

// mountOptions are the options of one mount, sorted by what they act on.
type mountOptions struct {
	bind, remount bool
	// flags are those of the plan that options ask for.
	flags plan.MountFlags
	// attrs, of the mount and of the whole tree.
	attrs, treeAttrs attrs
	propagation      []uint64
	// superblock and data go to fsconfig(2); data is what the table lacks.
	superblock, data []plan.FSOption
	// unheard are the options that do nothing at all.
	unheard []string
	// idMap is the option "idmap" or "ridmap" as written, or "".
	idMap      string
	idMapScope optionScope
}

// attrs is a change of mount attributes, as mount_setattr(2) takes it.
type attrs struct {
	set, clear uint64
}

// forget drops the wishes about flag.
func (a *attrs) forget(flag uint64) {
	a.set &^= flag
	a.clear &^= flag
}

func (a *attrs) apply(o *option) {
	if o.sense == set {
		a.set |= o.flag
		a.clear &^= o.flag
	} else {
		a.set &^= o.flag
		a.clear |= o.flag
	}
}

// applyTime handles the attributes that are one choice of three: the last wish
// wins, and the opposite of a mode undoes only that mode, in favour of the
// kernel's default, which is relatime.
func (a *attrs) applyTime(o *option) {
	const all = unix.MOUNT_ATTR__ATIME
	chosen := a.clear&all != 0
	if o.sense == unset && chosen && a.set&all != o.flag {
		return
	}
	a.set &^= all
	a.clear |= all
	if o.sense == set {
		a.set |= o.flag
	}
}

// parseMountOptions sorts options. Each string may hold several, separated by
// commas as on the command line of mount(8).
func parseMountOptions(list []string) *mountOptions {
	m := new(mountOptions)
	for _, text := range list {
		for _, opt := range splitOptions(text) {
			m.add(opt)
		}
	}
	return m
}

func (m *mountOptions) add(text string) {
	key, value, hasValue := strings.Cut(text, "=")
	o := findOption(key)
	if o == nil || hasValue && o.kind != idMapped {
		m.data = append(m.data, dataOption(key, value, hasValue))
		return
	}
	if o.kind == idMapped {
		m.idMap, m.idMapScope = text, o.scope
		return
	}
	m.apply(o)
}

// apply carries out an option that the table has.
func (m *mountOptions) apply(o *option) {
	attrs := &m.attrs
	if o.scope == wholeTree {
		attrs = &m.treeAttrs
	}
	switch o.kind {
	case attribute:
		m.override(o, o.flag)
		attrs.apply(o)
	case accessTime:
		m.override(o, unix.MOUNT_ATTR__ATIME)
		attrs.applyTime(o)
	case superblock:
		m.superblock = append(m.superblock, plan.FSOption{Key: o.name, IsFlag: true})
	case propagation:
		m.propagation = append(m.propagation, o.flag)
	case extension:
		m.flags |= plan.MountFlags(o.flag)
	case unheard:
		m.unheard = append(m.unheard, o.name)
	case bind:
		m.bind = true
		if o.scope == wholeTree {
			m.flags |= plan.Recursive
		}
	case remount:
		m.remount = true
	case inert, idMapped: // nothing to do, done by add
	}
}

// override lets a later wish about the whole tree win over an earlier one about
// its top. The other way round nothing is to be done: the tree comes first when
// they are applied.
func (m *mountOptions) override(o *option, flags uint64) {
	if o.scope == wholeTree {
		m.attrs.forget(flags)
	}
}

// splitOptions splits at commas, but not within double quotes (SELinux contexts
// have commas) and not behind a backslash (paths of overlay layers may have
// them). Empty options are dropped.
func splitOptions(text string) []string {
	var (
		parts           []string
		start           int
		quoted, escaped bool
	)
	for i := range len(text) {
		switch c := text[i]; {
		case escaped:
			escaped = false
		case c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			parts = appendNonEmpty(parts, text[start:i])
			start = i + 1
		}
	}
	return appendNonEmpty(parts, text[start:])
}

func appendNonEmpty(list []string, s string) []string {
	if s == "" {
		return list
	}
	return append(list, s)
}

// dataOption is an option for the filesystem itself. The quotes around an
// SELinux context are syntax of mount(2)'s data; fsconfig(2) wants the value.
func dataOption(key, value string, hasValue bool) plan.FSOption {
	if isContext(key) && len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	return plan.FSOption{Key: key, Value: value, IsFlag: !hasValue}
}

func isContext(key string) bool {
	switch key {
	case "context", "fscontext", "defcontext", "rootcontext":
		return true
	}
	return false
}
