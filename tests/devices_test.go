package tests

import (
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

//proves:config-linux.md#default-devices:1 runtime-linux.md#dev-symbolic-links:1
func TestTheDefaultDevicesAreThere(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	want := map[string]string{
		"/dev/null": "1:3", "/dev/zero": "1:5", "/dev/full": "1:7", "/dev/random": "1:8", "/dev/urandom": "1:9",
		"/dev/tty": "5:0",
	}
	links := map[string]string{
		"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0", "/dev/stdout": "/proc/self/fd/1",
		"/dev/stderr": "/proc/self/fd/2", "/dev/ptmx": "pts/ptmx",
	}
	var commands []string
	for path := range want {
		commands = append(commands, "stat="+path, "open="+path)
	}
	for path := range links {
		commands = append(commands, "readlink="+path)
	}
	s := h.probe(append(commands, "open=/dev/ptmx", "list=/dev"))
	for path, number := range want {
		equal(t, path, get[fileStat](t, s, "stat="+path), fileStat{Mode: "020666", Rdev: number})
		if path != "/dev/tty" { // there is no terminal
			get[string](t, s, "open="+path)
		}
	}
	for path, target := range links {
		equal(t, path, get[string](t, s, "readlink="+path), target)
	}
	get[string](t, s, "open=/dev/ptmx")
	names := strings.Join(get[[]string](t, s, "list=/dev"), " ")
	for _, of := range []string{"console", "kmsg", "mem", "vda"} {
		if strings.Contains(" "+names+" ", " "+of+" ") {
			t.Errorf("/dev/%s is there: %s", of, names)
		}
	}
}

//proves:linux.devices[].path linux.devices[].type linux.devices[].type=c linux.devices[].type=b
//proves:linux.devices[].type=u linux.devices[].type=p linux.devices[].major linux.devices[].minor
//proves:linux.devices[].fileMode linux.devices[].uid linux.devices[].gid linux.devices config-linux.md#devices:1
func TestConfiguredDevicesAreMade(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	mode := os.FileMode(0o640)
	s := h.probe([]string{"stat=/dev/char", "stat=/dev/dir/block", "stat=/dev/fifo", "stat=/dev/default", "stat=/dev/null", "stat=/dev/u"},
		func(s *specs.Spec) {
			s.Linux.Devices = []specs.LinuxDevice{
				{Path: "/dev/char", Type: "c", Major: 1, Minor: 3, FileMode: &mode, UID: pointer(uint32(7)), GID: pointer(uint32(8))},
				{Path: "/dev/dir/block", Type: "b", Major: 7, Minor: 1000, FileMode: &mode},
				{Path: "/dev/fifo", Type: "p", FileMode: &mode, GID: pointer(uint32(9))},
				{Path: "/dev/default", Type: "c", Major: 1, Minor: 5},
				{Path: "/dev/u", Type: "u", Major: 1, Minor: 7},
				{Path: "/dev/null", Type: "c", Major: 1, Minor: 3, FileMode: &mode},
			}
		})
	for path, want := range map[string]fileStat{
		"/dev/char":      {Mode: "020640", Rdev: "1:3", UID: 7, GID: 8},
		"/dev/dir/block": {Mode: "060640", Rdev: "7:1000"},
		"/dev/fifo":      {Mode: "010640", Rdev: "0:0", GID: 9},
		"/dev/default":   {Mode: "020666", Rdev: "1:5"},
		"/dev/u":         {Mode: "020666", Rdev: "1:7"},
		"/dev/null":      {Mode: "020640", Rdev: "1:3"},
	} {
		equal(t, path, get[fileStat](t, s, "stat="+path), want)
	}
}

func TestTheUmaskOfTheCallerDoesNotChangeDevices(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"stat=/dev/null", "stat=/dev/shm", "umask"})
	cmd := h.command("run", "--bundle", b.dir, newID())
	cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", `umask 0077; exec "$0" "$@"`}, cmd.Args...)
	r := h.finish(cmd)
	s := parseSight(t, r.stdout)
	equal(t, "/dev/null", get[fileStat](t, s, "stat=/dev/null").Mode, "020666")
	equal(t, "/dev/shm", get[fileStat](t, s, "stat=/dev/shm").Mode, "041777")
	equal(t, "umask", get[string](t, s, "umask"), "0022")
}

