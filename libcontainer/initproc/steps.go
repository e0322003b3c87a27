package initproc

import (
	"errors"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/tty"
	"hull/libcontainer/hook"
	"hull/libcontainer/link"
	"hull/libcontainer/plan"
	"hull/libcontainer/rootfs"
)

// newSession makes the process the leader of a session, so that it can have a
// controlling terminal.
func (s *stage) newSession() error {
	if _, err := unix.Setsid(); err != nil && !errors.Is(err, unix.EPERM) {
		return fault.New("make a session", "", err)
	}
	return nil
}

// joinKeyring gives the container a session keyring of its own: keyrings are
// not namespaced, and the caller's would be readable.
func (s *stage) joinKeyring() error {
	if s.plan.Process.Keyring == plan.KeepKeyring {
		return nil
	}
	if label := s.plan.Process.KeyringLabel; label != "" {
		if err := s.door.WriteThread("attr/keycreate", label); err != nil {
			return fault.New("label the session keyring with process.selinuxLabel", label, err)
		}
		defer func() { _ = s.door.WriteThread("attr/keycreate", "") }()
	}
	_, err := unix.KeyctlJoinSessionKeyring("_ses." + s.plan.ID)
	if errors.Is(err, unix.ENOSYS) {
		return nil // a kernel without keys
	}
	if err != nil {
		return fault.New("join session keyring", "_ses."+s.plan.ID, err).
			WithHint("the quota in /proc/sys/kernel/keys may be used up; --no-new-keyring does without")
	}
	return nil
}

// prepareRoot begins the root filesystem; the parent sent the sources that it
// supplies in the order in which they are asked for.
func (s *stage) prepareRoot() (err error) {
	s.root, err = rootfs.Prepare(s.plan, func(index int) (int, error) {
		if len(s.sources) == 0 {
			return -1, fault.Newf("receive", s.plan.Mounts[index].Name, "no source was sent")
		}
		fd := s.sources[0]
		s.sources = s.sources[1:]
		return fd, nil
	})
	return err
}

func (s *stage) mountAll() error    { return s.root.MountAll() }
func (s *stage) makeDevices() error { return s.root.MakeDevices() }
func (s *stage) enterRoot() error   { return s.root.Enter() }

// sealRoot ends the work on the root filesystem: nothing of it stays open while
// init waits for start.
func (s *stage) sealRoot() error {
	defer s.root.Close()
	return s.root.Seal()
}

// enterChroot takes the root directory of the container's init, which setns(2)
// gives only with a mount namespace.
func (s *stage) enterChroot() error {
	for _, root := range s.chroot {
		err := unix.Fchdir(root)
		if err == nil {
			err = unix.Chroot(".")
		}
		unix.Close(root)
		if err != nil {
			return fault.New("enter the container's", "root", err)
		}
	}
	return nil
}

func (s *stage) awaitRuntimeHooks() error {
	_, err := s.ask(link.RootReady, link.Proceed)
	return err
}

// The parent has nothing to say while they run: if the link moves, it is gone.
func (s *stage) runCreateContainerHooks() error {
	return s.runHooks(s.plan.CreateContainer, s.programs, s.conn.FD())
}

func (s *stage) runStartContainerHooks() error {
	return s.runHooks(s.plan.StartContainer, nil, -1)
}

// runHooks runs hooks in the working directory of init: the bundle before the
// pivot, the container's process.cwd after it.
func (s *stage) runHooks(hooks []plan.Hook, programs []int, end int) error {
	for i := range hooks {
		place := hook.Place{End: end, Output: s.hookOutput}
		if len(programs) > 0 {
			place.Program = programs[i]
		}
		if err := hook.Run(&hooks[i], place); err != nil {
			return err
		}
	}
	for _, fd := range programs {
		unix.Close(fd)
	}
	return nil
}

// openConsole makes the container's terminal its standard streams and sends
// the other end to the parent.
func (s *stage) openConsole() error {
	t := s.plan.Process.Terminal
	if !t.Wanted {
		return nil
	}
	master, peer, err := tty.Open(t.Rows, t.Columns)
	if err != nil {
		return err
	}
	if err := unix.Fchown(peer, int(s.plan.Process.UID), -1); err != nil && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EINVAL) {
		return fault.New("own", "the terminal", err)
	}
	if err := s.conn.Send(link.Message{Kind: link.Console, Files: []int{master}}); err != nil {
		return err
	}
	unix.Close(master)
	s.console = peer
	return tty.Become(peer)
}

func (s *stage) bindConsole() error {
	if s.console < 0 {
		return nil
	}
	return s.root.Console(s.console)
}

func (s *stage) setNames() error {
	if name := s.plan.Hostname; name != "" {
		if err := unix.Sethostname([]byte(name)); err != nil {
			return fault.New("set hostname", name, err)
		}
	}
	if name := s.plan.Domainname; name != "" {
		if err := unix.Setdomainname([]byte(name)); err != nil {
			return fault.New("set domainname", name, err)
		}
	}
	return nil
}

func (s *stage) writeSysctls() error {
	for _, c := range s.plan.Sysctls {
		if err := s.door.WriteSysctl(c.Key, c.Value); err != nil {
			return err
		}
	}
	return nil
}

// awaitFinish lets the parent do what takes its privileges and knowledge of
// this process; it answers with the seccomp filter.
func (s *stage) awaitFinish() error {
	m, err := s.ask(link.Ready, link.Finish)
	if err != nil {
		return err
	}
	s.filter, err = link.DecodeFilter(m.Payload)
	return err
}

// closeLink tells the parent that the container is created. Under a filter it
// knows already, and the link is left to execve(2).
func (s *stage) closeLink() error {
	s.released = true
	if s.plan.Process.Notifies {
		return nil
	}
	return s.conn.Close()
}

// awaitStart blocks until `start` opens the gate. It takes no CPU, and a
// signal does not end it unless it ends the process.
func (s *stage) awaitStart() error {
	b := make([]byte, 1)
	for {
		_, err := unix.Read(s.gate, b)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fault.New("wait for start", "", err)
		}
		return nil
	}
}
