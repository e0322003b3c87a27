package seccomp

import (
	"errors"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	libseccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// abi is one table of system calls. Two of them, x86-64 and x32, look the same
// to a filter but for a bit in the number.
type abi struct {
	arch libseccomp.ScmpArch
	// audit is seccomp_data.arch.
	audit uint32
}

// lookup returns the ABI of an architecture name, and whether there is one.
func lookup(name specs.Arch) (abi, bool) {
	switch name {
	case specs.ArchX86:
		return abi{libseccomp.ArchX86, unix.AUDIT_ARCH_I386}, true
	case specs.ArchX86_64:
		return abi{libseccomp.ArchAMD64, unix.AUDIT_ARCH_X86_64}, true
	case specs.ArchX32:
		return abi{libseccomp.ArchX32, unix.AUDIT_ARCH_X86_64}, true
	case specs.ArchARM:
		return abi{libseccomp.ArchARM, unix.AUDIT_ARCH_ARM}, true
	case specs.ArchAARCH64:
		return abi{libseccomp.ArchARM64, unix.AUDIT_ARCH_AARCH64}, true
	case specs.ArchPPC:
		return abi{libseccomp.ArchPPC, unix.AUDIT_ARCH_PPC}, true
	case specs.ArchPPC64:
		return abi{libseccomp.ArchPPC64, unix.AUDIT_ARCH_PPC64}, true
	case specs.ArchPPC64LE:
		return abi{libseccomp.ArchPPC64LE, unix.AUDIT_ARCH_PPC64LE}, true
	case specs.ArchS390:
		return abi{libseccomp.ArchS390, unix.AUDIT_ARCH_S390}, true
	case specs.ArchS390X:
		return abi{libseccomp.ArchS390X, unix.AUDIT_ARCH_S390X}, true
	case specs.ArchRISCV64:
		return abi{libseccomp.ArchRISCV64, unix.AUDIT_ARCH_RISCV64}, true
	case specs.ArchLOONGARCH64:
		return abi{libseccomp.ArchLOONGARCH64, unix.AUDIT_ARCH_LOONGARCH64}, true
	}
	return lookupRare(name)
}

// lookupRare is the rest of lookup.
func lookupRare(name specs.Arch) (abi, bool) {
	switch name {
	case specs.ArchMIPS:
		return abi{libseccomp.ArchMIPS, unix.AUDIT_ARCH_MIPS}, true
	case specs.ArchMIPS64:
		return abi{libseccomp.ArchMIPS64, unix.AUDIT_ARCH_MIPS64}, true
	case specs.ArchMIPS64N32:
		return abi{libseccomp.ArchMIPS64N32, unix.AUDIT_ARCH_MIPS64N32}, true
	case specs.ArchMIPSEL:
		return abi{libseccomp.ArchMIPSEL, unix.AUDIT_ARCH_MIPSEL}, true
	case specs.ArchMIPSEL64:
		return abi{libseccomp.ArchMIPSEL64, unix.AUDIT_ARCH_MIPSEL64}, true
	case specs.ArchMIPSEL64N32:
		return abi{libseccomp.ArchMIPSEL64N32, unix.AUDIT_ARCH_MIPSEL64N32}, true
	case specs.ArchPARISC:
		return abi{libseccomp.ArchPARISC, unix.AUDIT_ARCH_PARISC}, true
	case specs.ArchPARISC64:
		return abi{libseccomp.ArchPARISC64, unix.AUDIT_ARCH_PARISC64}, true
	case specs.ArchM68K:
		return abi{libseccomp.ArchM68K, unix.AUDIT_ARCH_M68K}, true
	// libseccomp's SH is the little-endian one, the kernel's is not.
	case specs.ArchSH:
		return abi{libseccomp.ArchSH, unix.AUDIT_ARCH_SHEL}, true
	case specs.ArchSHEB:
		return abi{libseccomp.ArchSHEB, unix.AUDIT_ARCH_SH}, true
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
	for _, name := range architectureNames() {
		if a, ok := lookup(name); ok && a.arch == arch {
			return a, nil
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
next:
	for i, name := range p.Architectures {
		a, _ := lookup(name)
		if !a.supported() {
			return nil, fault.Newf("", elem("architectures", i), "%s is not supported by libseccomp %s", name, Version())
		}
		for _, have := range abis {
			if have == a {
				continue next
			}
		}
		abis = append(abis, a)
	}
	return abis, nil
}

// elem is the JSON path of an element of a list in the profile.
func elem(list string, i int) string {
	return "linux.seccomp." + list + "[" + strconv.Itoa(i) + "]"
}
