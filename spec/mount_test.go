package spec_test

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/libcontainer/plan"
	"hull/spec"
)

// compileMount compiles a configuration whose only mount is m.
func compileMount(t *testing.T, m specs.Mount, change ...func(*specs.Spec)) (plan.Mount, []spec.Source, []string) {
	t.Helper()
	s := bundleSpec(t)
	s.Mounts = []specs.Mount{m}
	for _, f := range change {
		f(s)
	}
	var warnings []string
	in := inputs(t)
	in.Warn = func(err error) { warnings = append(warnings, err.Error()) }
	p, sources, err := spec.Compile(s, in)
	if err != nil {
		t.Fatal(err)
	}
	return p.Mounts[0], sources, warnings
}

// bundleSpec is the default configuration with a root that exists.
func bundleSpec(t *testing.T) *specs.Spec {
	t.Helper()
	s := spec.Default()
	s.Root.Path = t.TempDir()
	s.Mounts = nil
	return s
}

func inputs(t *testing.T) spec.Inputs {
	t.Helper()
	return spec.Inputs{ID: "c1", Bundle: t.TempDir(), Process: spec.ProcessInputs{Held: spec.AllCapabilities}}
}

func flag(key string) plan.FSOption { return plan.FSOption{Key: key, IsFlag: true} }

