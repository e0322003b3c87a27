package cgroup

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// userManager starts a service manager of its own and returns its socket. The
// directory /run, which tells it that the machine runs systemd, is private to
// it.
func userManager(t *testing.T) string {
	t.Helper()
	const program = "/lib/systemd/systemd"
	if _, err := os.Stat(program); err != nil || os.Getuid() != 0 {
		t.Skip("SKIP: needs root and the systemd package, whose manager need not be running")
	}
	home := newCgroup(t, systems(t)["as mounted"], testPath(t)+"-manager")
	create(t, home)
	runtimeDir := t.TempDir()
	const script = `mount -t tmpfs none /run && mkdir -p /run/systemd/system && exec "$0" --user`
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c",
		"read go; "+script, program)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+runtimeDir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if err := home.Adopt(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	in.Close()
	socket := filepath.Join(runtimeDir, "systemd", "private")
	for deadline := time.Now().Add(20 * time.Second); ; {
		if c, err := New(Config{Driver: Systemd, ID: "probe", Bus: socket}); err == nil && len(c.rec.Hierarchies) > 0 {
			return socket
		}
		if time.Now().After(deadline) {
			t.Fatal("the service manager does not come up")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestSystemdOwnsTheScopeFromItsFirstProcessToItsEnd(t *testing.T) {
	socket := userManager(t)
	c, err := New(Config{Driver: Systemd, ID: "hulltest", Path: "a-b.slice:hull:" + strconv.Itoa(os.Getpid()), Bus: socket})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Create(); err != nil {
		t.Fatal(err)
	}
	j, err := c.Join(OwnCredentials, nil)
	if err != nil || j.Adopt == nil {
		t.Fatalf("Join: %+v %v", j, err)
	}
	cmd := adopted(t, c)
	if got := unitProperty(t, c, "ControlGroup"); got != c.core().Path {
		t.Errorf("systemd's cgroup is %q, the record says %q", got, c.core().Path)
	}
	if pids, err := c.Procs(); err != nil || len(pids) != 1 || pids[0] != cmd.Process.Pid {
		t.Errorf("Procs: %v %v", pids, err)
	}
	limit, quota, period := int64(7), int64(50000), uint64(100000)
	if err := c.Set(&specs.LinuxResources{
		Pids: &specs.LinuxPids{Limit: &limit},
		CPU:  &specs.LinuxCPU{Quota: &quota, Period: &period, Cpus: "0"},
	}); err != nil {
		t.Error(err)
	}
	if got := unitProperty(t, c, "TasksMax"); got != "7" {
		t.Errorf("TasksMax is %q", got)
	}
	if got := unitProperty(t, c, "CPUQuotaPerSecUSec"); got != "500ms" {
		t.Errorf("CPUQuotaPerSecUSec is %q", got)
	}
	if err := c.SetDevices(nil); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/cgroup"); err != nil || strings.Count(string(got), "/"+c.rec.Unit+"\n") != len(c.rec.Hierarchies) {
		t.Errorf("after all that the process is in\n%s%v", got, err)
	}
	if err := c.Kill(); err != nil {
		t.Error(err)
	}
	if state, err := cmd.Process.Wait(); err != nil || state.String() != "signal: killed" {
		t.Errorf("the process: %v %v", state, err)
	}
	if err := c.Remove(); err != nil {
		t.Error(err)
	}
	if got := leftovers(c); len(got) != 0 {
		t.Errorf("left %v", got)
	}
	if err := c.Remove(); err != nil {
		t.Errorf("the second Remove: %v", err)
	}
}

// The files are the kernel's: of what systemd has no property for, or none of that
// value, it does not have to know.
func TestWhatOneSystemdDoesNotKnowDoesNotKeepTheRestFromIt(t *testing.T) {
	socket := userManager(t)
	c, err := New(Config{Driver: Systemd, ID: "hulltest", Path: ":hull:" + strconv.Itoa(os.Getpid()) + "-u", Bus: socket})
	if err != nil {
		t.Fatal(err)
	}
	adopted(t, c)
	defer func() {
		if err := errors.Join(c.Kill(), c.Remove()); err != nil {
			t.Error(err)
		}
	}()
	limit := int64(7)
	// systemd 252 does not know the one, and none such a weight.
	if err := c.setUnitProperties(&specs.LinuxResources{
		Pids:    &specs.LinuxPids{Limit: &limit},
		Unified: map[string]string{"memory.zswap.max": "1M", "io.weight": "default 20000", "memory.high": "512M", "pids.max": "0", "memory.max": "0"},
	}); err != nil {
		t.Error(err)
	}
	for property, want := range map[string]string{"TasksMax": "1", "MemoryHigh": strconv.Itoa(512 << 20), "IOWeight": "[not set]"} {
		if got := unitProperty(t, c, property); got != want {
			t.Errorf("%s is %q, want %q", property, got, want)
		}
	}
	shares := uint64(1)
	if err := c.setUnitProperties(&specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: &shares}, Unified: map[string]string{"pids.max": "5"}}); err == nil && !c.knobs("cpu").v2() {
		t.Error("shares that systemd does not take are no error")
	}
}

// unitProperty asks systemd itself.
func unitProperty(t *testing.T, c *Cgroup, property string) string {
	t.Helper()
	out, err := exec.Command("env", "XDG_RUNTIME_DIR="+strings.TrimSuffix(c.rec.Bus, "/systemd/private"),
		"systemctl", "--user", "show", "--value", "-p", property, c.rec.Unit).CombinedOutput()
	if err != nil {
		t.Errorf("systemctl: %v %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestExpandSliceFollowsTheNaming(t *testing.T) {
	for slice, want := range map[string]string{
		"-.slice": "/", "a.slice": "/a.slice", "a-b.slice": "/a.slice/a-b.slice",
		"a-b-c.slice": "/a.slice/a-b.slice/a-b-c.slice",
		"a--b.slice":  "", "-a.slice": "", "a": "", ".slice": "", "x/y.slice": "",
	} {
		got, err := expandSlice(slice)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v", slice, got, err)
		}
	}
}

func TestQuotaPerSecondIsRoundedUpToAPercent(t *testing.T) {
	for _, tt := range []struct {
		quota  int64
		period uint64
		want   uint64
	}{{50000, 100000, 500000}, {1001, 100000, 20000}, {-1, 100000, Unlimited}, {10000, 0, 100000}} {
		if got := quotaPerSecond(tt.quota, tt.period); got != tt.want {
			t.Errorf("%+v: got %d", tt, got)
		}
	}
}

func TestMaskSetsTheBitOfEachNumber(t *testing.T) {
	for list, want := range map[string]string{"0": "\x01", "0-3,9": "\x0f\x02", "": "", "1, 2": "\x06"} {
		got, err := mask(list)
		if err != nil || string(got) != want {
			t.Errorf("%q: got %x, %v", list, got, err)
		}
	}
	for _, list := range []string{"a", "3-1", "0-99999999", "1-"} {
		if _, err := mask(list); err == nil {
			t.Errorf("%q is accepted", list)
		}
	}
}
