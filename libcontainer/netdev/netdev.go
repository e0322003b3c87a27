// Package netdev moves network devices of the host into the network namespace
// of a container (config-linux.md, "Network Devices"), and back if the container
// does not come to be.
//
// It does not make devices, and does not look after them once the container is
// there: they go with their network namespace.
package netdev

import (
	"encoding/hex"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/rtnl"
)

// Set are devices on their way. It is not safe for concurrent use.
type Set struct {
	host    *rtnl.Conn
	inside  *rtnl.Conn
	devices []device
	// home is the network namespace of the host.
	home *os.File
}

// device is one entry of linux.netDevices.
type device struct {
	// path is the JSON path of the entry.
	path string
	// name is what the configuration wants, which may be a template.
	name string
	// before is the device as the host had it, with its addresses.
	before    rtnl.Link
	addresses []rtnl.Address
	// arrival is the name that it goes into the container with: from then on it
	// may be there, whatever the kernel says of the step that took it there.
	arrival string
	// index is what the device has in the container; 0 while it has not been
	// seen there.
	index int32
}

// Supported reports whether this kernel lets this process change devices. It asks
// for no change of none: that this takes CAP_NET_ADMIN in the user namespace that
// owns the network namespace is checked first (rtnetlink(7)).
func Supported() bool {
	conn, err := rtnl.Dial()
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	return !errors.Is(conn.Set(0, rtnl.Change{}), unix.EPERM)
}

// Find finds the devices in the network namespace of the caller, and changes
// nothing. The caller ends with Close.
func Find(wanted map[string]specs.LinuxNetDevice) (*Set, error) {
	host, err := rtnl.Dial()
	if err != nil {
		return nil, fault.New("open a socket for", "linux.netDevices", err)
	}
	s := &Set{host: host}
	if s.home, err = os.Open("/proc/thread-self/ns/net"); err != nil {
		s.Close()
		return nil, fault.New("find", "linux.netDevices", err)
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		d, err := s.find(name, wanted[name].Name)
		if err != nil {
			s.Close()
			return nil, err
		}
		s.devices = append(s.devices, d)
	}
	return s, nil
}

func (s *Set) find(name, inside string) (d device, err error) {
	d = device{path: "linux.netDevices." + name, name: inside}
	if d.name == "" {
		d.name = name
	}
	d.before, err = s.host.ByName(name)
	switch {
	case errors.Is(err, unix.ENODEV):
		return d, fault.New("find", d.path, unix.ENODEV).
			WithHint("the network namespace that hull runs in has to have it; `ip link` lists what is there")
	case err != nil:
		return d, fault.New("find", d.path, err)
	case d.before.Name != name:
		// Linux 5.5 finds alternative names too. They go with a device, so
		// that the container would have no device of the name it expects.
		return d, fault.Newf("find", d.path, "an alternative name of %s", d.before.Name).
			WithHint("use the name of the device itself")
	}
	return d, nil
}

// Close forgets the devices, wherever they are.
func (s *Set) Close() {
	_ = s.host.Close()
	if s.inside != nil {
		_ = s.inside.Close()
	}
	if s.home != nil {
		_ = s.home.Close()
	}
}

// Move moves the devices into a network namespace, where they are up and have
// the permanent and global ones of their addresses. If it fails, some may be
// there already: the caller ends with Restore.
func (s *Set) Move(namespace *os.File) error {
	if err := s.enter(namespace); err != nil {
		return err
	}
	for i := range s.devices {
		if err := s.checkName(&s.devices[i]); err != nil {
			return err
		}
	}
	for i := range s.devices {
		if err := s.move(&s.devices[i], namespace); err != nil {
			return err
		}
	}
	return nil
}

// enter opens the socket inside.
func (s *Set) enter(namespace *os.File) error {
	same, err := sameFile(s.home, namespace)
	if err != nil {
		return fault.New("move", "linux.netDevices", err)
	}
	if same {
		return fault.Newf("move", "linux.netDevices", "the container's network namespace is the one that the devices are in")
	}
	if s.inside, err = rtnl.DialIn(int(namespace.Fd())); err != nil {
		return denied(fault.New("enter the container's network namespace for", "linux.netDevices", err))
	}
	return nil
}