func TestEachOptionActsOnTheMount(t *testing.T) {
	const (
		ro, nosuid, nodev, noexec = unix.MOUNT_ATTR_RDONLY, unix.MOUNT_ATTR_NOSUID, unix.MOUNT_ATTR_NODEV, unix.MOUNT_ATTR_NOEXEC
		noatime, strict, atimes   = unix.MOUNT_ATTR_NOATIME, unix.MOUNT_ATTR_STRICTATIME, unix.MOUNT_ATTR__ATIME
		nodiratime, nosymfollow   = unix.MOUNT_ATTR_NODIRATIME, unix.MOUNT_ATTR_NOSYMFOLLOW
	)
	type m = plan.Mount
	for _, c := range []struct {
		options string
		want    plan.Mount
	}{
		{"", m{}},
		{"defaults", m{}},
		{"silent loud iversion noiversion", m{}},
		{"ro", m{Set: ro}},
		{"rw", m{Clear: ro}},
		{"ro rw", m{Clear: ro}},
		{"rw ro", m{Set: ro}},
		{"nosuid", m{Set: nosuid}},
		{"suid", m{Clear: nosuid}},
		{"nodev", m{Set: nodev}},
		{"dev", m{Clear: nodev}},
		{"noexec", m{Set: noexec}},
		{"exec", m{Clear: noexec}},
		{"nodiratime", m{Set: nodiratime}},
		{"diratime", m{Clear: nodiratime}},
		{"nosymfollow", m{Set: nosymfollow}},
		{"symfollow", m{Clear: nosymfollow}},
		{"relatime", m{Clear: atimes}},
		{"noatime", m{Set: noatime, Clear: atimes}},
		{"strictatime", m{Set: strict, Clear: atimes}},
		{"noatime strictatime", m{Set: strict, Clear: atimes}},
		{"strictatime relatime", m{Clear: atimes}},
		{"atime", m{Clear: atimes}},
		{"noatime atime", m{Clear: atimes}},
		{"strictatime nostrictatime", m{Clear: atimes}},
		{"strictatime norelatime", m{Set: strict, Clear: atimes}},
		{"norelatime noatime", m{Set: noatime, Clear: atimes}},
		{"rro", m{RecSet: ro}},
		{"rrw", m{RecClear: ro}},
		{"rnosuid rnodev rnoexec", m{RecSet: nosuid | nodev | noexec}},
		{"rsuid rdev rexec", m{RecClear: nosuid | nodev | noexec}},
		{"rnodiratime rnosymfollow", m{RecSet: nodiratime | nosymfollow}},
		{"rdiratime rsymfollow", m{RecClear: nodiratime | nosymfollow}},
		{"rrelatime", m{RecClear: atimes}},
		{"rnoatime", m{RecSet: noatime, RecClear: atimes}},
		{"rstrictatime", m{RecSet: strict, RecClear: atimes}},
		{"ratime", m{RecClear: atimes}},
		{"rnorelatime", m{RecClear: atimes}},
		{"rstrictatime rnostrictatime", m{RecClear: atimes}},
		{"ro rro noatime rstrictatime", m{RecSet: ro | strict, RecClear: atimes}},
		{"rro ro rstrictatime noatime", m{Set: ro | noatime, Clear: atimes, RecSet: ro | strict, RecClear: atimes}},
		{"rw rro suid rnosuid", m{RecSet: ro | nosuid}},
		{"rro rw", m{RecSet: ro, Clear: ro}},
		{"rrw ro", m{RecClear: ro, Set: ro}},
		{"private slave", m{Propagation: []uint64{unix.MS_PRIVATE, unix.MS_SLAVE}}},
		{"rprivate", m{Propagation: []uint64{unix.MS_PRIVATE | unix.MS_REC}}},
		{"rslave", m{Propagation: []uint64{unix.MS_SLAVE | unix.MS_REC}}},
		{"shared rshared", m{Propagation: []uint64{unix.MS_SHARED, unix.MS_SHARED | unix.MS_REC}}},
		{"unbindable runbindable", m{Propagation: []uint64{unix.MS_UNBINDABLE, unix.MS_UNBINDABLE | unix.MS_REC}}},
		{"tmpcopyup", m{Flags: plan.CopyUp}},
		{"dest-nofollow", m{Flags: plan.TargetNoFollow}},
		{"sync async dirsync", m{Options: []plan.FSOption{flag("sync"), flag("async"), flag("dirsync")}}},
		{"lazytime nolazytime mand nomand", m{Options: []plan.FSOption{flag("lazytime"), flag("nolazytime"), flag("mand"), flag("nomand")}}},
		{"mode=755 newinstance", m{Options: []plan.FSOption{{Key: "mode", Value: "755"}, flag("newinstance")}}},
		{"uid=", m{Options: []plan.FSOption{{Key: "uid"}}}},
		{"ro,nosuid,,size=1k,", m{Set: ro | nosuid, Options: []plan.FSOption{{Key: "size", Value: "1k"}}}},
		{`context="a,b:c1,c2",ro`, m{Set: ro, Options: []plan.FSOption{{Key: "context", Value: "a,b:c1,c2"}}}},
		{`lowerdir=/a\,b:/c,index=off`, m{Options: []plan.FSOption{{Key: "lowerdir", Value: `/a\,b:/c`}, {Key: "index", Value: "off"}}}},
		{"ro=1", m{Options: []plan.FSOption{{Key: "ro", Value: "1"}}}},
		{"RO", m{Options: []plan.FSOption{flag("RO")}}},
	} {
		t.Run(c.options, func(t *testing.T) {
			got, _, warnings := compileMount(t, specs.Mount{
				Destination: "/t", Type: "tmpfs", Source: "src", Options: strings.Fields(c.options),
			})
			c.want.Name, c.want.Source, c.want.Target, c.want.Type = "mounts[0]", "src", "/t", "tmpfs"
			if !sameMount(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			if len(warnings) > 0 {
				t.Errorf("warnings %q", warnings)
			}
		})
	}
}

// sameMount compares mounts; an empty list equals none.
func sameMount(a, b plan.Mount) bool {
	if !slices.Equal(a.Options, b.Options) || !slices.Equal(a.Propagation, b.Propagation) {
		return false
	}
	a.Options, a.Propagation, b.Options, b.Propagation = nil, nil, nil, nil
	return reflect.DeepEqual(a, b)
}

func TestABindMountIsClonedFromTheHost(t *testing.T) {
	bundle := t.TempDir()
	dir, file, link := filepath.Join(bundle, "dir"), filepath.Join(bundle, "file"), filepath.Join(bundle, "link")
	for _, err := range []error{os.Mkdir(dir, 0o700), os.WriteFile(file, nil, 0o600), os.Symlink(dir, link)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name  string
		mount specs.Mount
		want  plan.Mount
	}{
		{"a directory", specs.Mount{Source: dir, Options: []string{"bind"}}, plan.Mount{Source: dir}},
		{"the type is ignored", specs.Mount{Type: "ext4", Source: dir, Options: []string{"bind"}}, plan.Mount{Source: dir}},
		{"the type alone is enough", specs.Mount{Type: "bind", Source: dir}, plan.Mount{Source: dir}},
		{"a tree", specs.Mount{Source: dir, Options: []string{"rbind"}}, plan.Mount{Source: dir, Flags: plan.Recursive}},
		{"a file", specs.Mount{Source: file, Options: []string{"bind"}}, plan.Mount{Source: file, Flags: plan.SourceIsFile}},
		{"relative to the bundle", specs.Mount{Source: "file", Options: []string{"bind"}}, plan.Mount{Source: file, Flags: plan.SourceIsFile}},
		{"a link is followed", specs.Mount{Source: link, Options: []string{"bind"}}, plan.Mount{Source: link}},
		{"a link itself", specs.Mount{Source: link, Options: []string{"bind", "src-nofollow"}}, plan.Mount{Source: link, Flags: plan.SourceNoFollow | plan.SourceIsFile}},
		{"a link copied", specs.Mount{Source: link, Options: []string{"bind", "copy-symlink"}}, plan.Mount{Source: link, Flags: plan.CopySymlink | plan.SourceIsFile}},
		{"read-only", specs.Mount{Source: dir, Options: []string{"bind", "ro"}}, plan.Mount{Source: dir, Set: unix.MOUNT_ATTR_RDONLY}},
		{"remounted", specs.Mount{Source: dir, Options: []string{"bind", "remount", "ro"}}, plan.Mount{Source: dir, Kind: plan.Reconfigure, Set: unix.MOUNT_ATTR_RDONLY}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, in := bundleSpec(t), inputs(t)
			in.Bundle = bundle
			c.mount.Destination = "/x/../y"
			s.Mounts = []specs.Mount{c.mount}
			p, sources, err := spec.Compile(s, in)
			if err != nil {
				t.Fatal(err)
			}
			c.want.Name, c.want.Target = "mounts[0]", "/y"
			if c.want.Kind == plan.NewFilesystem {
				c.want.Kind = plan.Bind
			}
			if !sameMount(p.Mounts[0], c.want) || len(sources) > 0 {
				t.Errorf("got  %+v %v\nwant %+v", p.Mounts[0], sources, c.want)
			}
		})
	}
}

