package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// The systemd cgroup driver, with the service manager of the machine.

const systemdFlag = "--systemd-cgroup"

// bySystemd reports whether systemd makes the cgroups of all tests.
func bySystemd() bool { return slices.Contains(suite.flags, systemdFlag) }

func newSystemdHost(t *testing.T) *host {
	t.Helper()
	if _, err := os.Stat("/run/systemd/private"); err != nil {
		lacks(t, "systemd")
	}
	h := newHost(t)
	h.flags = []string{systemdFlag}
	return h
}

// unit returns a property of a unit as systemd shows it.
func unit(t *testing.T, name, property string) string {
	t.Helper()
	out, err := exec.Command("systemctl", "show", "--value", "-p", property, name).CombinedOutput()
	if err != nil {
		t.Fatalf("systemctl: %v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// checkUnit compares properties of a unit.
func checkUnit(t *testing.T, name string, want map[string]string) {
	t.Helper()
	for property, value := range want {
		equal(t, property, unit(t, name, property), value)
	}
}

// isGone checks that nothing is left of a unit.
func isGone(t *testing.T, name, dir string) {
	t.Helper()
	equal(t, name, unit(t, name, "LoadState"), "not-found")
	if _, err := os.Stat(dir); err == nil {
		t.Errorf("%s is left", dir)
	}
}

//proves:linux.cgroupsPath
func TestSystemdMakesTheScopeThatTheConfigurationNames(t *testing.T) {
	h := newSystemdHost(t)
	id := newID()
	for title, tt := range map[string]struct{ path, unit, slice, dir string }{
		"nothing":                 {"", "hull-ID.scope", "system.slice", "system.slice"},
		"slice, prefix and name":  {"hulltest-a.slice:pre:" + id, "pre-" + id + ".scope", "hulltest-a.slice", "hulltest.slice/hulltest-a.slice"},
		"no slice":                {":pre:" + id, "pre-" + id + ".scope", "system.slice", "system.slice"},
		"no prefix":               {"hulltest.slice::" + id, id + ".scope", "hulltest.slice", "hulltest.slice"},
		"the root of all slices":  {"-.slice:pre:" + id, "pre-" + id + ".scope", "-.slice", ""},
		"a name with odd letters": {":pre:a.b_" + id, "pre-a.b_" + id + ".scope", "system.slice", "system.slice"},
	} {
		t.Run(title, func(t *testing.T) {
			h := &host{t: t, root: h.root, flags: h.flags}
			c := h.start(nil, cgroupsPath(tt.path))
			name := strings.Replace(tt.unit, "ID", c.id, 1)
			dir := c.cgroup("memory")
			if !strings.HasSuffix(dir, filepath.Join("/", tt.dir, name)) {
				t.Errorf("its cgroup is %s", dir)
			}
			checkUnit(t, name, map[string]string{
				"Slice": tt.slice, "Delegate": "yes", "ActiveState": "active", "Description": "container " + name,
				"ControlGroup": strings.TrimPrefix(dir, cgroupRoot),
			})
			const group = "read=/proc/self/cgroup"
			equal(t, "the cgroup of an exec", get[string](t, c.exec(group), group), "0::/\n")
			h.must("pause", c.id)
			equal(t, "status", string(h.state(c.id).Status), "paused")
			h.must("resume", c.id)
			h.must("delete", "--force", c.id)
			isGone(t, name, dir)
		})
	}
}

//proves:linux.cgroupsPath
func TestAPathThatIsNoUnitIsRefusedUnderSystemd(t *testing.T) {
	h := newSystemdHost(t)
	for title, path := range map[string]string{
		"a path": "/a/b", "two parts": "a.slice:b", "no name": "a.slice:b:", "a slice that is none": "a:b:c",
		"a slice with a hole": "a--b.slice:b:c", "a slash": ":b:c/d", "a slice that climbs": "../a.slice:b:c",
	} {
		t.Run(title, func(t *testing.T) {
			(&host{t: t, root: h.root, flags: h.flags}).fails([]string{"linux.cgroupsPath", path}, cgroupsPath(path))
		})
	}
}

func TestSystemdKnowsTheLimits(t *testing.T) {
	h := newSystemdHost(t)
	c := h.start(nil, resources(specs.LinuxResources{
		//proves:linux.resources.memory.limit linux.resources.memory.reservation linux.resources.memory.swap
		Memory: &specs.LinuxMemory{Limit: pointer(int64(64 << 20)), Reservation: pointer(int64(32 << 20)), Swap: pointer(int64(96 << 20))},
		//proves:linux.resources.cpu.shares linux.resources.cpu.quota linux.resources.cpu.period linux.resources.cpu.cpus
		CPU: &specs.LinuxCPU{Shares: pointer(uint64(512)), Quota: pointer(int64(50000)), Period: pointer(uint64(200000)), Cpus: "0", Mems: "0"},
		//proves:linux.resources.pids.limit
		Pids: &specs.LinuxPids{Limit: pointer(int64(77))},
		//proves:linux.resources.unified.*
		Unified: map[string]string{"memory.high": "50331648", "memory.min": "4096"},
	}))
	name := "hull-" + c.id + ".scope"
	checkUnit(t, name, map[string]string{
		"MemoryMax": "67108864", "MemoryLow": "33554432", "MemorySwapMax": "33554432", "MemoryHigh": "50331648", "MemoryMin": "4096",
		"CPUWeight": "59", "CPUQuotaPerSecUSec": "250ms", "CPUQuotaPeriodUSec": "200ms", "AllowedCPUs": "0", "AllowedMemoryNodes": "0",
		"TasksMax": "77",
	})
	// When a property is changed, systemd writes all that it knows.
	if out, err := exec.Command("systemctl", "set-property", "--runtime", name, "MemoryZSwapMax=1M").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for file, want := range map[string]string{
		"memory.max": "67108864", "memory.low": "33554432", "memory.swap.max": "33554432", "memory.high": "50331648",
		"cpu.weight": "59", "cpu.max": "50000 200000", "cpuset.cpus": "0", "pids.max": "77",
	} {
		equal(t, file, strings.TrimSpace(readFile(t, c.cgroup("")+"/"+file)), want)
	}
}

//proves:annotations.org.systemd.property.*
func TestAnnotationsArePropertiesOfTheScope(t *testing.T) {
	h := newSystemdHost(t)
	var edits []edit
	for name, value := range map[string]string{
		"TimeoutStopSec": "7", "RuntimeMaxSec": "uint64 3600", "CollectMode": "'inactive-or-failed'", "SendSIGHUP": "true",
		"Documentation": "['man:a(1)', 'man:b(1)']", "CPUWeight": "uint64 88", "AllowedCPUs": "[byte 1]", "KillSignal": "int32 10",
		"Description": `"it's mine"`, "IOReadBandwidthMax": "@a(st) []",
	} {
		edits = append(edits, annotate("org.systemd.property."+name, value))
	}
	c := h.start(nil, edits...)
	checkUnit(t, "hull-"+c.id+".scope", map[string]string{
		"TimeoutStopUSec": "7s", "RuntimeMaxUSec": "1h", "CollectMode": "inactive-or-failed", "SendSIGHUP": "yes",
		"Documentation": `"man:a(1)" "man:b(1)"`, "CPUWeight": "88", "AllowedCPUs": "0", "KillSignal": "10", "Description": "it's mine",
	})
	equal(t, "cpu.weight", readFile(t, c.cgroup("")+"/cpu.weight"), "88\n")
}

//proves:annotations.org.systemd.property.*
func TestAPropertyThatSystemdCannotHaveIsRefused(t *testing.T) {
	h := newSystemdHost(t)
	for title, tt := range map[string]struct {
		name, value string
		words       []string
	}{
		"a value that is none":      {"TimeoutStopSec", "soon", []string{"annotations.org.systemd.property.TimeoutStopSec", "GVariant", "uint64 7"}},
		"a time that is none":       {"TimeoutStopSec", "'7'", []string{"annotations.org.systemd.property.TimeoutStopSec", "whole number"}},
		"a name that is none":       {"A B", "true", []string{"annotations.org.systemd.property.A B", "letters"}},
		"what the path says":        {"Slice", "'a.slice'", []string{"annotations.org.systemd.property.Slice", "linux.cgroupsPath"}},
		"a property that is none":   {"Nonesuch", "true", []string{"call systemd's StartTransientUnit for hull-", "Nonesuch"}},
		"a program to run":          {"ExecStartPre", "@a(sasb) []", []string{"call systemd's StartTransientUnit for hull-", "ExecStartPre"}},
		"a value of the wrong type": {"TimeoutStopUSec", "'7'", []string{"call systemd's StartTransientUnit for hull-"}},
	} {
		t.Run(title, func(t *testing.T) {
			(&host{t: t, root: h.root, flags: h.flags}).fails(tt.words, annotate("org.systemd.property."+tt.name, tt.value))
		})
	}
}

//proves:annotations.org.systemd.property.*
func TestDeleteForgetsAScopeThatFailed(t *testing.T) {
	h := newSystemdHost(t)
	// Not started: on a slow machine that alone might take as long.
	c := h.create(h.newBundle([]string{"sleep"},
		annotate("org.systemd.property.RuntimeMaxSec", "3"), annotate("org.systemd.property.TimeoutStopSec", "1")))
	dir := c.cgroup("")
	h.awaitStatus(c.id, specs.StateStopped)
	name := "hull-" + c.id + ".scope"
	eventually(t, "the scope fails", func() bool { return unit(t, name, "ActiveState") == "failed" })
	h.must("delete", c.id)
	isGone(t, name, dir)
}

//proves:annotations.run.oci.systemd.subgroup
func TestTheContainerLivesInASubgroupOfTheScope(t *testing.T) {
	h := newSystemdHost(t)
	c := h.start([]string{"read=/proc/self/cgroup"}, annotate("run.oci.systemd.subgroup", "inner"), cgroupsPath("system.slice:pre:"+newID()),
		resources(specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: pointer(int64(64 << 20))}, Pids: &specs.LinuxPids{Limit: pointer(int64(66))}}))
	dir := c.cgroup("")
	equal(t, "subgroup", filepath.Base(dir), "inner")
	equal(t, "what it sees", get[string](t, c.see(), "read=/proc/self/cgroup"), "0::/\n")
	equal(t, "memory.max", readFile(t, dir+"/memory.max"), "67108864\n")
	equal(t, "pids.max", readFile(t, dir+"/pids.max"), "66\n")
	equal(t, "the cgroup of an exec", get[string](t, c.exec("read=/proc/self/cgroup"), "read=/proc/self/cgroup"), "0::/\n")
	name := filepath.Base(filepath.Dir(dir))
	equal(t, name, unit(t, name, "ActiveState"), "active")
	h.must("delete", "--force", c.id)
	isGone(t, name, filepath.Dir(dir))
	h.fails([]string{"annotations.run.oci.systemd.subgroup", "must not climb"}, annotate("run.oci.systemd.subgroup", "a/../../b"))
}

//proves:annotations.run.oci.systemd.subgroup annotations.run.oci.delegate-cgroup
func TestADelegatedCgroupIsBelowTheSubgroup(t *testing.T) {
	h := newSystemdHost(t)
	c := h.start([]string{"read=/proc/self/cgroup", "mkdir=/sys/fs/cgroup/own/made", "read=/sys/fs/cgroup/own/cgroup.controllers"},
		addNamespace(specs.CgroupNamespace, ""), addNamespace(specs.UserNamespace, ""), writableCgroup, mapAll,
		annotate("run.oci.systemd.subgroup", "inner"), annotate("run.oci.delegate-cgroup", "own"))
	s := c.see()
	equal(t, "what it sees", get[string](t, s, "read=/proc/self/cgroup"), "0::/own\n")
	get[string](t, s, "mkdir=/sys/fs/cgroup/own/made")
	for _, controller := range []string{"memory", "pids", "cpu"} {
		if text := get[string](t, s, "read=/sys/fs/cgroup/own/cgroup.controllers"); !strings.Contains(text, controller) {
			t.Errorf("it can use %q, and not %s", text, controller)
		}
	}
	dir := c.cgroup("")
	if !strings.HasSuffix(dir, "/hull-"+c.id+".scope/inner/own") {
		t.Errorf("its cgroup is %s", dir)
	}
	equal(t, "an exec", get[string](t, c.exec("read=/proc/self/cgroup"), "read=/proc/self/cgroup"), "0::/own\n")
	h.must("delete", "--force", c.id)
	isGone(t, "hull-"+c.id+".scope", filepath.Dir(filepath.Dir(dir)))
}

func TestDeviceRulesSurviveAReloadOfSystemd(t *testing.T) {
	h := newSystemdHost(t)
	c := h.start(nil, allCapabilities, func(s *specs.Spec) {
		s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/kmsg", Type: "c", Major: 1, Minor: 11}}
	})
	const kmsg = "open=/dev/kmsg"
	equal(t, "before", c.exec(kmsg).failure(kmsg), "operation not permitted")
	if out, err := exec.Command("systemctl", "daemon-reload").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	equal(t, "after", c.exec(kmsg).failure(kmsg), "operation not permitted")
	get[string](t, c.exec("open=/dev/null"), "open=/dev/null")
}

func TestAScopeWhoseCreationWasCutOffIsDeletedByForce(t *testing.T) {
	h := newSystemdHost(t)
	mark := filepath.Join(t.TempDir(), "mark")
	b := h.newBundle([]string{"pid"}, func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "touch " + mark + "; exec sleep 100"}}}}
	})
	id := newID()
	cmd := h.command("create", "--bundle", b.dir, id)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the hook runs", func() bool { _, err := os.Stat(mark); return err == nil })
	name := "hull-" + id + ".scope"
	equal(t, name, unit(t, name, "ActiveState"), "active")
	dir := filepath.Join(cgroupRoot, unit(t, name, "ControlGroup"))
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	h.must("delete", "--force", id)
	isGone(t, name, dir)
	h.nothingRemains(id, b)
}

func TestAManagerThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	dir := t.TempDir()
	cmd := h.command("--rootless", "true", "--systemd-cgroup", "run", "--bundle", h.newBundle([]string{"pid"}).dir, newID())
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir)
	r := h.finish(cmd)
	if want := fmt.Sprintf("connect to %s/systemd/private: no such file or directory", dir); r.status == 0 || !strings.Contains(r.stderr, want) {
		t.Errorf("status %d, want %q\n%s", r.status, want, r.stderr)
	}
}

// Without root it is the user's own manager that makes the scope, below its own
// cgroup.
//
//proves:features.linux.cgroup.systemdUser linux.cgroupsPath
func TestTheManagerOfAUserMakesTheScopesOfTheUser(t *testing.T) {
	h := newSystemdHost(t)
	const user = "65534"
	service := "user@" + user + ".service"
	if out, err := exec.Command("systemctl", "start", service).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("systemctl", "stop", service).Run() })
	b := h.newBundle([]string{"sleep"}, inUserNamespace, func(s *specs.Spec) {
		one := []specs.LinuxIDMapping{{HostID: 65534, Size: 1}}
		s.Linux.UIDMappings, s.Linux.GIDMappings = one, one
		s.Mounts[2].Options = []string{"nosuid", "noexec", "newinstance"} // without the group 5 of terminals
	})
	reachable(t, h.root)
	if err := os.Chown(h.root, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	h.through = []string{
		needTool(t, "setpriv"), "--reuid", user, "--regid", user, "--clear-groups", "env", "XDG_RUNTIME_DIR=/run/user/" + user,
	}
	id := newID()
	h.must("run", "--detach", "--bundle", b.dir, id)
	dir := readFile(t, procPath(h.state(id).Pid, "cgroup"))
	if !strings.HasSuffix(dir, "/"+service+"/user.slice/hull-"+id+".scope\n") {
		t.Errorf("its cgroup is %s", dir)
	}
	h.must("delete", "--force", id)
}

