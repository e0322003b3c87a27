package netdev

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/rtnl"
	"hull/internal/testkit"
)

// away calls body in a network namespace with a device v0 of index 100, the
// addresses, and another namespace to move it to.
func away(t *testing.T, addresses []string, body func(s *Set, namespace *os.File)) {
	t.Helper()
	testkit.RequireTool(t, "ip")
	testkit.In(t, unix.CLONE_NEWNET, func() {
		ip(t, "link add v0 index 100 type veth peer name peer", "link set peer up", "link set v0 up")
		for _, a := range addresses {
			ip(t, "address add "+a+" dev v0")
		}
		other := exec.Command("sleep", "60")
		other.SysProcAttr = testkit.Namespaces(unix.CLONE_NEWNET)
		if err := other.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = other.Process.Kill()
			_ = other.Wait()
		}()
		namespace, err := os.Open("/proc/" + strconv.Itoa(other.Process.Pid) + "/ns/net")
		if err != nil {
			t.Fatal(err)
		}
		defer namespace.Close()
		s, err := Find(map[string]specs.LinuxNetDevice{"v0": {Name: "eth0"}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		body(s, namespace)
	})
}

func ip(t *testing.T, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", line, err, out)
		}
	}
}

// checkBack checks that v0 is up and has the IPv4 addresses, and returns its
// index.
func checkBack(t *testing.T, addresses ...string) int {
	t.Helper()
	out, err := exec.Command("ip", "-json", "-4", "address", "show", "dev", "v0", "up").Output()
	if err != nil {
		t.Fatalf("v0 is not back: %v", err)
	}
	var list []struct {
		Index     int `json:"ifindex"`
		Addresses []struct {
			Local string `json:"local"`
		} `json:"addr_info"`
	}
	if err := json.Unmarshal(out, &list); err != nil || len(list) != 1 {
		t.Fatalf("v0 is not up: %v, %s", err, out)
	}
	var got []string
	for _, a := range list[0].Addresses {
		got = append(got, a.Local)
	}
	if !slices.Equal(got, addresses) {
		t.Errorf("v0 has the addresses %q, want %q", got, addresses)
	}
	return list[0].Index
}

func none(t *testing.T) func(error) {
	t.Helper()
	return func(err error) { t.Errorf("warned of %v", err) }
}

func TestADeviceGoesBackIfItArrivedAndNobodySaidSo(t *testing.T) {
	away(t, []string{"192.0.2.1/24"}, func(s *Set, namespace *os.File) {
		if err := s.enter(namespace); err != nil {
			t.Fatal(err)
		}
		// What move does, but for the answer of the kernel.
		d := &s.devices[0]
		var err error
		if d.addresses, err = s.host.Addresses(d.before.Index); err != nil {
			t.Fatal(err)
		}
		d.arrival = "hulltest"
		if err := s.host.Set(d.before.Index, rtnl.Change{Namespace: int(namespace.Fd()), Name: d.arrival}); err != nil {
			t.Fatal(err)
		}
		s.Restore(none(t))
		if index := checkBack(t, "192.0.2.1"); index != 100 {
			t.Errorf("the index is %d, want 100", index)
		}
	})
}

func TestADeviceThatNeverLeftIsLeftAlone(t *testing.T) {
	away(t, []string{"192.0.2.1/24"}, func(s *Set, namespace *os.File) {
		if err := s.enter(namespace); err != nil {
			t.Fatal(err)
		}
		s.devices[0].arrival = "hulltest"
		s.Restore(none(t))
		checkBack(t, "192.0.2.1")
	})
}

func TestADeviceGoesBackAlthoughItsIndexIsTaken(t *testing.T) {
	away(t, []string{"192.0.2.1/24"}, func(s *Set, namespace *os.File) {
		if err := s.Move(namespace); err != nil {
			t.Fatal(err)
		}
		ip(t, "link add other index 100 type veth peer name others")
		s.Restore(none(t))
		if index := checkBack(t, "192.0.2.1"); index == 100 {
			t.Error("two devices have one index")
		}
	})
}

func TestAnAddressThatCannotGoBackKeepsNoOther(t *testing.T) {
	// The kernel joins the group of an address with autojoin when it is added.
	away(t, []string{"239.1.1.1/32 autojoin", "192.0.2.1/24"}, func(s *Set, namespace *os.File) {
		if err := s.Move(namespace); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("/proc/sys/net/ipv4/igmp_max_memberships", []byte("0"), 0); err != nil {
			t.Fatal(err)
		}
		var warnings []error
		s.Restore(func(err error) { warnings = append(warnings, err) })
		checkBack(t, "192.0.2.1")
		if len(warnings) != 1 || !strings.Contains(warnings[0].Error(), "give back linux.netDevices.v0: ") {
			t.Errorf("warned of %v", warnings)
		}
	})
}

func TestADeviceGoesBackAlthoughItsBridgeIsGone(t *testing.T) {
	away(t, []string{"192.0.2.1/24"}, func(s *Set, namespace *os.File) {
		s.devices[0].before.Master = 4242
		if err := s.Move(namespace); err != nil {
			t.Fatal(err)
		}
		var warnings []error
		s.Restore(func(err error) { warnings = append(warnings, err) })
		checkBack(t, "192.0.2.1")
		if len(warnings) != 1 {
			t.Errorf("warned of %v", warnings)
		}
	})
}
