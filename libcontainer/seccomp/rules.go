package seccomp

import (
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	libseccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// optimizeFrom is the number of rules from which on a binary tree is asked
// for. A node of libseccomp's tree holds four system calls, so a list is as
// good below that, and libseccomp up to 2.5.4 generates a wrong program from a
// tree without rules.
const optimizeFrom = 32

// compileRules lets libseccomp make the program of the rules in p.
func compileRules(p *specs.LinuxSeccomp, abis []abi) ([]byte, error) {
	byDefault := scmpAction(p.DefaultAction, p.DefaultErrnoRet)
	filter, err := libseccomp.NewFilter(byDefault)
	if err != nil {
		return nil, fault.New("create the seccomp filter", "", err)
	}
	defer filter.Release()

	for _, a := range abis {
		if err := filter.AddArch(a.arch); err != nil {
			return nil, addArchError(p, a, err)
		}
	}
	c := compiler{filter: filter, byDefault: byDefault}
	for i := range p.Syscalls {
		if err := c.addEntry(i, &p.Syscalls[i]); err != nil {
			return nil, err
		}
	}
	if c.rules >= optimizeFrom {
		if err := filter.SetOptimize(2); err != nil {
			return nil, fault.New("optimize the seccomp filter", "", err)
		}
	}
	return export(filter)
}

// addArchError names the place in p that asked for a.
func addArchError(p *specs.LinuxSeccomp, a abi, cause error) error {
	for i, name := range p.Architectures {
		if asked, _ := lookup(name); asked == a {
			return fault.New("", elem("architectures", i), cause).
				WithHint("one filter cannot cover architectures of different byte order")
		}
	}
	return fault.New("add architecture", a.arch.String(), cause)
}

// compiler adds the entries of a profile to a filter.
type compiler struct {
	filter    *libseccomp.ScmpFilter
	byDefault libseccomp.ScmpAction
	// rules is how many were added.
	rules int
}

func (c *compiler) addEntry(i int, entry *specs.LinuxSyscall) error {
	action := scmpAction(entry.Action, entry.ErrnoRet)
	if action == c.byDefault {
		return nil
	}
	alternatives, err := conditions(entry.Args)
	if err != nil {
		return fault.New("", elem("syscalls", i)+".args", err)
	}
	for _, name := range entry.Names {
		// The native number stands for the call; libseccomp translates it,
		// also the negative one of a call that only other tables have.
		call, err := libseccomp.GetSyscallFromName(name)
		if err != nil {
			continue
		}
		for _, conds := range alternatives {
			if err := c.filter.AddRuleConditional(call, action, conds); err != nil {
				return fault.New("add rule for "+name+" of", elem("syscalls", i), err)
			}
			c.rules++
		}
	}
	return nil
}

// conditions returns the alternatives of which one has to match, each a list
// of conditions that all have to match. Conditions of one entry are
// alternatives as soon as two of them look at the same argument: a rule of
// libseccomp can look at an argument only once, and this is what runc does.
func conditions(args []specs.LinuxSeccompArg) ([][]libseccomp.ScmpCondition, error) {
	all := make([]libseccomp.ScmpCondition, 0, len(args))
	var seen [6]bool
	repeated := false
	for _, arg := range args {
		cond, err := libseccomp.MakeCondition(arg.Index, scmpOperator(arg.Op), arg.Value, arg.ValueTwo)
		if err != nil {
			return nil, err
		}
		all = append(all, cond)
		repeated = repeated || seen[arg.Index]
		seen[arg.Index] = true
	}
	if !repeated {
		return [][]libseccomp.ScmpCondition{all}, nil
	}
	each := make([][]libseccomp.ScmpCondition, len(all))
	for i := range all {
		each[i] = all[i : i+1]
	}
	return each, nil
}

// export returns the program. libseccomp before 2.6 can only write it to a
// descriptor; a memory file takes it whole, which a pipe need not.
func export(filter *libseccomp.ScmpFilter) ([]byte, error) {
	fd, err := unix.MemfdCreate("seccomp", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fault.New("create memory file for", "the seccomp filter", err)
	}
	file := os.NewFile(uintptr(fd), "seccomp")
	defer file.Close()
	if err := filter.ExportBPF(file); err != nil {
		return nil, fault.New("compile", "linux.seccomp", err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	program := make([]byte, info.Size())
	if _, err := file.ReadAt(program, 0); err != nil {
		return nil, err
	}
	return program, nil
}

// scmpAction translates a valid action. Actions that return a value return
// EPERM unless the profile says otherwise.
func scmpAction(a specs.LinuxSeccompAction, errnoRet *uint) libseccomp.ScmpAction {
	value := uint(unix.EPERM)
	if errnoRet != nil {
		value = *errnoRet
	}
	switch a {
	case specs.ActAllow:
		return libseccomp.ActAllow
	case specs.ActErrno:
		return libseccomp.ActErrno.SetReturnCode(int16(value))
	case specs.ActKill, specs.ActKillThread:
		return libseccomp.ActKillThread
	case specs.ActKillProcess:
		return libseccomp.ActKillProcess
	case specs.ActLog:
		return libseccomp.ActLog
	case specs.ActNotify:
		return libseccomp.ActNotify
	case specs.ActTrace:
		return libseccomp.ActTrace.SetReturnCode(int16(value))
	case specs.ActTrap:
		return libseccomp.ActTrap
	}
	return libseccomp.ActInvalid
}

// scmpOperator translates a valid operator.
func scmpOperator(op specs.LinuxSeccompOperator) libseccomp.ScmpCompareOp {
	switch op {
	case specs.OpEqualTo:
		return libseccomp.CompareEqual
	case specs.OpNotEqual:
		return libseccomp.CompareNotEqual
	case specs.OpGreaterThan:
		return libseccomp.CompareGreater
	case specs.OpGreaterEqual:
		return libseccomp.CompareGreaterEqual
	case specs.OpLessThan:
		return libseccomp.CompareLess
	case specs.OpLessEqual:
		return libseccomp.CompareLessOrEqual
	case specs.OpMaskedEqual:
		return libseccomp.CompareMaskedEqual
	}
	return libseccomp.CompareInvalid
}