func TestSystemdLearnsWhatUpdateChanges(t *testing.T) {
	h := newSystemdHost(t)
	c := h.start(nil, resources(specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: pointer(int64(128 << 20)), Swap: pointer(int64(192 << 20))},
		CPU:    &specs.LinuxCPU{Quota: pointer(int64(50000)), Period: pointer(uint64(200000))},
	}))
	name := "hull-" + c.id + ".scope"
	check := func(limits map[string]string, properties map[string]string) {
		t.Helper()
		before := c.limits()
		c.changes(before, limits)
		checkUnit(t, name, properties)
		// It would put back what it has not been told.
		if out, err := exec.Command("systemctl", "daemon-reload").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		c.changes(before, limits)
	}
	c.mustUpdate("", "--memory", "96M", "--pids-limit", "55", "--cpu-share", "512", "--cpuset-cpus", "0", "--memory-reservation", "32M")
	check(files{
		"memory.max": "100663296", "memory.swap.max": "100663296", "memory.low": "33554432", "pids.max": "55",
		"cpu.weight": "59", "cpu.max": "50000 200000", "cpuset.cpus.effective": "0",
	}, map[string]string{
		"MemoryMax": "100663296", "MemorySwapMax": "100663296", "MemoryLow": "33554432", "TasksMax": "55",
		"CPUWeight": "59", "CPUQuotaPerSecUSec": "250ms", "CPUQuotaPeriodUSec": "200ms", "AllowedCPUs": "0",
	})
	// A quota alone is one of the period that is in use, and a period alone is
	// that of the quota.
	c.mustUpdate("", "--cpu-quota", "100000", "--memory-swap", "-1", "--pids-limit", "-1")
	check(files{"cpu.max": "100000 200000", "memory.swap.max": "max", "pids.max": "max"},
		map[string]string{"CPUQuotaPerSecUSec": "500ms", "CPUQuotaPeriodUSec": "200ms", "MemorySwapMax": "infinity", "TasksMax": "infinity"})
	c.mustUpdate("", "--cpu-period", "400000")
	check(files{"cpu.max": "100000 400000"}, map[string]string{"CPUQuotaPerSecUSec": "250ms", "CPUQuotaPeriodUSec": "400ms"})
	c.mustUpdate("", "--cpu-idle", "1")
	check(files{"cpu.idle": "1"}, map[string]string{"CPUWeight": "idle"})
	c.mustUpdate(`{"cpu": {"idle": 0}, "unified": {"memory.high": "50331648"}}`, "-r", "-")
	check(files{"cpu.idle": "0", "cpu.weight": "100", "memory.high": "50331648"}, map[string]string{"MemoryHigh": "50331648", "CPUWeight": "100"})
	// What the kernel refuses, systemd never hears of.
	before := c.limits()
	h.refuses([]string{"cpuset.cpus=99"}, "update", "--pids-limit", "7", "--memory", "64M", "--cpuset-cpus", "99", c.id)
	check(before, map[string]string{"TasksMax": "infinity", "MemoryMax": "100663296", "AllowedCPUs": "0"})
	// systemd knows whole percents only; the file has what was asked for.
	c.mustUpdate("", "--cpu-quota", "12345", "--cpu-period", "100000")
	c.changes(c.limits(), files{"cpu.max": "12345 100000"})
	checkUnit(t, name, map[string]string{"CPUQuotaPerSecUSec": "130ms"})
}

