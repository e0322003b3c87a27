package tests

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func profile(name string) edit {
	return func(s *specs.Spec) { s.Process.ApparmorProfile = name }
}

func hasAppArmor(t *testing.T) bool {
	t.Helper()
	text, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	return err == nil && strings.HasPrefix(string(text), "Y")
}

// loadProfile loads a profile of AppArmor with the rules and returns its name.
func loadProfile(t *testing.T, kind, rules string) string {
	t.Helper()
	needRoot(t)
	if !hasAppArmor(t) {
		lacks(t, "AppArmor in its kernel")
	}
	parser := needTool(t, "apparmor_parser")
	name := strings.TrimSuffix(newID(), "-") + "-" + kind
	text := fmt.Sprintf("abi <abi/4.0>,\nprofile %s flags=(attach_disconnected,mediate_deleted) {\n%s\n}\n", name, rules)
	feed := func(flag string) error {
		cmd := exec.Command(parser, "--quiet", flag)
		cmd.Stdin = strings.NewReader(text)
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, bytes.TrimSpace(out))
		}
		return err
	}
	if err := feed("--replace"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := feed("--remove"); err != nil {
			t.Error(err)
		}
	})
	return name
}

// secretive are rules that allow all but to read one file.
const secretive = "allow all,\ndeny /etc/secret r,\n"

func (h *host) withSecret(edits ...edit) *bundle {
	h.t.Helper()
	b := h.newBundle([]string{label, secret, "sleep"}, edits...)
	writeFile(h.t, b.path("rootfs/etc/secret"), "secret")
	return b
}

const (
	label  = "read=/proc/self/attr/current"
	secret = "read=/etc/secret"
)

// confined checks what a probe saw under profiles, which the kernel names in an
// order of its own.
func confined(t *testing.T, s sight, wanted ...string) {
	t.Helper()
	names, mode, _ := strings.Cut(strings.TrimSpace(get[string](t, s, label)), " ")
	seen := strings.Split(names, "//&")
	slices.Sort(seen)
	slices.Sort(wanted)
	equal(t, "profiles", seen, wanted)
	equal(t, "mode", mode, "(enforce)")
	if !strings.Contains(s.failure(secret), "permission denied") {
		t.Errorf("the secret: %s", s[secret])
	}
}

//proves:process.apparmorProfile
func TestTheAppArmorProfileConfinesTheProcess(t *testing.T) {
	name := loadProfile(t, "inner", secretive)
	h := newHost(t)
	for _, nnp := range []bool{true, false} {
		c := h.create(h.withSecret(profile(name), noNewPrivileges(nnp)))
		h.must("start", c.id)
		confined(t, c.see(), name)
		confined(t, c.exec(label, secret), name)
	}
	// An exec may have one of its own.
	c := h.create(h.withSecret())
	h.must("start", c.id)
	equal(t, "what the container reads", get[string](t, c.see(), secret), "secret")
	confined(t, parseSight(t, h.must("exec", "--apparmor", name, c.id, "/probe", label, secret)), name)
}

// A change of profile is refused under no_new_privs; one more profile is not.
func TestTheAppArmorProfileIsStackedOnTheOneThatConfinesHull(t *testing.T) {
	outer := loadProfile(t, "outer", "allow all,\nchange_profile -> **,\nchange_profile -> &**,\n")
	inner := loadProfile(t, "inner", secretive)
	h := newHost(t)
	confinedHull := func(args ...string) (r result) {
		caller(t, func() (func() error, error) {
			set := func(text string) error {
				return os.WriteFile("/proc/thread-self/attr/apparmor/exec", []byte(text), 0)
			}
			// There is no taking back: this is what a child would be without.
			return func() error { return set("exec unconfined") }, set("exec " + outer)
		}, func() { r = h.try(args...) })
		return r
	}
	//proves:process.apparmorProfile process.noNewPrivileges
	for nnp, want := range map[bool][]string{true: {inner, outer}, false: {inner}} {
		b := h.withSecret(profile(inner), noNewPrivileges(nnp))
		b.config.Process.Args = []string{"/probe", label, secret}
		b.save(t)
		r := confinedHull("run", "--bundle", b.dir, newID())
		if r.status != 0 {
			t.Fatal(r.stderr)
		}
		confined(t, parseSight(t, r.stdout), want...)
	}
	c := h.create(h.withSecret(noNewPrivileges(true)))
	h.must("start", c.id)
	r := confinedHull("exec", "--apparmor", inner, c.id, "/probe", label, secret)
	if r.status != 0 {
		t.Fatal(r.stderr)
	}
	confined(t, parseSight(t, r.stdout), inner, outer)
}

