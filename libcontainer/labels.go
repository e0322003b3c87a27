package libcontainer

import (
	"os"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/spec"
)

// refuseLabels refuses labels for security modules that this kernel does not
// run: a process must not run without the confinement that it asks for. It looks
// for no module that is not used. There may be no process.
func refuseLabels(p *specs.Process) error {
	if p == nil {
		return nil
	}
	var found []error
	if p.SelinuxLabel != "" && !selinuxEnabled() {
		found = append(found, fault.Newf("use", "process.selinuxLabel", "SELinux is not enabled on this host").
			WithHint("leave the label out"))
	}
	if p.ApparmorProfile != "" && !apparmorEnabled() {
		found = append(found, fault.Newf("use", "process.apparmorProfile", "AppArmor is not enabled on this host").
			WithHint("leave the profile out"))
	}
	return spec.Join(found...)
}

func selinuxEnabled() bool { return exists("/sys/fs/selinux/enforce") }

func apparmorEnabled() bool {
	b, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	return err == nil && strings.HasPrefix(string(b), "Y")
}

// labels looks for the AppArmor profile among those that are loaded. SELinux has
// no list of labels.
func (c *checker) labels() {
	if c.spec.Process == nil || !apparmorEnabled() {
		return
	}
	name := c.spec.Process.ApparmorProfile
	loaded, err := os.ReadFile("/sys/kernel/security/apparmor/profiles")
	if name == "" || name == "unconfined" || err != nil || strings.ContainsAny(name, ":&") {
		return
	}
	for line := range strings.Lines(string(loaded)) {
		if strings.HasPrefix(line, name+" (") {
			return
		}
	}
	c.fail("", fault.New("set process.apparmorProfile", "exec "+name, unix.ENOENT).
		WithHint("no profile of that name is loaded: apparmor_parser(8) loads one"))
}