// What systemd makes of what a container reports: a unit of Type=notify is active
// when the container is ready, and not before.
func TestAUnitOfTypeNotifyIsActiveWhenItsContainerIsReady(t *testing.T) {
	for name, flags := range map[string][]string{"foreground": nil, "detached": {"--detach"}} {
		t.Run(name, func(t *testing.T) {
			h := newSystemdHost(t)
			h.flags = nil
			id := newID()
			b, open := h.gated([]string{"notify=STATUS=all is well;READY=1;MAINPID=1"})
			service := id + ".service"
			run := h.command(append(append([]string{"run"}, flags...), "--bundle", b.dir, id)...)
			cmd := exec.Command("systemd-run", append([]string{"--unit", service, "--service-type=notify"}, run.Args...)...)
			said, started := h.running(cmd)
			t.Cleanup(func() { _ = exec.Command("systemctl", "stop", service).Run() })
			eventually(t, "the container runs", func() bool {
				return h.try("state", id).status == 0 && h.state(id).Status == specs.StateRunning
			})
			checkUnit(t, service, map[string]string{"ActiveState": "activating"})
			open()
			ends(t, "systemd-run", started)
			if cmd.ProcessState.ExitCode() != 0 {
				t.Fatal(readFile(t, said))
			}
			checkUnit(t, service, map[string]string{"ActiveState": "active", "StatusText": "all is well"})
			main := unit(t, service, "MainPID")
			if name == "detached" {
				equal(t, "MainPID", main, fmt.Sprint(h.state(id).Pid))
			} else {
				equal(t, "the main process", readFile(t, filepath.Join("/proc", main, "comm")), "hull\n")
			}
			h.must("delete", "--force", id)
			eventually(t, "the unit ends", func() bool { return unit(t, service, "MainPID") == "0" })
		})
	}
}