//proves:process.apparmorProfile
func TestAnAppArmorProfileThatIsNotLoadedIsAnError(t *testing.T) {
	h := newHost(t)
	if !hasAppArmor(t) {
		h.fails([]string{"process.apparmorProfile", "AppArmor is not enabled"}, profile("nowhere"))
		c := h.start(nil)
		h.refuses([]string{"process.apparmorProfile", "AppArmor is not enabled"}, "exec", "--apparmor", "nowhere", c.id, "/probe")
		return
	}
	h.fails([]string{"process.apparmorProfile", "nowhere", "no such file or directory", "apparmor_parser"}, profile("nowhere"))
	c := h.start(nil)
	h.refuses([]string{"process.apparmorProfile", "nowhere", "apparmor_parser"}, "exec", "--apparmor", "nowhere", c.id, "/probe")
}

// selinuxCategories returns the label of this process with other categories.
func selinuxCategories(t *testing.T) string {
	t.Helper()
	if !fileExists("/sys/fs/selinux/enforce") {
		lacks(t, "SELinux")
	}
	parts := strings.SplitN(strings.TrimRight(readFile(t, "/proc/self/attr/current"), "\x00\n"), ":", 4)
	if len(parts) < 4 {
		lacks(t, "a policy of SELinux with categories")
	}
	return strings.Join(append(parts[:3], "s0:c1,c2"), ":")
}

//proves:process.selinuxLabel
func TestTheSELinuxLabelIsThatOfTheProcessAndItsKeyring(t *testing.T) {
	wanted := selinuxCategories(t)
	h := newHost(t)
	see := []string{label, "keyring", "read=/proc/self/attr/keycreate", "read=/proc/self/attr/exec"}
	check := func(what string, s sight) {
		t.Helper()
		for _, where := range see[:2] {
			equal(t, where+" of "+what, strings.TrimRight(get[string](t, s, where), "\x00\n"), wanted)
		}
		for _, where := range see[2:] { // nothing of it stays in force
			equal(t, where+" of "+what, get[string](t, s, where), "")
		}
	}
	labelled := func(s *specs.Spec) { s.Process.SelinuxLabel = wanted }
	c := h.start(see, labelled, noNewPrivileges(false))
	check("the container", c.see())
	check("an exec", c.exec(see...))
	plain := h.start(nil, noNewPrivileges(false))
	check("an exec with a label", parseSight(t, h.must(append([]string{"exec", "--process-label", wanted, plain.id, "/probe"}, see...)...)))

	h.fails([]string{"process.selinuxLabel", "no:such:label", "invalid argument"}, func(s *specs.Spec) { s.Process.SelinuxLabel = "no:such:label" })
}

//proves:linux.mountLabel
func TestTheMountLabelIsThatOfWhatIsMounted(t *testing.T) {
	wanted := selinuxCategories(t)
	h := newHost(t)
	paths := []string{"label=/dev", "label=/dev/shm", "label=/dev/null", "label=/dev/mqueue"}
	s := h.probe(paths, func(s *specs.Spec) { s.Linux.MountLabel = wanted })
	for _, path := range paths {
		equal(t, path, get[string](t, s, path), wanted)
	}
}

//proves:process.selinuxLabel
func TestAnSELinuxLabelIsRefusedWithoutSELinux(t *testing.T) {
	h := newHost(t)
	if fileExists("/sys/fs/selinux/enforce") {
		lacks(t, "the lack of SELinux")
	}
	words := []string{"process.selinuxLabel", "SELinux is not enabled"}
	h.fails(words, func(s *specs.Spec) { s.Process.SelinuxLabel = "system_u:system_r:container_t:s0" })
	c := h.start(nil)
	h.refuses(words, "exec", "--process-label", "system_u:system_r:container_t:s0", c.id, "/probe")
}

// Whoever calls hull may have given up new privileges for good.
func TestNoNewPrivilegesOfTheCallerStay(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"prctl=no_new_privs"}, noNewPrivileges(false))
	cmd := h.command("run", "--bundle", b.dir, newID())
	cmd.Path, cmd.Args = needTool(t, "setpriv"), append([]string{"setpriv", "--no-new-privs"}, cmd.Args...)
	r := h.finish(cmd)
	if r.status != 0 {
		t.Fatal(r.stderr)
	}
	equal(t, "no_new_privs", get[int](t, parseSight(t, r.stdout), "prctl=no_new_privs"), 1)
}