func TestAMissingBindSourceIsNamed(t *testing.T) {
	s, in := bundleSpec(t), inputs(t)
	s.Mounts = []specs.Mount{
		{Destination: "/a", Source: "/nowhere", Options: []string{"bind"}},
		{Destination: "/b", Source: "not-here", Options: []string{"rbind"}},
	}
	_, _, err := spec.Compile(s, in)
	want := "mounts[0].source: stat /nowhere: no such file or directory; mounts[1].source: stat " +
		in.Bundle + "/not-here: no such file or directory"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestTheParentOpensWhatInitCannot(t *testing.T) {
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 10}}
	userns := func(s *specs.Spec) { mapIDs(s, ids...) }
	joined := func(s *specs.Spec) { join(s, specs.UserNamespace, "/proc/1/ns/user") }
	nothing := func(*specs.Spec) {}
	for _, c := range []struct {
		name    string
		change  func(*specs.Spec)
		options []string
		mapped  []specs.LinuxIDMapping
		flags   plan.MountFlags
		idMap   *spec.IDMap
	}{
		{"in a user namespace", userns, []string{"rbind"}, nil, plan.Recursive, nil},
		{"shared with the host", nothing, []string{"bind", "rshared", "src-nofollow"}, nil, plan.SourceNoFollow, nil},
		{"mapped by lists", nothing, []string{"bind"}, ids, 0, &spec.IDMap{UIDs: ids, GIDs: ids}},
		{"mapped by lists as a tree", nothing, []string{"rbind", "ridmap"}, ids, plan.Recursive, &spec.IDMap{UIDs: ids, GIDs: ids, Flags: plan.Recursive}},
		{"mapped like the container", userns, []string{"bind", "idmap"}, nil, 0, &spec.IDMap{}},
		{"mapped like the namespace it joins", joined, []string{"bind", "idmap"}, nil, 0, &spec.IDMap{UserNamespace: "/proc/1/ns/user"}},
		{"mapped inline", nothing, []string{"bind", "idmap=uids=0-5-1#10-11-12;gids=1-2-3"}, nil, 0, &spec.IDMap{
			UIDs: []specs.LinuxIDMapping{{ContainerID: 0, HostID: 5, Size: 1}, {ContainerID: 10, HostID: 11, Size: 12}},
			GIDs: []specs.LinuxIDMapping{{ContainerID: 1, HostID: 2, Size: 3}},
		}},
		{"mapped inline, relative to the container", userns, []string{"bind", "ridmap=uids=@7-3-1;gids=7-3-1"}, nil, 0, &spec.IDMap{
			UIDs:  []specs.LinuxIDMapping{{ContainerID: 7, HostID: 1003, Size: 1}},
			GIDs:  []specs.LinuxIDMapping{{ContainerID: 7, HostID: 3, Size: 1}},
			Flags: plan.Recursive,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, sources, _ := compileMount(t, specs.Mount{
				Destination: "/x", Source: "/", Options: c.options, UIDMappings: c.mapped, GIDMappings: c.mapped,
			}, c.change)
			want := []spec.Source{{Name: "mounts[0]", Path: "/", Flags: c.flags, IDMap: c.idMap}}
			if m.Flags != c.flags|plan.Supplied || !reflect.DeepEqual(sources, want) {
				t.Errorf("flags %b, sources %+v, want %+v", m.Flags, sources, want)
			}
		})
	}
}

