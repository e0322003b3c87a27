package cli

import (
	"os"
	"sync"

	"hull/libcontainer"
)

// manager is who wants to hear that a service is ready: the address in
// NOTIFY_SOCKET (sd_notify(3)), "" if there is nobody.
type manager string

// serviceManager returns who started this program, if he listens.
func (p *program) serviceManager() manager {
	address := os.Getenv("NOTIFY_SOCKET")
	if address == "" {
		return ""
	}
	if err := libcontainer.CheckNotifyAddress(address); err != nil {
		p.log.warn(err)
		return ""
	}
	return manager(address)
}

// notify says what the process of a container needs for that.
func (m manager) notify() libcontainer.Notify {
	if m == "" {
		return libcontainer.NoNotify
	}
	return libcontainer.NotifySocket
}

// startDetached starts a container and returns once it has said to m that it is
// ready, or has ended.
func (m manager) startDetached(ctr *libcontainer.Container) error {
	if m == "" {
		return ctr.Start()
	}
	n, err := ctr.StartListening()
	if n == nil {
		return err
	}
	defer n.Close()
	return n.Relay(string(m), libcontainer.Detached)
}

// startAttached returns how to start a container and to pass on to m what it
// says, and how to wait for the last of that once it has ended.
func (m manager) startAttached(ctr *libcontainer.Container, log *logger) (start func() error, wait func()) {
	if m == "" {
		return ctr.Start, func() {}
	}
	var relays sync.WaitGroup
	start = func() error {
		n, err := ctr.StartListening()
		if n == nil {
			return err
		}
		relays.Go(func() {
			defer n.Close()
			if err := n.Relay(string(m), libcontainer.Attached); err != nil {
				log.warn(err)
			}
		})
		return nil
	}
	return start, relays.Wait
}
