package tests

import (
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

type identity struct{ UID, GID, Groups []uint32 }

//proves:process.user.uid process.user.gid process.user.additionalGids config.md#posix-platform-user:1
//proves:config.md#posix-platform-user:2
func TestTheUserAndItsGroupsAreExact(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for name, tt := range map[string]struct {
		user specs.User
		want identity
	}{
		"root without groups": {specs.User{}, identity{[]uint32{0, 0, 0}, []uint32{0, 0, 0}, []uint32{}}},
		"a user":              {specs.User{UID: 1000, GID: 1001}, identity{[]uint32{1000, 1000, 1000}, []uint32{1001, 1001, 1001}, []uint32{}}},
		"additional groups": {
			specs.User{UID: 5, GID: 6, AdditionalGids: []uint32{10, 7, 4294967294}},
			identity{[]uint32{5, 5, 5}, []uint32{6, 6, 6}, []uint32{7, 10, 4294967294}},
		},
		"the largest ids": {
			specs.User{UID: 4294967294, GID: 4294967294},
			identity{[]uint32{4294967294, 4294967294, 4294967294}, []uint32{4294967294, 4294967294, 4294967294}, []uint32{}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, root: h.root}
			s := h.probe([]string{"ids"}, func(s *specs.Spec) { s.Process.User = tt.user })
			seen := get[identity](t, s, "ids")
			if seen.Groups == nil {
				seen.Groups = []uint32{}
			}
			equal(t, "identity", seen, tt.want)
		})
	}
}

//proves:process.user.additionalGids
func TestTheGroupsOfTheCallerAreNotPassedOn(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"ids"})
	cmd := h.command("run", "--bundle", b.dir, newID())
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Groups: []uint32{998, 999}}}
	equal(t, "groups", len(get[identity](t, parseSight(t, h.finish(cmd).stdout), "ids").Groups), 0)

	c := h.start(nil)
	cmd = h.command("exec", c.id, "/probe", "ids")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Groups: []uint32{998, 999}}}
	equal(t, "groups of an exec", len(get[identity](t, parseSight(t, h.finish(cmd).stdout), "ids").Groups), 0)
}

//proves:process.user.uid process.user.gid process.user.umask config.md#valid-values:1
func TestIDsThatMeanNothingAreRefused(t *testing.T) {
	h := newHost(t)
	h.fails([]string{"process.user.uid", "4294967295"}, func(s *specs.Spec) { s.Process.User.UID = 4294967295 })
	h.fails([]string{"process.user.gid", "4294967295"}, func(s *specs.Spec) { s.Process.User.GID = 4294967295 })
	h.fails([]string{"process.user.umask", "512"}, func(s *specs.Spec) { s.Process.User.Umask = pointer(uint32(512)) })
}

func TestTheStreamsBelongToTheUser(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"write=/proc/self/fd/1:reopened"}, func(s *specs.Spec) { s.Process.User.UID = 1000 })
	r := h.try("run", "--bundle", b.dir, newID())
	if !strings.Contains(r.stdout, "reopened") {
		t.Errorf("the user cannot reopen its output: %q", r.stdout)
	}
}

// Rows CVE-2016-3697 and CVE-2026-30892.
func TestANumberIsNeverAName(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := h.newBundle([]string{"sleep"})
	writeFile(t, b.path("rootfs/etc/passwd"), "1000:x:0:0:root:/root:/bin/sh\nu:x:1000:1001::/:/bin/sh\n1:x:0:0::/:/\n")
	writeFile(t, b.path("rootfs/etc/group"), "7:x:0:\ng:x:77:\n")
	c := h.create(b)
	h.must("start", c.id)
	for user, want := range map[string][2]uint32{
		"1000": {1000, 0}, "1": {1, 0}, "u": {1000, 1001}, "1000:7": {1000, 7}, "u:g": {1000, 77}, "0": {0, 0},
	} {
		seen := get[identity](t, parseSight(t, h.must("exec", "--user", user, c.id, "/probe", "ids")), "ids")
		equal(t, "exec --user "+user, []uint32{seen.UID[0], seen.GID[0]}, want)
	}
	for _, user := range []string{"1:", "+1", "1:2x", "4294967295", "-1", " 1", "1 ", "1x", "nobody-here", "u:nothing", ":", "0x1"} {
		if r := h.try("exec", "--user", user, c.id, "/probe", "ids"); r.status == 0 {
			t.Errorf("exec --user %q ran as %s", user, r.stdout)
		}
	}
}