func TestReadOnlyReachesADeviceButNotASharedSuperblock(t *testing.T) {
	for fstype, want := range map[string][]plan.FSOption{"ext4": {flag("ro")}, "sysfs": nil, "tmpfs": nil} {
		m, _, _ := compileMount(t, specs.Mount{Destination: "/x", Type: fstype, Options: []string{"ro"}})
		if !slices.Equal(m.Options, want) || m.Set != unix.MOUNT_ATTR_RDONLY {
			t.Errorf("%s: got %+v", fstype, m)
		}
	}
	m, _, _ := compileMount(t, specs.Mount{Destination: "/", Options: []string{"remount", "rw"}})
	if !slices.Equal(m.Options, []plan.FSOption{flag("rw")}) || m.Clear != unix.MOUNT_ATTR_RDONLY || m.Kind != plan.Reconfigure {
		t.Errorf("remount: got %+v", m)
	}
}

func TestNewFilesystemsGetTheMountLabel(t *testing.T) {
	const label = "system_u:object_r:container_file_t:s0:c1,c2"
	context := []plan.FSOption{{Key: "context", Value: label}}
	for fstype, want := range map[string][]plan.FSOption{"tmpfs": context, "devpts": context, "proc": nil, "sysfs": nil, "mqueue": nil} {
		m, _, _ := compileMount(t, specs.Mount{Destination: "/x", Type: fstype}, func(s *specs.Spec) { s.Linux.MountLabel = label })
		if !slices.Equal(m.Options, want) {
			t.Errorf("%s: got %v, want %v", fstype, m.Options, want)
		}
	}
	m, _, _ := compileMount(t, specs.Mount{Destination: "/x", Type: "tmpfs", Options: []string{"context=own"}},
		func(s *specs.Spec) { s.Linux.MountLabel = label })
	if !slices.Equal(m.Options, []plan.FSOption{{Key: "context", Value: "own"}}) {
		t.Errorf("got %v", m.Options)
	}
}

// There is no SELinux to see the effect of where these tests run.
//
//proves:linux.mountLabel annotations.run.oci.mount_context_type
func TestTheMountLabelIsTheContextThatTheAnnotationNames(t *testing.T) {
	for kind, want := range map[string]string{"": "context", "context": "context", "fscontext": "fscontext", "defcontext": "defcontext", "rootcontext": "rootcontext"} {
		s := bundleSpec(t)
		s.Mounts = []specs.Mount{{Destination: "/x", Type: "tmpfs"}}
		s.Linux.MountLabel = "u:r:t:s0:c1,c2"
		s.Annotations = map[string]string{spec.AnnotationMountContext: kind}
		p := compile(t, s, inputs(t))
		label := plan.FSOption{Key: want, Value: "u:r:t:s0:c1,c2"}
		if !slices.Equal(p.Mounts[0].Options, []plan.FSOption{label}) || p.MountLabel != label {
			t.Errorf("%q: mount %v, masks %v", kind, p.Mounts[0].Options, p.MountLabel)
		}
	}
}

func TestWhatAUserNamespaceMayNotMountFallsBackToTheHosts(t *testing.T) {
	for fstype, want := range map[string]plan.MountFlags{"sysfs": plan.FallbackBind, "mqueue": plan.FallbackBind, "proc": 0} {
		m, _, _ := compileMount(t, specs.Mount{Destination: "/x", Type: fstype}, func(s *specs.Spec) {
			mapIDs(s, specs.LinuxIDMapping{Size: 1})
		})
		if m.Flags != want {
			t.Errorf("%s: got %b", fstype, m.Flags)
		}
	}
}

