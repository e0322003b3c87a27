package seccomp

import (
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func profileOf(names ...string) *specs.LinuxSeccomp {
	return &specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow,
		Syscalls:      []specs.LinuxSyscall{{Names: names, Action: specs.ActErrno}},
	}
}

func TestAMisspeltCallIsNamed(t *testing.T) {
	for name, meant := range map[string]string{
		"opnat": "openat", "openatt2": "openat2", "raed": "read", "unshar3": "unshare", "kexec-load": "kexec_load", "Mount": "mount",
	} {
		want := []string{`linux.seccomp.syscalls[0].names[1]: unknown system call "` + name + `", so its rule has no effect (did you mean ` + meant + `?)`}
		var got []string
		for _, err := range Misspelt(profileOf("write", name)) {
			got = append(got, err.Error())
		}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

func TestACallThatIsNewerThanLibseccompIsNotMisspelt(t *testing.T) {
	if got := Misspelt(dockerProfile(t)); len(got) != 0 {
		t.Errorf("Docker's profile: %v", got)
	}
	// From Linux 5.17 on, some of which a libseccomp may know, and of other machines.
	if got := Misspelt(profileOf(
		"set_mempolicy_home_node", "cachestat", "fchmodat2", "map_shadow_stack", "futex_wake", "futex_wait", "futex_requeue",
		"statmount", "listmount", "lsm_get_self_attr", "lsm_set_self_attr", "lsm_list_modules", "mseal", "uretprobe", "uprobe",
		"setxattrat", "getxattrat", "listxattrat", "removexattrat", "open_tree_attr", "file_getattr", "file_setattr", "listns",
		"rseq_slice_yield", "riscv_hwprobe", "riscv_flush_icache", "kern_features", "memory_ordering", "perfctr", "utrap_install",
	)); len(got) != 0 {
		t.Errorf("newer calls: %v", got)
	}
}
