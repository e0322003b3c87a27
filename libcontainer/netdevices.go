package libcontainer

import (
	"os"
	"strconv"

	"hull/internal/fault"
	"hull/libcontainer/netdev"
)

// findDevices finds linux.netDevices before anything of the container exists.
func (n *creation) findDevices() (err error) {
	if n.spec.Linux == nil || len(n.spec.Linux.NetDevices) == 0 {
		return nil
	}
	if n.devices, err = netdev.Find(n.spec.Linux.NetDevices); err == nil {
		n.closers = append(n.closers, n.devices.Close)
	}
	return err
}

// moveDevices moves linux.netDevices into the container's network namespace,
// new or joined. It comes as late as the hooks allow, which may use them
// (config.md, "CreateRuntime Hooks"): a device that has to go back has lost what
// was routed through it.
func (n *creation) moveDevices(pid int) error {
	if n.devices == nil {
		return nil
	}
	// The pid is our child's: it cannot become another's before it is reaped.
	namespace, err := os.Open("/proc/" + strconv.Itoa(pid) + "/ns/net")
	if err != nil {
		return fault.New("open the container's network namespace for", "linux.netDevices", pathless(err)).
			WithHint("it takes CAP_SYS_PTRACE in hull's own user namespace")
	}
	defer namespace.Close()
	// Before init is killed, which takes its namespace along.
	n.undo = append(n.undo, func() { n.devices.Restore(n.runtime.warn) })
	return n.devices.Move(namespace)
}