func TestWhatHasNoEffectIsReported(t *testing.T) {
	for _, c := range []struct {
		mount specs.Mount
		want  []string
	}{
		{specs.Mount{Destination: "x/y", Type: "tmpfs"}, []string{"mounts[0].destination: relative paths are deprecated, /x/y is used"}},
		{specs.Mount{Destination: "/x", Source: "/", Options: []string{"bind", "sync", "tmpcopyup"}}, []string{
			`mounts[0].options: "tmpcopyup" has no effect here`, `mounts[0].options: "sync" has no effect here`,
		}},
		{specs.Mount{Destination: "/x", Type: "tmpfs", Options: []string{"remount", "tmpcopyup"}}, []string{
			`mounts[0].options: "tmpcopyup" has no effect here`,
		}},
		{specs.Mount{Destination: "/x", Type: "tmpfs", Options: []string{"rsync", "rasync", "rdirsync", "rmand", "rnomand"}}, []string{
			`mounts[0].options: "rsync" has no effect here`, `mounts[0].options: "rasync" has no effect here`,
			`mounts[0].options: "rdirsync" has no effect here`, `mounts[0].options: "rmand" has no effect here`,
			`mounts[0].options: "rnomand" has no effect here`,
		}},
	} {
		if _, _, got := compileMount(t, c.mount); !slices.Equal(got, c.want) {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestTheStepsOfACgroupMountTakeItsPlace(t *testing.T) {
	const ro, nosuid = unix.MOUNT_ATTR_RDONLY, unix.MOUNT_ATTR_NOSUID
	s, in := bundleSpec(t), inputs(t)
	s.Mounts = []specs.Mount{
		{Destination: "/proc", Type: "proc"},
		{Destination: "/cg", Type: "cgroup", Source: "cgroup", Options: []string{"ro", "rslave", "exec", "xattr"}},
	}
	in.CgroupMounts = []plan.Mount{
		{Type: "tmpfs", Options: []plan.FSOption{{Key: "mode", Value: "755"}}, Set: unix.MOUNT_ATTR_NOEXEC},
		{Type: "cgroup", Target: "cpu,cpuacct", Options: []plan.FSOption{flag("cpu")}, Clear: ro, Set: nosuid},
		{Kind: plan.Link, Target: "cpu", Source: "cpu,cpuacct"},
	}
	p, _, err := spec.Compile(s, in)
	if err != nil {
		t.Fatal(err)
	}
	want := []plan.Mount{
		{Name: "mounts[0]", Target: "/proc", Type: "proc"},
		{
			Name: "mounts[1]", Target: "/cg", Type: "tmpfs", Options: in.CgroupMounts[0].Options,
			Set: ro, Clear: unix.MOUNT_ATTR_NOEXEC, Propagation: []uint64{unix.MS_SLAVE | unix.MS_REC},
		},
		{
			Name: "mounts[1]", Target: "/cg/cpu,cpuacct", Type: "cgroup",
			Options: []plan.FSOption{flag("cpu"), flag("xattr")}, Set: ro | nosuid, Clear: unix.MOUNT_ATTR_NOEXEC,
		},
		{Name: "mounts[1]", Kind: plan.Link, Target: "/cg/cpu", Source: "cpu,cpuacct"},
	}
	if !slices.EqualFunc(p.Mounts, want, sameMount) {
		t.Errorf("got  %+v\nwant %+v", p.Mounts, want)
	}
}

func FuzzMountOptionsNeverPanic(f *testing.F) {
	for _, seed := range []string{"ro,nosuid", `context="a,b`, "idmap=uids=0-1-2;gids=", `a\`, "rbind,ridmap=uids=@0-0-1", "=,=="} {
		f.Add("tmpfs", seed)
	}
	f.Fuzz(func(t *testing.T, fstype, option string) {
		s := spec.Default()
		s.Root.Path = "/"
		s.Mounts = []specs.Mount{{Destination: "/x", Type: fstype, Source: "/", Options: []string{option}}}
		if spec.Validate(s) != nil {
			return
		}
		p, sources, err := spec.Compile(s, spec.Inputs{Bundle: "/"})
		if err != nil {
			t.Fatalf("%q is valid but does not compile: %v", option, err)
		}
		for _, source := range sources {
			if p.Mounts[source.Mount].Flags&plan.Supplied == 0 {
				t.Errorf("%q: mount %d is not supplied", option, source.Mount)
			}
		}
		for i := range p.Mounts {
			m := &p.Mounts[i]
			if m.Set&m.Clear != 0 && m.Set&m.Clear&^unix.MOUNT_ATTR__ATIME != 0 {
				t.Errorf("%q sets and clears the same attributes: %+v", option, m)
			}
		}
	})
}
