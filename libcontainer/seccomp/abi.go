package seccomp

import (
	"errors"
	"slices"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	libseccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/libcontainer/seccomp/profile"
)

// abi is one table of system calls. Two of them, x86-64 and x32, look the same
// to a filter but for a bit in the number.
type abi struct {
	arch libseccomp.ScmpArch
	// audit is seccomp_data.arch.
	audit uint32
}

// auditLittleEndian is __AUDIT_ARCH_LE of linux/audit.h.
const auditLittleEndian = 0x40000000

// byName says what the names of the spec stand for.
var byName = [...]struct { //nolint:gochecknoglobals // a read-only table, laid out by the linker
	name specs.Arch
	abi
}{
	{specs.ArchX86, abi{libseccomp.ArchX86, unix.AUDIT_ARCH_I386}},
	{specs.ArchX86_64, abi{libseccomp.ArchAMD64, unix.AUDIT_ARCH_X86_64}},
	{specs.ArchX32, abi{libseccomp.ArchX32, unix.AUDIT_ARCH_X86_64}},
	{specs.ArchARM, abi{libseccomp.ArchARM, unix.AUDIT_ARCH_ARM}},
	{specs.ArchAARCH64, abi{libseccomp.ArchARM64, unix.AUDIT_ARCH_AARCH64}},
	{specs.ArchPPC, abi{libseccomp.ArchPPC, unix.AUDIT_ARCH_PPC}},
	{specs.ArchPPC64, abi{libseccomp.ArchPPC64, unix.AUDIT_ARCH_PPC64}},
	{specs.ArchPPC64LE, abi{libseccomp.ArchPPC64LE, unix.AUDIT_ARCH_PPC64LE}},
	{specs.ArchS390, abi{libseccomp.ArchS390, unix.AUDIT_ARCH_S390}},
	{specs.ArchS390X, abi{libseccomp.ArchS390X, unix.AUDIT_ARCH_S390X}},
	{specs.ArchRISCV64, abi{libseccomp.ArchRISCV64, unix.AUDIT_ARCH_RISCV64}},
	{specs.ArchLOONGARCH64, abi{libseccomp.ArchLOONGARCH64, unix.AUDIT_ARCH_LOONGARCH64}},
	{specs.ArchMIPS, abi{libseccomp.ArchMIPS, unix.AUDIT_ARCH_MIPS}},
	{specs.ArchMIPS64, abi{libseccomp.ArchMIPS64, unix.AUDIT_ARCH_MIPS64}},
	{specs.ArchMIPS64N32, abi{libseccomp.ArchMIPS64N32, unix.AUDIT_ARCH_MIPS64N32}},
	{specs.ArchMIPSEL, abi{libseccomp.ArchMIPSEL, unix.AUDIT_ARCH_MIPSEL}},
	{specs.ArchMIPSEL64, abi{libseccomp.ArchMIPSEL64, unix.AUDIT_ARCH_MIPSEL64}},
	{specs.ArchMIPSEL64N32, abi{libseccomp.ArchMIPSEL64N32, unix.AUDIT_ARCH_MIPSEL64N32}},
	{specs.ArchPARISC, abi{libseccomp.ArchPARISC, unix.AUDIT_ARCH_PARISC}},
	{specs.ArchPARISC64, abi{libseccomp.ArchPARISC64, unix.AUDIT_ARCH_PARISC64}},
	{specs.ArchM68K, abi{libseccomp.ArchM68K, unix.AUDIT_ARCH_M68K}},
	// libseccomp's SH is the little-endian one, the kernel's is not.
	{specs.ArchSH, abi{libseccomp.ArchSH, unix.AUDIT_ARCH_SHEL}},
	{specs.ArchSHEB, abi{libseccomp.ArchSHEB, unix.AUDIT_ARCH_SH}},
}

// lookup returns the ABI of an architecture name, and whether there is one.
func lookup(name specs.Arch) (abi, bool) {
	for i := range byName {
		if byName[i].name == name {
			return byName[i].abi, true
		}
	}
	return abi{}, false
}

// number returns the number of a call, and whether libseccomp knows the name.
// It is negative where the call exists, but not in this table.
func (a abi) number(call string) (int32, bool) {
	nr, err := libseccomp.GetSyscallFromNameByArch(call, a.arch)
	return int32(nr), err == nil
}

// supported reports whether the linked libseccomp has the table.
func (a abi) supported() bool {
	_, err := libseccomp.GetSyscallFromNameByArch("read", a.arch)
	return err == nil || errors.Is(err, libseccomp.ErrSyscallDoesNotExist)
}

// native returns the ABI that this program uses.
func native() (abi, error) {
	arch, err := libseccomp.GetNativeArch()
	if err != nil {
		return abi{}, fault.New("find libseccomp's name of", "the native architecture", err)
	}
	for i := range byName {
		if byName[i].arch == arch {
			return byName[i].abi, nil
		}
	}
	return abi{}, fault.Newf("find the audit architecture of", arch.String(), "not known")
}

// abisOf returns what the filter covers: the native ABI, which libseccomp
// always includes, and those of the profile, each once.
func abisOf(p *specs.LinuxSeccomp) ([]abi, error) {
	first, err := native()
	if err != nil {
		return nil, err
	}
	abis := []abi{first}
	for i, name := range p.Architectures {
		a, _ := lookup(name)
		if !a.supported() {
			return nil, fault.Newf("", elem("architectures", i), "%s is not supported by libseccomp %s", name, Version())
		}
		if !a.sameOrder(first) {
			return nil, fault.Newf("", elem("architectures", i), "%s has another byte order than this machine", name).
				WithHint("a filter cannot cover both, and no program of it could run")
		}
		if !slices.Contains(abis, a) {
			abis = append(abis, a)
		}
	}
	return abis, nil
}

// sameOrder reports whether the machines of both have the same byte order.
func (a abi) sameOrder(b abi) bool { return (a.audit^b.audit)&auditLittleEndian == 0 }

// covered returns the names of the architectures that a filter of this machine can
// cover, sorted.
func covered() (names []string) {
	first, err := native()
	for _, name := range profile.Architectures() {
		if a, ok := lookup(specs.Arch(name)); ok && err == nil && a.supported() && a.sameOrder(first) {
			names = append(names, name)
		}
	}
	return names
}

// elem is the JSON path of an element of a list in the profile.
func elem(list string, i int) string {
	return "linux.seccomp." + list + "[" + strconv.Itoa(i) + "]"
}
