package seccomp

import (
	"os"
	"sync"

	"github.com/opencontainers/runtime-spec/specs-go"
	libseccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// optimizeFrom is the number of rules from which on a binary tree is asked
// for: a leaf of libseccomp's tree holds four system calls, so a list is as
// good for a few, and libseccomp up to 2.5.4 makes a wrong program of a tree
// without rules.
const optimizeFrom = 32

// table is the compiled part of a profile for one ABI.
type table struct {
	abi
	// program checks calls of this ABI only.
	program []byte
	// highest is the highest number that the profile names, -1 if none.
	highest int32
}

// compileTables compiles p for each ABI on its own and at the same time: one
// filter for all three x86 ABIs takes libseccomp 30 ms, because its time grows
// with the square of the length, and three filters take 5 ms each.
func compileTables(p *specs.LinuxSeccomp, abis []abi) ([]table, error) {
	tables, errs := make([]table, len(abis)), make([]error, len(abis))
	var group sync.WaitGroup
	for i, a := range abis {
		group.Go(func() { tables[i], errs[i] = compileTable(p, a) })
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return tables, nil
}

// compileTable lets libseccomp make the program of the rules of p for a.
func compileTable(p *specs.LinuxSeccomp, a abi) (table, error) {
	byDefault := scmpAction(p.DefaultAction, p.DefaultErrnoRet)
	filter, err := libseccomp.NewFilter(byDefault)
	if err != nil {
		return table{}, fault.New("create the seccomp filter", "", err)
	}
	defer filter.Release()
	if err := only(filter, a); err != nil {
		return table{}, fault.New("compile linux.seccomp for", a.arch.String(), err)
	}

	c := compiler{abi: a, filter: filter, byDefault: byDefault, highest: -1}
	for i := range p.Syscalls {
		if err := c.addEntry(i, &p.Syscalls[i]); err != nil {
			return table{}, err
		}
	}
	if c.rules >= optimizeFrom {
		if err := filter.SetOptimize(2); err != nil {
			return table{}, fault.New("optimize the seccomp filter", "", err)
		}
	}
	program, err := export(filter)
	if err != nil {
		return table{}, err
	}
	return table{abi: a, program: program, highest: max(c.highest, a.highestDirect(c.twice))}, nil
}

// only makes a the one ABI of a new filter, which has the native one.
func only(filter *libseccomp.ScmpFilter, a abi) error {
	native, err := libseccomp.GetNativeArch()
	if err != nil || native == a.arch {
		return err
	}
	if err := filter.AddArch(a.arch); err != nil {
		return err
	}
	return filter.RemoveArch(native)
}

// compiler adds the entries of a profile to a filter for one ABI.
type compiler struct {
	abi       abi
	filter    *libseccomp.ScmpFilter
	byDefault libseccomp.ScmpAction
	// rules is how many were added.
	rules int
	// highest is the highest number of a call that the profile names.
	highest int32
	// twice are the names of calls that have a second number.
	twice []string
}

func (c *compiler) addEntry(i int, entry *specs.LinuxSyscall) error {
	action := scmpAction(entry.Action, entry.ErrnoRet)
	alternatives, err := conditions(entry.Args)
	if err != nil {
		return fault.New("", elem("syscalls", i)+".args", err)
	}
	for _, name := range entry.Names {
		if !c.exists(name) || action == c.byDefault {
			continue
		}
		for _, conds := range alternatives {
			if err := c.addRule(name, action, conds); err != nil {
				return fault.New("add rule for "+name+" of", elem("syscalls", i), err)
			}
		}
	}
	return nil
}

// exists reports whether the ABI has a call, and notes its number.
func (c *compiler) exists(name string) bool {
	nr, ok := c.abi.number(name)
	switch {
	case !ok:
		return false
	case nr >= 0:
		if uint32(nr) <= c.abi.limit() {
			c.highest = max(c.highest, nr)
		}
		return true
	case multiplexed(nr):
		c.twice = append(c.twice, name)
		return true
	}
	return false
}

// addRule adds one rule. A rule takes the number that the call has on the
// native ABI, negative if it has none there, and libseccomp translates it.
func (c *compiler) addRule(name string, action libseccomp.ScmpAction, conds []libseccomp.ScmpCondition) error {
	call, err := libseccomp.GetSyscallFromName(name)
	if err != nil {
		return err
	}
	c.rules++
	return c.filter.AddRuleConditional(call, action, conds)
}

// conditions returns the alternatives of which one has to match, each a list
// of conditions that all have to match. Conditions of one entry are
// alternatives as soon as two of them look at the same argument: a rule of
// libseccomp can look at an argument only once, and this is what runc does.
//
// libseccomp 2.5.4 gets one case of that wrong: "less" as an alternative to
// another ordering of the same argument, if a value has more than 32 bits.
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
	defer func() { _ = file.Close() }()
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