//proves:linux.devices[].type linux.devices[].path linux.devices[].major config-linux.md#devices:4
//proves:config-linux.md#devices:5
func TestDevicesThatCannotBeMadeAreNamed(t *testing.T) {
	h := newHost(t)
	for name, tt := range map[string]struct {
		device specs.LinuxDevice
		words  []string
	}{
		"a type that does not exist":      {specs.LinuxDevice{Path: "/dev/x", Type: "z"}, []string{"linux.devices[0].type", "z"}},
		"a relative path":                 {specs.LinuxDevice{Path: "x", Type: "c"}, []string{"linux.devices[0].path", "absolute"}},
		"a number that is none":           {specs.LinuxDevice{Path: "/dev/x", Type: "c", Major: -1}, []string{"linux.devices[0].major", "-1"}},
		"something else is there already": {specs.LinuxDevice{Path: "/etc/passwd", Type: "c", Major: 1, Minor: 3}, []string{"make device /etc/passwd", "file exists"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			b := h.newBundle([]string{"pid"}, writableRoot, func(s *specs.Spec) { s.Linux.Devices = []specs.LinuxDevice{tt.device} })
			if err := os.WriteFile(b.path("rootfs/etc/passwd"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			h.failsWith(b, tt.words)
		})
	}
}

//proves:linux.resources.devices[].allow linux.resources.devices[].type
//proves:linux.resources.devices[].major linux.resources.devices[].minor linux.resources.devices[].access
//proves:linux.resources.devices[].type=a linux.resources.devices[].type=b linux.resources.devices[].type=c
//proves:config-linux.md#allowed-device-list:1
//proves:config-linux.md#allowed-device-list:2
func TestDeviceRulesAreInForce(t *testing.T) {
	h := newHost(t)
	rule := func(allow bool, kind string, major, minor int64, access string) specs.LinuxDeviceCgroup {
		r := specs.LinuxDeviceCgroup{Allow: allow, Type: kind, Access: access}
		if major >= 0 {
			r.Major = &major
		}
		if minor >= 0 {
			r.Minor = &minor
		}
		return r
	}
	const kmsg, loop = "open=/dev/kmsg", "mknod=/dev/shm/made:10:237"
	for name, tt := range map[string]struct {
		rules        []specs.LinuxDeviceCgroup
		opens, makes bool
	}{
		"nothing is allowed by default":          {nil, false, true},
		"all is denied":                          {[]specs.LinuxDeviceCgroup{rule(false, "a", -1, -1, "rwm")}, false, true},
		"all is denied without a word of access": {[]specs.LinuxDeviceCgroup{{}}, false, true},
		"the device is allowed":                  {[]specs.LinuxDeviceCgroup{rule(false, "a", -1, -1, "rwm"), rule(true, "c", 1, 11, "rw")}, true, true},
		"all minors are allowed":                 {[]specs.LinuxDeviceCgroup{rule(false, "a", -1, -1, "rwm"), rule(true, "c", 1, -1, "rwm")}, true, true},
		"reading only is allowed":                {[]specs.LinuxDeviceCgroup{rule(false, "a", -1, -1, "rwm"), rule(true, "c", 1, 11, "r")}, false, true},
		"another device is allowed":              {[]specs.LinuxDeviceCgroup{rule(false, "a", -1, -1, "rwm"), rule(true, "c", 1, 12, "rwm")}, false, true},
		"all is allowed":                         {[]specs.LinuxDeviceCgroup{rule(true, "a", -1, -1, "rwm")}, true, true},
		"all is allowed and then one denied":     {[]specs.LinuxDeviceCgroup{rule(true, "a", -1, -1, "rwm"), rule(false, "c", 1, 11, "rw")}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			s := h.probe([]string{kmsg, loop, "open=/dev/null", "open=/dev/zero"}, allCapabilities, func(s *specs.Spec) {
				s.Linux.Resources.Devices = tt.rules
				s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/kmsg", Type: "c", Major: 1, Minor: 11}}
			})
			if opens := s.failure(kmsg) == ""; opens != tt.opens {
				t.Errorf("open: %q", s.failure(kmsg))
			}
			if makes := s.failure(loop) == ""; makes != tt.makes {
				t.Errorf("mknod: %q", s.failure(loop))
			}
			// The devices that every container has always work.
			get[string](t, s, "open=/dev/null")
			get[string](t, s, "open=/dev/zero")
		})
	}
	t.Run("what the kernel shows is what was asked for", func(t *testing.T) {
		h := &host{t: t, root: h.root}
		if onlyV2() {
			lacks(t, "cgroup v1, whose list of devices can be read")
		}
		c := h.start(nil, func(s *specs.Spec) {
			s.Linux.Resources.Devices = []specs.LinuxDeviceCgroup{rule(false, "a", -1, -1, "rwm"), rule(true, "b", 7, 3, "r")}
		})
		list := readFile(t, c.cgroup("devices")+"/devices.list")
		if !strings.Contains(list, "b 7:3 r\n") || strings.Contains(list, "a *:*") {
			t.Errorf("devices.list:\n%s", list)
		}
	})
}

// As a privileged container has them, that is to have all but some.
//
//proves:linux.resources.devices[].allow config-linux.md#allowed-device-list:1
func TestADeviceIsAllowedAgainThatAWiderRuleDenied(t *testing.T) {
	h := newHost(t)
	const kmsg = "open=/dev/kmsg"
	all := specs.LinuxDeviceCgroup{Allow: true, Access: "rwm"}
	rule := func(allow bool, minor int64, access string) specs.LinuxDeviceCgroup {
		r := specs.LinuxDeviceCgroup{Allow: allow, Type: "c", Major: pointer(int64(1)), Access: access}
		if minor >= 0 {
			r.Minor = &minor
		}
		return r
	}
	for name, tt := range map[string]struct {
		rules   []specs.LinuxDeviceCgroup
		opens   bool
		refused string // by v1
	}{
		"after the wider rule":  {[]specs.LinuxDeviceCgroup{all, rule(false, -1, "rwm"), rule(true, 11, "rw")}, true, "linux.resources.devices[2]: cannot allow c 1:11 rw"},
		"only to be read":       {[]specs.LinuxDeviceCgroup{all, rule(false, -1, "rwm"), rule(true, 11, "r")}, false, "linux.resources.devices[2]: cannot allow c 1:11 r"},
		"and denied after that": {[]specs.LinuxDeviceCgroup{all, rule(false, -1, "rwm"), rule(true, 11, "rw"), rule(false, 11, "w")}, false, "linux.resources.devices[2]"},
		"not at all":            {[]specs.LinuxDeviceCgroup{all, rule(false, -1, "rwm")}, false, "linux.resources.devices[1]: cannot deny c 1:* rwm: every container has c 1:3 rw"},
		"by a wider rule":       {[]specs.LinuxDeviceCgroup{all, rule(false, 11, "rw"), rule(true, -1, "rw")}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			config := func(s *specs.Spec) {
				s.Linux.Resources.Devices = tt.rules
				s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/kmsg", Type: "c", Major: 1, Minor: 11}}
			}
			if !onlyV2() && tt.refused != "" {
				h.fails([]string{tt.refused, "cgroup v1"}, config)
				return
			}
			s := h.probe([]string{kmsg, "open=/dev/null", "open=/dev/zero"}, allCapabilities, config)
			if opens := s.failure(kmsg) == ""; opens != tt.opens {
				t.Errorf("open: %q", s.failure(kmsg))
			}
			// The devices that every container has always work.
			get[string](t, s, "open=/dev/null")
			get[string](t, s, "open=/dev/zero")
		})
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
