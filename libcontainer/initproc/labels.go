package initproc

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/inroot"
)

// label is a security label that execve(2) shall apply, and the file in procfs
// that takes it.
type label struct {
	object, value string
	file          inroot.Handle
}

// openLabels opens the files of the labels while the procfs in sight is still
// the host's or a new one; what the container mounts cannot redirect the write
// (CVE-2019-16884, CVE-2025-52881).
func (s *stage) openLabels() error {
	p := &s.plan.Process
	for _, l := range [...]struct {
		object, value string
		files         []string
	}{
		{"process.selinuxLabel", p.SELinuxLabel, []string{"attr/exec"}},
		// The directory of AppArmor's own exists since Linux 5.8.
		{"process.apparmorProfile", s.profileCommand(), []string{"attr/apparmor/exec", "attr/exec"}},
	} {
		if l.value == "" {
			continue
		}
		file, err := s.openFirst(l.files, unix.O_WRONLY)
		if err != nil {
			return fault.New("set "+l.object, l.value, err)
		}
		s.labels = append(s.labels, label{l.object, l.value, file})
	}
	return nil
}

func (s *stage) openFirst(names []string, flags int) (h inroot.Handle, err error) {
	for _, name := range names {
		if h, err = s.door.OpenThread(name, flags); err == nil {
			return h, nil
		}
	}
	return h, err
}

// profileCommand is what AppArmor shall do at execve(2). Where hull itself is
// confined, no_new_privs lets it only add a profile to its own (apparmor(7),
// "stacking"): a change of profile would be refused.
func (s *stage) profileCommand() string {
	profile := s.plan.Process.AppArmorProfile
	switch {
	case profile == "":
		return ""
	case s.staysUnprivileged() && s.isConfined():
		return "stack " + profile
	}
	return "exec " + profile
}

// staysUnprivileged reports whether no_new_privs is in force at execve(2): a
// caller may have set it.
func (s *stage) staysUnprivileged() bool {
	if s.plan.Process.NoNewPrivs {
		return true
	}
	value, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	return err == nil && value == 1
}

// isConfined reports whether a profile of AppArmor restricts this thread. One in
// the mode "unconfined" does not, and the kernel treats it so.
func (s *stage) isConfined() bool {
	file, err := s.openFirst([]string{"attr/apparmor/current", "attr/current"}, unix.O_RDONLY)
	if err != nil {
		return false
	}
	defer file.Close()
	b := make([]byte, unix.Getpagesize())
	n, err := unix.Read(file.FD(), b)
	if err != nil {
		return false
	}
	label := strings.TrimRight(string(b[:n]), "\x00\n")
	return label != "" && label != "unconfined" && !strings.HasSuffix(label, " (unconfined)")
}

// writeLabels fails closed: a container whose label cannot be set does not run.
func (s *stage) writeLabels() error {
	for _, l := range s.labels {
		if _, err := unix.Write(l.file.FD(), []byte(l.value)); err != nil {
			failed := fault.New("set "+l.object, l.value, err)
			switch {
			case errors.Is(err, unix.ENOENT):
				failed.Hint = "no profile of that name is loaded: apparmor_parser(8) loads one"
			case errors.Is(err, unix.EACCES):
				failed.Hint = "what confines hull must allow the change, a profile of AppArmor by change_profile"
			default:
				failed.Hint = "the security module must be enabled and know the label"
			}
			return failed
		}
		l.file.Close()
	}
	return nil
}
