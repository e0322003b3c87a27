package cgroup

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/linux"
)

func TestWhatBringsAFileBackIsWhatItHad(t *testing.T) {
	const none = "<nothing>"
	for _, tt := range []struct{ file, value, content, want string }{
		{"pids.max", "20", "max\n", "max"},
		{"cpu.max", "50000 100000", "max 100000\n", "max 100000"},
		{"cpu.max", "max", "5000 100000\n", "5000 100000"},
		{"cpuset.cpus", "0", "\n", "\n"},
		{"memory.oom_control", "1", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", "0"},
		{"io.max", "8:0 rbps=1", "7:0 rbps=9 wbps=max riops=max wiops=max\n8:0 rbps=2 wbps=max riops=max wiops=max\n", "8:0 rbps=2 wbps=max riops=max wiops=max"},
		{"io.max", "8:0 rbps=1", "8:01 rbps=2 wbps=max riops=max wiops=max\n", "8:0 rbps=max wbps=max riops=max wiops=max"},
		{"io.weight", "300", "default 100\n8:0 200\n", "default 100"},
		{"io.weight", "default 300", "default 100\n8:0 200\n", "default 100"},
		{"io.bfq.weight", "8:0 300", "default 100\n8:0 200\n", "8:0 200"},
		{"io.bfq.weight", "8:16 300", "default 100\n8:0 200\n", "8:16 default"},
		{"io.latency", "8:16 target=7", "", "8:16 target=0"},
		{"blkio.throttle.read_bps_device", "8:0 5", "", "8:0 0"},
		{"blkio.throttle.read_bps_device", "8:0 5", "8:0 77\n8:16 88\n", "8:0 77"},
		{"blkio.bfq.weight_device", "8:0 5", "default 100\n", "8:0 default"},
		{"net_prio.ifpriomap", "eth0 5", "lo 0\neth0 2\neth01 3\n", "eth0 2"},
		{"rdma.max", "mlx5_0 hca_handle=2", "mlx5_0 hca_handle=max hca_object=4\n", "mlx5_0 hca_handle=max hca_object=4"},
		{"rdma.max", "mlx5_0 hca_handle=2", "", none},
	} {
		got, ok := restoring(setting{"", tt.file, tt.value}, tt.content)
		if !ok {
			got = none
		}
		if got != tt.want {
			t.Errorf("%s=%s with %q: %q, want %q", tt.file, tt.value, tt.content, got, tt.want)
		}
	}
}

// programs counts the device programs of a cgroup.
func programs(t *testing.T, dir string) []uint32 {
	t.Helper()
	fd, err := openFile(dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	ids, err := linux.DevicePrograms(fd)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestAnUpdateThatFailsTakesItsDeviceRulesBack(t *testing.T) {
	rule := func(minor int64, access string) specs.LinuxDeviceCgroup {
		return specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: ptr(int64(1)), Minor: &minor, Access: access}
	}
	everything := specs.LinuxDeviceCgroup{Allow: true}
	onEach(t, func(sc scene) {
		t, c := sc.t, sc.c
		create(t, c)
		h := c.controller("devices")
		state := func() any {
			if h.v2() {
				return programs(t, h.dir())
			}
			list := strings.Split(content(t, c, "devices", "devices.list"), "\n")
			slices.Sort(list)
			return strings.Join(list, "\n")
		}
		for _, from := range [][]specs.LinuxDeviceCgroup{{rule(11, "r"), rule(12, "rw")}, {everything}} {
			for _, to := range [][]specs.LinuxDeviceCgroup{{rule(11, "w")}, {everything, rule(12, "rw")}, {rule(12, "rwm"), rule(13, "m")}} {
				if err := c.SetDevices(from); err != nil {
					t.Fatal(err)
				}
				before := state()
				// The swap is refused, after the devices.
				bad := &specs.LinuxResources{Devices: to, Memory: &specs.LinuxMemory{Limit: ptr(int64(1 << 24)), Swap: ptr(int64(1 << 20))}}
				if err := c.Update(bad, func(error) {}); err == nil {
					t.Fatal("no error")
				}
				if after := state(); !equalStates(before, after) {
					t.Errorf("%v became %v", before, after)
				}
				if err := c.Update(&specs.LinuxResources{Devices: to}, func(error) {}); err != nil {
					t.Fatal(err)
				}
				if h.v2() {
					if after := programs(t, h.dir()); len(after) != 1 || equalStates(before, after) {
						t.Errorf("programs: %v, before %v", after, before)
					}
				}
			}
		}
	})
}

func equalStates(a, b any) bool {
	x, ok1 := a.([]uint32)
	y, ok2 := b.([]uint32)
	if ok1 && ok2 {
		return slices.Equal(x, y)
	}
	return !ok1 && !ok2 && a == b
}

func TestUpdateOfACgroupThatIsNoneSaysSo(t *testing.T) {
	c, err := New(Config{Driver: Disabled, ID: "ct"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Update(&specs.LinuxResources{}, func(error) {}); !errors.Is(err, ErrNoCgroup) {
		t.Errorf("got %v", err)
	}
}

func TestWhatCannotBeTakenBackIsSaid(t *testing.T) {
	j := &journal{}
	var order []string
	for _, name := range []string{"first", "second", "third"} {
		j.changes = append(j.changes, change{
			undo:    func() error { order = append(order, name); return errors.New(name) },
			release: func() { order = append(order, "release "+name) },
		})
	}
	err := j.undo()
	j.close()
	if err == nil || err.Error() != "third; second; first" {
		t.Errorf("got %v", err)
	}
	if want := []string{"third", "second", "first", "release first", "release second", "release third"}; !slices.Equal(order, want) {
		t.Errorf("order: %q", order)
	}
}