// sameFile compares by device and inode, which is how namespaces are told apart
// (namespaces(7)).
func sameFile(a, b *os.File) (bool, error) {
	first, err1 := a.Stat()
	second, err2 := b.Stat()
	if err := errors.Join(err1, err2); err != nil {
		return false, err
	}
	return os.SameFile(first, second), nil
}

// checkName refuses a name that the container has already, before the first
// device goes down.
func (s *Set) checkName(d *device) error {
	if isTemplate(d.name) {
		return nil
	}
	_, err := s.inside.ByName(d.name)
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	if err == nil {
		return d.clash()
	}
	return fault.New("look for "+d.name+" in the container for", d.path, err)
}

func (d *device) clash() error {
	return fault.Newf("move", d.path, "the container has a network device named %s", d.name).
		WithHint("choose another name, or append %%d for a number that makes it unique")
}

// isTemplate reports whether the kernel is to complete the name.
func isTemplate(name string) bool { return strings.HasSuffix(name, "%d") }

// move moves a device in three steps. It arrives under a name of nobody's:
// whatever its index becomes, it is found by that; and a name that is taken
// stops it at a point from which it can go back.
func (s *Set) move(d *device, namespace *os.File) error {
	var err error
	if d.addresses, err = s.host.Addresses(d.before.Index); err != nil {
		return fault.New("list the addresses of", d.path, err)
	}
	if d.arrival, err = arrivalName(); err != nil {
		return fault.New("move", d.path, err)
	}
	err = s.host.Set(d.before.Index, rtnl.Change{Namespace: int(namespace.Fd()), Name: d.arrival})
	if err != nil {
		return d.stuck(err)
	}
	link, err := s.inside.ByName(d.arrival)
	if err != nil {
		return fault.New("find again", d.path, err)
	}
	d.index = link.Index
	return s.settle(d)
}

// settle names a device that has arrived, sets it up and gives it its addresses.
func (s *Set) settle(d *device) error {
	err := s.inside.Set(d.index, rtnl.Change{Name: d.name, Up: true})
	if errors.Is(err, unix.EEXIST) {
		return d.clash()
	}
	if err != nil {
		return fault.New("name "+d.name+" and set up", d.path, err)
	}
	link, err := s.inside.ByIndex(d.index)
	if err != nil {
		return fault.New("find again", d.path, err)
	}
	for i := range d.addresses {
		a := d.addresses[i]
		if !a.Permanent() || !a.Global() {
			continue
		}
		a.Label = relabel(a.Label, d.before.Name, link.Name)
		if err := s.inside.AddAddress(d.index, &a); err != nil {
			failed := fault.New("keep an address of", d.path, err)
			if errors.Is(err, unix.EACCES) {
				failed.Hint = "the sysctl net.ipv6.conf.default.disable_ipv6 of the container's network namespace is on"
			}
			return failed
		}
	}
	return nil
}

// relabel gives the label of an IPv4 address, "eth0" or "eth0:1", the new name
// of the device. What does not fit is left out, for the kernel to fill in.
func relabel(label, from, to string) string {
	rest, ok := strings.CutPrefix(label, from)
	if !ok || len(to)+len(rest) >= unix.IFNAMSIZ {
		return ""
	}
	return to + rest
}

// stuck explains why a device cannot leave the host.
func (d *device) stuck(err error) error {
	failed := fault.New("move", d.path, err)
	switch {
	case errors.Is(err, unix.EINVAL):
		failed.Hint = "devices like lo and some tunnels cannot leave their network namespace"
	case errors.Is(err, unix.EEXIST):
		failed.Hint = "the container has a network device of one of its alternative names"
	case errors.Is(err, unix.ENODEV):
		failed.Hint = "it was there a moment ago"
	}
	return denied(failed)
}

func denied(failed *fault.Error) *fault.Error {
	if errors.Is(failed, unix.EPERM) {
		failed.Hint = "it takes CAP_NET_ADMIN in the user namespaces that own the host's and the container's network namespace"
	}
	return failed
}

// arrivalName returns a name that no device has.
func arrivalName() (string, error) {
	var random [5]byte
	if _, err := unix.Getrandom(random[:], 0); err != nil {
		return "", err
	}
	return "hull" + hex.EncodeToString(random[:]), nil
}
