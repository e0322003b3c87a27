package initproc

import (
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
		{"process.apparmorProfile", prefixed("exec ", p.AppArmorProfile), []string{"attr/apparmor/exec", "attr/exec"}},
	} {
		if l.value == "" {
			continue
		}
		file, err := s.openFirst(l.files)
		if err != nil {
			return fault.New("set "+l.object, l.value, err)
		}
		s.labels = append(s.labels, label{l.object, l.value, file})
	}
	return nil
}

func (s *stage) openFirst(names []string) (h inroot.Handle, err error) {
	for _, name := range names {
		if h, err = s.door.OpenThread(name, unix.O_WRONLY); err == nil {
			return h, nil
		}
	}
	return h, err
}

// writeLabels fails closed: a container whose label cannot be set does not run.
func (s *stage) writeLabels() error {
	for _, l := range s.labels {
		if _, err := unix.Write(l.file.FD(), []byte(l.value)); err != nil {
			return fault.New("set "+l.object, l.value, err).
				WithHint("the security module must be enabled and know the label")
		}
		l.file.Close()
	}
	return nil
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}
