package tests

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// machineCall is a system call without arguments on some machine, as a filter
// sees it: the beginning of struct seccomp_data.
type machineCall struct{ number, arch uint32 }

// judge runs a classic BPF program over a call of a machine that is not here, as
// the kernel of that machine would, and returns the SECCOMP_RET_* value.
func judge(t *testing.T, program []unix.SockFilter, c machineCall) uint32 {
	t.Helper()
	var acc uint32
	var memory [16]uint32
	for pc := 0; pc < len(program); pc++ {
		switch i := program[pc]; i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			acc = map[uint32]uint32{0: c.number, 4: c.arch}[i.K]
		case unix.BPF_LD | unix.BPF_MEM:
			acc = memory[i.K]
		case unix.BPF_ST:
			memory[i.K] = acc
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			acc &= i.K
		case unix.BPF_RET | unix.BPF_K:
			return i.K
		default:
			pc += hop(t, i, acc)
		}
	}
	t.Fatal("the program does not return")
	return 0
}

// hop is how many instructions a jump leaves out.
func hop(t *testing.T, i unix.SockFilter, acc uint32) int {
	t.Helper()
	yes := false
	switch i.Code {
	case unix.BPF_JMP | unix.BPF_JA:
		return int(i.K)
	case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
		yes = acc == i.K
	case unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K:
		yes = acc > i.K
	case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
		yes = acc >= i.K
	case unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K:
		yes = acc&i.K != 0
	default:
		t.Fatalf("an instruction that is not known here: %+v", i)
	}
	if yes {
		return int(i.Jt)
	}
	return int(i.Jf)
}

// loaded is the program of the one filter that the host has loaded: what it
// keeps of it is the program between a head of 44 bytes and a sum of 32, and the
// kernel has accepted that.
func (h *host) loaded() []unix.SockFilter {
	h.t.Helper()
	files := h.cached()
	if len(files) != 1 {
		h.t.Fatalf("not one filter: %q", files)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		h.t.Fatal(err)
	}
	program := make([]unix.SockFilter, (len(text)-44-32)/8)
	if _, err := binary.Decode(text[44:len(text)-32], binary.NativeEndian, program); err != nil {
		h.t.Fatal(err)
	}
	return program
}

// calls of getpgid(2), by linux/audit.h and the machine's asm/unistd.h.
var getpgidOn = map[specs.Arch]machineCall{
	specs.ArchX86_64:      {121, 0xc000003e},
	specs.ArchX86:         {132, 0x40000003},
	specs.ArchARM:         {132, 0x40000028},
	specs.ArchAARCH64:     {155, 0xc00000b7},
	specs.ArchMIPSEL:      {4132, 0x40000008},
	specs.ArchMIPSEL64:    {5119, 0xc0000008},
	specs.ArchMIPSEL64N32: {6119, 0xe0000008},
	specs.ArchPPC64LE:     {132, 0xc0000015},
	specs.ArchRISCV64:     {155, 0xc00000f3},
	specs.ArchLOONGARCH64: {155, 0xc0000102},
	specs.ArchSH:          {132, 0x4000002a},
}

// What the kernel of another machine would do with the filter is found out by
// running it as that one would.
func TestTheFilterHasTheNumbersOfEveryArchitectureThatItIsFor(t *testing.T) {
	t.Parallel()
	announced := featuresOf(t, newHost(t)).Linux.Seccomp.Archs
	for _, arch := range []specs.Arch{
		//proves:linux.seccomp.architectures
		//proves:linux.seccomp.architectures=SCMP_ARCH_X86
		specs.ArchX86,
		//proves:linux.seccomp.architectures=SCMP_ARCH_ARM linux.seccomp.architectures=SCMP_ARCH_AARCH64
		specs.ArchARM, specs.ArchAARCH64,
		//proves:linux.seccomp.architectures=SCMP_ARCH_MIPSEL linux.seccomp.architectures=SCMP_ARCH_MIPSEL64
		//proves:linux.seccomp.architectures=SCMP_ARCH_MIPSEL64N32 linux.seccomp.architectures=SCMP_ARCH_PPC64LE
		specs.ArchMIPSEL, specs.ArchMIPSEL64, specs.ArchMIPSEL64N32, specs.ArchPPC64LE,
		//proves:linux.seccomp.architectures=SCMP_ARCH_RISCV64
		specs.ArchRISCV64,
		// Those that libseccomp 2.6 knows.
		//proves:linux.seccomp.architectures=SCMP_ARCH_LOONGARCH64 linux.seccomp.architectures=SCMP_ARCH_SH
		specs.ArchLOONGARCH64, specs.ArchSH,
	} {
		t.Run(string(arch), func(t *testing.T) {
			h := newHost(t)
			f := filter(specs.ActErrno, pointer(uint(unix.EXFULL)))
			f.Architectures = []specs.Arch{specs.ArchX86_64, arch}
			b := h.newBundle([]string{makeGetpgid}, withFilter(f))
			if !slices.Contains(announced, string(arch)) {
				h.failsWith(b, []string{"linux.seccomp.architectures[1]", string(arch), "libseccomp"})
				return
			}
			equal(t, "getpgid here", get[called](t, h.run(b), makeGetpgid).Errno, unix.EXFULL)
			program := h.loaded()
			for on, call := range getpgidOn {
				if !slices.Contains(f.Architectures, on) {
					equal(t, fmt.Sprintf("getpgid on %s", on), judge(t, program, call), uint32(unix.SECCOMP_RET_KILL_THREAD))
					continue
				}
				equal(t, fmt.Sprintf("getpgid on %s", on), judge(t, program, call), uint32(unix.SECCOMP_RET_ERRNO|unix.EXFULL))
				call.number++
				equal(t, fmt.Sprintf("the next call on %s", on), judge(t, program, call), uint32(unix.SECCOMP_RET_ALLOW))
			}
		})
	}
}

// A filter cannot cover the other byte order (libseccomp says EDOM).
//
//proves:linux.seccomp.architectures=SCMP_ARCH_MIPS linux.seccomp.architectures=SCMP_ARCH_MIPS64
//proves:linux.seccomp.architectures=SCMP_ARCH_MIPS64N32 linux.seccomp.architectures=SCMP_ARCH_PPC
//proves:linux.seccomp.architectures=SCMP_ARCH_PPC64 linux.seccomp.architectures=SCMP_ARCH_S390
//proves:linux.seccomp.architectures=SCMP_ARCH_S390X linux.seccomp.architectures=SCMP_ARCH_PARISC
//proves:linux.seccomp.architectures=SCMP_ARCH_PARISC64 linux.seccomp.architectures=SCMP_ARCH_M68K
//proves:linux.seccomp.architectures=SCMP_ARCH_SHEB
func TestArchitecturesOfTheOtherByteOrderAreRefusedByName(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, arch := range few([]specs.Arch{
		specs.ArchMIPS, specs.ArchMIPS64, specs.ArchMIPS64N32, specs.ArchPPC, specs.ArchPPC64, specs.ArchS390,
		specs.ArchS390X, specs.ArchPARISC, specs.ArchPARISC64, specs.ArchM68K, specs.ArchSHEB,
	}) {
		t.Run(string(arch), func(t *testing.T) {
			h := &host{t: t, root: h.root}
			f := filter(specs.ActErrno, pointer(uint(unix.EXFULL)))
			f.Architectures = []specs.Arch{specs.ArchX86_64, arch}
			h.fails([]string{"linux.seccomp.architectures[1]", string(arch)}, withFilter(f))
		})
	}
}
